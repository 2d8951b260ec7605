"""The status page: what it says of what is seen, that it gives nothing away, and how old it says it is."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import lxml.html
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from looks import RULES, needs_chromium
from playwright.sync_api import Browser
from statuspage_played import SETTINGS, TITLES, program, prometheus, seen, series, shown

WORDS = SETTINGS["words"]
OPENS = [series(1, application=name) for name in TITLES]
STATES = {
    "works": {"opens": OPENS, "findings": [series(1, application="portal", check="certificate")]},
    "trouble": {"opens": OPENS, "findings": [series(2, application="portal", check="certificate")]},
    "down": {
        "opens": [*OPENS[:1], series(0, application="portal"), *OPENS[2:]],
        "since": [series(time.time() - 600, application="portal")],
    },
    "unknown": {"opens": OPENS[::2]},
}


def page_of(look: Any, lang: str = "nl", now: float = 0.0) -> Any:
    return lxml.html.fromstring(program.page(look, lang, SETTINGS, now or time.time()).encode())


def lines(page: Any) -> list[str]:
    return [" ".join(item.text_content().split()) for item in page.xpath("//ul/li")]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("lang", ["nl", "en"])
def test_it_says_in_words_how_each_application_is(tmp_path: Path, state: str, lang: str) -> None:
    page = page_of(seen(tmp_path, STATES[state]), lang)
    index = ("en", "nl").index(lang)
    said = dict(line[1:].strip().split(": ", 1) for line in lines(page))
    assert list(said) == ["Files", TITLES["keycloak"][index], TITLES["portal"][index]], "not the page itself"
    assert said[TITLES["portal"][index]].startswith(WORDS[lang][f"state.{state}"])
    assert said["Files"] == said[TITLES["keycloak"][index]] == WORDS[lang]["state.works"]
    assert page.xpath("//*[@role='status']")[0].text_content().endswith(WORDS[lang][f"whole.{state}"])
    assert page.get("lang") == lang
    if state == "down":
        assert re.search(r"\d\d:\d\d\)$", said[TITLES["portal"][index]]), "since when"


def test_each_state_has_a_sign_of_its_own_beside_its_colour() -> None:
    assert len(set(program.SIGNS.values())) == len(program.STATES)


@pytest.mark.parametrize("check", ["service", "answer", "page"])
def test_what_its_server_finds_wrong_with_an_application_is_down(tmp_path: Path, check: str) -> None:
    look = seen(tmp_path, {"opens": OPENS, "findings": [series(2, application="portal", check=check)]})
    assert [one.state for one in look.shown] == ["works", "works", "down"]


def test_it_gives_no_address_away(tmp_path: Path) -> None:
    for state in STATES.values():
        text = program.page(seen(tmp_path, state), "en", SETTINGS, time.time())
        assert not re.search(r"\d+\.\d+\.\d+\.\d+|:\d{4}|https?://|school\.example|server\b(?!s)", text)
        assert "Voorbeeldschool &lt;&amp;&gt;" in text
        assert "<&>" not in text


def test_it_says_how_old_it_is_and_shows_nothing_that_is_too_old(tmp_path: Path) -> None:
    look = seen(tmp_path, STATES["works"])
    fresh = page_of(look, "en", look.time + 130)
    assert "(2 min. ago)" in fresh.text_content()
    assert WORDS["en"]["stale"] not in fresh.text_content()
    stale = page_of(look, "en", look.time + program.STALE_S + 1)
    assert WORDS["en"]["stale"] in stale.text_content()
    assert WORDS["en"]["whole.unknown"] in stale.text_content()
    assert lines(stale) == []
    never = page_of(program.Look(), "en")
    assert WORDS["en"]["never"] in never.text_content()


def test_what_cannot_be_looked_at_grows_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a look that came to its end counts: neither silence nor an answer that means nothing."""
    server = program.Server(0, SETTINGS)
    before = server.look = seen(tmp_path, STATES["works"])
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(program.time, "sleep", sleep)
    with prometheus({"opens": [{"metric": {}}]}) as odd, pytest.raises(KeyboardInterrupt):
        server.keep_looking(odd, tmp_path)
    slept.clear()
    with pytest.raises(KeyboardInterrupt):
        server.keep_looking("127.0.0.1:1", tmp_path)
    server.server_close()
    assert server.look is before


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [
        ("en-GB,en;q=0.9,nl;q=0.8", "en"),
        ("fr,en;q=0.3,nl-BE;q=0.7", "nl"),
        ("fr", "nl"),
        ("", "nl"),
        ("en;q=x", "en"),
    ],
)
def test_it_speaks_the_language_of_the_browser(tmp_path: Path, accepted: str, lang: str) -> None:
    with shown(seen(tmp_path, STATES["works"])) as url:
        answer = requests.get(url, headers={"Accept-Language": accepted}, timeout=5)
        assert lxml.html.fromstring(answer.content).get("lang") == lang
        assert answer.headers["Cache-Control"] == "no-store"
        assert requests.get(f"{url}/health", timeout=5).text == "ok\n"
        assert requests.get(f"{url}/../settings.json", timeout=5).status_code == 404
        assert requests.head(f"{url}/en", timeout=5).content == b""


# Each language, look and width once in every run; the other ways to combine them are left to make test-all.
LOOKS = [("nl", "light", 360), ("en", "dark", 768), ("nl", "light", 1440), ("en", "dark", 360)]
OTHERS = [("en", "light", 360), ("nl", "dark", 768), ("en", "light", 1440), ("nl", "dark", 360)]


@needs_chromium
@pytest.mark.parametrize(
    ("language", "scheme", "width"),
    [*LOOKS, *(pytest.param(*one, marks=pytest.mark.slow) for one in OTHERS)],
)
def test_axe_finds_nothing(chromium: Browser, tmp_path: Path, language: str, scheme: Any, width: int) -> None:
    looks = [seen(tmp_path, state) for state in STATES.values()]
    for look in [*looks, program.Look(), program.Look(time.time() - 3600, looks[0].shown)]:
        context = chromium.new_context(
            locale=language, color_scheme=scheme, viewport={"width": width, "height": 740}
        )
        page = context.new_page()
        objections: list[str] = []
        page.on("console", lambda said, kept=objections: kept.append(said.text))
        with shown(look) as url:
            page.goto(url)
            assert page.locator("html").get_attribute("lang") == language
            found = Axe().run(page, options=RULES)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            # By keyboard to the other language.
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            page.wait_for_url(f"{url}/{'nl' if language == 'en' else 'en'}")
            assert page.locator("html").get_attribute("lang") != language
        assert objections == []
        context.close()
