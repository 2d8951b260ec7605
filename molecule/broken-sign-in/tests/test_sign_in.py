"""Signing in, from the outside in: network, certificate, both applications, a person, what she may."""

from __future__ import annotations

import socket
import ssl

from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.labs.checks import NotYetError
from schoolstack.signin import Browser, SignInError, sign_in

# OpenSSL's number of "certificate has expired" (X509_V_ERR_CERT_HAS_EXPIRED).
EXPIRED = 10
SERVICES = ("nftables", "postgresql", "nginx", "keycloak", "portal")
# As Keycloak opens it: with the password it has been given.
DATABASE = (
    "PGPASSWORD=$(cut -d: -f5- /etc/keycloak/database.pgpass) "
    "psql -w -h 127.0.0.1 -U keycloak -d keycloak -Atc 'select 1'"
)


def test_the_server_answers(unreachable: str) -> None:
    if unreachable:
        raise NotYetError("unreachable", unreachable)


def test_the_certificate_is_good(school: Deployment, unreachable: str) -> None:
    if unreachable:
        raise NotYetError("unreachable", unreachable)
    trust = ssl.create_default_context(cafile=str(school.ca))
    name = school.records["keycloak"]["site"]["host"]
    try:
        with socket.create_connection((school.address, 443), 5) as line:
            trust.wrap_socket(line, server_hostname=name).close()
    except ssl.SSLCertVerificationError as error:
        code = "expired" if error.verify_code == EXPIRED else "untrusted"
        raise NotYetError(code, error.verify_message) from None


def test_the_sign_in_answers(school: Deployment, host: Host, browser: Browser) -> None:
    try:
        status = browser.get(school.url("keycloak", "/realms/school/account/")).status
    except SignInError as error:
        raise NotYetError("no-answer", error) from None
    database = host.run(DATABASE)
    if database.rc:
        raise NotYetError("database", database.stderr.splitlines()[0])
    if status != 200:
        raise NotYetError("status", status)


def test_the_start_page_answers(school: Deployment, browser: Browser) -> None:
    try:
        page = browser.get(school.url("portal"), until=school.url("keycloak"))
    except SignInError as error:
        raise NotYetError("no-answer", error) from None
    if not page.url.startswith(school.url("keycloak")):
        raise NotYetError("status", page.tree.findtext(".//title") or page.status)


def test_the_teacher_signs_in(school: Deployment, browser: Browser, variants: dict[str, str]) -> None:
    try:
        result = sign_in(browser, school.url("portal"), variants["teacher"], variants["password"])
    except SignInError as error:
        raise NotYetError("no-answer", error) from None
    if not result.arrived:
        raise NotYetError("refused", result.message or result.waiting_for)
    if result.page.status >= 500:
        raise NotYetError("no-answer", result.page.tree.findtext(".//title") or result.page.status)


def test_the_teacher_is_known_as_one(school: Deployment, browser: Browser, variants: dict[str, str]) -> None:
    try:
        result = sign_in(browser, school.url("portal"), variants["teacher"], variants["password"])
    except SignInError as error:
        raise NotYetError("nobody", error) from None
    if not result.arrived or result.page.status >= 500:
        raise NotYetError("nobody", result.message or result.page.status)
    if "teacher" not in result.page.tree.xpath("//dd/@data-role"):
        raise NotYetError("no-role", result.page.words)


def test_everything_comes_back_after_a_restart(host: Host, restarted: bool) -> None:
    missing = [name for name in SERVICES if not host.service(name).is_enabled]
    if missing:
        raise NotYetError("not-enabled", ", ".join(missing))
    # What does not run otherwise is another step's to say.
    away = [name for name in SERVICES if restarted and not host.service(name).is_running]
    if away:
        raise NotYetError("away", ", ".join(away))
