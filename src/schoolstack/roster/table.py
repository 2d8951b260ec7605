"""Read a class list that is a single table, with a column map that says what its columns mean."""

from __future__ import annotations

import datetime
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.roster.collect import Collector
from schoolstack.roster.files import MAX_FILE_BYTES, Row, Table, parse
from schoolstack.roster.model import ROLES, Person, Place, Refusal, RosterRefusedError, School

MAPS = Path(__file__).with_name("maps")
REQUIRED = ("source_id", "given_name", "family_name")
FIELDS = (
    *REQUIRED,
    "family_prefix",
    "classes",
    "role",
    "email",
    "username",
    "school_id",
    "eck_id",
    "active",
    "leaves_on",
)


@dataclass(frozen=True)
class ColumnMap:
    """What the columns of one system's export mean.

    Attributes:
        name: the map's own name.
        title: the system and export it is for.
        columns: for each of :data:`FIELDS`, the column names it may have.
        roles: what a role is called in the export, and which of ours it is.
        role: the role of everyone, where the export has no column for it.
        inactive: values of the column ``active`` that mean someone is gone.
        class_separator: what stands between classes where a person has several.
    """

    name: str
    title: str
    columns: dict[str, list[str]]
    roles: dict[str, str] = field(default_factory=dict)
    role: str = ""
    inactive: list[str] = field(default_factory=list)
    class_separator: str = ""


def load_map(wanted: str) -> ColumnMap:
    """Return a column map.

    Args:
        wanted: the name of one that we ship, or the path of a school's own.

    Raises:
        SchoolError: when there is none, or it says what no map may say.
    """
    shipped = MAPS / f"{wanted}.yml"
    path = shipped if shipped.exists() else Path(wanted).expanduser()
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in MAPS.glob("*.yml")))
        raise SchoolError(say("roster.map.none", name=wanted, known=known))
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = ColumnMap(name=path.stem, **content)
        wrong = [
            *(set(found.columns) - set(FIELDS)),
            *(set(found.roles.values()) | {found.role or "pupil"}) - set(ROLES),
        ]
        missing = [name for name in REQUIRED if name not in found.columns]
    except (yaml.YAMLError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise SchoolError(say("roster.map.broken", path=path, reason=str(error).replace("\n", " "))) from None
    if wrong or missing or not (found.role or "role" in found.columns):
        reason = ", ".join([*wrong, *missing]) or "role"
        raise SchoolError(say("roster.map.broken", path=path, reason=reason))
    return found


def read(path: Path, today: datetime.date, *, map_name: str = "", own_usernames: bool = False) -> School:
    """Return the school of a table.

    Args:
        path: the file.
        today: the day against which the day of leaving is held.
        map_name: which column map to use; found from the column names when not given.
        own_usernames: take the table's usernames instead of making our own.

    Raises:
        RosterRefusedError: when the table is not complete and correct, with every reason found.
        SchoolError: when the column map is not usable.
    """
    with path.open("rb") as stream:
        table = parse(path.name, stream.read(MAX_FILE_BYTES + 1))
    chosen = load_map(map_name) if map_name else _find_map(table)
    columns = _columns(table, chosen)
    if not table.rows:
        raise RosterRefusedError([Refusal(Place(table.file, 1), "no_rows")])
    collector = Collector()
    for row in table.rows:
        _add(collector, table, row, columns, chosen, today, own_usernames)
    return collector.school(path.name)


def _plain(name: str) -> str:
    """Return a column name without what exports vary in: case, accents, spaces and signs."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[^a-z0-9]", "", decomposed)


def _find_map(table: Table) -> ColumnMap:
    """Return the shipped map that explains most of a table's columns."""
    present = {_plain(name) for name in table.columns}

    def explained(candidate: ColumnMap) -> set[str]:
        return {field for field, names in candidate.columns.items() if present & set(map(_plain, names))}

    candidates = [load_map(file.stem) for file in sorted(MAPS.glob("*.yml"))]
    fitting = [candidate for candidate in candidates if explained(candidate) >= set(REQUIRED)]
    if not fitting:
        known = ", ".join(candidate.name for candidate in candidates)
        raise RosterRefusedError([Refusal(Place(table.file, 1), "no_map", {"known": known})])
    fitting.sort(key=lambda candidate: len(explained(candidate)), reverse=True)
    if len(fitting) > 1 and len(explained(fitting[0])) == len(explained(fitting[1])):
        known = ", ".join(candidate.name for candidate in fitting)
        raise RosterRefusedError([Refusal(Place(table.file, 1), "several_maps", {"known": known})])
    return fitting[0]


def _columns(table: Table, chosen: ColumnMap) -> dict[str, str]:
    """Return the table's own column name for each field it has."""
    present = {_plain(name): name for name in table.columns}
    columns = {}
    missing = []
    for name, candidates in chosen.columns.items():
        found = next((present[_plain(one)] for one in candidates if _plain(one) in present), "")
        if found:
            columns[name] = found
        elif name in REQUIRED or (name == "role" and not chosen.role):
            missing.append(Refusal(Place(table.file, 1), "missing_column", {"name": " / ".join(candidates)}))
    if missing:
        raise RosterRefusedError(missing)
    return columns


def _add(
    collector: Collector,
    table: Table,
    row: Row,
    columns: dict[str, str],
    chosen: ColumnMap,
    today: datetime.date,
    own_usernames: bool,
) -> None:
    def value(name: str) -> str:
        return row.fields[columns[name]] if name in columns else ""

    def at(name: str) -> Place:
        return Place(table.file, row.line, columns.get(name, ""))

    leaves_on = collector.date(value("leaves_on"), at("leaves_on"))
    gone = value("active").casefold() in (word.casefold() for word in chosen.inactive)
    if (leaves_on and leaves_on < today) or (gone and value("active")):
        return
    role = chosen.role
    if value("role") or not role:
        known = {name.casefold(): role for name, role in chosen.roles.items()} | {
            role: role for role in ROLES
        }
        role = known.get(value("role").casefold(), "")
        if not role:
            collector.refuse(at("role"), "role", found=value("role"), known=", ".join(sorted(known)))
    separator = chosen.class_separator
    written = value("classes").split(separator) if separator else [value("classes")]
    classes = {collector.class_name(text, at("classes")) for text in written if text.strip()}
    for name in classes - {""}:
        collector.add_class(name, at("classes"))
    person = Person(
        source_id=value("source_id"),
        given_name=value("given_name"),
        family_name=f"{value('family_prefix')} {value('family_name')}".strip(),
        roles=frozenset({role} - {""}),
        classes=frozenset(classes - {""}),
        place=Place(table.file, row.line),
        eck_id=value("eck_id"),
        school_id=value("school_id"),
        email=value("email").lower(),
        username=value("username").lower() if own_usernames else "",
    )
    collector.add(person, columns)
