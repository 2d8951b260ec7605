"""Which removals are refused, in which words, and what is said of the data."""

from __future__ import annotations

from typing import Any

import pytest

from schoolstack.preflight import Holder, check_removal
from schoolstack.preflight.removal import idle_packages, size, tell

KEYCLOAK = {"name": "keycloak", "title": "Sign-in", "packages": ["java"]}
PORTAL = {"name": "portal", "title": "Start page", "packages": ["apache", "java"], "sign_in": {"roles": {}}}


@pytest.fixture(autouse=True)
def _in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


def holder(*records: dict[str, Any], groups: str = "", removed: tuple[dict[str, Any], ...] = ()) -> Holder:
    return Holder(
        groups.split(), {one["name"]: one for one in records}, {one["name"]: one for one in removed}
    )


SCHOOL = {"one": holder(KEYCLOAK), "two": holder(PORTAL)}

REFUSED = [
    ("", "", SCHOOL, "No application is named: add -e app=NAME, with one of these: keycloak, portal."),
    ("portall", "", SCHOOL, "There is no application 'portall' on these servers (did you mean portal?)"),
    ("portal", "", {"one": holder()}, "name one of these: none."),
    (
        "portal",
        "yes",
        SCHOOL,
        "only when purge holds the same name, and it holds 'yes': type -e purge=portal",
    ),
    ("portal", "", {"one": holder(PORTAL, groups="portal")}, "take one out of that group first"),
    ("keycloak", "", SCHOOL, "Sign-in cannot be removed as long as people sign in with it to Start page"),
    ("keycloak", "keycloak", SCHOOL, "Sign-in cannot be removed as long as people sign in with it"),
    ("portal", "", {"one": holder(removed=(PORTAL,))}, "only its data is left: to delete that too"),
]


@pytest.mark.parametrize(("app", "purge", "servers", "said"), REFUSED, ids=[row[3][:40] for row in REFUSED])
def test_is_refused_in_one_sentence(app: str, purge: str, servers: dict[str, Holder], said: str) -> None:
    (sentence,) = check_removal(app, purge, servers)
    assert said in sentence


@pytest.mark.parametrize(
    ("app", "purge", "servers"),
    [
        ("portal", "", SCHOOL),
        ("portal", "portal", SCHOOL),
        ("keycloak", "", {"one": holder(KEYCLOAK)}),
        ("portal", "portal", {"one": holder(removed=(PORTAL,))}),
        # It moves: the inventory gives it to another server only.
        ("portal", "", {"one": holder(PORTAL), "two": holder(PORTAL, groups="portal")}),
        (
            "keycloak",
            "",
            {"one": holder(KEYCLOAK), "two": holder(KEYCLOAK, PORTAL, groups="keycloak portal")},
        ),
    ],
)
def test_may_go(app: str, purge: str, servers: dict[str, Holder]) -> None:
    assert list(check_removal(app, purge, servers)) == []


def test_only_packages_that_nobody_else_declares_are_named() -> None:
    assert idle_packages("portal", holder(KEYCLOAK, PORTAL)) == ["apache"]
    assert idle_packages("portal", holder(PORTAL)) == ["apache", "java"]
    assert idle_packages("portal", holder(KEYCLOAK, removed=(PORTAL,))) == ["apache"]


def test_what_stays_is_named_with_its_size() -> None:
    places = [
        {"what": "folder", "name": "/var/lib/portal", "bytes": 4096},
        {"what": "database", "name": "portal", "bytes": 14_200_000},
    ]
    assert tell("Start page", "one", places, "kept") == (
        "Start page is gone from one. Its data stays, for root only, until you delete it: the folder"
        " /var/lib/portal (4.1 kB), the database portal (14.2 MB). Installing it again finds this data."
    )
    assert "is deleted for good" in tell("Start page", "one", places, "purged")
    assert tell("Start page", "one", [], "kept") == "Start page is gone from one. It left no data."


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0.0 kB"),
        (999_999, "1000.0 kB"),
        (1_000_000, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (7 * 10**12, "7000.0 GB"),
    ],
)
def test_sizes_are_written_as_people_write_them(count: int, said: str) -> None:
    assert size(count) == said
