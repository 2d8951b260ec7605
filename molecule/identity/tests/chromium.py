"""A real browser at the school: Chromium, which trusts the school's pages and nothing else."""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from schoolstack.deployment import Deployment

CHROMIUM = shutil.which("chromium")
HTTPS = 443

# What a virtual authenticator keeps of one passkey, in Chromium's own words: credentialId,
# privateKey and so on.
Credential = dict[str, str | int | bool]

# A browser that offers passkeys by itself asks as soon as the page is there. A virtual authenticator then
# agrees at once, and no page is left to press a button on.
OFFERS_NOTHING = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"


@contextmanager
def launched(school: Deployment) -> Iterator[Browser]:
    """Run Chromium, which finds the school's pages on its test host.

    Chromium keeps a store of CAs of its own, and refuses passkeys on a page whose certificate it does not
    trust. So it is told to trust the keys of the pages' certificates, which are checked against the school's
    CA first.
    """
    sites = [record["site"]["host"] for record in school.records.values() if "site" in record]
    arguments = [
        "--host-resolver-rules=" + ", ".join(f"MAP {site} {school.address}" for site in sites),
        "--ignore-certificate-errors-spki-list=" + ",".join(_key_of(school, site) for site in sites),
        "--no-sandbox",
        "--disable-background-networking",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def tablet(browser: Browser, *, offers_passkeys: bool = False) -> Iterator[BrowserContext]:
    """Have a tablet without cookies, in Dutch.

    Args:
        browser: Chromium, as it runs.
        offers_passkeys: whether it offers the passkeys it knows of by itself, beside the page's button.
    """
    context = browser.new_context(locale="nl-BE", viewport={"width": 1080, "height": 810})
    if not offers_passkeys:
        context.add_init_script(OFFERS_NOTHING)
    yield context
    context.close()


class Device:
    """A phone or key that keeps passkeys, as Chromium plays it. It outlives the pages it is used on.

    Attributes:
        passkeys: what it keeps.
        verifies: whether it recognises its owner, by finger or PIN.
    """

    def __init__(self, *passkeys: Credential, verifies: bool = True) -> None:
        self.passkeys = list(passkeys)
        self.verifies = verifies

    @contextmanager
    def beside(self, page: Page) -> Iterator[None]:
        """Let a page reach the device; its owner agrees to whatever it asks."""
        session = page.context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": self.verifies,
            "isUserVerified": self.verifies,
            "automaticPresenceSimulation": True,
        }
        added = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        device = {"authenticatorId": added["authenticatorId"]}
        for passkey in self.passkeys:
            session.send("WebAuthn.addCredential", {**device, "credential": passkey})
        yield
        # Each use counts, and Keycloak refuses a counter that went back.
        self.passkeys = session.send("WebAuthn.getCredentials", device)["credentials"]
        session.detach()


def _key_of(school: Deployment, site: str) -> str:
    """Return the name Chromium has for the key of a page's certificate: its SHA-256, in base64."""
    trust = ssl.create_default_context(cafile=str(school.ca))
    with (
        socket.create_connection((school.address, HTTPS)) as plain,
        trust.wrap_socket(plain, server_hostname=site) as connection,
    ):
        certificate = load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()
