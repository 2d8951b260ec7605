"""A coordinator's passkey, in a real browser: made in the account pages, used, forged, lost."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from chromium import CHROMIUM, Device, launched, tablet
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from newcomers import Ask, newcomer
from playwright.sync_api import Browser, Page, expect

from schoolstack.deployment import Deployment
from schoolstack.signin import Totp

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="this distribution has Chromium only as a snap")

SIGNING_IN = "/realms/school/account/account-security/signing-in"
BUTTON = "#authenticateWebAuthnButton"
ASKS_NO_PIN = """
const get = navigator.credentials.get.bind(navigator.credentials)
navigator.credentials.get = (asked) => {
  asked.publicKey.userVerification = "discouraged"
  return get(asked)
}
"""
PASSWORD = secrets.token_urlsafe(12)


@dataclass(frozen=True)
class Coordinator:
    """Somebody of the role ict, with what she signs in with beside the password."""

    username: str
    totp: Totp
    device: Device


@pytest.fixture(scope="module")
def chromium(school: Deployment) -> Iterator[Browser]:
    with launched(school) as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with tablet(chromium) as context:
        yield context.new_page()


@pytest.fixture(scope="module")
def coordinator(school: Deployment, chromium: Browser, ask: Ask) -> Iterator[Coordinator]:
    """A coordinator who set up a code, as she has to, and then a passkey in her account pages."""
    with newcomer(ask, "ict", PASSWORD) as username:
        with tablet(chromium) as context:
            person = set_up(context.new_page(), school, username)
        yield person


def press(page: Page, button: str) -> None:
    """Press a button that a script of the page makes work; before that is there, nothing happens."""
    page.wait_for_selector(button)
    page.wait_for_load_state("load")
    page.click(button)


def set_up(page: Page, school: Deployment, username: str) -> Coordinator:
    """Sign in for the first time, which sets up a code, and make a passkey in the account pages."""
    page.goto(school.url("keycloak", SIGNING_IN))
    types_password(page, username)
    page.click("#mode-manual")
    person = Coordinator(username, Totp(page.inner_text("#kc-totp-secret-key")), Device())
    page.fill("#totp", person.totp.code())
    page.click("#saveTOTPBtn")
    with person.device.beside(page):
        # Keycloak asks for a name of the passkey.
        page.once("dialog", lambda dialog: dialog.accept("telefoon"))
        page.get_by_test_id("webauthn-passwordless/create").click()
        press(page, "#registerWebAuthn")
        expect(page.get_by_test_id("webauthn-passwordless/credential-list")).to_contain_text("telefoon")
    return person


def types_password(page: Page, username: str) -> None:
    page.fill("#username", username)
    page.fill("#password", PASSWORD)
    page.click("#kc-login")


def another_key() -> str:
    """Return a private key nobody knows, as a virtual authenticator takes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def greeted(page: Page) -> None:
    expect(page.locator("h1")).to_contain_text("U bent aangemeld als")
    expect(page.locator("dd.role")).to_have_text("ICT-coördinator")


def test_a_passkey_belongs_to_the_sign_in_server_and_is_found_without_a_name(
    school: Deployment, coordinator: Coordinator
) -> None:
    (passkey,) = coordinator.device.passkeys
    assert passkey["rpId"] == school.records["keycloak"]["site"]["host"]
    assert passkey["isResidentCredential"]
    assert passkey["userHandle"]


def test_a_passkey_alone_opens_the_coordinators_page(
    page: Page, school: Deployment, coordinator: Coordinator
) -> None:
    page.goto(school.url("portal"))
    with coordinator.device.beside(page):
        press(page, BUTTON)
        greeted(page)
    opened = page.goto(school.url("portal", "/coordinator"))
    assert opened is not None
    assert opened.status == requests.codes.ok
    page.goto(school.url("portal"))
    page.click("#sign-out")
    page.goto(school.url("portal"))
    expect(page.locator("#kc-form-login")).to_be_visible()


def test_a_browser_that_knows_the_passkey_offers_it_by_itself(
    chromium: Browser, school: Deployment, coordinator: Coordinator
) -> None:
    with tablet(chromium, offers_passkeys=True) as context:
        page = context.new_page()
        with coordinator.device.beside(page):
            page.goto(school.url("portal"))
            greeted(page)


def test_whoever_lost_the_passkey_signs_in_with_password_and_code(
    page: Page, school: Deployment, coordinator: Coordinator
) -> None:
    page.goto(school.url("portal"))
    types_password(page, coordinator.username)
    # The code of the next half minute, which Keycloak takes too: this one's was used to set up.
    page.fill("#otp", coordinator.totp.code(time.time() + coordinator.totp.period))
    page.click("#kc-login")
    greeted(page)


def test_whoever_lost_the_code_signs_in_with_password_and_passkey(
    page: Page, school: Deployment, coordinator: Coordinator
) -> None:
    page.goto(school.url("portal"))
    types_password(page, coordinator.username)
    page.click("#try-another-way")
    page.get_by_role("button", name="Passkey").click()
    with coordinator.device.beside(page):
        press(page, BUTTON)
        greeted(page)


@pytest.mark.parametrize("wrong", ["forged", "empty"])
def test_the_wrong_device_is_refused(
    page: Page, school: Deployment, coordinator: Coordinator, wrong: str
) -> None:
    (passkey,) = coordinator.device.passkeys
    device = Device({**passkey, "privateKey": another_key()}) if wrong == "forged" else Device()
    page.goto(school.url("portal"))
    with device.beside(page):
        press(page, BUTTON)
        expect(page.locator("#input-error, .kc-feedback-text").first).to_contain_text("passkey")
    page.goto(school.url("portal"))
    expect(page.locator("#kc-form-login")).to_be_visible()


def test_a_passkey_that_its_owner_did_not_unlock_is_refused(
    page: Page, school: Deployment, coordinator: Coordinator
) -> None:
    """The server sees for itself: a thief's browser need not ask for finger or PIN."""
    page.add_init_script(ASKS_NO_PIN)
    page.goto(school.url("portal"))
    types_password(page, coordinator.username)
    page.click("#try-another-way")
    page.get_by_role("button", name="Passkey").click()
    with Device(*coordinator.device.passkeys, verifies=False).beside(page):
        press(page, BUTTON)
        expect(page.locator("#kc-error-credential-form")).to_be_attached()


def test_the_password_of_somebody_with_a_passkey_only_lets_nobody_set_up_a_code(
    page: Page, chromium: Browser, school: Deployment, ask: Ask
) -> None:
    with newcomer(ask, "ict", PASSWORD) as username:
        owner = set_up(page, school, username)
        page.get_by_test_id("otp/credential-list").get_by_role("button").click()
        page.click("#kc-accept")
        expect(page.get_by_test_id("otp/not-set-up")).to_be_visible()
        with tablet(chromium) as elsewhere:
            thief = elsewhere.new_page()
            thief.goto(school.url("portal"))
            types_password(thief, owner.username)
            with Device().beside(thief):
                press(thief, BUTTON)
                expect(thief.locator("#kc-error-credential-form")).to_be_attached()
            expect(thief.locator("#try-another-way")).to_have_count(0)
            thief.goto(school.url("portal"))
            expect(thief.locator("dd.role")).to_have_count(0)
        with tablet(chromium) as at_home, at_home.new_page() as own:
            own.goto(school.url("portal"))
            types_password(own, owner.username)
            with owner.device.beside(own):
                press(own, BUTTON)
                greeted(own)
