"""Read a class list, whatever its shape."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.roster import oneroster, table
from schoolstack.roster.model import School


def read(
    source: str | Path,
    *,
    form: str = "auto",
    map_name: str = "",
    own_usernames: bool = False,
    guardians: bool = False,
    today: datetime.date | None = None,
) -> School:
    """Return the school that a class list describes.

    Args:
        source: the list: a folder or zip (OneRoster) or a file (a table).
        form: ``oneroster``, ``table``, or ``auto`` to tell by the path.
        map_name: the column map of a table; found from its columns when not given.
        own_usernames: take the usernames of the list instead of making our own.
        guardians: keep people who are only a guardian.
        today: the day it is.

    Raises:
        SchoolError: when the list does not exist or cannot be taken as it stands.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise SchoolError(say("roster.no_source", path=path))
    day = today or datetime.date.today()
    if form == "oneroster" or (form == "auto" and oneroster.is_oneroster(path)):
        school = oneroster.read(path, day, own_usernames=own_usernames)
    elif path.is_dir():
        raise SchoolError(say("roster.folder_is_no_table", path=path))
    else:
        school = table.read(path, day, map_name=map_name, own_usernames=own_usernames)
    if guardians:
        return school
    return dataclasses.replace(
        school, people=tuple(person for person in school.people if person.roles != {"guardian"})
    )
