"""Replacing a secret, and the key of all: whole or not at all, and finished whenever a run was cut off."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from schoolstack.errors import SchoolError
from schoolstack.safe import Store, of_school, vault_key
from schoolstack.safe.store import NEXT


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "secrets", tmp_path / ".vault-key")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# One secret


def test_a_replaced_secret_is_new_and_as_long_and_the_old_is_kept_until_proven(store):
    before = store.get("one", 40)
    store.replace("one", 32)
    after = store.get("one", None)
    assert after != before
    assert len(after) == 40
    assert store.previous("one") == before
    store.forget_previous("one")
    assert store.previous("one") == ""
    assert names(store.folder) == ["one.vault"]


def test_it_is_not_replaced_a_second_time_before_it_is_proven(store):
    before = store.get("one", 32)
    store.replace("one", 32)
    after = store.get("one", None)
    store.replace("one", 32)
    assert store.get("one", None) == after
    assert store.previous("one") == before


def test_a_replacement_cut_off_before_the_new_value_is_taken_up_again(store, monkeypatch):
    before = store.get("one", 32)

    def cut_off(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as moment:
        moment.setattr("schoolstack.safe.store.overwrite", cut_off)
        with pytest.raises(KeyboardInterrupt):
            store.replace("one", 32)
    assert store.get("one", None) == store.previous("one") == before
    store.replace("one", 32)
    assert store.get("one", None) != before
    assert store.previous("one") == before


def test_a_value_made_ready_is_the_one_that_takes_the_place(store):
    before = store.get("one", 40)
    store.prepare("one")
    upcoming = store.upcoming("one")
    assert store.get("one", None) == before
    assert len(upcoming) == 40
    store.prepare("one")  # as a run that was cut off here does again
    assert store.upcoming("one") == upcoming
    store.replace("one", 32)
    assert store.get("one", None) == upcoming
    assert store.previous("one") == before
    assert store.upcoming("one") == ""


def test_none_is_made_ready_while_a_replacement_is_not_proven(store):
    before = store.get("one", 32)
    store.replace("one", 32)
    after = store.get("one", None)
    store.prepare("one")
    store.replace("one", 32)
    assert (store.upcoming("one"), store.get("one", None), store.previous("one")) == ("", after, before)


def test_a_value_that_took_the_place_although_the_run_was_cut_off_is_not_taken_again(store):
    before = store.get("one", 32)
    store.prepare("one")
    after, draft = store.upcoming("one"), store.path("one", NEXT)
    content = draft.read_bytes()
    store.replace("one", 32)
    draft.write_bytes(content)  # the cut came before it went
    store.prepare("one")
    store.replace("one", 32)
    assert (store.upcoming("one"), store.get("one", None), store.previous("one")) == ("", after, before)


def test_nothing_is_made_ready_for_a_secret_without_a_value(store):
    store.prepare("one")
    assert names(store.folder) == []


def test_a_secret_that_was_never_used_is_made_and_has_no_previous(store):
    store.replace("one", 24)
    assert len(store.get("one", None)) == 24
    assert store.previous("one") == ""


def test_what_servers_make_is_asked_for_by_a_moment(store):
    assert store.renewal("keys") == ""
    store.renew("keys")
    assert store.renewal("keys").endswith("+00:00")
    assert (store.folder / "keys.renewal").read_text().strip() == store.renewal("keys")
    asked = store.renewal("keys")
    (store.folder / "keys.renewal").write_text("2026-01-01T00:00:00+00:00\n")
    store.renew("keys")
    assert store.renewal("keys") < asked, "not a second time before it is proven"
    store.forget_previous("keys")
    store.renew("keys")
    assert store.renewal("keys") >= asked
    assert store.previous("keys") == "2026-01-01T00:00:00+00:00"


# The key of all


@pytest.fixture
def inventory(tmp_path, store):
    """An inventory with secrets, a sheet, a value within a file, and files that have nothing encrypted."""
    store.get("one", 32)
    store.get("two", 32)
    store.replace("two", 32)
    key = VaultSecret(vault_key.read(store.key_file))
    (tmp_path / "sheets/pending").mkdir(parents=True)
    (tmp_path / "sheets/pending/3A.html.vault").write_bytes(VaultLib().encrypt("sheet", key))
    inline = VaultLib().encrypt("inline", key).decode().replace("\n", "\n          ").rstrip()
    variables = tmp_path / "group_vars/all/school.yml"
    variables.parent.mkdir(parents=True)
    variables.write_text(f"a: 1\nb: !vault |\n          {inline}\nc: 3\n")
    variables.chmod(0o640)
    (tmp_path / "hosts.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    (tmp_path / "files").mkdir()
    (tmp_path / "files/logo.png").write_bytes(b"\x89PNG\x00$ANSIBLE_VAULT is no envelope")
    return tmp_path


def everything(inventory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in inventory.rglob("*") if path.is_file()}


def opened(inventory: Path) -> dict[str, str]:
    """Return what ansible-vault and Ansible itself read with the key as it is now."""
    programs = Path(sys.executable).parent
    key = ["--vault-password-file", str(inventory / ".vault-key")]
    found = {}
    for path in sorted([*inventory.rglob("*.vault"), *inventory.rglob("*.previous")]):
        view = subprocess.run(
            [programs / "ansible-vault", "view", *key, path], check=True, capture_output=True, text=True
        )
        found[path.name] = view.stdout.strip()
    shown = subprocess.run(
        [
            programs / "ansible",
            "localhost",
            "-i",
            inventory / "hosts.yml",
            *key,
            "-m",
            "debug",
            "-a",
            "var=b",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    found["inline"] = shown.stdout
    return found


def test_all_that_is_encrypted_comes_under_the_new_key_and_nothing_else_changes(inventory, store):
    before, files = opened(inventory), everything(inventory)
    assert "inline" in before["inline"]
    changed = vault_key.change(store.key_file, [inventory, store.folder])
    assert {path.name for path in changed} == {
        *("one.vault", "two.vault", "two.previous", "3A.html.vault", "school.yml"),
    }
    assert opened(inventory) == before
    after = everything(inventory)
    assert after.keys() == files.keys(), "nothing is left lying about"
    untouched = {path for path in files if after[path] == files[path]}
    assert {Path(path).name for path in untouched} == {"hosts.yml", "logo.png"}
    assert stat.S_IMODE((inventory / "group_vars/all/school.yml").stat().st_mode) == 0o640
    assert stat.S_IMODE(store.key_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("writes", range(7))
def test_a_change_cut_off_at_any_write_is_whole_or_not_at_all(inventory, store, monkeypatch, writes):
    secrets = {name: store.get(name, None) for name in ("one", "two")}
    key, real, done = store.key_file.read_bytes(), vault_key.overwrite, []

    def cut_off(path, content):
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(path)
        real(path, content)

    with monkeypatch.context() as moment:
        moment.setattr(vault_key, "overwrite", cut_off)
        try:
            vault_key.change(store.key_file, [inventory])
        except KeyboardInterrupt:
            assert len(done) == writes
    # The next use finishes it, as a run of site.yml would.
    assert {name: store.get(name, None) for name in ("one", "two")} == secrets
    assert (store.key_file.read_bytes() == key) == (writes == 0)
    assert "sheet" in opened(inventory)["3A.html.vault"]
    assert not list(inventory.glob(".vault-key.*"))


def test_something_under_another_key_stops_it_before_anything_has_changed(inventory, store):
    other = VaultLib().encrypt("x", VaultSecret(b"another"))
    (inventory / "files/foreign.pem").write_bytes(other)
    before = everything(inventory)
    with pytest.raises(SchoolError, match=r"does not open everything.*foreign\.pem.*nothing was changed"):
        vault_key.change(store.key_file, [inventory])
    assert everything(inventory) == before


def test_without_a_key_there_is_nothing_to_change(tmp_path):
    with pytest.raises(SchoolError, match="There is no key"):
        vault_key.change(tmp_path / ".vault-key", [tmp_path])


# Which there are


def test_secrets_follow_from_declarations():
    declared = {
        "alpha_app": {
            "name": "alpha",
            "title": "Alpha",
            "databases": [{"engine": "postgresql", "name": "alpha"}],
            "sign_in": {"protocol": "oidc"},
            "secrets": [
                {"name": "alpha_own", "what": "x"},
                {"name": "alpha_mail", "what": "y", "kind": "provided"},
                {"name": "alpha_key", "what": "v", "kind": "fixed"},
            ],
        },
        "beta_app": {"name": "beta", "title": "Beta", "sign_in": {"protocol": "saml"}},
        "gamma_secrets": [
            {"name": "gamma_key", "what": "z", "kind": "renewed"},
            {"name": "gamma_old", "what": "w", "kind": "kept"},
        ],
    }
    found = of_school(["gamma", "alpha", "beta"], lambda role, name: declared.get(name))
    assert [(secret.name, secret.kind, secret.role, secret.door) for secret in found] == [
        ("alpha_database", "generated", "postgresql", "rotated"),
        ("alpha_client", "generated", "keycloak", "client_rotated"),
        ("alpha_own", "generated", "alpha", "rotated"),
        ("alpha_mail", "provided", "alpha", "rotated"),
        ("alpha_key", "fixed", "alpha", "rotated"),
        ("gamma_key", "renewed", "gamma", "rotated"),
        ("gamma_old", "kept", "gamma", "rotated"),
    ]
    assert [secret.name for secret in found if not secret.can_be_made] == ["alpha_mail", "alpha_key"]


# What is refused: before any server is asked, in one sentence each


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A school whose server answers nobody."""
    inventory = tmp_path_factory.mktemp("inventory")
    groups = ("certificates", "postgresql", "nginx", "monitoring", "keycloak", "portal", "grafana")
    lines = ["all: {hosts: {server: {ansible_host: 127.0.0.1, ansible_port: 1}}}"]
    (inventory / "hosts.yml").write_text(
        "\n".join([*lines, *(f"{g}: {{hosts: {{server: }}}}" for g in groups)])
    )
    variables = inventory / "group_vars/all.yml"
    variables.parent.mkdir()
    variables.write_text("school_domain: myschool.example\ncertificates_source: files\n")
    Store(inventory / "secrets", inventory / ".vault-key").get("portal_client", 32)
    return inventory


