"""Who comes in, and as what: the page that asks for a sign-in, the class list, and four people of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from schoolstack.deployment import Deployment
from schoolstack.labs.checks import NotYetError
from schoolstack.roster.reader import read
from schoolstack.signin import Browser, SignInError
from schoolstack.signin.browser import Page

if TYPE_CHECKING:
    from conftest import Account

# As the administration knows them: a teacher, a pupil, and two pupils for whom something changes in October.
TEACHER, PUPIL, MOVER, LEAVER = "9001", "2501", "2602", "2504"
NEW_CLASS = "1B"
COORDINATORS = "/role/ict"
# Everybody who is at school at the end of the lesson.
AT_SCHOOL = Path(__file__).parents[1] / "lists" / "october.csv"


def test_the_start_page_sends_people_to_the_sign_in(school: Deployment, browser: Browser) -> None:
    if "portal" not in school.records:
        raise NotYetError("no-page")
    try:
        page = browser.get(school.url("portal"))
    except SignInError as error:
        raise NotYetError("no-answer", error) from None
    if page.element("kc-form-login") is None:
        raise NotYetError("no-form", page.tree.findtext(".//title") or page.status)


def test_everybody_of_the_class_list_has_an_account(accounts: dict[str, Account]) -> None:
    people = {person.source_id: person.name for person in read(str(AT_SCHOOL)).people}
    missing = [name for number, name in people.items() if number not in accounts]
    if len(missing) == len(people):
        raise NotYetError("nobody")
    if missing:
        raise NotYetError("missing", ", ".join(missing))
    if disabled := [name for number, name in people.items() if not accounts[number].enabled]:
        raise NotYetError("disabled", ", ".join(disabled))


def test_the_teacher_is_known_as_one(visit: Callable[..., Page]) -> None:
    page = visit(TEACHER)
    if page.tree.xpath("//dd/@data-role") != ["teacher"]:
        raise NotYetError("role", page.words)


def test_a_pupil_is_kept_out_where_coordinators_go(
    visit: Callable[..., Page], accounts: dict[str, Account]
) -> None:
    # Coordinators are asked to set up a second factor, which is not for a check to do.
    if PUPIL in accounts and COORDINATORS in accounts[PUPIL].groups:
        raise NotYetError("coordinator", ", ".join(sorted(accounts[PUPIL].groups)))
    page = visit(PUPIL, "/coordinator")
    if page.status == 200:
        raise NotYetError("let-in", page.words)


def test_the_pupil_who_moved_is_in_the_new_class(visit: Callable[..., Page]) -> None:
    page = visit(MOVER)
    classes = page.element("classes")
    if classes is None or classes.text_content().strip() != NEW_CLASS:
        raise NotYetError("class", page.words)


def test_the_pupil_who_left_does_not_come_in(
    visit: Callable[..., Page], accounts: dict[str, Account]
) -> None:
    if LEAVER not in accounts:
        raise NotYetError("no-account")
    account = accounts[LEAVER]
    if not account.enabled and "leaving_since" not in account.attributes:
        raise NotYetError("by-hand", account.username)
    try:
        page = visit(LEAVER)
    except NotYetError as error:
        if error.code == "refused" and not account.enabled:
            return
        raise
    raise NotYetError("still-in", page.words)
