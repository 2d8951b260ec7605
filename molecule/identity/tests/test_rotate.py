"""Every secret is replaced while people work: the new works, the old does not, and nobody notices."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import INVENTORY
from newcomers import Ask, newcomer
from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.safe import Store
from schoolstack.signin import Browser, SignIn, Tokens, sign_in, tokens

PASSWORD = secrets.token_urlsafe(12)
STORED = ("keycloak_database", "keycloak_automation", "portal_client", "portal_session")
# An application beside the start page, whose tokens the start page takes: they name it as their audience.
APPLICATION = {
    "clientId": "test-rotate",
    "redirectUris": ["https://other.example/back"],
    "secret": secrets.token_hex(16),
    "defaultClientScopes": ["basic", "profile", "school"],
    "optionalClientScopes": [],
    "protocolMappers": [
        {
            "name": "portal",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {"included.client.audience": "portal", "access.token.claim": "true"},
        }
    ],
}


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(INVENTORY / "secrets", INVENTORY / ".vault-key")


@pytest.fixture(scope="module")
def teacher(ask: Ask) -> Iterator[str]:
    """A teacher, who needs no second factor, for as long as these tests last."""
    with newcomer(ask, "teacher", PASSWORD) as name:
        yield name


@pytest.fixture(scope="module")
def application(ask: Ask) -> Iterator[None]:
    client_id = ask(f"admin.post('school', 'clients', body=json.loads({json.dumps(APPLICATION)!r}))")
    yield
    ask(f"admin.delete('school', 'clients', {client_id!r})")


class Visitor(threading.Thread):
    """Looks at the start page ten times a second, signed in, and remembers what it did not get."""

    def __init__(self, browser: Browser, url: str) -> None:
        super().__init__(daemon=True)
        self.browser, self.url = browser, url
        self.looked = 0
        self.missed: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.1):
            self.looked += 1
            try:
                answer = self.browser.session.get(self.url, allow_redirects=False, timeout=10)
                if answer.status_code != 200:
                    self.missed.append(f"{time.monotonic():.1f}: {answer.status_code}")
            except OSError as error:
                self.missed.append(f"{time.monotonic():.1f}: {error}")


@dataclass
class Rotation:
    """What was there before all secrets were replaced, and what was seen meanwhile and afterwards."""

    before: dict[str, str]
    certificate: str
    kid: str
    token: Tokens
    since: str
    visitor: Visitor
    begun: SignIn
    said: str


def kids(ask: Ask) -> dict[str, str]:
    """Return what the present keys of the realm are called, by algorithm."""
    return dict(ask("admin.get('school', 'keys')")["active"])


def issuer(school: Deployment) -> str:
    return school.url("keycloak", "/realms/school")


def token_of(school: Deployment, browser: Browser, name: str) -> Tokens:
    return tokens(
        browser, issuer(school), "test-rotate", "https://other.example/back", name, PASSWORD,
        client_secret=str(APPLICATION["secret"]),
    )  # fmt: skip


def kid_of(token: str) -> str:
    head = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


@pytest.fixture(scope="module")
def rotation(
    school: Deployment, store: Store, host: Host, ask: Ask, teacher: str, application: None
) -> Rotation:
    """Replace everything, while one teacher is at work and another is about to type a password."""
    at_work, typing, plain = school.browser(), school.browser(), school.browser()
    assert sign_in(at_work, school.url("portal"), teacher, PASSWORD).page.element("name") is not None
    page = typing.get(school.url("portal"))
    token = token_of(school, plain, teacher)
    before = {name: store.get(name, None) for name in STORED}
    certificate = host.check_output("cat /etc/schoolstack/certificates/portal/fullchain.pem")
    since = host.check_output("systemctl show -P ActiveEnterTimestamp keycloak portal")
    kid = kids(ask)["RS256"]
    visitor = Visitor(at_work, school.url("portal"))
    visitor.start()
    said = school.play("rotate", rotate="all").said
    visitor.stop.set()
    visitor.join()
    [form] = [form for form in page.tree.forms if form.get("id") == "kc-form-login"]
    sent = typing.submit(page, form, {"username": teacher, "password": PASSWORD})
    begun = sign_in(typing, sent.url, teacher, PASSWORD)
    return Rotation(before, certificate, kid, token, since, visitor, begun, said)


def test_it_says_what_was_replaced_and_that_nothing_stood_still(rotation: Rotation) -> None:
    for name in STORED:
        assert f"{name} is " in rotation.said
    assert "keycloak_keys is " in rotation.said
    assert "certificates is " in rotation.said
    assert not [value for value in rotation.before.values() if value in rotation.said]


def test_who_was_signed_in_notices_nothing(rotation: Rotation) -> None:
    assert rotation.visitor.looked > 20
    assert rotation.visitor.missed == []


def test_neither_service_was_restarted(rotation: Rotation, host: Host) -> None:
    assert host.check_output("systemctl show -P ActiveEnterTimestamp keycloak portal") == rotation.since


def test_a_sign_in_begun_before_comes_to_its_end(rotation: Rotation) -> None:
    assert rotation.begun.arrived
    assert rotation.begun.page.element("name") is not None


def test_every_value_in_the_inventory_is_new_and_proven(rotation: Rotation, store: Store) -> None:
    assert all(store.get(name, None) != value for name, value in rotation.before.items())
    assert all(store.previous(name) == "" for name in STORED)


def test_the_database_takes_the_new_password_only(rotation: Rotation, store: Store, host: Host) -> None:
    def works(password: str) -> bool:
        command = "PGPASSWORD=%s psql -w -h 127.0.0.1 -U keycloak -d keycloak -Atc 'select 1'"
        return host.run(command, password).rc == 0

    assert works(store.get("keycloak_database", None))
    assert not works(rotation.before["keycloak_database"])


@pytest.mark.parametrize(
    ("realm", "client", "secret", "grant", "accepted"),
    [
        ("master", "schoolstack", "keycloak_automation", "client_credentials", 200),
        ("school", "portal", "portal_client", "authorization_code", 400),
    ],
)
def test_keycloak_takes_the_new_secret_only(
    rotation: Rotation,
    store: Store,
    host: Host,
    realm: str,
    client: str,
    secret: str,
    grant: str,
    accepted: int,
) -> None:
    def status(value: str) -> int:
        form = f"grant_type={grant}&code=none&client_id={client}&client_secret={value}"
        script = (
            "import urllib.request, urllib.error\n"
            f"url = 'http://127.0.0.1:8080/realms/{realm}/protocol/openid-connect/token'\n"
            f"try: print(urllib.request.urlopen(url, {form!r}.encode()).status)\n"
            "except urllib.error.HTTPError as error: print(error.code)\n"
        )
        return int(host.check_output("python3 -c %s", script))

    assert status(store.get(secret, None)) == accepted
    assert status(rotation.before[secret]) == 401


def test_an_earlier_token_is_verified_and_a_new_one_has_a_new_key(
    rotation: Rotation, school: Deployment, browser: Browser, teacher: str, ask: Ask
) -> None:
    def answer(token: str) -> int:
        bearer = {"Authorization": f"Bearer {token}"}
        url = school.url("portal", "/api/me")
        return int(browser.session.get(url, headers=bearer, allow_redirects=False).status_code)

    new = token_of(school, school.browser(), teacher)
    assert kid_of(rotation.token.access) == rotation.kid
    assert kid_of(new.access) == kids(ask)["RS256"] != rotation.kid
    assert answer(new.access) == 200
    assert answer(rotation.token.access) == 200


def test_visitors_are_shown_a_new_certificate_with_a_new_key(rotation: Rotation, host: Host) -> None:
    assert json.loads(host.check_output("schoolstack-certificates shown"))["shown"]
    now = host.check_output("cat /etc/schoolstack/certificates/portal/fullchain.pem")
    key = "echo %s | openssl x509 -noout -pubkey"
    assert host.check_output(key, now) != host.check_output(key, rotation.certificate)


def test_an_old_key_goes_when_its_time_is_over_and_then_nothing_changes(
    rotation: Rotation, school: Deployment, ask: Ask
) -> None:
    def found() -> list[dict[str, Any]]:
        kind = "org.keycloak.keys.KeyProvider"
        return list(ask(f"admin.get('school', 'components', type={kind!r})"))

    old = next(key for key in found() if key["providerId"] == "rsa-generated" and " until " in key["name"])
    over = {**old, "name": "rsa-generated until 2026-01-01T00:00:00+00:00"}
    ask(f"admin.put('school', 'components', {old['id']!r}, body=json.loads({json.dumps(over)!r}))")
    # The key of the inventory is another by now, which must make no difference to the servers.
    school.play("vault-key")
    assert school.play("site", tags=["keycloak"]).changed == 1
    assert old["id"] not in [key["id"] for key in found()]
    assert school.play("site").changed == 0


@pytest.mark.slow
def test_what_was_cut_off_is_finished_by_the_next_run_and_proven_by_the_same_command(
    rotation: Rotation, school: Deployment, store: Store, browser: Browser, teacher: str
) -> None:
    store.replace("portal_client", 32)
    value = store.get("portal_client", None)
    school.play("site", tags=["keycloak", "portal"])
    assert sign_in(browser, school.url("portal"), teacher, PASSWORD).page.element("name") is not None
    assert store.previous("portal_client") != ""
    said = school.play("rotate", rotate="portal_client").said
    assert "portal_client is " in said
    assert store.get("portal_client", None) == value
    assert store.previous("portal_client") == ""


def test_keycloak_connects_anew_with_the_new_password_and_without_a_restart(
    rotation: Rotation, host: Host
) -> None:
    ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'keycloak'"
    assert int(host.check_output("psql -U postgres -d postgres -Atc %s", ended)) > 0
    ready = (
        "import urllib.request\n"
        "with urllib.request.urlopen('http://127.0.0.1:9000/health/ready') as answer: print(answer.status)"
    )
    end = time.monotonic() + 60
    while (found := host.run("python3 -c %s", ready)).rc and time.monotonic() < end:
        time.sleep(1)
    assert found.rc == 0, found.stderr
    assert host.check_output("systemctl show -P ActiveEnterTimestamp keycloak portal") == rotation.since
