"""Compare a class list with the accounts that exist, and say what would change.

An account belongs to a class list when its attribute ``roster_source`` names that list; all others
(coordinators made by hand, people of another list) are left alone. People are recognised by their ECK-iD, and
by the number of the school's administration (``roster_id``) where there is none.

Whoever is no longer on the list is disabled, leaves every class, and keeps the account, with the day in
``leaving_since``; deleting is a step of its own, :func:`deletions`. Someone who comes back gets the same
account. A class that is no longer on the list and has nobody left keeps its group, with the day in ``ended``.
"""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schoolstack.roster import usernames
from schoolstack.roster.model import Person, Refusal, School

CLASS = "/class/"
ROLE = "/role/"
# More than this share of a list's active accounts is never disabled without being told to: it looks like a
# wrong or half file rather than like people leaving.
MASS_LEAVE_SHARE = 0.1


@dataclass(frozen=True)
class Account:
    """An account as Keycloak has it."""

    id: str
    username: str
    given_name: str
    family_name: str
    email: str
    enabled: bool
    attributes: Mapping[str, str]
    groups: frozenset[str]

    @property
    def name(self) -> str:
        """The name as people say it."""
        return f"{self.given_name} {self.family_name}".strip()

    @property
    def leaving_since(self) -> str:
        """The day (ISO) since which they are no longer on the list; empty for those who are."""
        return self.attributes.get("leaving_since", "")

    @property
    def classes(self) -> frozenset[str]:
        """The names of their classes."""
        return frozenset(path.removeprefix(CLASS) for path in self.groups if path.startswith(CLASS))


@dataclass(frozen=True)
class State:
    """Everything in Keycloak that a plan depends on.

    Attributes:
        accounts: every account of the realm.
        groups: the attributes of every class and role group, by path.
    """

    accounts: tuple[Account, ...]
    groups: Mapping[str, Mapping[str, str]]

    @classmethod
    def from_keycloak(cls, users: Iterable[Mapping[str, Any]], groups: Iterable[Mapping[str, Any]]) -> State:
        """Return the state that the module ``keycloak_roster`` read."""
        member_of: dict[str, set[str]] = defaultdict(set)
        paths: dict[str, dict[str, str]] = {}
        for group in groups:
            paths[group["path"]] = _single(group.get("attributes"))
            for user in group["members"]:
                member_of[user].add(group["path"])
        accounts = tuple(
            Account(
                id=user["id"],
                username=user["username"],
                given_name=user.get("firstName") or "",
                family_name=user.get("lastName") or "",
                email=user.get("email") or "",
                enabled=bool(user.get("enabled")),
                attributes=_single(user.get("attributes")),
                groups=frozenset(member_of[user["id"]]),
            )
            for user in users
        )
        return cls(accounts, paths)


@dataclass(frozen=True)
class Change:
    """What becomes of one account that exists: how it is, and how it shall be."""

    before: Account
    after: Account

    @property
    def joined(self) -> frozenset[str]:
        """Paths of the groups it enters."""
        return self.after.groups - self.before.groups

    @property
    def left(self) -> frozenset[str]:
        """Paths of the groups it leaves."""
        return self.before.groups - self.after.groups

    @property
    def kind(self) -> str:
        """Which part of the plan it belongs to: ``leaving``, ``returning``, ``moved`` or ``changed``."""
        if self.after.leaving_since:
            return "leaving"
        if self.before.leaving_since:
            return "returning"
        return "moved" if self.before.classes != self.after.classes else "changed"

    @property
    def disables(self) -> bool:
        """Whether someone who can sign in no longer can."""
        return self.before.enabled and not self.after.enabled


