"""The pages without a browser: who gets in, what is asked of a seat, and what is told to whom."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from practice import ODD, Practice, served

from schoolstack.errors import SchoolError
from schoolstack.labs.page.links import TRAINER
from schoolstack.labs.page.server import Site
from schoolstack.labs.seat import Seen
from schoolstack.messages import LANGUAGES, catalogue, say, speaking

DUTCH = {"Accept-Language": "nl-BE,nl;q=0.9"}


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


@pytest.fixture
def seat(tmp_path: Path) -> Practice:
    found = Practice(tmp_path)
    found.break_it("database")
    return found


@pytest.fixture
def site(seat: Practice) -> Iterator[Site]:
    with served(seat) as found:
        yield found


def origin(site: Site) -> str:
    return f"http://{site.names[0]}"


def press(site: Site, button: str, number: str = "", **headers: str) -> requests.Response:
    """Press a button on a seat's page, as a browser does."""
    given = {"Origin": origin(site), "Sec-Fetch-Site": "same-origin", **headers}
    return requests.post(f"{site.url(number)}/{button}", headers=given, timeout=10)


def when(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pressed(site: Site, button: str, number: str = "") -> str:
    """Press a button, wait until it is done, and return the page."""
    assert press(site, button, number).status_code == 200
    when(lambda: not site.desks[number].doing)
    return page(site, number)


def page(site: Site, number: str = "", **headers: str) -> str:
    answer = requests.get(site.url(number), headers=headers, timeout=10)
    assert answer.status_code == 200
    return answer.text


def step(text: str, name: str) -> str:
    """Return one step's part of a page."""
    found = re.search(rf'<li id="step-{name}".*?\n</li>', text, re.S)
    assert found
    return found[0]


# Who gets in.


def test_only_the_whole_link_opens_a_page(site: Site) -> None:
    seat, room = site.links.path(""), site.links.path(TRAINER)
    wrong = [
        "/",
        "/seat",
        "/seat/",
        "/room/",
        seat[:-1],
        seat + "/",
        seat + "x",
        seat + "/check",
        room + "/x",
    ]
    # The secret of one kind of page opens none of the other.
    wrong += [seat.replace("seat", "room"), room.replace("room", "seat")]
    wrong += [
        "/page.js/",
        "/static/page.js",
        "/seat/%2e%2e/page.js",
        "/../../lab.yml",
        "/templates/seat.html.j2",
    ]
    for path in wrong:
        answer = requests.get(origin(site) + path, timeout=10)
        assert answer.status_code == 404, path
        assert "Open the link you were given" in answer.text
        assert site.desks[""].seat.lesson.content["title"]["en"] not in answer.text


def test_links_stay_the_same_and_lie_where_only_their_owner_reads(seat: Practice, site: Site) -> None:
    with served(seat) as again:
        assert again.links.path("") == site.links.path("")
        assert again.links.path(TRAINER) == site.links.path(TRAINER)
    (file,) = seat.lab.state.root.rglob("links.json")
    assert file.parent == seat.folder, "what goes when the lesson is removed"
    assert file.parent.stat().st_mode & 0o077 == 0
    assert len(set(json.loads(file.read_text(encoding="utf-8")).values())) == 2


def test_each_seat_has_a_link_of_its_own(tmp_path: Path) -> None:
    with served(*(Practice(tmp_path, number) for number in ("1", "2", "3"))) as site:
        links = [site.url(number) for number in ("1", "2", "3")]
        assert len(set(links)) == 3
        for number in ("1", "2", "3"):
            assert f"Seat {number}" in page(site, number)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1.evil.example", "", "localhost:1"])
def test_a_strangers_name_that_leads_here_is_refused(site: Site, host: str) -> None:
    for method in ("GET", "POST"):
        answer = requests.request(method, site.url(""), headers={"Host": host}, timeout=10)
        assert answer.status_code == 421
    local = requests.get(site.url(""), headers={"Host": f"localhost:{site.server_port}"}, timeout=10)
    assert local.status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "https://{host}", "http://{host}.evil.example"]
)
def test_a_button_on_another_site_does_nothing(seat: Practice, site: Site, origin: str) -> None:
    assert press(site, "check", Origin=origin.format(host=site.names[0])).status_code == 403
    assert press(site, "check", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert seat.looks == 0


def test_only_what_buttons_ask_for_is_done(seat: Practice, site: Site) -> None:
    for verb in ("solve", "stop", "remove", "start", "_do", ""):
        assert press(site, verb).status_code == 404
    assert requests.get(f"{site.url('')}/check", timeout=10).status_code == 404
    # The trainer's page has no buttons.
    room = requests.post(f"{site.url(TRAINER)}/check", headers={"Origin": origin(site)}, timeout=10)
    assert room.status_code == 404
    assert requests.put(site.url(""), timeout=10).status_code == 501
    assert seat.looks == 0
    assert requests.post(f"{site.url('')}/check", data=b"x" * 2000, timeout=10).status_code == 413
    chunked = requests.post(f"{site.url('')}/check", data=iter([b"x"]), timeout=10)
    assert chunked.status_code == 413
    assert seat.looks == 0


def test_browsers_are_told_to_fetch_nothing_from_elsewhere(site: Site) -> None:
    for path in (site.links.path(""), site.links.path(TRAINER), "/page.css", "/page.js", "/icon.svg", "/no"):
        headers = requests.get(origin(site) + path, timeout=10).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert {f"{kind}-src 'self'" for kind in ("script", "style", "connect")} <= set(policy.split("; "))
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Python" not in headers["Server"]
    for path in (site.links.path(""), site.links.path(TRAINER)):
        text = requests.get(origin(site) + path, timeout=10).text
        assert not re.search(r'(src|href|action)="(?!/)|style=|<style|<script>|\son[a-z]+=', text)


def test_nothing_is_sent_twice_that_the_browser_has(site: Site) -> None:
    first = requests.get(site.url(""), timeout=10)
    again = requests.get(site.url(""), headers={"If-None-Match": first.headers["ETag"]}, timeout=10)
    assert (again.status_code, again.content) == (304, b"")


def test_a_caller_who_says_nothing_keeps_nobody_waiting(site: Site) -> None:
    silent = [socket.create_connection(site.server_address[:2]) for _ in range(20)]  # type: ignore[arg-type]
    assert page(site)
    for one in silent:
        one.close()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("0.0.0.0", "stands for every address"), ("::", "every address"), ("room", "is no IP address")],
)
def test_an_address_that_is_not_one_is_refused(seat: Practice, address: str, sentence: str) -> None:
    with pytest.raises(SchoolError, match=sentence):
        Site(lambda: [seat], address, 0)


