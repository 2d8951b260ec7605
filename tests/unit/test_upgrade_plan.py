"""Which way an upgrade goes, what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from plugin import load

from schoolstack.errors import SchoolError
from schoolstack.upgrade import Room, check_versions, make_plan, newer, show

ROLE = Path(__file__).parents[2] / "roles" / "keycloak" / "vars"
KNOWN = yaml.safe_load((ROLE / "upgrades.yml").read_text(encoding="utf-8"))["keycloak_upgrades"]
PINNED = [
    pin["version"]
    for pin in yaml.safe_load((ROLE / "artefacts.yml").read_text(encoding="utf-8"))["keycloak_artefacts"]
]
NEW = PINNED[0]
ROOM = Room(data=5_000_000, databases=20_000_000, free=2_000_000_000)


@pytest.fixture(autouse=True)
def _in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


def application(version: str, name: str = "keycloak") -> dict[str, Any]:
    return {"name": name, "title": "Sign-in", "version": version, "disk_mb": 1200}


def steps(found: str, wanted: str = NEW, pinned: list[str] = PINNED) -> list[tuple[str, str]]:
    plan = make_plan("server", application(found), application(wanted), pinned, KNOWN, ROOM)
    return [(step.before, step.to) for step in plan.steps]


@pytest.mark.parametrize(
    ("one", "other"), [("26.10.0", "26.9.9"), ("26.7.4", "26.7"), ("27", "26.7.4"), ("1.0.1", "1.0")]
)
def test_versions_are_compared_number_by_number(one: str, other: str) -> None:
    assert newer(one, other)
    assert not newer(other, one)
    assert not newer(one, one)


@pytest.mark.parametrize(
    ("found", "way"),
    [
        ("26.7.4", []),
        ("26.7.0", [("26.7.0", "26.7.4")]),
        ("26.6.4", [("26.6.4", "26.7.4")]),
        ("26.6.2", [("26.6.2", "26.7.4")]),
        ("26.6.1", [("26.6.1", "26.6.4"), ("26.6.4", "26.7.4")]),
        ("26.5.5", [("26.5.5", "26.6.4"), ("26.6.4", "26.7.4")]),
        ("25.0.6", [("25.0.6", "26.6.4"), ("26.6.4", "26.7.4")]),
    ],
)
def test_the_way_leads_by_the_stops_it_has_to(found: str, way: list[tuple[str, str]]) -> None:
    assert steps(found, "26.7.4", ["26.7.4", "26.6.4"]) == way


def test_every_stop_that_the_role_names_is_pinned() -> None:
    assert {stop["version"] for stop in KNOWN["stops"]} <= set(PINNED)


def test_a_stop_may_be_the_end() -> None:
    assert steps("26.5.5", "26.6.4") == [("26.5.5", "26.6.4")]


@pytest.mark.parametrize(
    ("found", "wanted", "pinned", "room", "said"),
    [
        (
            "26.8.0",
            "26.7.4",
            PINNED,
            ROOM,
            "Sign-in on server is 26.8.0, and this release brings only 26.7.4",
        ),
        (
            "26.5.5",
            "26.7.4",
            ["26.7.4"],
            ROOM,
            "cannot go from 26.5.5 to 26.7.4 at once, and 26.6.4, by way of",
        ),
        ("26.6.4", "26.7.4", PINNED, Room(0, 10**9, 3 * 10**9), "needs 3200 MB of free disk"),
    ],
)
def test_is_refused_in_one_sentence(
    found: str, wanted: str, pinned: list[str], room: Room, said: str
) -> None:
    with pytest.raises(SchoolError) as refused:
        make_plan("server", application(found), application(wanted), pinned, KNOWN, room)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_plan_says_what_to_know_before() -> None:
    said = show(make_plan("server", application("26.5.5"), application("26.7.4"), PINNED, KNOWN, ROOM))
    assert said.startswith("Sign-in on server goes 26.5.5 → 26.6.4 → 26.7.4.\n  It goes by way of 26.6.4: ")
    assert "This only affects you if" in said
    assert "It needs 1245 MB of disk; 2000 MB are free." in said
    said = show(make_plan("server", application("26.6.4"), application("26.7.4"), PINNED, KNOWN, ROOM))
    assert "26.6: " not in said
    assert "by way of" not in said
    assert "This only affects you if" not in said, "a note on what one has already is no news"
    assert show(make_plan("server", application(NEW), application(NEW), PINNED, KNOWN, ROOM)) == (
        "Sign-in on server is up to date."
    )


def test_every_sentence_of_the_role_is_in_both_languages() -> None:
    texts = [note["text"] for note in KNOWN["notes"]] + [stop["because"] for stop in KNOWN["stops"]]
    assert all(set(text) == {"en", "nl"} for text in texts)


def test_an_ordinary_run_changes_no_version() -> None:
    def sentences(found: str, wanted: str) -> list[str]:
        return list(check_versions("server", [application(wanted)], {"keycloak": application(found)}))

    assert sentences("26.7.4", "26.7.4") == []
    assert list(check_versions("server", [application("26.7.4")], {})) == []
    (first,) = sentences("26.6.4", "26.7.4")
    assert "Sign-in 26.6.4 runs on server, and this release brings 26.7.4" in first
    assert "playbooks/upgrade.yml -e app=keycloak" in first
    (back,) = sentences("26.7.4", "26.6.4")
    assert "cannot read its data" in back


@pytest.mark.parametrize(
    ("record", "goes_on"),
    [
        ({"archive": "keycloak"}, True),
        ({"archive": "other"}, False),
        # Of a vendor's packages the first is the application's own.
        ({"apt": {"source": "x", "packages": {"grafana": "1", "plugin": "1"}}}, True),
        ({"apt": {"source": "x", "packages": {"plugin": "1", "grafana": "1"}}}, False),
        ({"apt": {"source": "x", "packages": {"gone": "1"}}}, False),
        ({}, True),
    ],
)
def test_one_that_was_cut_off_goes_on_where_the_new_version_is_in_use(
    record: dict[str, Any], goes_on: bool
) -> None:
    action = object.__new__(load("action/upgrade_plan.py").ActionModule)
    action.state = {
        "links": {"keycloak": "2", "other": "1"},
        "vendor_packages": {"grafana": "2", "plugin": "1"},
    }
    assert action._is_under_way({"phase": "copied", "to": "2", "record": record}) is goes_on
    assert not action._is_under_way({"phase": "copying", "to": "2", "record": record})
