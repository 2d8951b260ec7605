"""Compare Nextcloud with the people of a school, and say what would change.

What a folder is for stands in Nextcloud itself, so there is no list beside it that could be lost: each class
folder was given, when it was made, to a group that names its school year and class
(``archive-2026-2027-3A``). That group has nobody in it until the folder is archived; then whoever was in the
class is put into it, and it may read. The group of the class (``class-3A``), which has other people by then,
is taken off the folder.

Rights within a class folder are given to roles, not to the class, so that archiving changes none of them:
nobody may do anything (the folder is made so) but those with a rule.

- Teachers and staff of the class may do everything.
- Pupils read, add and change, and neither delete nor share on: one bored pupil cannot empty the folder, what
  was written over comes back from its versions, and what is the class's stays with it.
- In the hand-in folder pupils see only the folder of their own name, where they add and change.

Nothing is ever deleted: no account, no group, no folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field, replace
from typing import Any

from schoolstack.classfolders.model import (
    ALL,
    CLASS,
    CREATE,
    FROM_SIGN_IN,
    KEEPER,
    READ,
    ROLE,
    UNLIMITED,
    UPDATE,
    Account,
    Folder,
    Person,
    Rule,
    State,
    Wishes,
    class_problem,
    user_problem,
    write_quota,
)

# Who teaches a class, or is there for it.
ADULTS = ("teacher", "staff")
PUPIL = "pupil"
WORK = READ | UPDATE | CREATE
# More than this share of the accounts, or of the class folders, does not go at once without being told to.
MASS_SHARE = 0.1


@dataclass(frozen=True)
class Notice:
    """Something the plan leaves alone, and why.

    Attributes:
        key: its sentence in the catalogue, below ``classfolders.notice``.
        values: what the sentence's placeholders stand for.
    """

    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Provision:
    """An account that is made, or told what is new of it."""

    person: Person
    quota: int
    before: Account | None


@dataclass(frozen=True)
class Archive:
    """A class folder that is archived.

    Attributes:
        folder: as it is.
        path: where it goes.
        members: who may read it from then on.
        gone: whether the class is no longer there, rather than its year over.
    """

    folder: Folder
    path: str
    members: frozenset[str]
    gone: bool


@dataclass(frozen=True)
class Work:
    """What is to be done to one folder so that it is as it shall be.

    Attributes:
        path: where it lies.
        folder: as it is; None for one that is made.
        returns: whether it comes back from the archive.
        closed: whether it is made so that nobody may do anything without a rule.
        quota: in bytes.
        groups: what each group shall be able to do at most, in the order in which they are let in.
        rules: the advanced permissions that are missing, by path within it, parents first.
    """

    path: str
    folder: Folder | None
    returns: bool
    closed: bool
    quota: int
    groups: Mapping[str, int]
    rules: Mapping[str, frozenset[Rule]]

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        has = self.folder
        return (
            has is None
            or has.path != self.path
            or bool(self.rules)
            or (self.closed and not has.advanced)
            or has.quota != self.quota
            or any(has.groups.get(group) != rights for group, rights in self.groups.items())
        )


@dataclass
class Plan:
    """What carrying it out would do.

    Attributes:
        groups: groups that are made.
        accounts: accounts that are made or changed.
        disabled: accounts that can be used no longer.
        enabled: accounts that can be used again.
        joined: by group, who enters it.
        left: by group, who leaves it.
        archives: class folders that are archived.
        works: folders that are made, come back, or are changed.
        notices: what is left alone, and why.
        active: how many accounts can be used now.
        class_folders: how many class folders are in use now.
        untouched: how many people stay as they are.
        keeper_joins: whether automation's own account is put into its own group.
    """

    groups: list[str] = field(default_factory=list)
    accounts: list[Provision] = field(default_factory=list)
    disabled: list[Account] = field(default_factory=list)
    enabled: list[Account] = field(default_factory=list)
    joined: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    left: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    archives: list[Archive] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    active: int = 0
    class_folders: int = 0
    untouched: int = 0
    keeper_joins: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether carrying it out would change nothing."""
        return not self.count

    @property
    def count(self) -> int:
        """How many things it would change."""
        lists: tuple[Sized, ...] = (
            self.groups,
            self.accounts,
            self.disabled,
            self.enabled,
            self.archives,
            self.works,
            *self.joined.values(),
            *self.left.values(),
        )
        return sum(map(len, lists)) + self.keeper_joins

    @property
    def gone(self) -> int:
        """How many classes that have a folder are no longer there."""
        return sum(archive.gone for archive in self.archives)

    @property
    def is_mass_removal(self) -> bool:
        """Whether more than a tenth of the accounts, or of the classes and more than one, would go."""
        classes = self.gone > 1 and self.gone > self.class_folders * MASS_SHARE
        return classes or len(self.disabled) > self.active * MASS_SHARE

    def operations(self, provider: int) -> list[list[list[list[Any]]]]:
        """Return what the module ``nextcloud_roster`` shall do, in phases that follow one another.

        A phase is a list of steps that need not wait for each other; a step is a list of actions that do.
        Whoever is in a class is noted for its archived folder before anybody is put into another class.

        Args:
            provider: the number by which user_oidc knows the school's sign-in.
        """
        return [
            [[["group", group]] for group in self.groups],
            [[["join", KEEPER, KEEPER]]] if self.keeper_joins else [],
            [_archiving(archive) for archive in self.archives],
            [[["disable", account.id]] for account in self.disabled]
            + [[["enable", account.id]] for account in self.enabled]
            + [[["account", _representation(one, provider)]] for one in self.accounts],
            [
                [["leave", user, group] for group, users in sorted(self.left.items()) if user in users]
                + [["join", user, group] for group, users in sorted(self.joined.items()) if user in users]
                for user in sorted(
                    {user for users in [*self.joined.values(), *self.left.values()] for user in users}
                )
            ],
            [[["folder", _described(work)]] for work in self.works],
        ]