def test_a_port_that_is_taken_is_told(seat: Practice, site: Site) -> None:
    with pytest.raises(SchoolError, match="Address already in use"):
        Site(lambda: [seat], "127.0.0.1", site.server_port)


# What is asked of a seat.


def test_two_clicks_start_one_check(seat: Practice, site: Site) -> None:
    seat.may_look.clear()
    for button in ("check", "check", "hint", "reset"):
        assert "The server is being looked at" in press(site, button).text
    seat.may_look.set()
    when(lambda: not site.desks[""].doing)
    assert seat.looks == 1


def test_no_more_seats_are_looked_at_at_once_than_there_are_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    seats = [Practice(tmp_path, number) for number in ("1", "2", "3")]
    for one in seats:
        one.break_it("role")
        one.may_look.clear()
    with served(*seats) as site:
        for one in seats:
            press(site, "check", one.number)
        when(lambda: seats[0].looks and seats[1].looks)
        assert "other seats are being worked on" in page(site, "3")
        assert seats[2].looks == 0
        seats[0].may_look.set()
        when(lambda: seats[2].looks)


def test_a_step_turns_green_and_earns_its_points(seat: Practice, site: Site) -> None:
    assert "not looked at yet" in step(page(site), "sign-in-page")
    before = pressed(site, "check")
    assert "Keycloak does not get into its database: password authentication failed." in step(
        before, "sign-in-page"
    )
    assert "you are here" in step(before, "sign-in-page")
    assert "Nothing new passed. 4 of 7 steps are right." in before
    seat.mend("sign-in-page")
    after = pressed(site, "check")
    assert 'class="step passed"' in step(after, "sign-in-page")
    assert "15 of 15 points" in step(after, "sign-in-page")
    assert "Passed: The sign-in answers. 5 of 7 steps are right." in after
    assert "15 of 55" in after
    seat.mend()
    assert "Everything passes. Well done!" in pressed(site, "check")


