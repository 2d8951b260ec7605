"""A teacher, a pupil and a coordinator sign in through the real pages, and get what is theirs."""

from __future__ import annotations

import pytest

from schoolstack.demo.people import People, Person
from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError
from schoolstack.signin import Browser, sign_in, sign_out


@pytest.mark.parametrize("role", ["ict", "teacher", "pupil"])
def test_each_role_signs_in_and_is_greeted_by_name_and_role(
    school: Deployment, browser: Browser, people: People, visitors: dict[str, Person], role: str
) -> None:
    result = people.sign_in(browser, visitors[role], school.url("portal"))
    assert role in result.page.tree.xpath("//dd/@data-role")
    assert result.page.element("name").text_content().strip()


def test_a_coordinator_has_to_prove_more_than_a_password(people: People, visitors: dict[str, Person]) -> None:
    assert people.known[visitors["ict"].username].totp_secret
    assert not people.known[visitors["pupil"].username].totp_secret
    assert not people.known[visitors["teacher"].username].totp_secret


def test_a_coordinator_without_the_one_time_code_stays_outside(
    school: Deployment, browser: Browser, visitors: dict[str, Person]
) -> None:
    person = visitors["ict"]
    try:
        result = sign_in(browser, school.url("portal"), person.username, person.passwords[0])
    except SchoolError:
        return
    assert not result.arrived


@pytest.mark.parametrize(("role", "status"), [("ict", 200), ("teacher", 403), ("pupil", 403)])
def test_only_coordinators_open_their_page(
    school: Deployment,
    browser: Browser,
    people: People,
    visitors: dict[str, Person],
    role: str,
    status: int,
) -> None:
    people.sign_in(browser, visitors[role], school.url("portal"))
    page = browser.get(school.url("portal", "/coordinator"))
    assert page.status == status
    assert (page.element("coordinator") is not None) == (status == 200)


def test_signing_out_ends_both_sides(
    school: Deployment, browser: Browser, people: People, visitors: dict[str, Person]
) -> None:
    page = people.sign_in(browser, visitors["teacher"], school.url("portal")).page
    out = page.element("sign-out").get("href")
    sign_out(browser, school.url("portal", out))
    again = browser.get(school.url("portal"))
    assert again.element("kc-form-login") is not None


def test_a_pupils_classes_are_shown(
    school: Deployment, browser: Browser, people: People, visitors: dict[str, Person]
) -> None:
    page = people.sign_in(browser, visitors["pupil"], school.url("portal")).page
    assert page.element("classes").text_content().strip()
