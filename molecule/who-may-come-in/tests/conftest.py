"""What the lesson's checks look at: the accounts, and the start page as people of the class list see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError
from schoolstack.labs.checks import NotYetError
from schoolstack.labs.seat import Seat
from schoolstack.roster import sheets
from schoolstack.signin import Browser, SignInError, sign_in
from schoolstack.signin.browser import Page

# With its groups; the lesson's school has fewer people than one answer of Keycloak holds at most.
EVERYBODY = (
    "[{**user, 'groups': [group['path'] for group in admin.get('school', 'users', user['id'], 'groups')]}"
    " for user in admin.get('school', 'users', max=1000, briefRepresentation='false')]"
)
# What the start page answers to whom it knows: shown, or refused in words.
ANSWERS = (200, 403)


@dataclass(frozen=True)
class Account:
    """An account that the class list made."""

    username: str
    enabled: bool
    groups: frozenset[str]
    attributes: Mapping[str, list[str]]


@pytest.fixture(scope="session")
def accounts(school: Deployment) -> dict[str, Account]:
    """The accounts that class lists made, by the number of the school's administration."""
    try:
        found: list[dict[str, Any]] = school.ask_keycloak(EVERYBODY)
    except SchoolError as error:
        raise NotYetError("no-sign-in", str(error).rpartition(": ")[2]) from None
    return {
        user["attributes"]["roster_id"][0]: Account(
            user["username"], user["enabled"], frozenset(user["groups"]), user["attributes"]
        )
        for user in found
        if "roster_id" in user.get("attributes", {})
    }


@pytest.fixture(scope="session")
def passwords(seat: Seat) -> dict[str, str]:
    """The first password of everybody on the sheets, by username; none before there are sheets."""
    try:
        return sheets.read(sheets.folder(seat.inventory), seat.inventory / ".vault-key")
    except SchoolError:
        return {}


@pytest.fixture
def visit(
    school: Deployment, browser: Browser, accounts: dict[str, Account], passwords: dict[str, str]
) -> Callable[..., Page]:
    """Sign somebody in on the way to a page of the start page, and return what they see."""

    def visit(number: str, path: str = "/") -> Page:
        if "portal" not in school.records:
            raise NotYetError("no-page")
        if number not in accounts:
            raise NotYetError("no-account")
        username = accounts[number].username
        try:
            result = sign_in(browser, school.url("portal", path), username, passwords.get(username, ""))
        except SignInError as error:
            raise NotYetError("no-answer", error) from None
        if not result.arrived:
            raise NotYetError("refused", result.message or result.waiting_for)
        if result.page.status not in ANSWERS:
            raise NotYetError("no-answer", result.page.words)
        return result.page

    return visit
