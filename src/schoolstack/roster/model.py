"""A school as its class list states it, whatever system exported the list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schoolstack.errors import SchoolError
from schoolstack.messages import say

ROLES = ("pupil", "teacher", "staff", "ict", "guardian")


@dataclass(frozen=True, order=True)
class Place:
    """Where in a class list something stands: a file, and a line and column where they are known."""

    file: str
    line: int = 0
    column: str = ""

    def __str__(self) -> str:
        """Return the place in the reader's language, such as ``users.csv, line 12, column givenName``."""
        parts = [self.file]
        if self.line:
            parts.append(say("roster.line", line=self.line))
        if self.column:
            parts.append(say("roster.column", column=self.column))
        return ", ".join(parts)


@dataclass(frozen=True)
class Refusal:
    """One thing that cannot be done as it stands.

    Attributes:
        place: where it stands in the class list.
        key: its sentence in the catalogue, below ``roster.refused``.
        values: what the sentence's placeholders stand for.
    """

    place: Place
    key: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return one sentence: the place, what is wrong, and the cure."""
        return f"{self.place}: {say(f'roster.refused.{self.key}', **self.values)}"


class RosterRefusedError(SchoolError):
    """A class list that is refused as a whole, with every reason found."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        """Keep the reasons, in the order of their places."""
        self.refusals = sorted(refusals, key=lambda refusal: refusal.place)
        super().__init__("\n".join(str(refusal) for refusal in self.refusals))


@dataclass(frozen=True)
class Person:
    """Someone on the class list.

    Attributes:
        source_id: the number by which the exporting system knows this person; unique in the list.
        given_name: the name they are called by.
        family_name: with its prefix (``van den Berg``).
        roles: what they are at school, of :data:`ROLES`.
        classes: names of the classes they are in or teach.
        place: where they stand in the list.
        eck_id: the ECK-iD of the Dutch school chain; when there is one, it identifies the person.
        school_id: the number people at school use for them. Never part of a username.
        email: their address; empty when the list names none.
        username: the username the list wants for them; empty when our own rule makes one.
    """

    source_id: str
    given_name: str
    family_name: str
    roles: frozenset[str]
    classes: frozenset[str]
    place: Place
    eck_id: str = ""
    school_id: str = ""
    email: str = ""
    username: str = ""

    @property
    def name(self) -> str:
        """The name as people say it."""
        return f"{self.given_name} {self.family_name}".strip()


@dataclass(frozen=True)
class School:
    """Everyone who is at school according to its class list, and its classes."""

    people: tuple[Person, ...]
    classes: frozenset[str]