def make_plan(people: Iterable[Person], state: State, wishes: Wishes) -> Plan:
    """Return what would change.

    Args:
        people: everybody the sign-in has, or will have when the class list has been carried out.
        state: what Nextcloud has.
        wishes: what the school wants.
    """
    plan = Plan()
    plan.active = sum(one.enabled and one.backend == FROM_SIGN_IN for one in state.accounts.values())
    people = list(people)
    for name in sorted({name for person in people for name in person.classes}):
        if why := class_problem(name, wishes):
            plan.notices.append(Notice("class_name", {"name": name, "why": why}))
            people = [replace(one, classes=one.classes - {name}) for one in people]
    mine = _plan_accounts(people, state, wishes, plan)
    members: dict[str, list[Person]] = defaultdict(list)
    for person in mine:
        for name in person.classes if person.enabled else ():
            members[name].append(person)
    _plan_class_folders(members, mine, state, wishes, plan)
    _plan_teachers_room(state, wishes, plan)
    _plan_groups(state, plan)
    return plan


def rules_of(hand_in: str, pupils: Iterable[str] = ()) -> dict[str, frozenset[Rule]]:
    """Return the advanced permissions of a class folder, by path within it, parents first.

    All rules of one path that concern somebody are taken together there, and what one gives no other takes.
    So on the folder of one pupil the rule of all pupils takes everything, and that of the one gives it back.

    Args:
        hand_in: how the hand-in folder is called.
        pupils: who has a folder in it.
    """
    adults = {Rule("group", ROLE + role, ALL, ALL) for role in ADULTS}
    every_pupil = ROLE + PUPIL
    return {
        "": frozenset(adults | {Rule("group", KEEPER, ALL, ALL), Rule("group", every_pupil, ALL, WORK)}),
        hand_in: frozenset(adults | {Rule("group", every_pupil, ALL, READ)}),
        **{
            f"{hand_in}/{pupil}": frozenset(
                adults | {Rule("group", every_pupil, ALL, 0), Rule("user", pupil, ALL, WORK)}
            )
            for pupil in sorted(pupils)
        },
    }