@dataclass
class Plan:
    """What applying a class list would do.

    Attributes:
        new: people without an account, and the username each gets.
        changes: accounts that change, of every kind.
        untouched: how many accounts of this list stay as they are.
        active: how many accounts of this list can sign in now.
        groups: groups that are made or whose attributes change: path and attributes.
        refused: why the plan cannot be applied at all.
    """

    new: list[tuple[Person, str]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    untouched: int = 0
    active: int = 0
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Change]:
        """Return the changes of one kind, by name."""
        chosen = (change for change in self.changes if change.kind == kind)
        return sorted(chosen, key=lambda change: (sorted(change.after.classes), change.after.name))

    @property
    def is_empty(self) -> bool:
        """Whether applying it would change nothing."""
        return not (self.new or self.changes or self.groups)

    @property
    def disabled(self) -> int:
        """How many people who can sign in no longer could."""
        return sum(change.disables for change in self.changes)

    @property
    def is_mass_leave(self) -> bool:
        """Whether it would disable more than a tenth of the school."""
        return self.disabled > self.active * MASS_LEAVE_SHARE

    def operations(self, representations: Mapping[str, Mapping[str, Any]], temporary: bool) -> dict[str, Any]:
        """Return what the module ``keycloak_roster`` shall do.

        Args:
            representations: Keycloak's credential of each new account, by username.
            temporary: whether new people must choose a password of their own at their first sign-in.
        """
        return {
            "groups": [
                {"path": path, "attributes": _lists(own)} for path, own in sorted(self.groups.items())
            ],
            "create": [
                {
                    "username": username,
                    "enabled": True,
                    "firstName": person.given_name,
                    "lastName": person.family_name,
                    **({"email": person.email} if person.email else {}),
                    "attributes": _lists(self._attributes_of_new[username]),
                    "groups": sorted(_paths(person)),
                    "requiredActions": ["UPDATE_PASSWORD"] if temporary else [],
                    "credentials": [dict(representations[username])],
                }
                for person, username in self.new
            ],
            "update": [
                {
                    "id": change.after.id,
                    "user": _representation(change.after) if _differ(change) else None,
                    "join": sorted(change.joined),
                    "leave": sorted(change.left),
                }
                for change in self.changes
            ],
            "delete": [],
        }

    _attributes_of_new: dict[str, dict[str, str]] = field(default_factory=dict)


def make_plan(school: School, state: State, *, roster_list: str, today: datetime.date) -> Plan:
    """Return what applying a class list would do.

    Args:
        school: what the list says.
        state: what Keycloak has.
        roster_list: the name of the list; only accounts of this name can change.
        today: the day that ``leaving_since`` and ``ended`` would get.
    """
    plan = Plan()
    ours = [account for account in state.accounts if account.attributes.get("roster_source") == roster_list]
    plan.active = sum(account.enabled for account in ours)
    known = _recognise(school.people, ours)
    newcomers = [person for person in school.people if person.source_id not in known]
    _name_newcomers(newcomers, state, roster_list, plan)
    managed = {path for path, own in state.groups.items() if "roster_source" in own}
    managed |= {CLASS + name for name in school.classes}
    for person in school.people:
        if person.source_id in known:
            account = known[person.source_id]
            _note(plan, Change(account, _wanted(person, account, managed)))
    present = {account.id for account in known.values()}
    for account in ours:
        if account.id not in present:
            _note(plan, Change(account, _left(account, managed, today)))
    _plan_groups(school, state, roster_list, today, plan)
    return plan


def people_after(plan: Plan, state: State) -> list[dict[str, Any]]:
    """Return everybody the sign-in has once a plan is carried out, for applications that follow it.

    Returns:
        Of each account its ``username``, ``name``, ``email``, whether it is ``enabled``, its ``roles``, its
        ``classes`` and its ``classes_before``.
    """
    after = {change.after.id: change.after for change in plan.changes}
    told = [_told(after.get(account.id, account), account.classes) for account in state.accounts]
    for person, username in plan.new:
        own = Account(
            "", username, person.given_name, person.family_name, person.email, True, {}, frozenset()
        )
        told.append(_told(replace(own, groups=frozenset(_paths(person))), frozenset()))
    return told


def _told(account: Account, classes_before: frozenset[str]) -> dict[str, Any]:
    return {
        "username": account.username,
        "name": account.name or account.username,
        "email": account.email,
        "enabled": account.enabled,
        "roles": sorted(path.removeprefix(ROLE) for path in account.groups if path.startswith(ROLE)),
        "classes": sorted(account.classes),
        "classes_before": sorted(classes_before),
    }


def deletions(
    state: State, *, roster_list: str, keep_days: int, today: datetime.date
) -> tuple[list[Account], list[Account]]:
    """Return the leavers of a list who are due to be deleted, and those who are still kept.

    Args:
        state: what Keycloak has.
        roster_list: the name of the list.
        keep_days: for how many days a leaver's account is kept.
        today: the day it is.
    """
    due: list[Account] = []
    kept: list[Account] = []
    for account in state.accounts:
        if account.attributes.get("roster_source") != roster_list or account.enabled:
            continue
        try:
            since = datetime.date.fromisoformat(account.leaving_since)
        except ValueError:
            continue  # disabled by hand: not a leaver
        (due if (today - since).days >= keep_days else kept).append(account)
    return due, kept


def _recognise(people: Iterable[Person], ours: Iterable[Account]) -> dict[str, Account]:
    """Return the account of each person who has one, by ``source_id``."""
    by_eck = {account.attributes["eck_id"]: account for account in ours if account.attributes.get("eck_id")}
    known = {person.source_id: by_eck[person.eck_id] for person in people if person.eck_id in by_eck}
    taken = {account.id for account in known.values()}
    # An active account is preferred where two had the same number, which happens when a number is given out
    # again.
    free = sorted(
        (account for account in ours if account.id not in taken), key=lambda account: account.enabled
    )
    by_number = {account.attributes.get("roster_id", ""): account for account in free}
    for person in people:
        account = by_number.get(person.source_id)
        if person.source_id in known or account is None:
            continue
        if person.eck_id and account.attributes.get("eck_id"):
            continue  # the same number, but another person
        known[person.source_id] = account
    return known


