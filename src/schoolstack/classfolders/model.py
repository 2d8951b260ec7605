"""What a plan for Nextcloud depends on: the people, what is there, what the school wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schoolstack.errors import SchoolError
from schoolstack.messages import say

CLASS = "class-"
ROLE = "role-"
# Groups of those who may read a class folder of a past year. The sign-in does not know them, and takes nobody
# out of them.
ARCHIVE = "archive-"
# The account that automation has, and its group: whoever looks after folders must see them.
KEEPER = "schoolstack"
# What Nextcloud calls the accounts that come from the sign-in (user_oidc, Application::APP_ID).
FROM_SIGN_IN = "user_oidc"

# OCP\Constants of Nextcloud: what one may do with a folder.
READ, UPDATE, CREATE, DELETE, SHARE = 1, 2, 4, 8, 16
ALL = READ | UPDATE | CREATE | DELETE | SHARE
# What Nextcloud's groupfolders and accounts call a quota that there is none of (FileInfo::SPACE_UNLIMITED).
UNLIMITED = -3

UNITS = {"MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
QUOTA = re.compile(r"([1-9]\d{0,2}|10[01]\d|102[0-3]) (MB|GB|TB)")


def parse_quota(text: str) -> int:
    """Return a quota in bytes, :data:`UNLIMITED` for ``none``.

    Nextcloud writes a quota in its largest whole unit with one decimal, so that 1500 MB would become 1.5 GB,
    which is more: what it cannot keep as it stands is refused.

    Raises:
        SchoolError: it is no quota that Nextcloud keeps.
    """
    if text == "none":
        return UNLIMITED
    found = QUOTA.fullmatch(text)
    if not found:
        raise SchoolError(say("classfolders.bad_quota", found=text))
    return int(found[1]) * UNITS[found[2]]


def write_quota(quota: int) -> str:
    """Return a quota as Nextcloud takes it: the opposite of :func:`parse_quota`."""
    if quota == UNLIMITED:
        return "none"
    unit = next(unit for unit in ("TB", "GB", "MB") if quota >= UNITS[unit])
    return f"{quota // UNITS[unit]} {unit}"


@dataclass(frozen=True)
class Person:
    """Somebody as the sign-in has, or will have, them.

    Attributes:
        username: which is the user id in Nextcloud as well.
        name: as people say it.
        email: empty where there is none.
        enabled: whether they may sign in.
        roles: at school.
        classes: which they are in or teach.
        classes_before: the same, before the class list at hand.
    """

    username: str
    name: str
    email: str
    enabled: bool
    roles: frozenset[str]
    classes: frozenset[str]
    classes_before: frozenset[str]

    @classmethod
    def from_plan(cls, told: Mapping[str, Any]) -> Person:
        """Return the person that :func:`schoolstack.roster.plan.people_after` tells of."""
        return cls(
            username=told["username"],
            name=told["name"],
            email=told["email"],
            enabled=told["enabled"],
            roles=frozenset(told["roles"]),
            classes=frozenset(told["classes"]),
            classes_before=frozenset(told["classes_before"]),
        )


@dataclass(frozen=True)
class Account:
    """An account of Nextcloud.

    Attributes:
        id: the user id.
        name: as it is shown.
        email: empty where there is none.
        enabled: whether it may be used.
        backend: where it comes from, :data:`FROM_SIGN_IN` for those that are ours.
        quota: in bytes.
        groups: every group it is in.
    """

    id: str
    name: str
    email: str
    enabled: bool
    backend: str
    quota: int
    groups: frozenset[str]


@dataclass(frozen=True, order=True)
class Rule:
    """An advanced permission: of the rights in ``mask``, those in ``permissions`` are given, others taken."""

    kind: str
    id: str
    mask: int
    permissions: int


@dataclass(frozen=True)
class Folder:
    """A group folder.

    Attributes:
        id: its number.
        path: where people see it.
        quota: in bytes.
        size: what is in it, in bytes.
        advanced: whether it has advanced permissions.
        groups: what each group may do at most.
        rules: the advanced permissions of a class folder in use, by path within it; ``""`` is the folder
            itself.
    """

    id: int
    path: str
    quota: int
    size: int
    advanced: bool
    groups: Mapping[str, int]
    rules: Mapping[str, frozenset[Rule]]

    @property
    def year(self) -> str:
        """The school year it was made for, such as ``2026-2027``; empty where it is none of ours."""
        return self.mark[len(ARCHIVE) : len(ARCHIVE) + 9]

    @property
    def mark(self) -> str:
        """The group that says for which class and year it was made; empty where there is none."""
        return next((group for group in self.groups if group.startswith(ARCHIVE)), "")

    @property
    def class_name(self) -> str:
        """The class it was made for; empty where it is none of ours."""
        return self.mark[len(ARCHIVE) + 10 :]


@dataclass(frozen=True)
class State:
    """Everything in Nextcloud that a plan depends on."""

    accounts: Mapping[str, Account]
    groups: frozenset[str]
    folders: tuple[Folder, ...]

    @classmethod
    def from_nextcloud(cls, found: Mapping[str, Any]) -> State:
        """Return the state that the module ``nextcloud_roster`` read."""
        accounts = {
            one["id"]: Account(
                id=one["id"],
                name=one["name"],
                email=one["email"],
                enabled=one["enabled"],
                backend=one["backend"],
                quota=one["quota"],
                groups=frozenset(one["groups"]),
            )
            for one in found["accounts"]
        }
        folders = tuple(
            Folder(
                id=one["id"],
                path=one["path"],
                quota=one["quota"],
                size=one["size"],
                advanced=one["advanced"],
                groups=one["groups"],
                rules={path: frozenset(Rule(**rule) for rule in own) for path, own in one["rules"].items()},
            )
            for one in found["folders"]
        )
        return cls(accounts, frozenset(found["groups"]), folders)


@dataclass(frozen=True)
class Wishes:
    """What a school wants of its folders.

    Attributes:
        year: the school year it is, such as ``2026-2027``.
        quotas: in bytes, by role; who has none of these roles gets no account.
        class_quota: of a class folder, in bytes.
        teachers_quota: of the teachers' room, in bytes.
        class_folder: how a class folder is called; ``{class}`` is the class.
        hand_in: how the folder in it is called where pupils hand in.
        teachers_room: how the folder of teachers and staff is called; none is made when empty.
        archive: where the class folders of a past year go; ``{year}`` and ``{folder}``.
    """

    year: str
    quotas: Mapping[str, int]
    class_quota: int
    teachers_quota: int
    class_folder: str
    hand_in: str
    teachers_room: str
    archive: str

    @classmethod
    def from_options(cls, options: Mapping[str, Any], year: str) -> Wishes:
        """Return the wishes that the role's variables state.

        Raises:
            SchoolError: one of them cannot be.
        """
        wishes = cls(
            year=options["school_year"] or year,
            quotas={role: parse_quota(quota) for role, quota in options["quotas"].items()},
            class_quota=parse_quota(options["class_quota"]),
            teachers_quota=parse_quota(options["teachers_quota"]),
            class_folder=options["class_folder"],
            hand_in=options["hand_in"],
            teachers_room=options["teachers_room"],
            archive=options["archive"],
        )
        begin, _, end = wishes.year.partition("-")
        if not re.fullmatch(r"\d{4}-\d{4}", wishes.year) or int(end) != int(begin) + 1:
            raise SchoolError(say("classfolders.bad_year", found=wishes.year))
        for text, holders in (
            (wishes.class_folder, ("{class}",)),
            (wishes.archive, ("{year}", "{folder}")),
        ):
            if not all(holder in text for holder in holders):
                raise SchoolError(say("classfolders.bad_pattern", found=text, wanted=", ".join(holders)))
        for name in (wishes.hand_in, wishes.teachers_room):
            if name and (why := folder_problem(name)):
                raise SchoolError(say("classfolders.bad_folder", found=name, why=why))
        return wishes

    def folder_of(self, class_name: str) -> str:
        """Return how the folder of a class is called."""
        return self.class_folder.replace("{class}", class_name)

    def archived(self, year: str, folder: str) -> str:
        """Return where the folder of a class goes when its year is over."""
        return self.archive.replace("{year}", year).replace("{folder}", folder)

    def mark_of(self, class_name: str) -> str:
        """Return the group that says for which class and year a folder was made."""
        return f"{ARCHIVE}{self.year}-{class_name}"


# Nextcloud's own limit of a group's id (column gid of oc_groups).
MAX_GROUP_CHARS = 64
MAX_FOLDER_CHARS = 250
USER_ID = re.compile(r"[a-zA-Z0-9 _.@'-]{1,64}")


def user_problem(username: str) -> bool:
    """Return whether Nextcloud can have no account of that name (lib/private/User/Manager.php upstream)."""
    return not USER_ID.fullmatch(username) or username.strip() != username or set(username) <= {"."}


def folder_problem(name: str) -> str:
    """Return what a folder's name may not hold, empty where all is well.

    These signs no Windows can write, and Nextcloud's sync client would leave such a folder out.
    """
    bad = sorted({sign for sign in name if sign in '\\/:*?"<>|' or not sign.isprintable()})
    if bad:
        return " ".join(bad)
    if name != name.strip() or name.endswith(".") or not name or len(name) > MAX_FOLDER_CHARS:
        return say("classfolders.name_ends")
    return ""


def class_problem(class_name: str, wishes: Wishes) -> str:
    """Return why Nextcloud can have no group or folder of a class, empty where all is well."""
    longest = MAX_GROUP_CHARS - len(wishes.mark_of(""))
    if len(class_name) > longest:
        return say("classfolders.name_long", limit=longest)
    return folder_problem(wishes.folder_of(class_name))
