"""The sign-in walker: one-time codes against the RFC, and what it reads on and sends from pages."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs

import pytest
import requests
from requests.adapters import BaseAdapter

from schoolstack.errors import SchoolError
from schoolstack.signin import Browser, SignInError, Totp, claims, sign_in, sign_out

START = "https://start.school.example/"
REALM = "https://login.school.example/realms/school"
BODY = '<body id="keycloak-bg" data-page-id="login">{}</body>'
LOGIN = BODY.format("""
  {said}
  <form id="kc-form-login" action="/realms/school/authenticate?code=1" method="post">
    <input id="username" name="username" type="text">
    <input id="password" name="password" type="password">
    <input name="rememberMe" type="checkbox"> <input name="credentialId" type="hidden" value="">
    <button name="login" type="submit">Ga verder</button>
  </form>""")
ARRIVED = "<body><p>Dag, Noor</p></body>"


class Site(BaseAdapter):
    """Plays a list of answers, each (status, location or body), and keeps what was asked."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def send(self, request, **kwargs):
        fields = {name: values[0] for name, values in parse_qs(request.body or "", True).items()}
        self.asked.append((request.method, request.url, fields))
        status, content = self.answers.pop(0)
        response = requests.Response()
        response.status_code, response.url, response.request = status, request.url, request
        response._content = b"" if 300 <= status < 400 else content.encode()
        if 300 <= status < 400:
            response.headers["Location"] = content
        return response

    def close(self) -> None:
        pass


def browser(*answers: tuple[int, str]) -> tuple[Browser, Site]:
    site, opened = Site(*answers), Browser()
    opened.session.mount("https://", site)
    return opened, site


# RFC 6238, appendix B: the 20-, 32- and 64-byte seeds are "1234567890" repeated.
@pytest.mark.parametrize(
    ("at", "sha1", "sha256", "sha512"),
    [
        (59, "94287082", "46119246", "90693936"),
        (1111111109, "07081804", "68084774", "25091201"),
        (1111111111, "14050471", "67062674", "99943326"),
        (1234567890, "89005924", "91819424", "93441116"),
        (2000000000, "69279037", "90698825", "38618901"),
        (20000000000, "65353130", "77737706", "47863826"),
    ],
)
def test_codes_are_those_of_the_rfc(at, sha1, sha256, sha512):
    for algorithm, size, expected in (("sha1", 20, sha1), ("sha256", 32, sha256), ("sha512", 64, sha512)):
        secret = base64.b32encode((b"1234567890" * 7)[:size]).decode().rstrip("=")
        assert Totp(secret, digits=8, algorithm=algorithm).code(at) == expected


def test_a_secret_may_be_typed_as_shown():
    assert Totp("gezd gnbv gy3t qojq gezd gnbv gy3t qojq").code(59) == "287082"


def test_a_secret_that_is_not_base32_is_refused():
    with pytest.raises(SchoolError, match="base32"):
        Totp("not a secret!").code(59)


def test_arrives_and_sends_what_a_browser_would():
    person, site = browser((302, REALM), (200, LOGIN), (302, START), (200, ARRIVED))
    result = sign_in(person, START, "noor", "geheim")
    assert (result.arrived, result.page.url, result.page.words) == (True, START, "Dag, Noor")
    assert site.asked[2] == (
        "POST",
        f"{REALM}/authenticate?code=1",
        {"username": "noor", "password": "geheim", "credentialId": ""},
    )


@pytest.mark.parametrize(
    "said",
    [
        '<span class="title kc-feedback-text">Ongeldig wachtwoord</span>',
        '<div id="input-error-container-username"><div id="input-error-username"> <span>Ongeldig\n wachtwoord'
        "</span></div></div>",
    ],
)
def test_a_refusal_says_what_the_page_says(said):
    person, _ = browser((200, LOGIN), (200, LOGIN.replace("{said}", said)))
    result = sign_in(person, START, "noor", "fout")
    assert (result.arrived, result.message, result.waiting_for) == (
        False,
        "Ongeldig wachtwoord",
        "kc-form-login",
    )


def test_a_form_that_submits_itself_is_sent_on():
    handed = f'<body onload="document.forms[0].submit()"><form method="post" action="{START}callback">' + (
        '<input type="hidden" name="code" value="c"><input type="hidden" name="state" value="s"></form>'
    )
    person, site = browser((200, LOGIN), (200, handed), (200, ARRIVED))
    assert sign_in(person, START, "noor", "geheim").arrived
    assert site.asked[-1] == ("POST", f"{START}callback", {"code": "c", "state": "s"})