def test_what_was_earned_and_broke_again_is_told(seat: Practice, site: Site) -> None:
    seat.mend("sign-in-page")
    pressed(site, "check")
    seat.sees["sign-in-page"] = Seen(False, "database", "oops")
    assert "passed, and broken again now" in step(pressed(site, "check"), "sign-in-page")


def test_a_hint_is_given_where_it_helps_and_its_cost_is_told_before(seat: Practice, site: Site) -> None:
    hints = seat.lesson.steps["sign-in-page"]["hints"]
    assert f"The next hint costs {hints[0]['cost']} points" in page(site)
    first = pressed(site, "hint")
    assert "journalctl -u keycloak" in step(first, "sign-in-page")
    assert f"The next hint costs {hints[1]['cost']} points" in first
    pressed(site, "hint")
    third = pressed(site, "hint")
    assert "there are no other hints" in third
    assert "there is no other hint" in pressed(site, "hint")
    seat.mend("sign-in-page")
    assert "4 of 15 points" in step(pressed(site, "check"), "sign-in-page")


def test_beginning_again_forgets_points_and_hints(seat: Practice, site: Site) -> None:
    seat.mend("sign-in-page")
    pressed(site, "hint")
    text = pressed(site, "reset")
    assert seat.require_attempt().fault == "database"
    assert "You have begun again." in text
    assert "0 of 55" in text
    assert "not looked at yet" in step(text, "sign-in-page")


def test_a_seat_that_is_switched_off_offers_to_begin(seat: Practice, site: Site) -> None:
    seat.switched_on = False
    assert "The server is switched off." in page(site)
    assert "give `school lab start broken-sign-in` first" in pressed(site, "check")
    assert "You have begun again." in pressed(site, "reset")


def test_what_goes_wrong_here_frees_the_seat_and_is_not_told_to_browsers(
    seat: Practice, site: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: bool) -> dict[str, Seen]:
        raise RuntimeError("inside")

    monkeypatch.setattr(seat, "look", broken)
    text = pressed(site, "check")
    assert "went wrong on the lesson’s side" in text
    assert "inside" not in text
    assert "RuntimeError: inside" in capfd.readouterr().err


# What is told to whom.


def test_each_reads_their_own_language(site: Site) -> None:
    for lang, headers in (("en", {"Accept-Language": "fr, en"}), ("nl", DUTCH)):
        for number in ("", TRAINER):
            text = page(site, number, **headers)
            assert f'<html lang="{lang}">' in text
            assert site.desks[""].seat.lesson.content["title"][lang] in text
    chosen = requests.Session()
    english = chosen.get(f"{site.url('')}?language=nl", headers={"Accept-Language": "en"}, timeout=10)
    assert '<html lang="nl">' in english.text
    assert english.url == site.url("")
    assert '<html lang="nl">' in chosen.get(site.url(TRAINER), timeout=10).text
    # A link that would lead elsewhere is no page.
    away = requests.get(f"{origin(site)}//evil.example?language=nl", timeout=10, allow_redirects=False)
    assert away.status_code == 404


def test_a_refusal_keeps_the_language_it_was_told_in(seat: Practice, site: Site) -> None:
    seat.switched_on = False
    press(site, "check", **{"Accept-Language": "nl"})
    when(lambda: not site.desks[""].doing)
    assert re.search(r'id="said"[^>]* lang="nl">broken-sign-in is niet gestart', page(site))


