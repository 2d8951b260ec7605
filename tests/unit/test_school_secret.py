"""The lookup school_secret: one secret per file, made once, readable with ansible-vault alone."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader

PLUGINS = Path(__file__).parents[2] / "plugins/lookup"


def look(inventory: Path, *names: str, check: bool = False, **options: object) -> list[str]:
    lookup_loader.add_directory(str(PLUGINS))
    variables = {"inventory_dir": str(inventory), "ansible_check_mode": check}
    return lookup_loader.get("school_secret").run(list(names), variables, **options)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_is_made_once_and_read_again(tmp_path):
    first = look(tmp_path, "keycloak_database")
    assert re.fullmatch("[A-Za-z0-9]{32}", first[0])
    assert look(tmp_path, "keycloak_database") == first
    assert look(tmp_path, "portal_client", length=64) != first


def test_only_its_owner_may_read_it(tmp_path):
    look(tmp_path, "one")
    assert mode(tmp_path / ".vault-key") == 0o600
    assert mode(tmp_path / "secrets") == 0o700
    assert mode(tmp_path / "secrets/one.vault") == 0o600
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == [".vault-key", "one.vault"]


def test_ansible_vault_reads_and_writes_the_same_files(tmp_path):
    [value] = look(tmp_path, "one")
    vault = [str(Path(sys.executable).with_name("ansible-vault"))]
    key = ["--vault-password-file", str(tmp_path / ".vault-key")]
    view = subprocess.run(
        [*vault, "view", *key, str(tmp_path / "secrets/one.vault")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert view.stdout.strip() == value
    by_hand = tmp_path / "secrets/by_hand.vault"
    by_hand.write_text("from the provider\n")
    subprocess.run([*vault, "encrypt", *key, str(by_hand)], check=True, capture_output=True)
    assert look(tmp_path, "by_hand", generate=False) == ["from the provider"]


def test_check_mode_writes_nothing(tmp_path):
    assert look(tmp_path, "one", check=True) == ["not-generated-in-check-mode"]
    assert list(tmp_path.iterdir()) == []
    made = look(tmp_path, "one")
    assert look(tmp_path, "one", check=True) == made


def test_variables_say_where(tmp_path):
    lookup_loader.add_directory(str(PLUGINS))
    variables = {"school_secrets_dir": str(tmp_path / "a"), "school_vault_key_file": str(tmp_path / "b")}
    lookup_loader.get("school_secret").run(["one"], variables)
    assert (tmp_path / "a/one.vault").exists()
    assert (tmp_path / "b").exists()


def test_parallel_runs_agree(tmp_path):
    with concurrent.futures.ProcessPoolExecutor(6, multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(look, [tmp_path] * 6, ["one"] * 6))
    assert len({tuple(f) for f in found}) == 1


def refused(expected: str, inventory: Path, *names: str, **options: object) -> None:
    with pytest.raises(AnsibleLookupError, match=expected) as caught:
        look(inventory, *names, **options)
    assert "\n" not in caught.value.message


def test_a_missing_key_is_refused(tmp_path):
    look(tmp_path, "one")
    (tmp_path / ".vault-key").unlink()
    refused(r"The key .*/\.vault-key is missing.*from your copy", tmp_path, "one")
    refused(r"The key .*/\.vault-key is missing", tmp_path, "two")
    assert not (tmp_path / ".vault-key").exists()


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_wrong_key_is_refused(tmp_path, name):
    look(tmp_path, "one")
    (tmp_path / ".vault-key").write_text("another\n")
    refused(r"The key .* does not open .*/one\.vault", tmp_path, name)
    assert not (tmp_path / "secrets/two.vault").exists()


def test_an_empty_key_is_refused(tmp_path):
    (tmp_path / ".vault-key").touch()
    refused("is empty", tmp_path, "one")


@pytest.mark.parametrize("content", ["plain text", ""])
def test_a_secret_in_the_clear_is_refused(tmp_path, content):
    look(tmp_path, "one")
    (tmp_path / "secrets/one.vault").write_text(content)
    refused(r"one\.vault is not encrypted: run `ansible-vault encrypt", tmp_path, "one")


def test_a_cut_off_secret_is_refused(tmp_path):
    look(tmp_path, "one")
    path = tmp_path / "secrets/one.vault"
    path.write_bytes(path.read_bytes()[:200])
    refused(r"does not open .*one\.vault", tmp_path, "one")


def test_what_only_the_school_has_is_asked_for(tmp_path):
    refused(
        "only the school can provide it: write it with `ansible-vault create",
        tmp_path,
        "smtp",
        generate=False,
    )
    assert (tmp_path / ".vault-key").exists(), "the command in the sentence needs it"


@pytest.mark.parametrize("name", ["../../etc/passwd", "Upper", "", "a b"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    refused("cannot name a secret", tmp_path, name)


def test_a_host_without_inventory_is_refused():
    lookup_loader.add_directory(str(PLUGINS))
    with pytest.raises(AnsibleLookupError, match="set school_secrets_dir"):
        lookup_loader.get("school_secret").run(["one"], {})
