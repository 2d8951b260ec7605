"""Read OneRoster 1.1 and 1.2 in its CSV form (1EdTech, "OneRoster: CSV Binding"): bulk files, zipped or not.

Which file holds what:

* people are the rows of ``users.csv``; their role is a column there in 1.1 and rows of ``roles.csv`` in 1.2;
* classes are the rows of ``classes.csv``; where some are home rooms, only those become class groups, since
  the others are lessons;
* who is in which class is in ``enrollments.csv``.

Rows marked ``tobedeleted``, people with ``enabledUser`` false, and what ended before today, count as gone.
"""

from __future__ import annotations

import datetime
import re
import zipfile
from collections import defaultdict
from pathlib import Path

from schoolstack.roster.collect import Collector
from schoolstack.roster.files import MAX_FILE_BYTES, Row, Table, parse
from schoolstack.roster.model import Person, Place, Refusal, RosterRefusedError, School

VERSIONS = ("1.1", "1.2")
# RoleEnum of 1.1 (section "users.csv") and of 1.2 (section "roles.csv"), and what each is at our school.
# An "administrator" runs a school; who runs its ICT is only sure from 1.2's systemAdministrator.
ROLES = {
    "student": "pupil",
    "teacher": "teacher",
    "administrator": "staff",
    "aide": "staff",
    "counselor": "staff",
    "districtAdministrator": "staff",
    "principal": "staff",
    "proctor": "staff",
    "siteAdministrator": "staff",
    "systemAdministrator": "ict",
    "guardian": "guardian",
    "parent": "guardian",
    "relative": "guardian",
}
# Where an ECK-iD begins, whatever the type under which ``userIds`` lists it.
ECK_PREFIX = "https://ketenid.nl/"
NAMES = {
    "source_id": "sourcedId",
    "given_name": "givenName",
    "family_name": "familyName",
    "eck_id": "userIds",
    "email": "email",
    "username": "username",
}


def is_oneroster(path: Path) -> bool:
    """Tell whether a path looks like OneRoster rather than a single table."""
    return path.is_dir() or path.suffix.lower() == ".zip"


def read(path: Path, today: datetime.date, *, own_usernames: bool = False) -> School:
    """Return the school of a OneRoster export.

    Args:
        path: its folder or zip.
        today: the day against which dates of beginning and end are held.
        own_usernames: take the usernames of ``users.csv`` instead of making our own.

    Raises:
        RosterRefusedError: when it is not complete and correct, with every reason found.
    """
    return _Export(path, today, own_usernames).school()


