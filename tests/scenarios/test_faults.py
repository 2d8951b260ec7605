"""The power fails while a school is made and its class list comes in; its database stops; a disk is full."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_school import (
    add_pupil,
    cut,
    cut_at,
    not_good,
    rows,
    school_on,
    start,
    wait_for_sign_in,
)

from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError
from schoolstack.roster import sample, sheets
from schoolstack.roster.reader import read
from schoolstack.signin import SignIn, sign_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
]

SERVER = "cuts-server"
PERSON, PASSWORD = "test-person", secrets.token_urlsafe(12)
# Seconds within which sign-in has to work again once the database can.
BACK_S = 60
# What a school that was only just made is told: the state, the finding, the application.
FRESH = {("look", "backup_none", ""), ("look", "drill_none", "")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A school without people; kept as the snapshot "made"."""
    with school_on(SERVER, tmp_path_factory.mktemp("school"), "keycloak", "portal") as school:
        school.play("site")
        school.lab.snapshot(SERVER, "made")
        yield school


@pytest.fixture
def school(made: Deployment) -> Deployment:
    """The school as it was made, answering."""
    made.lab.reset(SERVER, "made")
    return answering(made)


def answering(before: Deployment) -> Deployment:
    """Return a school with nothing remembered of what its server was, when its sign-in answers."""
    school = Deployment(before.inventory, SERVER, before.lab)
    wait_for_sign_in(school)
    return school


def try_to_sign_in(school: Deployment) -> SignIn:
    return sign_in(school.browser(), school.url("portal"), PERSON, PASSWORD)


def seconds_until_sign_in_works(school: Deployment) -> float:
    """Return for how long nobody could sign in from now on."""
    began = time.monotonic()
    while not try_to_sign_in(school).arrived:
        assert time.monotonic() - began < BACK_S
        time.sleep(0.2)
    return time.monotonic() - began


# The words of the task that begins on an empty server, and how many seconds later the power goes: while
# packages are installed, an archive comes, Keycloak is built, it fills its database, and its realm is made.
FIRST_RUN = [
    ("Install postgresql-17", 5.0),
    ("Copy to the server keycloak", 2.0),
    ("Build Keycloak for its options", 5.0),
    ("Wait until it answers", 8.0),
    ("Match the realms with their description", 1.5),
]


@pytest.mark.parametrize(("moment", "after_s"), FIRST_RUN)
def test_a_power_cut_during_a_first_run(made: Deployment, moment: str, after_s: float) -> None:
    """The next run ends it."""
    made.lab.reset(SERVER)
    cut_at(made, start(made, "site"), moment, after_s)
    made.play("site")
    school = answering(made)
    assert school.play("site").changed == 0
    add_pupil(school, PERSON, PASSWORD)
    assert try_to_sign_in(school).arrived
    assert not_good(school) == FRESH


PUPILS, CLASSES, TEACHERS = 1000, 42, 60
# How many accounts there are when the power goes.
IMPORTED = [1, 250, 500, 750, 900]

ACCOUNTS = """
SELECT u.username, a.value FROM user_entity u
LEFT JOIN user_attribute a ON a.user_id = u.id AND a.name = 'roster_id'
WHERE u.realm_id = (SELECT id FROM realm WHERE name = 'school') AND u.service_account_client_link IS NULL"""
MEMBERSHIPS = """
SELECT a.value, '/' || parent.name || '/' || own.name FROM user_attribute a
JOIN user_group_membership m ON m.user_id = a.user_id JOIN keycloak_group own ON own.id = m.group_id
JOIN keycloak_group parent ON parent.id = own.parent_group WHERE a.name = 'roster_id'"""


def queried(school: Deployment, query: str) -> list[tuple[str, str]]:
    """Return the two columns that a query in Keycloak's database gives, in order."""
    lines = school.shell(f'psql -U postgres -XAt -d keycloak -c "{query}"').splitlines()
    return sorted((first, second) for first, _, second in (line.partition("|") for line in lines))


