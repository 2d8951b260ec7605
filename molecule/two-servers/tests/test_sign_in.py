"""The start page is on one server and the sign-in on the other, and each has to ask the other."""

from __future__ import annotations

import pytest
from accounts import Ask, Person

from schoolstack.deployment import Deployment
from schoolstack.signin import Browser, claims, sign_in, sign_out, tokens


def is_asked(browser: Browser, url: str) -> bool:
    """Tell whether a page asks to sign in."""
    return browser.get(url).element("kc-form-login") is not None


@pytest.mark.parametrize("role", ["teacher", "pupil"])
def test_people_sign_in_at_the_page_of_the_other_server(
    web: Deployment, browser: Browser, people: dict[str, Person], role: str
) -> None:
    person = people[role]
    result = sign_in(browser, web.url("portal"), person.username, person.password)
    assert result.arrived, result.message
    assert result.page.element("name").text_content() == "Björk Müller"
    assert result.page.tree.xpath("//dd/@data-role") == [role]


def test_signing_out_ends_both_sides(web: Deployment, browser: Browser, people: dict[str, Person]) -> None:
    page = sign_in(browser, web.url("portal"), people["teacher"].username, people["teacher"].password).page
    sign_out(browser, web.url("portal", page.element("sign-out").get("href")))
    assert is_asked(browser, web.url("portal"))


def test_what_ends_at_the_sign_in_ends_at_the_page(
    web: Deployment, browser: Browser, people: dict[str, Person], ask: Ask
) -> None:
    """The back channel: Keycloak on one server tells the page on the other, without the person's browser."""
    teacher = people["teacher"]
    sign_in(browser, web.url("portal"), teacher.username, teacher.password)
    assert browser.get(web.url("portal")).element("name") is not None
    ask(f"admin.post('school', 'users', {teacher.id!r}, 'logout')")
    assert is_asked(browser, web.url("portal"))


def test_a_program_shows_the_page_a_token_of_its_own(
    sso: Deployment, web: Deployment, browser: Browser, people: dict[str, Person], ask: Ask
) -> None:
    (client,) = ask("admin.get('school', 'clients', clientId='portal')")
    teacher, issuer = people["teacher"], sso.url("keycloak", "/realms/school")
    given = tokens(
        browser, issuer, "portal", web.url("portal", "/sign-in"), teacher.username, teacher.password,
        client_secret=client["secret"],
    )  # fmt: skip
    assert claims(given.access)["aud"] == "portal"
    answer = browser.session.get(
        web.url("portal", "/api/me"),
        headers={"Authorization": f"Bearer {given.access}"},
        allow_redirects=False,
    )
    assert answer.status_code == 200
    assert teacher.username in answer.text
