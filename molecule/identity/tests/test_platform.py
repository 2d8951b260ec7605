"""What the server is made of: its database, its services and the archives it has unpacked."""

from __future__ import annotations

import json
import re

import pytest
from testinfra.host import Host

CLUSTER = "/etc/postgresql/*/main"
MAX_EXPOSURE = 4.0  # of 10, in systemd-analyze security; the house's bound for a unit of its own


def sql(host: Host, statement: str) -> list[str]:
    """Return the rows that the superuser gets."""
    ran = host.run("psql -U postgres -d postgres -Atc %s", statement)
    assert ran.rc == 0, ran.stderr
    return str(ran.stdout).splitlines()


@pytest.fixture(scope="module")
def records(host: Host) -> dict[str, dict]:
    """What the applications left in their records, by name."""
    paths = host.check_output("ls /etc/ansible/facts.d/*.fact").split()
    found = [json.loads(host.file(path).content_string) for path in paths]
    return {record["name"]: record for record in found if "services" in record}


@pytest.fixture(scope="module")
def units(records: dict[str, dict]) -> list[str]:
    """The units of the applications."""
    return [f"{service['name']}.service" for record in records.values() for service in record["services"]]


def test_the_database_listens_on_loopback_only(host: Host) -> None:
    listening = host.check_output("ss -Hltn sport = :5432 | awk '{print $4}'").split()
    assert listening
    assert set(listening) <= {"127.0.0.1:5432", "[::1]:5432"}


def test_passwords_of_the_database_are_scram(host: Host) -> None:
    assert sql(host, "show password_encryption") == ["scram-sha-256"]
    kept = sql(host, "select left(rolpassword, 14) from pg_authid where rolpassword is not null")
    assert set(kept) == {"SCRAM-SHA-256$"}
    assert set(sql(host, "select distinct auth_method from pg_hba_file_rules")) == {"peer", "scram-sha-256"}


def test_the_database_runs_with_its_configuration(host: Host) -> None:
    assert sql(host, "select name from pg_settings where pending_restart") == []
    assert sql(host, "select sourcefile from pg_settings where name = 'shared_buffers'")[0].endswith(
        "conf.d/schoolstack.conf"
    )
    assert sql(host, "show data_checksums") == ["on"]


def test_a_wrong_password_opens_no_database(host: Host) -> None:
    ran = host.run("PGPASSWORD=wrong psql -h 127.0.0.1 -U keycloak -d keycloak -Atc 'select 1'")
    assert ran.rc != 0
    assert "password authentication failed" in ran.stderr


def test_who_runs_on_the_server_opens_no_database_without_a_password(host: Host) -> None:
    for user, role in (("nobody", "keycloak"), ("nobody", "postgres"), ("keycloak", "postgres")):
        as_user = f"setpriv --reuid {user} --regid nogroup --clear-groups"
        ran = host.run(f"cd / && {as_user} psql -U {role} -d postgres -c 'select 1'")
        assert ran.rc != 0, f"{user} became {role}"
        assert "Peer authentication failed" in ran.stderr


def test_only_its_owner_may_connect_to_an_applications_database(host: Host) -> None:
    database = "select datname from pg_database where not datistemplate and datname <> 'postgres'"
    may_connect = f"{database} and (datacl is null or datacl::text ~ '[{{,]=[a-zA-Z]*c')"
    assert sql(host, database)
    assert sql(host, may_connect) == []


def test_every_service_is_hardened(host: Host, units: list[str]) -> None:
    for unit in units:
        lines = host.check_output("systemd-analyze security --no-pager %s", unit).splitlines()
        exposure = float(re.search(r"exposure level for .*: ([0-9.]+)", lines[-1])[1])
        assert exposure < MAX_EXPOSURE, f"{unit}: {exposure}"


def test_every_service_runs_as_itself_and_starts_with_the_server(
    host: Host, records: dict[str, dict]
) -> None:
    for record in records.values():
        for service in record["services"]:
            unit = host.service(service["name"])
            assert unit.is_running
            assert unit.is_enabled
            user = host.check_output("systemctl show -P User %s", service["name"])
            assert user == record["user"] != "root"


def test_no_service_runs_with_older_files_than_it_has(host: Host, units: list[str]) -> None:
    for unit in units:
        assert host.check_output("systemctl show -P NeedDaemonReload %s", unit) == "no"


def test_a_link_says_which_version_is_in_use(host: Host, records: dict[str, dict]) -> None:
    version = records["keycloak"]["version"]
    assert host.file("/opt/keycloak/current").linked_to == f"/opt/keycloak/{version}"
    assert host.check_output("ls -A /opt/keycloak").split() == [version, "current"], "nothing half-unpacked"
    assert host.check_output("find -L /opt/keycloak/current -perm /022") == "", "others may write there"
