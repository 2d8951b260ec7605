"""The pages in a real browser: phone, tablet and desktop, by keyboard, and looked over by axe-core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from looks import RULES, needs_chromium
from playwright.sync_api import Browser, Page, expect
from practice import Practice, served

from schoolstack.deployment import ROOT
from schoolstack.labs.lesson import names
from schoolstack.labs.page.links import TRAINER
from schoolstack.labs.page.server import Site

pytestmark = needs_chromium

WIDTHS = {"phone": (360, 740), "tablet": (768, 1024), "desktop": (1440, 900)}
# CSS pixels, of WCAG 2.2's success criterion 2.5.5 (level AAA): a finger on a tablet.
FINGER = 44
# Milliseconds a page may take to show what its server knows: two quick looks and some.
SOON = 10_000


@pytest.fixture
def seats(tmp_path: Path) -> list[Practice]:
    """Four seats: one begins, one is stuck, one is done, one was never started."""
    found = [Practice(tmp_path, number) for number in ("1", "2", "3", "4")]
    for seat in found[:3]:
        seat.break_it("database")
    for _ in range(2):
        found[1].hint()
    stuck = found[1].require_attempt()
    stuck.began -= 17 * 60
    stuck.passed["sign-in-page"] = 4 * 60
    found[1]._keep(stuck)
    found[1].mend("sign-in-page")
    found[1].check()
    found[2].mend()
    found[2].check()
    return found


@pytest.fixture
def site(seats: list[Practice]) -> Iterator[Site]:
    with served(*seats) as found:
        yield found


def opened(
    browser: Browser, url: str, *, language: str = "nl", width: str = "tablet", **options: Any
) -> Iterator[Page]:
    """Open a page, and see that it fetches nothing from elsewhere and the browser does not object."""
    size = WIDTHS[width]
    context = browser.new_context(
        locale=f"{language}-BE" if language == "nl" else "en-GB",
        viewport={"width": size[0], "height": size[1]},
        **options,
    )
    page = context.new_page()
    objections: list[str] = []
    page.on("pageerror", lambda error: objections.append(str(error)))
    page.on(
        "console",
        lambda said: (
            objections.append(said.text)
            if said.type in ("error", "warning") and "ERR_" not in said.text
            else None
        ),
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    yield page
    context.close()
    assert objections == []
    own = url.split("/seat/")[0].split("/room/")[0]
    assert [address for address in asked if not address.startswith(f"{own}/")] == []


@pytest.fixture
def tablet(chromium: Browser, site: Site) -> Iterator[Page]:
    """The page of seat 1 on a tablet, in Dutch."""
    yield from opened(chromium, site.url("1"))


# Each language, look and width once in every run; the other ways to combine them are left to make test-all.
LOOKS = [("nl", "light", "phone"), ("en", "dark", "tablet"), ("nl", "light", "desktop")]
OTHERS = [("en", "light", "phone"), ("nl", "dark", "tablet"), ("en", "light", "desktop")]


@pytest.mark.parametrize(
    ("language", "scheme", "width"),
    [*LOOKS, *(pytest.param(*one, marks=pytest.mark.slow) for one in OTHERS)],
)
def test_axe_finds_nothing(chromium: Browser, site: Site, language: str, scheme: str, width: str) -> None:
    for name in ("1", "2", "3", "4", TRAINER):
        for page in opened(chromium, site.url(name), language=language, width=width, color_scheme=scheme):
            expect(page.locator("html")).to_have_attribute("lang", language)
            for summary in page.locator("summary").all():
                summary.click()
            page.emulate_media(reduced_motion="reduce")
            found = Axe().run(page, options=RULES)
            assert found.violations_count == 0, found.generate_report()
            # Nothing is cut off or scrolls sideways, and everything can be hit with a finger.
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            small = page.evaluate(
                "finger => [...document.querySelectorAll('a, button, summary')]"
                ".filter(one => one.checkVisibility() && one.getBoundingClientRect().height < finger)"
                ".map(one => one.outerHTML)",
                FINGER,
            )
            assert small == []


@pytest.mark.parametrize("lesson", names(ROOT))
def test_the_longest_words_of_a_lesson_fit_on_a_phone(chromium: Browser, tmp_path: Path, lesson: str) -> None:
    seat = Practice(tmp_path, "1", lesson)
    seat.start()
    seat.check()
    with served(seat) as site:
        for language in ("en", "nl"):
            for page in opened(chromium, site.url("1"), language=language, width="phone"):
                expect(page.locator("li.step")).to_have_count(len(seat.lesson.steps))
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_refusal_is_a_page_as_well(chromium: Browser, site: Site) -> None:
    for page in opened(chromium, f"http://{site.names[0]}/seat/none", language="nl"):
        expect(page.locator("h1")).to_have_text("Deze pagina is er niet")
        assert Axe().run(page, options=RULES).violations_count == 0
        break


def test_a_step_turns_green_without_a_reload_and_is_read_out(
    tablet: Page, seats: list[Practice], site: Site
) -> None:
    step, said = tablet.locator("#step-sign-in-page"), tablet.locator("#said")
    tablet.evaluate("window.since = 'the beginning'; document.getElementById('said').since = 'the beginning'")
    expect(step).to_contain_text("nog niet bekeken")
    seats[0].may_look.clear()
    tablet.click("#check")
    expect(tablet.locator("#check")).to_have_text("Aan het kijken…")
    expect(said).to_contain_text("Er wordt naar de server gekeken")
    seats[0].may_look.set()
    expect(step).to_contain_text("nog niet in orde", timeout=SOON)
    expect(said).to_have_text("Er kwam niets bij. 4 van 7 stappen zijn in orde.")
    # A check from a terminal shows as well.
    seats[0].mend("sign-in-page")
    seats[0].check()
    expect(step).to_contain_text("geslaagd · 15 van 15 punten", timeout=SOON)
    expect(step).to_have_class("step passed fresh")
    expect(said).to_contain_text("5 van 7 stappen zijn in orde")
    # It is the same element in the same page: what a screen reader listens to.
    assert tablet.evaluate("[window.since, document.getElementById('said').since]") == ["the beginning"] * 2
    assert said.get_attribute("role") == "status"
    colours = step.evaluate("one => [getComputedStyle(one).borderTopColor, getComputedStyle(one).color]")
    assert colours[0] != colours[1]
    expect(step.locator(".sign")).to_have_text("✓")


def test_by_keyboard_one_gets_a_hint_and_stays_where_one_was(tablet: Page, seats: list[Practice]) -> None:
    for _ in range(20):
        tablet.keyboard.press("Tab")
        ring = tablet.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ring == "solid", "what has the focus is to be seen"
        if tablet.evaluate("document.activeElement.id") == "hint":
            break
    assert tablet.evaluate("document.activeElement.id") == "hint"
    tablet.keyboard.press("Enter")
    step = tablet.locator("#step-sign-in-page")
    expect(step).to_contain_text("journalctl -u keycloak", timeout=SOON)
    expect(tablet.locator("#said")).to_contain_text("nieuwe hint bij de stap “De aanmelding antwoordt”")
    assert tablet.evaluate("document.activeElement.id") == "hint"
    expect(tablet.locator("#hint-cost")).to_contain_text("kost 4 punten")


def test_beginning_again_asks_first(tablet: Page, seats: list[Practice]) -> None:
    seats[0].mend("sign-in-page")
    tablet.click("#check")
    expect(tablet.locator("#score")).to_contain_text("15 van 55", timeout=SOON)
    expect(tablet.locator("#reset")).to_be_hidden()
    tablet.focus("#again summary")
    tablet.keyboard.press("Enter")
    expect(tablet.locator("#again")).to_contain_text("Wat je op de server veranderde, is weg")
    tablet.keyboard.press("Tab")
    assert tablet.evaluate("document.activeElement.id") == "reset"
    tablet.keyboard.press("Enter")
    expect(tablet.locator("#said")).to_contain_text("Je bent opnieuw begonnen.", timeout=SOON)
    expect(tablet.locator("#score")).to_contain_text("0 van 55")


def test_it_tells_that_the_connection_is_lost_and_recovers(tablet: Page, seats: list[Practice]) -> None:
    lost = tablet.locator("#lost")
    expect(lost).to_be_hidden()
    tablet.context.set_offline(True)
    tablet.click("#check")
    expect(lost).to_contain_text("Geen verbinding", timeout=SOON)
    assert Axe().run(tablet, options=RULES).violations_count == 0
    tablet.context.set_offline(False)
    expect(lost).to_be_hidden(timeout=SOON)
    tablet.click("#check")
    expect(tablet.locator("#said")).to_contain_text("4 van 7 stappen", timeout=SOON)


def test_without_javascript_buttons_and_languages_work(
    chromium: Browser, site: Site, seats: list[Practice]
) -> None:
    for page in opened(chromium, site.url("1"), java_script_enabled=False):
        seats[0].may_look.clear()
        page.click("#check")
        expect(page.locator("#said")).to_contain_text("Er wordt naar de server gekeken")
        seats[0].may_look.set()
        # The page refreshes itself while something is going on.
        expect(page.locator("#said")).to_contain_text("4 van 7 stappen", timeout=SOON)
        page.click("text=English")
        expect(page.locator("h1")).to_have_text("Break the sign-in and mend it")
        page.click("#again summary")
        page.click("#reset")
        expect(page.locator("#step-reach")).to_contain_text("not looked at yet", timeout=SOON)
        expect(page.locator(".copy")).to_be_hidden()


def test_the_command_to_log_in_is_copied(chromium: Browser, site: Site) -> None:
    for page in opened(chromium, site.url("1"), permissions=["clipboard-read", "clipboard-write"]):
        page.click(".copy")
        expect(page.locator(".copy")).to_have_text("Gekopieerd")
        assert page.evaluate("navigator.clipboard.readText()") == "school host ssh brokensignin1-server"


def test_the_trainers_page_follows_the_room_and_keeps_open_what_was_opened(
    chromium: Browser, site: Site, seats: list[Practice]
) -> None:
    for page in opened(chromium, site.url(TRAINER)):
        one, two = page.locator("#seat-1"), page.locator("#seat-2")
        expect(two).to_contain_text("zit al lang bij dezelfde stap")
        one.locator("summary").click()
        expect(one).to_contain_text("Keek nog niet hoe ver het staat")
        seats[0].check()
        expect(one).to_contain_text("Keycloak komt niet in zijn databank", timeout=SOON)
        assert one.locator("details").evaluate("one => one.open")
        one.locator("a").click()
        expect(page.locator(".eyebrow")).to_have_text("Plaats 1")