def _plan_accounts(people: Iterable[Person], state: State, wishes: Wishes, plan: Plan) -> list[Person]:
    """Plan accounts, and who is in which group; return the people who have, or get, one."""
    mine = []
    known = set()
    for person in people:
        allowed = [wishes.quotas[role] for role in person.roles if role in wishes.quotas]
        account = state.accounts.get(person.username)
        if not allowed or (account is None and not person.enabled):
            continue
        if user_problem(person.username):
            plan.notices.append(Notice("username", {"name": person.name, "username": person.username}))
            continue
        if account and account.backend != FROM_SIGN_IN:
            plan.notices.append(Notice("local", {"name": person.name, "username": person.username}))
            continue
        known.add(person.username)
        mine.append(person)
        before = plan.count
        _plan_account(person, account, UNLIMITED if UNLIMITED in allowed else max(allowed), plan)
        plan.untouched += plan.count == before
    for account in state.accounts.values():
        if account.backend == FROM_SIGN_IN and account.id not in known:
            _note_groups(account.id, account.groups, set(), plan)
            if account.enabled:
                plan.disabled.append(account)
    return mine


def _plan_account(person: Person, account: Account | None, quota: int, plan: Plan) -> None:
    wanted = {ROLE + role for role in person.roles} | {CLASS + name for name in person.classes}
    _note_groups(person.username, account.groups if account else frozenset(), wanted, plan)
    if account is None:
        plan.accounts.append(Provision(person, quota, None))
        return
    if account.enabled != person.enabled:
        (plan.enabled if person.enabled else plan.disabled).append(account)
    # Who may not come in keeps what they have as it is.
    differs = account.name != person.name or account.quota != quota
    if person.enabled and (differs or (person.email and account.email != person.email)):
        plan.accounts.append(Provision(person, quota, account))


def _note_groups(user: str, has: frozenset[str], wanted: set[str], plan: Plan) -> None:
    """Note which groups somebody enters and leaves; only those of classes and roles are ours."""
    ours = {group for group in has if group.startswith((CLASS, ROLE))}
    for group in wanted - ours:
        plan.joined[group].add(user)
    for group in ours - wanted:
        plan.left[group].add(user)


def _plan_groups(state: State, plan: Plan) -> None:
    # Those that permissions name have to be there: Nextcloud leaves out those of a group it does not know.
    wanted = {KEEPER, ROLE + PUPIL, *(ROLE + role for role in ADULTS)}
    wanted |= set(plan.joined) | {group for work in plan.works for group in work.groups}
    plan.groups = sorted(wanted - state.groups)
    keeper = state.accounts.get(KEEPER)
    plan.keeper_joins = keeper is not None and KEEPER not in keeper.groups


def _plan_class_folders(
    members: Mapping[str, list[Person]], mine: Iterable[Person], state: State, wishes: Wishes, plan: Plan
) -> None:
    ours = [folder for folder in state.folders if folder.mark]
    current: dict[str, Folder] = {}
    archived: dict[str, Folder] = {}
    paths = {folder.path: folder for folder in state.folders}
    going = []
    for folder in ours:
        name = folder.class_name
        if CLASS + name not in folder.groups and folder.path != wishes.folder_of(name):
            if folder.year == wishes.year:
                archived[name] = folder
            continue
        plan.class_folders += 1
        gone = name not in members
        if gone or folder.year < wishes.year or name in current:
            going.append((folder, gone and folder.year >= wishes.year))
        else:
            current[name] = folder
    for folder, gone in going:
        was_there = {one.username for one in mine if folder.class_name in one.classes_before}
        members_now = {one.id for one in state.accounts.values() if CLASS + folder.class_name in one.groups}
        readers = frozenset(
            user
            for user in was_there | members_now
            if user in state.accounts and folder.mark not in state.accounts[user].groups
        )
        path = _free(wishes.archived(folder.year, wishes.folder_of(folder.class_name)), paths, folder)
        paths.pop(folder.path, None)
        paths[path] = folder
        plan.archives.append(Archive(folder, path, readers, gone))
    for name, people in sorted(members.items()):
        if not any(set(ADULTS) & person.roles for person in people):
            plan.notices.append(Notice("no_teacher", {"name": name}))
        found = current.get(name) or archived.get(name)
        path = wishes.folder_of(name)
        taken = paths.get(path)
        if taken and taken is not found:
            # What a run that was cut off left has nobody in it yet.
            if set(taken.groups) - {KEEPER} or taken.size:
                plan.notices.append(Notice("taken", {"path": path, "name": name}))
                continue
            found = taken
        _plan_class_folder(name, people, found, name not in current and name in archived, state, wishes, plan)


