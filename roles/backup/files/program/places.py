"""Where things lie on this server, and how they are written so that a power cut does no harm."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from words import refuse

SETTINGS = Path("/etc/schoolstack/backup/settings.json")
KEY = Path("/etc/schoolstack/backup/key")
# Variables for restic beside the key, such as those of an S3 account; absent where none are needed.
ENVIRONMENT = Path("/etc/schoolstack/backup/environment.json")
# What platform roles want backed up: {"paths": [...]} per role.
SOURCES = Path("/etc/schoolstack/backup/sources")
# What applications want backed up is in their records.
RECORDS = Path("/etc/ansible/facts.d")

HOME = Path("/var/lib/schoolstack/backup")
# Made for one backup and removed after it: the manifest and the databases.
STAGE = HOME / "stage"
MANIFEST = STAGE / "manifest.json"
DUMPS = STAGE / "databases"
STATE = HOME / "state.json"
# What was paused for the backup and has to go on after it, whatever happens.
PAUSED = HOME / "paused.json"
# The restore that is under way; absent when there is none.
RESTORING = HOME / "restoring.json"
CACHE = Path("/var/cache/schoolstack/backup")


def now() -> datetime.datetime:
    """Return the present, in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def load(path: Path, default: Any) -> Any:
    """Return what a JSON file holds; *default* when there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default


def save(path: Path, content: Any) -> None:
    """Replace a JSON file at once, readable by root only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Have a folder's names on the disk before anything else happens."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remember(**changes: Any) -> dict[str, Any]:
    """Change fields of the state, and return the whole."""
    state = load(STATE, {})
    if any(state.get(name) != value for name, value in changes.items()):
        state |= changes
        save(STATE, state)
    return dict(state)


def records() -> dict[str, dict[str, Any]]:
    """Return the records of the applications that run here, by name."""
    found = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDS.glob("*.fact")))
    return {record["name"]: record for record in found if "services" in record}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Be the only one of this program that changes anything.

    Raises:
        RefusalError: another run is at work.
    """
    HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (HOME / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refuse("at_work")
        yield
