"""A pupil in a real browser: what a script cannot see, such as whether the page shows at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from chromium import CHROMIUM, launched, tablet
from playwright.sync_api import Page, expect

from schoolstack.demo.people import People, Person
from schoolstack.deployment import Deployment
from schoolstack.signin import Browser

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="this distribution has Chromium only as a snap")


@pytest.fixture
def page(school: Deployment) -> Iterator[Page]:
    with launched(school) as chromium, tablet(chromium) as context:
        yield context.new_page()


def test_a_pupil_signs_in_and_out_on_a_tablet(
    page: Page, school: Deployment, browser: Browser, people: People, visitors: dict[str, Person]
) -> None:
    pupil = visitors["pupil"]
    people.sign_in(browser, pupil, school.url("portal"))
    page.goto(school.url("portal"))
    expect(page).to_have_title(re.compile("Voorbeeldschool"))
    expect(page.locator("#kc-header-wrapper")).to_contain_text("Voorbeeldschool")
    page.fill("#username", pupil.username)
    page.fill("#password", pupil.passwords[0])
    page.click("#kc-login")
    expect(page.locator("h1")).to_contain_text("U bent aangemeld als")
    expect(page.locator("dd.role")).to_have_text("leerling")
    page.click("#sign-out")
    expect(page.locator("h1")).to_contain_text("afgemeld")
