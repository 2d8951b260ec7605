"""What people and programs read of the servers' health: worst first, in words, in both languages."""

from __future__ import annotations

import json

import pytest

from schoolstack.health import drift
from schoolstack.health.report import Report, finding, server_entry

GOOD = finding("clock", "good", "clock")
LOOK = finding("reboot", "look", "reboot_wanted")
RUNS_NOT = {
    **finding("service", "wrong", "runs_not", unit="library.service", found="failed"),
    "application": "library",
    "title": "Library",
}


@pytest.mark.parametrize(
    ("found", "state", "code"),
    [([], "good", 0), ([GOOD], "good", 0), ([GOOD, LOOK], "look", 1), ([LOOK, RUNS_NOT, GOOD], "wrong", 2)],
)
def test_the_worst_finding_makes_the_state_and_the_exit_code(found, state, code):
    report = Report({"other": [GOOD], "server": found})
    assert (report.state, report.exit_code) == (state, code)
    assert json.loads(report.as_json())["state"] == state


def test_a_line_per_server_and_application_after_what_is_not_good(monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    lines = Report({"alpha": [GOOD], "beta": [RUNS_NOT, LOOK, GOOD]}).as_text(width=1000).splitlines()
    assert lines[0] == "good          alpha  the server  the clock is kept right"
    assert lines[1].startswith("look at this  beta   the server  wants a restart")
    assert lines[2] == "good          beta   the server  the clock is kept right"
    assert lines[3].startswith("WRONG         beta   Library     library.service does not run (it is failed)")
    assert lines[5].startswith("Wrong: 1. Look at this: 1.")


def test_words_carry_the_state_and_colours_repeat_it(monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "nl")
    report = Report({"beta": [RUNS_NOT]})
    assert "\033[" not in report.as_text()
    coloured = report.as_text(colour=True)
    assert "\033[1;31mFOUT" in coloured
    assert "draait niet" in coloured


def test_programs_get_sentences_and_values_and_lose_nothing(monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    report = Report({"beta": [RUNS_NOT, LOOK]})
    content = json.loads(report.as_json())
    (first, _) = content["servers"]["beta"]["findings"]
    assert first["sentence"].startswith("library.service does not run")
    assert first["values"] == {"unit": "library.service", "found": "failed"}
    assert Report.from_content(content) == report


@pytest.mark.parametrize(
    ("now", "direction"),
    [(1000.0, ""), (1002.0, ""), (1030.0, ""), (970.0, ""), (1033.5, "ahead"), (969.0, "behind")],
)
def test_a_clock_is_off_only_beyond_the_time_that_the_answer_took(monkeypatch, now, direction):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    found = server_entry({"now": now, "findings": [GOOD]}, 1000.0, 1003.0, tolerance_s=30.0)
    assert [one["values"]["direction"] for one in found if one["key"] == "clock_off"] == [direction] * bool(
        direction
    )


def ran(**hosts):
    tasks = [
        {"task": {"name": f"nginx : {name}"}, "hosts": {host: result}}
        for host, results in hosts.items()
        for name, result in results.items()
    ]
    return {"plays": [{"tasks": tasks}], "stats": {}}


def test_drift_names_what_would_change():
    found = drift.judge(ran(a={"Write it": {"changed": True}, "Other": {"changed": False}}, b={}), ["a", "b"])
    assert (found["a"][0]["state"], found["a"][0]["values"]) == ("look", {"count": 1, "list": "Write it"})
    assert found["b"][0]["key"] == "drift_none"


def test_a_run_that_failed_cannot_tell_drift_anywhere():
    found = drift.judge(
        ran(a={"Check it": {"failed": True, "msg": "The clock is off.\nMore."}}, b={}), ["a", "b"]
    )
    assert [one["values"]["said"] for (one,) in found.values()] == ["The clock is off."] * 2
    assert {one["state"] for (one,) in found.values()} == {"wrong"}
