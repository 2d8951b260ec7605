"""Applications are installed, removed, installed again and purged; the host before is the measure."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_school import add_pupil

from schoolstack.deployment import ROOT, Deployment, playbook_command
from schoolstack.hosts.lab import Lab
from schoolstack.signin import sign_in

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

PLATFORM = ["host", "firewall", "certificates", "postgresql", "nginx"]
FINGERPRINT = (Path(__file__).parent / "fingerprint.sh").read_text(encoding="utf-8")
# What a removal might leave and the fingerprint of a finished server does not look at.
LEFT_OVERS = """
cat /etc/hosts
cut -d: -f1 /etc/group | sort
ss -Hltn | awk '{print $4}' | sort
systemctl list-timers --all --no-legend --plain | awk '{print $(NF-1)}' | sort
systemctl list-units --all --state=not-found,failed --no-legend --plain 'keycloak*' 'portal*'
find /var/lib /var/log -mindepth 1 -maxdepth 1 ! -path /var/lib/schoolstack | sort
find /var/lib/schoolstack /etc/apt /etc/cron* /etc/logrotate.d -type f | sort
"""
PERSON, PASSWORD = "test-returning", secrets.token_urlsafe(12)


class School:
    """A school on one test host, whose inventory says at each step what the server is to hold."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.folder = folder
        self.lab = lab
        (folder / "group_vars").symlink_to(ROOT / "inventories" / "demo" / "group_vars")

    def holds(self, *applications: str) -> Deployment:
        """Write the inventory; return the school as it is from now on."""
        groups = {group: {"hosts": {"server": None}} for group in [*PLATFORM, *applications]}
        # Removing leaves Debian's packages alone: so that they are no difference, they are there before.
        packages = ["apache2-bin", "libapache2-mod-auth-openidc", "openjdk-25-jre-headless"]
        content = {"all": {"hosts": {"server": {"host_extra_packages": packages}}, "children": groups}}
        (self.folder / "hosts.yml").write_text(json.dumps(content), encoding="utf-8")
        return Deployment(self.folder, "remove-server", self.lab)

    def refuses(self, deployment: Deployment, said: str, **variables: str) -> None:
        """Remove something, and look for the sentence with which that is refused."""
        command = playbook_command("remove", deployment.inventories, variables)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert said in done.stdout
        assert "changed=0" in done.stdout


def state(deployment: Deployment) -> set[str]:
    """Return what there is on the server, a line per fact."""
    command = [*deployment.lab.ssh_command(deployment.name), "bash -s"]
    script = FINGERPRINT + LEFT_OVERS
    return set(
        subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout.splitlines()
    )


def realm(deployment: Deployment) -> Any:
    """Return the whole realm, in an order of its own."""
    found = "admin.post('school', 'partial-export', exportClients='true', exportGroupsAndRoles='true')"
    return in_order(deployment.ask_keycloak(found))


def in_order(value: Any) -> Any:
    if isinstance(value, dict):
        # What a role brings along of no client at all is written in two ways.
        return {key: in_order(inner) for key, inner in value.items() if inner not in ({}, [])}
    if isinstance(value, list):
        return sorted((in_order(inner) for inner in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


def arrives(deployment: Deployment, url: str) -> bool:
    return sign_in(deployment.browser(), url, PERSON, PASSWORD).arrived


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    lab = Lab()
    lab.down("remove-server")
    lab.up("remove-server")
    folder = tmp_path_factory.mktemp("school")
    try:
        yield School(folder, lab)
    finally:
        lab.down("remove-server")
        shutil.rmtree(folder, ignore_errors=True)


def test_what_is_removed_leaves_nothing_but_its_data(
    school: School, capfd: pytest.CaptureFixture[str]
) -> None:
    bare = school.holds()
    bare.play("site")
    before = state(bare)

    whole = school.holds("keycloak", "portal")
    whole.play("site")
    assert state(whole) != before
    school.refuses(whole, "'portall'", app="portall")
    school.refuses(whole, "group portal of the inventory", app="portal")
    school.refuses(school.holds("portal"), "as long as people sign in with it", app="keycloak")

    bare = school.holds()
    bare.play("remove", app="portal")
    capfd.readouterr()
    bare.play("remove", app="keycloak")
    assert "the folder /var/lib/keycloak (" in (said := capfd.readouterr().out)
    assert "the database keycloak (" in said
    assert sorted(state(bare) - before) == [
        "/var/lib/keycloak",
        "/var/lib/schoolstack/removed/keycloak.json",
        "keycloak|postgres|UTF8|libc|C.UTF-8|C.UTF-8|||",
        "schoolstack_kept|Cannot login",
    ]
    assert before - state(bare) == set()
    assert bare.play("site").changed == 0

    # And for good.
    school.refuses(bare, "only when purge holds the same name", app="keycloak", purge="yes")
    bare.play("remove", app="keycloak", purge="keycloak")
    assert state(bare) ^ before == set()


@pytest.mark.slow
def test_what_comes_back_finds_its_people_and_what_goes_alone_leaves_the_sign_in_as_it_was(
    school: School,
) -> None:
    with_keycloak = school.holds("keycloak")
    with_keycloak.play("site")
    realm_before = realm(with_keycloak)

    whole = school.holds("keycloak", "portal")
    whole.play("site")
    assert realm(whole) != realm_before
    add_pupil(whole, PERSON, PASSWORD)
    find_person = f"admin.get('school', 'users', username={PERSON!r}, exact='true')[0]['id']"
    person_id = whole.ask_keycloak(find_person)
    assert arrives(whole, whole.url("portal"))

    # The start page goes; the sign-in is as if it had never been.
    with_keycloak = school.holds("keycloak")
    with_keycloak.play("remove", app="portal")
    assert with_keycloak.ask_keycloak(find_person) == person_id
    assert realm(with_keycloak) == realm_before
    assert with_keycloak.play("site").changed == 0

    # The sign-in goes too, and both come back, to the same people.
    school.holds().play("remove", app="keycloak")
    whole = school.holds("keycloak", "portal")
    whole.play("site")
    assert whole.ask_keycloak(find_person) == person_id
    assert arrives(whole, whole.url("portal"))
    assert "schoolstack_kept" not in "".join(state(whole))
    assert whole.shell("find /var/lib/keycloak ! -user keycloak") == ""
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert whole.shell(f'psql -U postgres -Atc "{owners}" keycloak') == "keycloak\n"
    assert whole.play("site").changed == 0

    # And go at once with all they have.
    bare = school.holds()
    bare.play("remove", app="portal", purge="portal")
    bare.play("remove", app="keycloak", purge="keycloak")
    assert bare.shell("ls -d /var/lib/keycloak 2>/dev/null || true") == ""
