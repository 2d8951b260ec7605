"""Whose files go where: from the class list, and from what the school writes itself.

A school's own file has the columns ``kind``, ``source`` and ``target``:

- ``person``, an account of the old system, a username: where the rule of the settings does not hold;
- ``person``, nothing, a username (or an account, nothing): these files are not brought;
- ``library``, a SharePoint site, a shared drive or a folder, a folder at the target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.migrate.settings import Settings
from schoolstack.roster import usernames
from schoolstack.roster.files import Table, parse
from schoolstack.roster.model import Person
from schoolstack.roster.reader import read


@dataclass(frozen=True)
class Move:
    """Files that go from one place to another.

    Attributes:
        name: what it is called on disk and on screen: the username, or ``library-`` and its folder.
        kind: ``person`` or ``library``.
        source: the account, site, drive or folder at the source.
        account: the account at the target that they are written with.
        folder: where in its files; empty for the top.
        title: whose they are, as people say it.
    """

    name: str
    kind: str
    source: str
    account: str
    folder: str
    title: str


def moves(settings: Settings) -> list[Move]:
    """Return every move of a migration, people first.

    Raises:
        SchoolError: with one sentence for each thing that cannot be.
    """
    mapping = _Mapping(settings)
    found = [*mapping.people(), *mapping.libraries()]
    refusals = [*mapping.refusals, *_twice(found)]
    if not found and not refusals:
        refusals.append(say("migrate.mapping.nobody", path=settings.people["class_list"]))
    if refusals:
        raise SchoolError("\n".join(dict.fromkeys(refusals)))
    return found


class _Mapping:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.refusals: list[str] = []
        self.exceptions = self._table("exceptions", ("kind", "source", "target"))
        self._by_target: dict[str, str] = {}
        self._left_out: set[str] = set()
        school = read(
            settings.path(settings.people["class_list"]),
            map_name=settings.people.get("map", ""),
            own_usernames=settings.people.get("own_usernames", False),
        )
        self._usernames = self._accounts(school.people)
        self._people = [person for person in school.people if person.source_id in self._usernames]

    def _table(self, name: str, columns: tuple[str, ...]) -> Table:
        """Return a table of the settings; an empty one where they name none."""
        written = self.settings.people.get(name)
        if not written:
            return Table("", columns, ())
        path = self.settings.path(written)
        if not path.is_file():
            raise SchoolError(say("migrate.settings.no_file", path=path))
        return parse(path.name, path.read_bytes(), columns)

    def _accounts(self, people: tuple[Person, ...]) -> dict[str, str]:
        """Return everybody's username by their number at the administration."""
        table = self._table("accounts", ("number", "username"))
        if not table.file:
            named = [person for person in people if usernames.base(person.given_name, person.family_name)]
            return usernames.assign(named, ())
        known = {row.fields["number"]: row.fields["username"] for row in table.rows}
        for person in people:
            if person.source_id not in known:
                self.refusals.append(
                    say("migrate.mapping.no_account_yet", name=person.name, number=person.source_id)
                )
        return known

    def people(self) -> Iterator[Move]:
        """Yield a move for everybody whose files are brought."""
        self._read_exceptions()
        for person in self._people:
            username = self._usernames[person.source_id]
            if username in self._by_target:
                account = self._by_target.pop(username)
            else:
                values = {"email": person.email, "username": username, "number": person.school_id}
                account = self._named(person, username, values)
            if account and account.casefold() not in self._left_out:
                yield self._person(account, username, person.name)
        for username, account in self._by_target.items():
            # Accounts of people who are on no class list, which only the table of accounts knows.
            if username not in self._usernames.values():
                self.refusals.append(
                    say("migrate.mapping.unknown", username=username, file=self.exceptions.file)
                )
            elif account:
                yield self._person(account, username, username)

    def _named(self, person: Person, username: str, values: dict[str, str]) -> str:
        """Return a person's account at the source by the rule of the settings."""
        rule = self.settings.source["accounts"]
        missing = [name for name in re.findall(r"\{(\w+)\}", rule) if not values.get(name)]
        if missing:
            self.refusals.append(
                say("migrate.mapping.no_source", name=person.name, username=username, what=", ".join(missing))
            )
            return ""
        return str(rule.format(**values))

    def _person(self, account: str, username: str, title: str) -> Move:
        return Move(username, "person", account, username, self.settings.target["folder"].strip("/"), title)

    def _read_exceptions(self) -> None:
        for row in self.exceptions.rows:
            kind, source, target = (row.fields[name] for name in ("kind", "source", "target"))
            if kind not in ("person", "library") or not (source or target):
                self.refusals.append(say("migrate.mapping.kind", file=self.exceptions.file, line=row.line))
            elif kind == "person" and not target:
                self._left_out.add(source.casefold())
            elif kind == "person" and target in self._by_target:
                first = self._by_target[target]
                self.refusals.append(
                    say("migrate.mapping.two_sources", first=first, second=source, username=target)
                )
            elif kind == "person":
                self._by_target[target] = source

    def libraries(self) -> Iterator[Move]:
        """Yield a move for every shared library or drive."""
        writer = self.settings.target.get("libraries", "")
        for row in self.exceptions.rows:
            source, folder = row.fields["source"], row.fields["target"].strip("/")
            if row.fields["kind"] != "library":
                continue
            if not source or not folder:
                self.refusals.append(
                    say("migrate.mapping.library_half", file=self.exceptions.file, line=row.line)
                )
            elif not writer:
                self.refusals.append(say("migrate.mapping.no_writer", folder=folder))
            elif self.settings.source["kind"] == "google" and "administrator" not in self.settings.source:
                self.refusals.append(say("migrate.mapping.no_administrator", folder=folder))
            else:
                name = "library-" + re.sub(r"[^\w.-]+", "-", folder)
                yield Move(name, "library", source, writer, folder, folder)


def _twice(found: list[Move]) -> Iterator[str]:
    """Yield a sentence for each place that two moves share."""
    sources: dict[str, Move] = {}
    places: dict[tuple[str, str], Move] = {}
    names: dict[str, Move] = {}
    for move in found:
        first = sources.setdefault(move.source.casefold(), move)
        if first is not move:
            yield say("migrate.mapping.two_targets", source=move.source, first=first.name, second=move.name)
        place = (move.account, move.folder.casefold() if move.kind == "library" else "")
        other = places.setdefault(place, move)
        if other is not move and move.kind == "person":
            yield say(
                "migrate.mapping.two_sources", first=other.source, second=move.source, username=move.account
            )
        elif other is not move or names.setdefault(move.name, move) is not move:
            first = other if other is not move else names[move.name]
            yield say(
                "migrate.mapping.two_libraries", first=first.source, second=move.source, folder=move.folder
            )