class _Export:
    def __init__(self, path: Path, today: datetime.date, own_usernames: bool) -> None:
        self.name = path.name
        self.today = today
        self.own_usernames = own_usernames
        self.files = _from_folder(path) if path.is_dir() else _from_zip(path)
        self.collector = Collector()
        self.manifest = self._manifest()
        self.version = self.manifest["oneroster.version"]

    def school(self) -> School:
        users = self._table("users", "sourcedId", "givenName", "familyName", *self._role_columns())
        if not users.rows:
            raise RosterRefusedError([Refusal(Place(users.file, 1), "no_rows")])
        known = {row.fields["sourcedId"] for row in users.rows}
        classes = self._classes()
        members = self._members(known, classes)
        roles = self._roles(known)
        for row in users.rows:
            if self._active(row) and self._flag(row, users.file):
                self._add(row, users.file, members, roles)
        return self.collector.school(self.name)

    def _role_columns(self) -> tuple[str, ...]:
        return ("role",) if self.version == "1.1" else ()

    def _manifest(self) -> dict[str, str]:
        if "manifest.csv" not in self.files:
            raise RosterRefusedError([Refusal(Place(self.name), "no_manifest")])
        table = parse("manifest.csv", self.files["manifest.csv"], ("propertyName", "value"), ",")
        manifest = {row.fields["propertyName"]: row.fields["value"] for row in table.rows}
        version = manifest.get("oneroster.version", "")
        if version not in VERSIONS:
            place = Place("manifest.csv", _line(table, "oneroster.version"), "value")
            values = {"found": version, "known": ", ".join(VERSIONS)}
            raise RosterRefusedError([Refusal(place, "oneroster_version", values)])
        delta = [
            Refusal(Place("manifest.csv", _line(table, f"file.{name}"), "value"), "delta", {"name": name})
            for name in ("users", "classes", "enrollments", "roles")
            if manifest.get(f"file.{name}") == "delta"
        ]
        if delta:
            raise RosterRefusedError(delta)
        return manifest

    def _table(self, name: str, *columns: str) -> Table:
        file = f"{name}.csv"
        if file not in self.files:
            raise RosterRefusedError([Refusal(Place(self.name), "no_file", {"name": file})])
        return parse(file, self.files[file], columns, ",")

    def _optional(self, name: str, *columns: str) -> Table | None:
        """Return a table that the manifest may declare absent."""
        wanted = self.manifest.get(f"file.{name}", "absent") != "absent"
        return self._table(name, *columns) if wanted or f"{name}.csv" in self.files else None

    def _active(self, row: Row) -> bool:
        return row.fields.get("status", "") != "tobedeleted"

    def _flag(self, row: Row, file: str) -> bool:
        value = row.fields.get("enabledUser", "").lower()
        if value not in ("", "true", "false", "1", "0"):
            self.collector.refuse(Place(file, row.line, "enabledUser"), "true_false", found=value)
        return value not in ("false", "0")

    def _current(self, row: Row, file: str) -> bool:
        """Tell whether a row has not ended; what begins later counts, so that a new year can be prepared."""
        begin = self.collector.date(row.fields.get("beginDate", ""), Place(file, row.line, "beginDate"))
        end = self.collector.date(row.fields.get("endDate", ""), Place(file, row.line, "endDate"))
        if begin and end and end < begin:
            self.collector.refuse(Place(file, row.line, "endDate"), "ends_before_begin")
        return self._active(row) and (end is None or end >= self.today)

    def _classes(self) -> dict[str, str]:
        """Return the group name of every class by its id; empty for lessons and for classes that are gone."""
        table = self._optional("classes", "sourcedId", "title")
        if table is None:
            return {}
        active = [row for row in table.rows if self._active(row)]
        homerooms = any(row.fields.get("classType") == "homeroom" for row in active)
        classes = dict.fromkeys((row.fields["sourcedId"] for row in table.rows), "")
        for row in active:
            place = Place(table.file, row.line, "sourcedId")
            if not self.collector.once("class", row.fields["sourcedId"], place):
                continue
            if homerooms and row.fields.get("classType") != "homeroom":
                continue
            at_title = Place(table.file, row.line, "title")
            name = self.collector.class_name(row.fields["title"], at_title)
            if name and self.collector.once("class_name", name.casefold(), at_title):
                classes[row.fields["sourcedId"]] = name
                self.collector.add_class(name, at_title)
        return classes

    def _members(self, users: set[str], classes: dict[str, str]) -> dict[str, set[str]]:
        """Return the classes of every person."""
        members: dict[str, set[str]] = defaultdict(set)
        table = self._optional("enrollments", "classSourcedId", "userSourcedId")
        if table is None:
            return members
        for row in table.rows:
            user, klass = row.fields["userSourcedId"], row.fields["classSourcedId"]
            if not self._current(row, table.file):
                continue
            if user not in users:
                self.collector.refuse(
                    Place(table.file, row.line, "userSourcedId"), "unknown_user", found=user
                )
            if klass not in classes:
                self.collector.refuse(
                    Place(table.file, row.line, "classSourcedId"), "unknown_class", found=klass
                )
            elif classes[klass]:
                members[user].add(classes[klass])
        return members

    def _roles(self, users: set[str]) -> dict[str, set[str]]:
        """Return the roles that ``roles.csv`` gives (1.2); none for those whose roles have all ended."""
        roles: dict[str, set[str]] = defaultdict(set)
        if self.version == "1.1":
            return roles
        table = self._table("roles", "userSourcedId", "role")
        for row in table.rows:
            user = row.fields["userSourcedId"]
            current = self._current(row, table.file)
            if current and user not in users:
                self.collector.refuse(
                    Place(table.file, row.line, "userSourcedId"), "unknown_user", found=user
                )
            roles[user] |= self._role(row, table.file) if current else set()
        return roles

    def _role(self, row: Row, file: str) -> set[str]:
        found = row.fields["role"]
        if found not in ROLES:
            known = ", ".join(sorted(ROLES))
            self.collector.refuse(Place(file, row.line, "role"), "role", found=found, known=known)
            return set()
        return {ROLES[found]}

    def _add(self, row: Row, file: str, members: dict[str, set[str]], roles: dict[str, set[str]]) -> None:
        fields = row.fields
        if self.version == "1.1":
            own = self._role(row, file)
        elif fields["sourcedId"] in roles:
            own = roles[fields["sourcedId"]]
            if not own:
                return
        else:
            self.collector.refuse(Place(file, row.line, "sourcedId"), "no_role")
            return
        identifiers = [fields.get("userMasterIdentifier", ""), *_user_ids(fields.get("userIds", ""))]
        person = Person(
            source_id=fields["sourcedId"],
            given_name=fields.get("preferredGivenName") or fields["givenName"],
            family_name=fields.get("preferredFamilyName") or fields["familyName"],
            roles=frozenset(own),
            classes=frozenset(members[fields["sourcedId"]]),
            place=Place(file, row.line),
            eck_id=next((value for value in identifiers if value.startswith(ECK_PREFIX)), ""),
            school_id=fields.get("identifier", ""),
            email=fields.get("email", "").lower(),
            username=fields.get("username", "").lower() if self.own_usernames else "",
        )
        self.collector.add(person, NAMES)


def _user_ids(text: str) -> list[str]:
    """Return the identifiers of a ``userIds`` field, which lists them as ``{type:identifier}``."""
    return re.findall(r"\{[^:{}]*:([^{}]*)\}", text)


def _line(table: Table, name: str) -> int:
    return next((row.line for row in table.rows if row.fields["propertyName"] == name), 0)


def _from_folder(path: Path) -> dict[str, bytes]:
    return {file.name: _bounded(file) for file in sorted(path.glob("*.csv"))}


def _bounded(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(MAX_FILE_BYTES + 1)


def _from_zip(path: Path) -> dict[str, bytes]:
    """Return the files of a zip, of which some exporters wrap all in one folder."""
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".csv") and entry.filename.count("/") <= 1:
                    with archive.open(entry) as stream:
                        files[Path(entry.filename).name] = stream.read(MAX_FILE_BYTES + 1)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError):
        # RuntimeError is how zipfile says that an entry is encrypted.
        raise RosterRefusedError([Refusal(Place(path.name), "bad_zip")]) from None
    return files