def rotate(school: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("school")
    command = [program, "rotate", *words, "-i", school, "--language", "en"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "No secret is named: name one or more of certificates, grafana_database,"),
        (["portal_cleint"], "no secret 'portal_cleint' in this school (did you mean portal_client?)"),
        (
            ["wiki", "portal_client"],
            "There is no secret 'wiki' in this school: name",
        ),
        (["keycloak-mail"], "keycloak_mail (password of the school's mail server) comes from outside"),
        (["grafana_secret_key"], "stays as it is, since nothing else opens what the application keeps"),
        (["certificates"], "is handed in as files, so only the school can replace it"),
        (["vault-key", "portal_client"], "give `school rotate vault-key` without other names"),
        (["portal_client"], "NOT REACHED: server"),
    ],
)
def test_what_cannot_be_replaced_is_refused_before_the_first_change(school, words, sentence):
    before = everything(school)
    done = rotate(school, *words)
    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
    assert everything(school) == before


def test_a_missing_key_is_refused(school):
    key = school / ".vault-key"
    kept = key.read_bytes()
    key.unlink()
    try:
        assert "is missing, without which no secret can be replaced" in rotate(school, "portal-client").stdout
    finally:
        key.write_bytes(kept)


def test_the_list_names_them_and_says_what_was_begun(school):
    store = Store(school / "secrets", school / ".vault-key")
    store.replace("portal_client", 32)
    try:
        listed = rotate(school, "--list").stdout
    finally:
        store.forget_previous("portal_client")
    lines = {line.split()[0]: line for line in listed.splitlines() if line.strip()}
    assert "begun; the same command again finishes it" in lines["portal_client"]
    assert "by this command" in lines["keycloak_database"]
    assert "only with a new one from outside" in lines["keycloak_mail"]
    assert "by handing in new files" in lines["certificates"]
    assert "vault-key" in lines
