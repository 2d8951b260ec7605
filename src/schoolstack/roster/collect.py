"""Gather people from a class list of any shape, and refuse those who cannot be taken as they stand."""

from __future__ import annotations

import datetime
import re

from schoolstack.roster.files import is_readable_name
from schoolstack.roster.model import Person, Place, Refusal, RosterRefusedError, School

# Keycloak's own limit for names, groups and attributes.
MAX_NAME_CHARS = 255
# No one at school began, or will leave, outside these years: a date beyond them is a typing error.
YEARS = range(1950, 2100)
DATE_FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Collector:
    """Takes people one by one; at the end gives the school, or every reason why not."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.refusals: list[Refusal] = []
        self._people: list[Person] = []
        self._classes: dict[str, Place] = {}
        self._seen: dict[tuple[str, str], Place] = {}

    def refuse(self, place: Place, key: str, **values: object) -> None:
        """Note one reason; the list is refused as a whole at the end."""
        self.refusals.append(Refusal(place, key, values))

    def once(self, kind: str, value: str, place: Place) -> bool:
        """Tell whether a value that must be unique is seen for the first time, and refuse it otherwise."""
        first = self._seen.setdefault((kind, value), place)
        if first is not place:
            self.refuse(place, "duplicate", value=value, line=first.line)
        return first is place

    def date(self, text: str, place: Place) -> datetime.date | None:
        """Return a date, or nothing for an empty field or one that was refused."""
        if not text:
            return None
        for form in DATE_FORMATS:
            try:
                day = datetime.datetime.strptime(text[:10], form).date()
            except ValueError:
                continue
            if day.year in YEARS:
                return day
        self.refuse(place, "date", found=text[:40])
        return None

    def class_name(self, text: str, place: Place) -> str:
        """Return the name that a class's group gets, or nothing when it was refused.

        A slash would read as a subgroup in Keycloak's paths, so ``1/2A`` becomes ``1-2A``.
        """
        name = re.sub(r"\s+", " ", text.replace("/", "-")).strip()
        if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
            self.refuse(place, "class_name")
            return ""
        return name

    def add_class(self, name: str, place: Place) -> None:
        """Note that a class exists."""
        self._classes.setdefault(name, place)

    def add(self, person: Person, columns: dict[str, str]) -> None:
        """Take one person.

        Args:
            person: who they are.
            columns: how the list calls ``source_id``, ``given_name``, ``family_name``, ``eck_id``, ``email``
            and
                ``username``, for refusals.
        """

        def at(what: str) -> Place:
            return Place(person.place.file, person.place.line, columns.get(what, ""))

        before = len(self.refusals)
        if not person.source_id:
            self.refuse(at("source_id"), "no_id")
        else:
            self.once("source_id", person.source_id, at("source_id"))
        if person.eck_id:
            self.once("eck_id", person.eck_id, at("eck_id"))
        if not person.name:
            self.refuse(at("given_name"), "no_name")
        for what, name in (("given_name", person.given_name), ("family_name", person.family_name)):
            if not is_readable_name(name):
                self.refuse(at(what), "unreadable_name", name=name)
            elif len(name) > MAX_NAME_CHARS:
                self.refuse(at(what), "long_name", limit=MAX_NAME_CHARS)
        if person.email and not EMAIL.fullmatch(person.email):
            self.refuse(at("email"), "email", found=person.email)
        if person.username:
            self._check_username(person, at("username"))
        if len(self.refusals) == before:
            self._people.append(person)

    def _check_username(self, person: Person, place: Place) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{2,63}", person.username):
            self.refuse(place, "username", found=person.username)
        elif person.username in {person.school_id.lower(), person.source_id.lower(), person.eck_id.lower()}:
            self.refuse(place, "username_is_number")
        else:
            self.once("username", person.username, place)

    def school(self, file: str) -> School:
        """Return the school.

        Args:
            file: the list as a whole, for refusals.

        Raises:
            RosterRefusedError: when anything was refused, or nobody is left.
        """
        if not self.refusals and not self._people:
            self.refuse(Place(file), "nobody")
        if self.refusals:
            raise RosterRefusedError(self.refusals)
        return School(tuple(self._people), frozenset(self._classes))
