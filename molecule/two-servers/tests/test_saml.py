"""A page behind SAML, walked from the sign-in to the sign-out, and what it must not believe."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from accounts import CLASS, Person

from schoolstack.deployment import Deployment
from schoolstack.signin import Browser, sign_in, sign_out
from schoolstack.signin.browser import Page

Change = Callable[[str], str]


class Forger(Browser):
    """A browser whose person changes what Keycloak tells the page."""

    change: Change

    def submit(self, page: Page, form: Any, values: Mapping[str, str], until: str | None = None) -> Page:
        """Change the answer on its way."""
        if "SAMLResponse" in form.fields:
            answer = base64.b64decode(form.fields["SAMLResponse"]).decode()
            forged = self.change(answer)
            values = {**values, "SAMLResponse": base64.b64encode(forged.encode()).decode()}
        return super().submit(page, form, values, until)


@pytest.fixture
def url(web: Deployment) -> str:
    return web.url("samlpage")


def signed_in(browser: Browser, url: str, person: Person) -> Page:
    """Sign in and return the page behind it."""
    result = sign_in(browser, url, person.username, person.password)
    assert result.arrived, result.message
    return result.page


def test_the_page_learns_name_role_and_classes(browser: Browser, url: str, people: dict[str, Person]) -> None:
    page = signed_in(browser, url, people["teacher"])
    told = {what: page.element(what).text_content() for what in ("username", "name", "roles", "classes")}
    assert told == {
        "username": people["teacher"].username,
        "name": "Björk Müller",
        "roles": "reader",
        "classes": CLASS,
    }


def test_a_role_that_is_left_out_is_refused_by_the_sign_in(
    sso: Deployment, browser: Browser, url: str, people: dict[str, Person]
) -> None:
    result = sign_in(browser, url, people["pupil"].username, people["pupil"].password)
    assert not result.arrived
    assert result.page.url.startswith(sso.url("keycloak"))
    assert "niet bedoeld voor uw rol" in result.message


@pytest.mark.parametrize(
    ("change", "believed"),
    [
        pytest.param(lambda answer: answer, True, id="untouched"),
        pytest.param(lambda answer: answer.replace(">reader<", ">editor<"), False, id="another role"),
        pytest.param(
            lambda answer: re.sub(r"<(dsig|ds):Signature.*?</\1:Signature>", "", answer, flags=re.DOTALL),
            False,
            id="no signature",
        ),
        pytest.param(
            lambda answer: re.sub(r"(Audience>)[^<]+", r"\1https://other.example", answer),
            False,
            id="for another application",
        ),
    ],
)
def test_only_what_keycloak_signed_is_believed(
    sso: Deployment,
    pages: dict[str, str],
    url: str,
    people: dict[str, Person],
    change: Change,
    believed: bool,
) -> None:
    seen: list[bool] = []

    def noted(answer: str) -> str:
        changed = change(answer)
        seen.append(changed != answer)
        return changed

    browser = Forger(pages, sso.ca)
    browser.change = noted
    try:
        page = sign_in(browser, url, people["teacher"].username, people["teacher"].password).page
    finally:
        browser.close()
    assert seen == [not believed], "the answer was not what this test changes"
    assert (page.element("roles") is not None) == believed
    assert (page.status == 200) == believed


def test_each_assertion_is_signed_itself(
    sso: Deployment, pages: dict[str, str], url: str, people: dict[str, Person]
) -> None:
    answers: list[str] = []
    browser = Forger(pages, sso.ca)
    browser.change = lambda answer: answers.append(answer) or answer  # type: ignore[func-returns-value]
    sign_in(browser, url, people["teacher"].username, people["teacher"].password)
    browser.close()
    (assertion,) = re.findall(r"<saml:Assertion.*?</saml:Assertion>", answers[0], re.DOTALL)
    assert "rsa-sha256" in assertion
    assert "rsa-sha1" not in answers[0]


# mod_auth_mellon finds the session to end by the person's name, even one of another browser.


def test_signing_out_of_the_page_ends_the_sign_in_everywhere(
    web: Deployment, browser: Browser, url: str, newcomer: Person
) -> None:
    page = signed_in(browser, url, newcomer)
    assert browser.get(web.url("portal")).element("name") is not None, "one sign-in is enough for both"
    out = sign_out(browser, web.url("samlpage", page.element("sign-out").get("href")))
    assert out.url == web.url("samlpage", "/signed-out")
    assert browser.get(url).element("kc-form-login") is not None
    assert browser.get(web.url("portal")).element("kc-form-login") is not None


def test_signing_out_elsewhere_ends_it_at_the_page_too(
    web: Deployment, browser: Browser, url: str, newcomer: Person
) -> None:
    signed_in(browser, url, newcomer)
    page = browser.get(web.url("portal"))
    out = sign_out(browser, web.url("portal", page.element("sign-out").get("href")))
    assert out.url == web.url("portal", "/signed-out")
    assert browser.get(url).element("roles") is None