@pytest.fixture(scope="module")
def class_list(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class list that takes more than ten seconds."""
    folder = tmp_path_factory.mktemp("class-list")
    sample.write(folder, pupils=PUPILS, classes=CLASSES, teachers=TEACHERS)
    return folder


@pytest.mark.parametrize("accounts", IMPORTED)
def test_a_power_cut_during_an_import(
    school: Deployment, class_list: Path, tmp_path: Path, accounts: int
) -> None:
    """The next run ends it: everybody is there once, in their groups, with one password that works."""
    wanted = {"roster_source": str(class_list), "roster_sheets_dir": str(tmp_path), "roster_apply": True}
    process = start(school, "roster", **wanted)
    while len(queried(school, ACCOUNTS)) < accounts:
        assert process.poll() is None
    cut(school, process)
    school = answering(school)
    people = {person.source_id: person for person in read(str(class_list)).people}
    early = [username for username, _ in queried(school, ACCOUNTS)]
    assert accounts <= len(early) < len(people)

    assert school.play("roster", **wanted).changed == 1
    assert school.play("roster", **wanted).changed == 0

    found = queried(school, ACCOUNTS)
    assert sorted(source_id for _, source_id in found) == sorted(people)
    assert queried(school, MEMBERSHIPS) == sorted(
        (source_id, path)
        for source_id, person in people.items()
        for path in [f"/class/{name}" for name in person.classes] + [f"/role/{role}" for role in person.roles]
    )
    lines = [line for page in sheets.pages(tmp_path, school.inventory / ".vault-key") for line in page.lines]
    assert sorted(line.username for line in lines) == [username for username, _ in found]
    pupils = {line.username: line.password for line in lines if line.sheet in read(str(class_list)).classes}
    late = [username for username in pupils if username not in early]
    for username in [*[username for username in early if username in pupils][:5], *late[-5:]]:
        chosen = secrets.token_urlsafe(12)
        page = school.url("portal")
        assert sign_in(school.browser(), page, username, pupils[username], new_password=chosen).arrived


def test_the_database_stops_for_a_minute(school: Deployment, capfd: pytest.CaptureFixture[str]) -> None:
    """People read that something is wrong, health says what, and afterwards nobody has to do anything."""
    add_pupil(school, PERSON, PASSWORD)
    assert try_to_sign_in(school).arrived
    stopped = time.monotonic()
    school.shell("systemctl stop postgresql 'postgresql@*'")
    refused = try_to_sign_in(school)
    assert (refused.arrived, refused.page.status) == (False, 500)
    assert refused.message
    assert not_good(school) - FRESH == {
        ("wrong", "database_not", ""),
        ("wrong", "answer_not", "keycloak"),
    }
    time.sleep(max(0.0, stopped + 60 - time.monotonic()))
    school.shell("systemctl start postgresql")
    took = seconds_until_sign_in_works(school)
    with capfd.disabled():
        print(f"\nSign-in worked {took:.1f} s after a database that was stopped for a minute was back")
    assert not_good(school) == FRESH


DATA = "/var/lib/postgresql"
# Data of the database server on a disk with 90 MB of room.
SMALL_DISK = f"""
systemctl stop postgresql 'postgresql@*'; cp -a {DATA} /root/kept
mount -t tmpfs -o size=$(($(du -sm {DATA} | cut -f1) + 90))m,mode=0755,uid=postgres,gid=postgres none {DATA}
cp -a /root/kept/. {DATA}; systemctl start postgresql"""
# Changes that need ever more of its log, until it ends for want of room and cannot start either.
CHANGE = "SELECT pg_logical_emit_message(false, 'full', repeat('x', 8000000))"
WRITE_ON = f"""
for change in $(seq 50); do
    systemctl --quiet is-active 'postgresql@*' || break
    psql -U postgres -d keycloak -XAtc "{CHANGE}" || sleep 0.5
    dd if=/dev/zero bs=4k oflag=append conv=notrunc of={DATA}/full || true
done >/dev/null 2>&1"""


def test_the_databases_disk_is_full(
    school: Deployment, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Writing fails, health says on which disk; with room again it goes on by itself and has lost nothing."""
    add_pupil(school, PERSON, PASSWORD)
    school.shell(SMALL_DISK)
    seconds_until_sign_in_works(school)
    before = rows(school)

    school.shell(f"dd if=/dev/zero of={DATA}/full bs=1M 2>/dev/null || true")
    large = "CREATE TABLE large AS SELECT repeat(g::text, 100) FROM generate_series(1, 100000) g"
    assert "No space left on device" in school.shell(f"psql -U postgres -Xc '{large}' 2>&1 || true")
    assert rows(school) == before
    school.shell(WRITE_ON)
    refused = try_to_sign_in(school)
    assert (refused.arrived, refused.page.status) == (False, 500)
    with pytest.raises(SchoolError):
        school.play("roster", roster_apply=True, roster_sheets_dir=str(tmp_path))
    assert not_good(school) - FRESH == {
        ("wrong", "disk_full", ""),
        ("wrong", "database_not", ""),
        ("wrong", "answer_not", "keycloak"),
    }

    school.shell(f"rm {DATA}/full")
    took = seconds_until_sign_in_works(school)
    with capfd.disabled():
        print(f"\nSign-in worked {took:.1f} s after there was room again")
    assert rows(school) == before
    damaged = "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database"
    assert school.shell(f"psql -U postgres -XAtc '{damaged}'").strip() == "0"
    assert school.play("roster", roster_apply=True, roster_sheets_dir=str(tmp_path)).changed == 1
    assert not_good(school) == FRESH
