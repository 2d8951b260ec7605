"""Keycloak as it runs: who administers it, what it refuses, and that its realm stays as described."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator

import pytest
import requests
from newcomers import Ask, newcomer
from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError
from schoolstack.signin import Browser, SignInError, sign_in, tokens

# A relying party beside the school's own, for what one application must not get from another.
OTHER = {
    "clientId": "test-other",
    "redirectUris": ["https://other.example/back"],
    "secret": secrets.token_hex(16),
}
PASSWORD = secrets.token_urlsafe(12)


@pytest.fixture(scope="module")
def issuer(school: Deployment) -> str:
    return school.url("keycloak", "/realms/school")


@pytest.fixture
def pupil(ask: Ask) -> Iterator[str]:
    """A pupil who exists for one test."""
    with newcomer(ask, "pupil", PASSWORD) as name:
        yield name


@pytest.fixture
def other(ask: Ask) -> Iterator[str]:
    """A client that gets the school's roles, as every application does; returns its internal id."""
    client = {**OTHER, "defaultClientScopes": ["basic", "profile", "school"], "optionalClientScopes": []}
    client_id = ask(f"admin.post('school', 'clients', body=json.loads({json.dumps(client)!r}))")
    yield client_id
    ask(f"admin.delete('school', 'clients', {client_id!r})")


def page_of(issuer: str) -> str:
    """Return an address that wants a sign-in and belongs to Keycloak itself."""
    return (
        f"{issuer}/protocol/openid-connect/auth?client_id=account-console&response_type=code&scope=openid"
        f"&redirect_uri={issuer}/account/&code_challenge_method=S256&code_challenge={'x' * 43}"
    )


def test_keycloak_names_itself_as_browsers_know_it(browser: Browser, issuer: str) -> None:
    known = json.loads(browser.get(f"{issuer}/.well-known/openid-configuration").content)
    assert known["issuer"] == issuer
    assert all(
        known[key].startswith(issuer) for key in ("authorization_endpoint", "token_endpoint", "jwks_uri")
    )


def test_the_account_for_automation_is_the_only_administrator(ask: Ask) -> None:
    assert ask("[user['username'] for user in admin.get('master', 'roles', 'admin', 'users')]") == [
        "service-account-schoolstack"
    ]
    assert ask("admin.get('master', 'users')") == []
    assert ask("admin.get('master', 'clients', clientId='schoolstack-temporary-', search='true')") == []


def test_nothing_of_the_first_administrator_is_left(host: Host, ask: Ask) -> None:
    assert host.run("grep -rqi 'client_secret=' /etc/keycloak /etc/systemd/system/keycloak.service").rc == 1
    assert not host.file("/etc/keycloak/first-start.env").exists
    environment = host.check_output("tr '\\0' '\\n' </proc/$(pgrep -o -u keycloak java)/environ")
    named = dict(line.split("=", 1) for line in environment.splitlines() if "BOOTSTRAP_ADMIN" in line)
    # Until its next start Keycloak remembers what it was told; the account is gone.
    if named:
        account = (named["KC_BOOTSTRAP_ADMIN_CLIENT_ID"], named["KC_BOOTSTRAP_ADMIN_CLIENT_SECRET"])
        with pytest.raises(SchoolError, match="Keycloak refuses the service account"):
            ask(f"type(admin)(*{account!r}).sign_in()")


def test_a_lost_account_for_automation_is_made_anew(school: Deployment, ask: Ask) -> None:
    # As in a database that was restored from the time of another secret.
    ask("admin.delete('master', 'clients', admin.get('master', 'clients', clientId='schoolstack')[0]['id'])")
    assert school.play("site", tags=["keycloak"]).changed == 1
    test_the_account_for_automation_is_the_only_administrator(ask)


def test_keycloak_and_its_management_listen_on_loopback_only(host: Host) -> None:
    listening = host.check_output("ss -Hltnp | grep java | awk '{print $4}'").split()
    assert {"8080", "9000"} <= {address.rpartition(":")[2] for address in listening}
    assert all("127.0.0.1" in address or "[::1]" in address for address in listening)


