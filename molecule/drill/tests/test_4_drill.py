"""The school is lost: on a spare machine for a drill, and in earnest. It is the same school afterwards.

A drill does what is done in earnest, elsewhere: to save three minutes, make test does only the latter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import witness

from schoolstack.demo.people import People
from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError
from schoolstack.hosts.lab import Lab

STATE = "/var/lib/schoolstack/backup/state.json"
ACCOUNTS = (
    "psql -U postgres -d keycloak -Atc 'select username, id, created_timestamp from user_entity order by 1'"
)


@pytest.fixture(scope="module")
def before(school: Deployment, people: People) -> witness.Witness:
    """The school as its people know it."""
    return witness.look(school, people)


@pytest.fixture(scope="module")
def spare(school: Deployment) -> Iterator[Deployment]:
    """A machine fresh from the image, on which somebody has already made a user."""
    lab = Lab()
    lab.down("drill-spare")
    lab.up("drill-spare")
    machine = Deployment(school.inventory, "drill-spare", lab)
    # So that system users get other numbers than on the server.
    machine.shell("useradd --system somebody; useradd --system somebody-else")
    yield machine
    lab.down("drill-spare")


def connection(machine: Deployment) -> dict[str, Any]:
    """How Ansible reaches a machine."""
    fragment = json.loads(machine.lab.inventory(machine.name).read_text(encoding="utf-8"))
    found: dict[str, Any] = fragment["all"]["hosts"][machine.name.partition("-")[2]]
    return found


@pytest.mark.slow
def test_a_drill_leaves_the_same_school_on_the_spare_machine(
    school: Deployment, spare: Deployment, people: People, before: witness.Witness
) -> None:
    school.play("drill", drill_spare=connection(spare))
    assert spare.shell(ACCOUNTS) == school.shell(ACCOUNTS)
    assert witness.look(spare, people) == before
    owner = spare.shell("stat -c %U:%G /var/lib/keycloak /var/lib/portal").split()
    assert owner == ["keycloak:keycloak", "portal:portal"]


@pytest.mark.slow
def test_its_result_is_dated_and_kept_with_the_server(school: Deployment, program: Callable) -> None:
    kept = program("status").result["drill"]
    assert kept["time"]
    assert kept["took_s"] < 15 * 60
    assert 0 <= kept["lost_s"] < 60
    assert kept["rows"] > 1000
    assert set(kept["what"]) == {"source certificates", "keycloak", "portal"}


@pytest.mark.slow
def test_the_spare_machine_brings_no_backups_and_is_no_longer_let_in(
    spare: Deployment, vault: Deployment
) -> None:
    assert "disabled" in spare.shell("systemctl is-enabled schoolstack-backup.timer || true")
    assert "does not let server in" in spare.shell("LANG=en schoolstack-backup backup 2>&1 || true")
    assert "/guest" not in vault.shell("cat /var/lib/schoolstack-backup/.ssh/authorized_keys")


@pytest.mark.slow
def test_the_server_itself_goes_on_undisturbed(school: Deployment, program: Callable) -> None:
    assert program("backup").code == 0
    assert school.play("site").changed == 0


def test_a_drill_against_the_server_itself_is_refused(
    school: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SchoolError):
        school.play("drill", drill_spare=connection(school))
    assert "is server itself" in capfd.readouterr().out


def test_the_lost_server_comes_back_onto_an_empty_machine(
    school: Deployment, people: People, before: witness.Witness, program: Callable
) -> None:
    """All that is left is the inventory, the repository and the key."""
    program("backup")
    accounts = school.shell(ACCOUNTS)
    school.lab.reset(school.name)
    assert school.shell("ls /etc/schoolstack /opt 2>/dev/null || true").split() == ["/opt:"]
    school.play("restore")
    assert school.shell(ACCOUNTS) == accounts
    assert witness.look(school, people) == before
    # From here on it is the school's server, as it was.
    assert program("status").result["restoring"] == ""
    assert program("backup").code == 0
    assert school.play("site").changed == 0
    assert school.shell("find / -xdev -name '.schoolstack-re*'") == ""
    databases = school.shell("psql -U postgres -Atc 'select datname from pg_database'").split()
    assert sorted(databases) == ["keycloak", "postgres", "template0", "template1"]


@pytest.mark.slow
def test_one_application_goes_back_to_a_moment_and_the_others_stay(
    school: Deployment, program: Callable
) -> None:
    program("backup")
    moment = program("list").result["backups"][-1]["time"]
    school.shell("echo newer >/var/lib/portal/note")
    insert = "create table since (what text); insert into since values (1)"
    school.shell(f"psql -U postgres -d keycloak -qc '{insert}'; sleep 1")
    program("backup")
    school.play("restore", restore_app="keycloak", restore_at=f"{moment}+00:00", restore_overwrite=True)
    assert school.shell("psql -U postgres -d keycloak -Atc \"select to_regclass('since') is null\"") == "t\n"
    assert school.shell("cat /var/lib/portal/note; rm /var/lib/portal/note") == "newer\n"
    # To look at, without touching anything: the table as it was in the backup after.
    school.play("extract", extract_to="/root/look", extract_table="keycloak.since")
    assert "COPY public.since" in school.shell("cat /root/look/keycloak.since.sql")
    assert school.shell("stat -c %a /root/look") == "700\n"
    school.play("extract", extract_to="/root/look2", extract_file="/etc/portal/pages/nl.shtml")
    assert "<html" in school.shell("cat /root/look2/etc/portal/pages/nl.shtml; rm -r /root/look*")