def _name_newcomers(people: list[Person], state: State, roster_list: str, plan: Plan) -> None:
    """Give newcomers their usernames."""
    taken = {account.username.lower() for account in state.accounts}
    usable = []
    for person in sorted(people, key=usernames.order):
        if person.username in taken:
            plan.refused.append(Refusal(person.place, "username_taken", {"found": person.username}))
        elif not person.username and not usernames.base(person.given_name, person.family_name):
            plan.refused.append(Refusal(person.place, "no_letters", {"name": person.name}))
        else:
            usable.append(person)
    given = usernames.assign(usable, taken)
    for person in usable:
        username = given[person.source_id]
        plan.new.append((person, username))
        plan._attributes_of_new[username] = _attributes(person) | {"roster_source": roster_list}


def _attributes(person: Person) -> dict[str, str]:
    own = {"roster_id": person.source_id, "school_id": person.school_id, "eck_id": person.eck_id}
    return {name: value for name, value in own.items() if value}


def _paths(person: Person) -> set[str]:
    return {CLASS + name for name in person.classes} | {ROLE + role for role in person.roles}


def _wanted(person: Person, account: Account, managed: set[str]) -> Account:
    """Return how the account of someone on the list shall be.

    What the list does not say (no address, no school number) is left as it is, and so is an account that was
    disabled by hand.
    """
    attributes = {name: value for name, value in account.attributes.items() if name != "leaving_since"}
    ruled = {path for path in account.groups if path in managed or path.startswith(ROLE)}
    return replace(
        account,
        given_name=person.given_name,
        family_name=person.family_name,
        email=person.email or account.email,
        enabled=account.enabled or bool(account.leaving_since),
        attributes=attributes | _attributes(person),
        groups=frozenset((account.groups - ruled) | _paths(person)),
    )


def _left(account: Account, managed: set[str], today: datetime.date) -> Account:
    """Return how the account of someone who is no longer on the list shall be."""
    return replace(
        account,
        enabled=False,
        attributes={"leaving_since": today.isoformat(), **account.attributes},
        groups=frozenset(path for path in account.groups if not (path.startswith(CLASS) and path in managed)),
    )


def _note(plan: Plan, change: Change) -> None:
    if change.before == change.after:
        plan.untouched += 1
    else:
        plan.changes.append(change)


def _plan_groups(school: School, state: State, roster_list: str, today: datetime.date, plan: Plan) -> None:
    """Make missing groups, and mark classes that ended or began again."""
    members = Counter(path for account in state.accounts for path in account.groups)
    for change in plan.changes:
        members.subtract(change.left)
        members.update(change.joined)
    for person, _ in plan.new:
        members.update(_paths(person))
    wanted_roles = {ROLE + role for person, _ in plan.new for role in person.roles}
    wanted_roles |= {path for change in plan.changes for path in change.joined if path.startswith(ROLE)}
    for path in wanted_roles - set(state.groups):
        plan.groups[path] = {"school_group": f"role-{path.removeprefix(ROLE)}"}
    for name in school.classes:
        path = CLASS + name
        own = dict(state.groups.get(path, {}))
        # Applications are told these two attributes of someone's groups.
        begun = {"roster_source": roster_list} | own | {"class": name, "school_group": f"class-{name}"}
        begun.pop("ended", None)
        if path not in state.groups or begun != own:
            plan.groups[path] = begun
    for path, known in state.groups.items():
        ended = (
            path.startswith(CLASS) and path.removeprefix(CLASS) not in school.classes and not members[path]
        )
        if ended and known.get("roster_source") == roster_list and "ended" not in known:
            plan.groups[path] = {**known, "ended": today.isoformat()}


def _differ(change: Change) -> bool:
    return _representation(change.before) != _representation(change.after)


def _representation(account: Account) -> dict[str, Any]:
    return {
        "username": account.username,
        "firstName": account.given_name,
        "lastName": account.family_name,
        "email": account.email or None,
        "enabled": account.enabled,
        "attributes": _lists(account.attributes),
    }


def _single(attributes: Mapping[str, Any] | None) -> dict[str, str]:
    """Return attributes as single values; a second value of one is kept as it is written by hand."""
    return {name: "\n".join(values) for name, values in (attributes or {}).items()}


def _lists(attributes: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: value.split("\n") for name, value in attributes.items()}