def test_its_memory_is_bounded_by_the_hosts(host: Host, school: Deployment) -> None:
    (service,) = school.records["keycloak"]["services"]
    total_mb = int(host.check_output("awk '/MemTotal/ {print $2}' /proc/meminfo")) // 1024
    heap_mb = int(service["environment"]["JAVA_OPTS_KC_HEAP"].rpartition("-Xmx")[2].removesuffix("m"))
    assert heap_mb <= max(384, total_mb // 8)
    peak_kb = host.check_output("awk '/VmHWM/ {print $2}' /proc/$(pgrep -o -u keycloak java)/status")
    assert int(peak_kb) // 1024 < service["memory_max_mb"]


@pytest.mark.parametrize("language", ["nl", "fr", "de", "en"])
def test_the_sign_in_page_is_the_schools_and_in_its_languages(
    school: Deployment, issuer: str, language: str
) -> None:
    browser = school.browser(language=language)
    page = browser.get(page_of(issuer))
    assert "Voorbeeldschool" in page.element("kc-header-wrapper").text_content()
    assert page.tree.get("lang") == language
    (style,) = page.tree.xpath("//link[contains(@href, 'school.css')]/@href")
    assert b"#1f6f5c" in browser.get(school.url("keycloak", style)).content


def test_nobody_registers_by_themselves(browser: Browser, issuer: str) -> None:
    page = browser.get(page_of(issuer))
    assert not page.tree.xpath("//*[@id='kc-registration']")
    assert browser.get(page_of(issuer).replace("/auth?", "/registrations?")).status == 400


@pytest.mark.parametrize("client", ["admin-cli", "account-console", "account"])
def test_a_password_gets_nothing_beside_the_sign_in_page(
    browser: Browser, issuer: str, pupil: str, client: str
) -> None:
    answer = browser.session.post(
        f"{issuer}/protocol/openid-connect/token",
        data={"grant_type": "password", "client_id": client, "username": pupil, "password": PASSWORD},
    )
    assert answer.status_code in (400, 401)
    assert "access_token" not in answer.text


def counted(ask: Ask, name: str, wrong: int) -> None:
    """Wait until Keycloak has counted somebody's wrong passwords: it does so after it has answered.

    Until then it refuses that person whatever the password is, and does not count what is tried meanwhile.
    """
    found = f"admin.get('school', 'users', username={name!r}, exact='true')"
    asked = f"[admin.get('school', 'attack-detection', 'brute-force', 'users', u['id']) for u in {found}]"
    deadline = time.monotonic() + 20
    while (seen := ask(asked)[0]["numFailures"]) != wrong:
        assert time.monotonic() < deadline, f"{seen} wrong passwords are counted, not {wrong}"
        time.sleep(0.2)


def test_five_wrong_passwords_lock_the_account(school: Deployment, issuer: str, pupil: str, ask: Ask) -> None:
    url = page_of(issuer)
    for count in range(1, 5):
        assert not sign_in(school.browser(), url, pupil, "wrong").arrived
        counted(ask, pupil, count)
    assert sign_in(school.browser(), url, pupil, PASSWORD).arrived, "four must not lock"
    counted(ask, pupil, 0)
    for count in range(1, 6):
        refused = sign_in(school.browser(), url, pupil, "wrong")
        counted(ask, pupil, count)
    locked = sign_in(school.browser(), url, pupil, PASSWORD)
    assert not locked.arrived
    assert locked.message == refused.message, "the page must not tell that the password was right"
    kept = ask("admin.get('school', 'events', type='LOGIN_ERROR', max=20)")
    assert "user_temporarily_disabled" in {event["error"] for event in kept}


def test_a_token_of_one_application_is_refused_by_another(
    school: Deployment, browser: Browser, issuer: str, pupil: str, other: str, ask: Ask
) -> None:
    def answer() -> requests.Response:
        given = tokens(
            browser, issuer, OTHER["clientId"], OTHER["redirectUris"][0], pupil, PASSWORD,
            client_secret=OTHER["secret"],
        )  # fmt: skip
        bearer = {"Authorization": f"Bearer {given.access}"}
        return browser.session.get(school.url("portal", "/api/me"), headers=bearer, allow_redirects=False)

    assert answer().status_code in (401, 403)
    # The same token is good as soon as it names the portal: nothing else was wrong with it.
    mapper = {
        "name": "portal",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": "portal", "access.token.claim": "true"},
    }
    path = f"'school', 'clients', {other!r}, 'protocol-mappers', 'models'"
    ask(f"admin.post({path}, body=json.loads({json.dumps(mapper)!r}))")
    assert answer().status_code == 200


def test_an_application_gets_no_code_for_an_address_that_is_not_its_own(
    browser: Browser, issuer: str, pupil: str, other: str
) -> None:
    with pytest.raises(SignInError):
        tokens(browser, issuer, OTHER["clientId"], "https://other.example/back/elsewhere", pupil, PASSWORD)


def test_what_is_changed_by_hand_is_put_back(school: Deployment, ask: Ask) -> None:
    loose = {"failureFactor": 30, "registrationAllowed": True, "browserFlow": "browser"}
    ask(f"admin.put('school', body={loose!r})")
    flow = "'school', 'authentication', 'flows', 'school second factor of ict', 'executions'"
    code = f"next(step for step in admin.get({flow}) if step.get('providerId') == 'auth-otp-form')"
    ask(f"admin.put({flow}, body={{**{code}, 'requirement': 'DISABLED'}})")
    own = ask("admin.post('school', 'groups', body={'name': 'of the school itself'})")
    try:
        school.play("site", tags=["keycloak"])
        realm = ask("admin.get('school')")
        assert {key: realm[key] for key in loose} == {
            "failureFactor": 5,
            "registrationAllowed": False,
            "browserFlow": "school sign-in",
        }
        assert ask(code)["requirement"] == "REQUIRED"
        assert ask(f"admin.get('school', 'groups', {own!r})"), "what is not described is left alone"
        assert school.play("site", tags=["keycloak"]).changed == 0
    finally:
        ask(f"admin.delete('school', 'groups', {own!r})")
