"""All secrets are replaced, and the run is killed on its way: people go on, and the same command ends it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping

import pytest
import requests
from lab_school import Outage, add_pupil, kill, listen, school_on, start, until, wait_for_sign_in

from schoolstack.deployment import Deployment
from schoolstack.safe import Store
from schoolstack.signin import sign_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
]

SERVER = "rotation-server"
PERSON, PASSWORD = "test-person", secrets.token_urlsafe(12)
REPOSITORY = "/var/backups/schoolstack/server"

# Asks on the server itself, since the realm for automation is not to be reached from elsewhere.
TOKENS = """
import json, sys, urllib.error, urllib.parse, urllib.request
realm, form = sys.argv[1], json.loads(sys.stdin.read())
url = f"http://127.0.0.1:8080/realms/{realm}/protocol/openid-connect/token"
try:
    print(urllib.request.urlopen(url, urllib.parse.urlencode(form).encode()).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A school with one person, backed up once into a folder of its server."""
    with school_on(SERVER, tmp_path_factory.mktemp("school"), "keycloak", "portal") as school:
        school.play("site")
        wait_for_sign_in(school)
        add_pupil(school, PERSON, PASSWORD)
        school.shell("schoolstack-backup backup")
        yield school


@pytest.fixture(scope="module")
def store(school: Deployment) -> Store:
    return Store(school.inventory / "secrets", school.inventory / ".vault-key")


def values(store: Store) -> dict[str, str]:
    """Return every secret of the inventory."""
    return {path.stem: store.get(path.stem, None) for path in sorted(store.folder.glob("*.vault"))}


def opens_the_database(school: Deployment, password: str) -> bool:
    connect = "psql -w -h 127.0.0.1 -U keycloak -d keycloak -Atc 'select 1'"
    return school.shell(f"PGPASSWORD={password} {connect} 2>/dev/null || true").strip() == "1"


def is_known_to_keycloak(
    school: Deployment, realm: str, client: str, secret: str, grant: str, status: int
) -> bool:
    form = {"grant_type": grant, "client_id": client, "client_secret": secret, "code": "none"}
    said = school.shell(f"echo '{json.dumps(form)}' | python3 -c '{TOKENS}' {realm}")
    return int(said) == status


def opens_the_backups(school: Deployment, key: str) -> bool:
    given = json.dumps({"keys": [key]})
    return bool(json.loads(school.shell(f"echo '{given}' | schoolstack-backup key-work"))["work"][0])


def seals_sessions(school: Deployment, secret: str) -> bool:
    line = f"OIDCCryptoPassphrase {secret}"
    return school.shell(f"grep -cxF '{line}' /etc/portal/secrets.conf || true").strip() == "1"


WORKS: Mapping[str, Callable[[Deployment, str], bool]] = {
    "backup_key": opens_the_backups,
    "keycloak_automation": lambda school, secret: is_known_to_keycloak(
        school, "master", "schoolstack", secret, "client_credentials", 200
    ),
    "keycloak_database": opens_the_database,
    # A code that nobody has handed out: who knows the secret is told so, who does not is not let in (401).
    "portal_client": lambda school, secret: is_known_to_keycloak(
        school, "school", "portal", secret, "authorization_code", 400
    ),
    "portal_session": seals_sessions,
}


def working(school: Deployment, found: Mapping[str, str]) -> set[str]:
    """Return which of these secrets work."""
    return {name for name, value in found.items() if WORKS[name](school, value)}


# The words of the task that begins, how many seconds later the run is killed, and whether people can sign in
# to the start page until the next: not in the moment between the sign-in's new secret of it and its own.
MOMENTS = [
    ("add the new key beside the one in use", 1.0, True),
    ("Write new values into the inventory", 0.5, True),
    ("Have a repository for its backups", 0.0, True),
    ("Have with its password the database role keycloak", 1.0, True),
    ("Have an account for automation", 0.5, True),
    ("Sign with keys that are as new as the school wants them", 0.4, True),
    ("Run the service portal", 0.0, False),
    ("take the old key away", 1.0, True),
    ("Say what was replaced", 0.1, True),
]


@pytest.mark.parametrize(("moment", "after_s", "signs_in"), MOMENTS)
def test_a_killed_rotation_is_ended_by_the_same_command(
    school: Deployment, store: Store, moment: str, after_s: float, signs_in: bool
) -> None:
    page, before = school.url("portal"), values(store)
    assert set(before) == set(WORKS)
    at_work = school.browser()
    assert sign_in(at_work, page, PERSON, PASSWORD).arrived

    def goes_on() -> bool:
        try:
            return bool(at_work.session.get(page, allow_redirects=False, timeout=10).status_code == 200)
        except requests.RequestException:
            return False

    with Outage(goes_on) as outage:
        process = start(school, "rotate", rotate="all")
        until(process, moment)
        listen(process, after_s)
        kill(process)
        halfway = values(store)
        begun = {name for name in WORKS if store.previous(name) not in ("", halfway[name])}
        if signs_in:
            assert sign_in(school.browser(), page, PERSON, PASSWORD).arrived
        said = school.play("rotate", rotate="all").said
    assert outage.asked > 50
    assert outage.gaps == []

    after = values(store)
    assert working(school, after) == set(WORKS)
    assert working(school, before) == set()
    assert [name for name in begun if halfway[name] != after[name]] == [], "a third value"
    assert not [value for found in (before, halfway, after) for value in found.values() if value in said]
    assert sign_in(school.browser(), page, PERSON, PASSWORD).arrived
    assert {path.suffix for path in store.folder.iterdir()} == {".vault", ".renewal"}
    assert len(school.shell(f"ls {REPOSITORY}/keys").split()) == 1
    assert "schoolstack-watch" not in school.shell("systemctl list-units --all --plain --no-legend")
    assert json.loads(school.shell("schoolstack-backup list"))["backups"]
    assert school.play("site").changed == 0


def test_a_new_repository_is_begun_and_the_old_one_put_away(school: Deployment, store: Store) -> None:
    """As docs/how-to/back-up.md says it to who fears that the repository was copied."""
    away = f"{REPOSITORY}-until-2026-11"
    known = json.loads(school.shell("schoolstack-backup list"))["backups"]
    drill = '{"took_s": 1, "rows": 1}'
    school.shell(f"echo '{drill}' | schoolstack-backup drilled; mv {REPOSITORY} {away}")
    refused = school.shell("SCHOOL_LANGUAGE=en schoolstack-backup backup 2>&1 || true")
    assert refused.startswith(f"There is no repository at {REPOSITORY}")

    school.play("site", backup_begin_anew=True)
    status = json.loads(school.shell("schoolstack-backup status"))
    assert (status["last_good"], status["alarm"]) == ({}, "")
    assert status["drill"]["took_s"] == 1
    school.play("backup")
    assert len(json.loads(school.shell("schoolstack-backup list"))["backups"]) == 1
    assert school.play("site").changed == 0
    # The one put away opens with the school's key as long as that is not replaced.
    key = store.get("backup_key", None)
    listed = f"RESTIC_PASSWORD={key} restic -r {away} --no-lock --no-cache snapshots --json"
    assert len(json.loads(school.shell(listed))) == len(known)