def _plan_class_folder(
    name: str,
    people: Iterable[Person],
    found: Folder | None,
    returns: bool,
    state: State,
    wishes: Wishes,
    plan: Plan,
) -> None:
    """Plan one class's folder.

    Args:
        name: of the class.
        people: who is in it.
        found: its folder, where there is one.
        returns: whether that comes back from the archive.
        state: what Nextcloud has.
        wishes: what the school wants.
        plan: to which the work is added.
    """
    pupils = [one.username for one in people if PUPIL in one.roles]
    has = found.rules if found else {}
    mark = found.mark if found and found.mark else wishes.mark_of(name)
    missing = {
        path: rules
        for path, rules in rules_of(wishes.hand_in, pupils).items()
        if has.get(path, frozenset()) != rules
    }
    work = Work(
        path=wishes.folder_of(name),
        folder=found,
        returns=returns,
        closed=True,
        quota=wishes.class_quota,
        # The class comes last: nobody sees a folder before its permissions are there.
        groups={KEEPER: ALL, mark: READ, CLASS + name: ALL},
        rules=missing,
    )
    if work.is_needed:
        plan.works.append(work)
    if returns:
        # Who is still in the class reads it as its member.
        for account in state.accounts.values():
            if mark in account.groups:
                plan.left[mark].add(account.id)


def _plan_teachers_room(state: State, wishes: Wishes, plan: Plan) -> None:
    if not wishes.teachers_room:
        return
    groups = {ROLE + role: ALL for role in ADULTS}
    found = next((folder for folder in state.folders if folder.path == wishes.teachers_room), None)
    if found and not set(groups) & set(found.groups) and (found.groups or found.size):
        plan.notices.append(Notice("taken_room", {"path": wishes.teachers_room}))
        return
    work = Work(wishes.teachers_room, found, False, False, wishes.teachers_quota, groups, {})
    if work.is_needed:
        plan.works.append(work)


def _free(path: str, taken: Mapping[str, Folder], folder: Folder) -> str:
    """Return the path, with a number behind it where another folder lies there."""
    free, number = path, 2
    while free in taken and taken[free] is not folder:
        free, number = f"{path} ({number})", number + 1
    return free


def _archiving(archive: Archive) -> list[list[Any]]:
    """Return the actions that archive a folder, in an order in which they may be cut off anywhere."""
    mark = archive.folder.mark
    joins = [["join", user, mark] for user in sorted(archive.members)]
    groups = [group for group in archive.folder.groups if group != KEEPER]
    described = {
        "id": archive.folder.id,
        "reads": [group for group in groups if not group.startswith(CLASS)],
        "leaves": [group for group in groups if group.startswith(CLASS)],
        "path": archive.path,
    }
    return [*joins, ["archive", described]]


def _representation(one: Provision, provider: int) -> dict[str, Any]:
    """Return an account as user_oidc takes it."""
    return {
        "providerId": provider,
        "userId": one.person.username,
        "displayName": one.person.name,
        "email": one.person.email or None,
        "quota": write_quota(one.quota),
    }


def _described(work: Work) -> dict[str, Any]:
    """Return what is to be done to a folder, as the module takes it."""
    has = work.folder
    groups = {
        group: rights
        for group, rights in work.groups.items()
        if has is None or has.groups.get(group) != rights
    }
    return {
        "id": has.id if has else None,
        "path": work.path,
        "renamed": has is not None and has.path != work.path,
        "closed": work.closed,
        "advanced": work.closed and not (has and has.advanced),
        "quota": None if has and has.quota == work.quota else work.quota,
        "known": list(has.groups) if has else [],
        "groups": list(groups.items()),
        "rules": [
            {"path": path, "rules": [vars(rule) for rule in sorted(rules)]}
            for path, rules in work.rules.items()
        ],
    }
