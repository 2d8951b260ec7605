"""A forgotten password, by mail: what a mailbox opens, and what it does not."""

from __future__ import annotations

import email
import email.policy
import re
import secrets
import time
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
from newcomers import Ask, newcomer
from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.signin import Browser, sign_in

PASSWORD = secrets.token_urlsafe(12)
CHOSEN = secrets.token_urlsafe(12)
MAIL = "/run/test-mail"
# A mail server that keeps what it gets, in as much of RFC 5321 as Keycloak speaks.
SERVER = f"""
import socketserver

class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 test\\r\\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\\r\\n")
                with open("{MAIL}", "wb") as kept:
                    while (line := self.rfile.readline()) != b".\\r\\n":
                        kept.write(line)
            self.wfile.write(b"221 bye\\r\\n" if word == b"QUIT" else b"250 fine\\r\\n")

socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", 2525), Session).serve_forever()
"""


@pytest.fixture(scope="module", autouse=True)
def mail(host: Host, ask: Ask) -> Iterator[None]:
    """A realm that sends mail, to a mail server on the server itself."""
    host.check_output("systemd-run --unit=test-mail python3 -c %s", SERVER)
    smtp = {"host": "127.0.0.1", "port": "2525", "from": "school@school.example"}
    ask(f"admin.put('school', body={ {'resetPasswordAllowed': True, 'smtpServer': smtp}!r})")
    yield
    ask("admin.put('school', body={'resetPasswordAllowed': False, 'smtpServer': {}})")
    host.check_output("systemctl stop test-mail; rm -f %s", MAIL)


def link_in_mail(host: Host) -> str:
    """Wait for the mail and return the address in it."""
    waits_until = time.monotonic() + 30
    while not host.file(MAIL).exists:
        assert time.monotonic() < waits_until, "no mail came"
        time.sleep(0.2)
    message = email.message_from_string(host.file(MAIL).content_string, policy=email.policy.default)
    host.check_output("rm %s", MAIL)
    body = message.get_body(("plain",))
    assert body is not None
    found = re.search(r"https://\S+", body.get_content())
    assert found, body.get_content()
    return found[0]


def chooses_a_new_password(school: Deployment, host: Host, ask: Ask, username: str) -> Browser:
    """Walk from the sign-in page through the mail to a new password; return the browser it was done in."""
    user = ask(f"admin.get('school', 'users', username={username!r}, exact='true')[0]")
    ask(f"admin.put('school', 'users', {user['id']!r}, body={ {**user, 'email': 'test@school.example'}!r})")
    browser = school.browser()
    page = browser.get(school.url("portal"))
    (forgotten,) = page.tree.xpath("//a[contains(@href, 'reset-credentials')]/@href")
    page = browser.get(urljoin(page.url, forgotten))
    browser.submit(page, page.tree.get_element_by_id("kc-reset-password-form"), {"username": username})
    page = browser.get(link_in_mail(host))
    form = page.tree.get_element_by_id("kc-passwd-update-form")
    browser.submit(page, form, {"password-new": CHOSEN, "password-confirm": CHOSEN})
    return browser


def test_a_mailbox_gives_a_new_password_and_does_not_sign_in(
    school: Deployment, host: Host, ask: Ask
) -> None:
    with newcomer(ask, "teacher", PASSWORD) as username:
        browser = chooses_a_new_password(school, host, ask, username)
        assert browser.get(school.url("portal")).element("kc-form-login") is not None
        assert not sign_in(browser, school.url("portal"), username, PASSWORD).arrived
        assert sign_in(browser, school.url("portal"), username, CHOSEN).arrived
        browser.close()


def test_a_mailbox_does_not_replace_a_coordinators_code(school: Deployment, host: Host, ask: Ask) -> None:
    with newcomer(ask, "ict", PASSWORD) as username:
        first = school.browser()
        set_up = sign_in(first, school.url("portal"), username, PASSWORD)
        first.close()
        assert set_up.arrived
        browser = chooses_a_new_password(school, host, ask, username)
        without = sign_in(browser, school.url("portal"), username, CHOSEN)
        assert not without.arrived
        assert without.waiting_for == "kc-otp-login-form"
        assert sign_in(browser, school.url("portal"), username, CHOSEN, totp=set_up.totp).arrived
        browser.close()