@pytest.mark.parametrize("fault", ["redirect", "certificate", "database", "firewall", "restart", "role"])
def test_a_learners_page_gives_no_answer_away(tmp_path: Path, fault: str) -> None:
    seat = Practice(tmp_path)
    seat.break_it(fault)
    lesson = seat.lesson
    with served(seat) as site:
        sent = []
        for button in ("", "check", "hint"):
            if button:
                pressed(site, button)
            sent += [page(site, **{"Accept-Language": lang}) for lang in LANGUAGES]
        sent += [requests.get(origin(site) + path, timeout=10).text for path in ("/page.js", "/page.css")]
        everything = "\n".join(sent)
        told = page(site) + page(site, **DUTCH)
    given = seat.require_attempt().hints
    for name, one in lesson.steps.items():
        for number, hint in enumerate(one["hints"]):
            for lang in LANGUAGES:
                shown = hint["text"][lang].strip().splitlines()[0].replace("'", "&#39;").replace('"', "&#34;")
                assert (shown in everything) == (number in given.get(name, [])), shown
        for code, text in one["seen"].items():
            if seat.sees[name].code != code:
                mine = text["en"].split("{said}")[0]
                others = [seen["en"] for key, seen in one["seen"].items() if key != code]
                assert mine in "".join(others) or mine not in step(told, name)
    for one in lesson.faults.values():
        assert all(title not in everything for title in one["title"].values())
    assert "mended_by" not in everything
    assert site.links.path(TRAINER) not in everything
    # Before the first look nobody learns which steps are broken.
    assert "you are here" not in sent[0]
    assert not re.search(r'class="step (?!open)', sent[0])


def test_what_a_machine_says_stays_text(seat: Practice, site: Site) -> None:
    seat.sees["sign-in-page"] = Seen(False, "database", ODD)
    assert "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; {braces}" in pressed(site, "check")
    for number in ("", TRAINER):
        assert "<script>" not in page(site, number)


def test_the_trainer_sees_who_is_stuck_where_since_when(tmp_path: Path) -> None:
    one, two, three, four = (Practice(tmp_path, number) for number in ("1", "2", "3", "4"))
    for seat in (one, two, three):
        seat.break_it("database")
    three.mend()
    with served(one, two, three, four) as site:
        pressed(site, "hint", "2")
        pressed(site, "check", "3")
        attempt = two.require_attempt()
        # 30 minutes are for three steps here: one may take ten of them.
        attempt.began -= 11 * 60
        two._keep(attempt)
        text = page(site, TRAINER)
        cards = dict(re.findall(r'<li id="seat-(\d)"(.*?)\n</li>', text, re.S))
        assert "At work: 2, of whom 1 long at the same step. Finished: 1. Seats: 4." in text
        assert "Has not looked how far it is yet" in cards["1"]
        assert "long at the same step" in cards["2"]
        assert "<strong>The sign-in answers</strong><br>At this step since " in cards["2"]
        assert "(11 min)" in cards["2"]
        assert "Keycloak does not get into its database: password authentication failed." in cards["2"]
        assert "hints: 1" in cards["2"]
        assert "What is broken: a database password that was replaced on one side only." in cards["2"]
        assert "finished" in cards["3"]
        assert "55 of 55" in cards["3"]
        assert "not begun yet" in cards["4"]
        assert [number for number in cards if site.links.path(number) in cards[number]] == list("1234")


def test_every_sentence_of_the_pages_is_there_in_both_languages() -> None:
    keys = [{key for key in catalogue(lang) if key.startswith("labs.page.")} for lang in LANGUAGES]
    assert keys[0] == keys[1]
    used = "".join(path.read_text(encoding="utf-8") for path in (_page_folder()).rglob("*") if path.is_file())
    for key in keys[0]:
        *group, last = key.removeprefix("labs.page.").split(".")
        assert f'"{last}"' in used or f"{'.'.join(group)}." in used or f".{last}" in used, key


def _page_folder() -> Path:
    import schoolstack.labs.page

    return Path(schoolstack.labs.page.__file__).parent


def test_threads_speak_languages_of_their_own() -> None:
    said: dict[str, str] = {}
    together = threading.Barrier(2)

    def speak(lang: str) -> None:
        with speaking(lang):
            together.wait(timeout=10)
            said[lang] = say("labs.page.points")

    threads = [threading.Thread(target=speak, args=[lang]) for lang in LANGUAGES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {"en": "Points", "nl": "Punten"}
    assert say("labs.page.points") == "Points"