def test_one_time_codes_are_set_up_from_the_page_for_typing():
    form = '<form id="kc-totp-settings-form" action="/action" method="post">' + (
        '<input type="text" id="totp" name="totp"><input type="hidden" name="totpSecret" value="raw">'
        '<input type="text" id="userLabel" name="userLabel"></form>'
    )
    scan = BODY.format('<a id="mode-manual" href="/action?mode=manual">x</a>' + form)
    typed = BODY.format(
        '<span id="kc-totp-secret-key">GEZD GNBV GY3T QOJQ</span><a id="mode-barcode" href="/">x</a>'
        '<li id="kc-totp-algorithm">Algoritme: SHA256</li><li id="kc-totp-digits">Cijfers: 8</li>'
        '<li id="kc-totp-period">Interval: 60</li>' + form
    )
    person, site = browser((200, LOGIN), (200, scan), (200, typed), (200, ARRIVED))
    result = sign_in(person, START, "ict", "geheim")
    assert result.totp == Totp("GEZD GNBV GY3T QOJQ", digits=8, period=60, algorithm="sha256")
    assert site.asked[2][1].endswith("/action?mode=manual")
    assert len(site.asked[3][2]["totp"]) == 8
    assert site.asked[3][2]["totpSecret"] == "raw"


def test_a_one_time_code_gets_a_second_try_and_no_third(monkeypatch):
    waits = []
    monkeypatch.setattr(Totp, "wait", lambda self: waits.append(self))
    asks = BODY.format(
        '<form id="kc-otp-login-form" action="/otp" method="post"><input id="otp" name="otp" type="text">'
        '<input type="hidden" name="selectedCredentialId" value="7"></form>'
    )
    person, site = browser((200, LOGIN), (200, asks), (200, asks), (200, asks))
    result = sign_in(person, START, "ict", "geheim", totp=Totp("GEZDGNBVGY3TQOJQ"))
    assert (result.waiting_for, len(waits), len(site.asked)) == ("kc-otp-login-form", 1, 4)


@pytest.mark.parametrize(("new", "arrived", "requests_made"), [("Bloempot-31", True, 3), (None, False, 2)])
def test_a_new_password_is_chosen_only_when_one_is_given(new, arrived, requests_made):
    asks = BODY.format(
        '<form id="kc-passwd-update-form" action="/pw" method="post">'
        '<input name="password-new" type="password"><input name="password-confirm" type="password">'
        '<input type="checkbox" name="logout-sessions" value="on" checked></form>'
    )
    person, site = browser((200, LOGIN), (200, asks), (200, ARRIVED))
    assert sign_in(person, START, "noor", "geheim", new_password=new).arrived is arrived
    assert len(site.asked) == requests_made
    if new:
        assert site.asked[-1][2] == {"password-new": new, "password-confirm": new, "logout-sessions": "on"}


def test_a_form_with_unknown_questions_is_left_alone():
    asks = BODY.format(
        '<form id="kc-update-profile-form" action="/p" method="post"><input name="email"></form>'
    )
    person, site = browser((200, LOGIN), (200, asks))
    assert sign_in(person, START, "noor", "geheim").waiting_for == "kc-update-profile-form"
    assert len(site.asked) == 2


def test_a_relying_partys_own_form_is_not_keycloaks():
    person, _ = browser(
        (200, LOGIN), (200, '<body><form id="search" action="/s"><input name="q"></form></body>')
    )
    assert sign_in(person, START, "noor", "geheim").arrived


def test_an_error_page_is_a_refusal():
    person, _ = browser((400, BODY.format('<div id="kc-error-message"><p>Ongeldige parameter</p></div>')))
    result = sign_in(person, START, "noor", "geheim")
    assert (result.arrived, result.message, result.page.status) == (False, "Ongeldige parameter", 400)


def test_a_password_is_never_sent_without_encryption():
    person, _ = browser((200, LOGIN.replace('action="', 'action="http://login.school.example')))
    with pytest.raises(SignInError, match="without encryption"):
        sign_in(person, START, "noor", "geheim")


def test_a_redirect_loop_ends():
    person, _ = browser(*[(302, START)] * 30)
    with pytest.raises(SignInError, match="keeps redirecting"):
        sign_in(person, START, "noor", "geheim")


def test_stops_at_the_address_it_must_not_visit():
    person, site = browser((200, LOGIN), (302, f"{START}callback?code=c"))
    result = sign_in(person, REALM, "noor", "geheim", until=f"{START}callback")
    assert (result.arrived, result.page.url, len(site.asked)) == (True, f"{START}callback?code=c", 2)


def test_signing_out_confirms_when_asked():
    asks = BODY.format(
        '<div id="kc-logout-confirm"><form action="/confirm" method="POST">'
        '<input type="hidden" name="session_code" value="s"><input name="confirmLogout" type="submit"></form>'
    )
    person, site = browser((200, asks), (200, ARRIVED))
    sign_out(person, f"{REALM}/logout")
    assert site.asked[1][2] == {"session_code": "s", "confirmLogout": "1"}


def test_a_ca_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SignInError, match="does not exist"):
        Browser(ca=tmp_path / "ca.pem")


def test_claims_are_read_from_a_token():
    payload = base64.urlsafe_b64encode(b'{"sub":"noor"}').rstrip(b"=").decode()
    assert claims(f"h.{payload}.s") == {"sub": "noor"}
