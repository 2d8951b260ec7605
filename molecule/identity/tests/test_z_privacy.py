"""What the school can say of its data, and one person's; what is kept when somebody may have got in."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from testinfra.host import Host

from schoolstack.deployment import ROOT, Deployment
from schoolstack.roster import sheets

Ask = Callable[[str], Any]
LEAVER = "test.leaver"


def told(*words: str, school: Deployment, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Give the command ``school`` to this school, in English."""
    own = [word for inventory in school.inventories for word in ("-i", str(inventory))]
    # The school's own inventory comes first: it says where the school's folders are.
    command = [str(Path(sys.executable).with_name("school")), *words[:2], *own, *words[2:]]
    environment = {**os.environ, "SCHOOL_LANGUAGE": "en"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, input=typed
    )


def test_no_address_outside_the_eu_learns_anything_about_people(school: Deployment) -> None:
    done = told("privacy", "endpoints", "--json", school=school)
    found = json.loads(done.stdout)
    assert (done.returncode, found["state"]) == (1, "look")
    assert {one["role"] for one in found["endpoints"]} == {"host", "keycloak"}
    assert not any(one["people"] for one in found["endpoints"])
    assert all(one["place"] for one in found["endpoints"]), "one is unknown"


def test_nothing_reports_home(school: Deployment) -> None:
    done = told("privacy", "telemetry", "--json", school=school)
    assert done.returncode == 0, done.stdout
    assert {"Keycloak", "nginx", "PostgreSQL"} <= {
        one["product"] for one in json.loads(done.stdout)["telemetry"]
    }


def test_the_register_holds_what_every_application_declares(school: Deployment) -> None:
    page = told("privacy", "register", "--language", "nl", school=school).stdout
    for record in school.records.values():
        for entry in record["personal_data"]:
            assert entry["what"]["nl"] in page
            assert entry["kept"]["nl"] in page


@pytest.fixture
def leaver(ask: Ask) -> Iterator[str]:
    """Somebody who left: an account that is disabled; yields its id."""
    user = {"username": LEAVER, "enabled": False, "firstName": "Noor", "groups": ["/role/pupil"]}
    user["credentials"] = [{"type": "password", "value": "not-for-anybody-0"}]
    body = json.dumps({"ifResourceExists": "OVERWRITE", "users": [user]})
    ask(f"admin.post('school', 'partialImport', body=json.loads({body!r}))")
    found = f"admin.get('school', 'users', username={LEAVER!r}, exact='true')"
    yield ask(found)[0]["id"]
    ask(f"[admin.delete('school', 'users', user['id']) for user in {found}]")


@pytest.fixture
def people(school: Deployment) -> Iterator[Path]:
    """Where zips of people go; removed afterwards."""
    folder = school.inventory / "people"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_leavers_data_is_exported_for_one_reader_and_without_what_proves_who_it_is(
    school: Deployment, leaver: str, people: Path
) -> None:
    assert told("person", "export", LEAVER, school=school).returncode == 0
    (path,) = people.glob(f"{LEAVER}-*.zip")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("keycloak (server).json"))
    assert (data["account"]["id"], data["account"]["enabled"]) == (leaver, False)
    assert [group["path"] for group in data["groups"]] == ["/role/pupil"]
    assert [set(one) for one in data["credentials"]] == [{"type", "userLabel", "createdDate"}]


def test_a_leaver_is_erased_when_the_name_is_typed_and_not_before(
    school: Deployment, leaver: str, ask: Ask
) -> None:
    found = f"admin.get('school', 'users', {leaver!r})"
    refused = told("person", "erase", LEAVER, school=school, typed="yes\n")
    assert refused.returncode == 1
    assert "passwords, codes and passkeys: 1" in refused.stdout
    assert "nothing was erased" in refused.stderr
    assert ask(found)["username"] == LEAVER
    assert told("person", "erase", LEAVER, school=school, typed=f"{LEAVER}\n").returncode == 0
    assert ask(found) is None


def test_a_coordinator_is_not_erased(school: Deployment, ask: Ask) -> None:
    username, _ = sheets.read_all(school.inventory)["ict"][0]
    done = told("person", "erase", username, school=school, typed=f"{username}\n")
    assert done.returncode == 1
    assert "looks after the school's accounts" in done.stdout
    assert ask(f"admin.get('school', 'users', username={username!r}, exact='true')")


@pytest.fixture(scope="module")
def breach(school: Deployment, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A breach's folder, begun with one server there and one away; its evidence is unpacked beside it."""
    gone = tmp_path_factory.mktemp("away") / "gone.yml"
    gone.write_text("all: {hosts: {gone: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n", encoding="utf-8")
    done = told("breach", "start", "-i", str(gone), school=school)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gone: NO EVIDENCE" in done.stdout
    (folder,) = (school.inventory / "breaches").glob("20*")
    (folder / "unpacked").mkdir()
    unpack = ["tar", "-C", folder / "unpacked", "-xzf", folder / "evidence" / "server.tar.gz"]
    subprocess.run(unpack, check=True)
    yield folder
    shutil.rmtree(folder.parent)


def test_evidence_is_for_its_owner_only_and_whole(breach: Path, host: Host) -> None:
    assert stat.S_IMODE(breach.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (breach / "evidence").iterdir()} == {0o400, 0o500}
    sums = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=breach / "evidence", check=False
    )
    assert sums.returncode == 0
    assert not host.check_output("ls -d /var/lib/schoolstack-evidence-* 2>/dev/null || true"), (
        "left on the server"
    )


def test_evidence_holds_sign_ins_logs_configuration_and_hashes(breach: Path, host: Host) -> None:
    unpacked = breach / "unpacked"
    events = gzip.decompress((unpacked / "databases" / "keycloak.sql.gz").read_bytes()).decode()
    assert "COPY public.event_entity" in events
    assert "LOGIN_ERROR" in events
    assert b"LOGIN_ERROR" in gzip.decompress((unpacked / "journal.export.gz").read_bytes())
    settings = Path("files/etc/nginx/conf.d/schoolstack.conf")
    assert (unpacked / settings).read_text() == host.file("/etc/nginx/conf.d/schoolstack.conf").content_string
    assert "authorized_keys" in "".join(path.name for path in (unpacked / "files/root/.ssh").iterdir())
    wanted = host.check_output("sha256sum /etc/keycloak/automation.secret").split()[0]
    assert f"{wanted} -rw-------" in (unpacked / "sha256.txt").read_text()
    assert "nginx" in (unpacked / "now" / "processes.txt").read_text()


def test_evidence_holds_no_secret(breach: Path, school: Deployment) -> None:
    vault = VaultLib([("default", VaultSecret((school.inventory / ".vault-key").read_bytes().strip()))])
    secrets = [vault.decrypt(path.read_bytes()) for path in (school.inventory / "secrets").glob("*.vault")]
    assert len(secrets) >= 3
    for path in (
        path for path in breach.rglob("*") if path.is_file() and path.suffixes[-2:] != [".tar", ".gz"]
    ):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert not [secret for secret in secrets if secret in content], path
    assert not [
        path
        for path in breach.rglob("*")
        if path.name in ("shadow", "privkey.pem", "issuing.key", "id_ed25519")
    ]
