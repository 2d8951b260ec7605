"""What a school says of its migration: one file, read and checked as a whole."""

from __future__ import annotations

import datetime
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import yaml

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.roster import files

GIB = 1024**3
_SCHEMA = Path(__file__).with_name("settings.schema.json")
# Where a secret may go unencrypted: it does not leave this machine.
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Limits:
    """How much a migration may take of the school's line and of others' servers.

    Attributes:
        bandwidth: bytes per second in rclone's words, such as ``8M``; empty for no limit.
        requests: requests per second, to both sides together. Microsoft and Google slow down who asks more.
        at_once: files sent at a time.
        hours: between which hours of the day files are sent, such as ``19:00-07:00``; empty for always.
        biggest: bytes; a larger file is not brought.
        patience: seconds that a server may be away before a run ends.
    """

    bandwidth: str = ""
    requests: float = 20
    at_once: int = 4
    hours: str = ""
    biggest: int = 50 * GIB
    patience: float = 1800

    def until_open(self, now: datetime.datetime) -> float:
        """Return how long it is, in seconds, until files may be sent; 0 when they may now."""
        if not self.hours:
            return 0
        opens, closes = (datetime.time.fromisoformat(one) for one in self.hours.split("-"))
        time = now.time()
        is_open = opens <= time < closes if opens < closes else time >= opens or time < closes
        if is_open or opens == closes:
            return 0
        next_opening = datetime.datetime.combine(now.date(), opens, now.tzinfo)
        if next_opening < now:
            next_opening += datetime.timedelta(days=1)
        return (next_opening - now).total_seconds()


@dataclass(frozen=True)
class Settings:
    """One migration.

    Attributes:
        file: where it stands; other paths in it begin at its folder.
        source: the part ``from``, as written.
        target: the part ``to``, as written.
        people: the part ``people``, as written.
        limits: what it may take.
        conflict: what becomes of a file where the target has another one: ``keep``, ``both`` or ``replace``.
        work: the folder of its state and receipts.
        rclone: the program.
    """

    file: Path
    source: Mapping[str, Any]
    target: Mapping[str, Any]
    people: Mapping[str, Any]
    work: Path
    limits: Limits = field(default_factory=Limits)
    conflict: str = "keep"
    rclone: str = "rclone"

    def path(self, written: str) -> Path:
        """Return a path that the settings name."""
        return self.file.parent / Path(written).expanduser()

    def secret_file(self, written: str) -> Path:
        """Return the path of a file with a secret, after a look at who can read it.

        Raises:
            SchoolError: it is not there, or not for its owner alone.
        """
        path = self.path(written)
        if not path.is_file():
            raise SchoolError(say("migrate.settings.no_file", path=path))
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SchoolError(say("migrate.settings.open_secret", path=path))
        return path

    def secret(self, written: str) -> str:
        """Return the secret that a file holds.

        Raises:
            SchoolError: the file is not there, empty, or not for its owner alone.
        """
        path = self.secret_file(written)
        text = path.read_text(encoding="utf-8").strip()
        if not text:
            raise SchoolError(say("migrate.settings.empty", path=path))
        return text


def load(file: Path) -> Settings:
    """Return the settings in a file.

    Args:
        file: YAML, as ``settings.schema.json`` describes it.

    Raises:
        SchoolError: it is not there, or says something that cannot be.
    """
    if not file.is_file():
        raise SchoolError(say("migrate.settings.no_file", path=file))
    try:
        content = yaml.safe_load(files.decode(file.name, file.read_bytes()))
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise SchoolError(say("migrate.settings.broken", path=file, reason=reason)) from None
    _check(file, content)
    limits = content.get("limits", {})
    given: dict[str, Any] = {
        name: limits[name] for name in ("bandwidth", "requests", "at_once", "hours") if name in limits
    }
    if "biggest_gb" in limits:
        given["biggest"] = int(limits["biggest_gb"] * GIB)
    if "patience" in limits:
        given["patience"] = limits["patience"] * 60
    target = {"kind": "nextcloud", "folder": "", "chunk": "50M", **content["to"]}
    url = urlsplit(target["url"])
    if url.scheme != "https" and url.hostname not in _LOOPBACK:
        raise SchoolError(say("migrate.settings.not_https", url=target["url"]))
    return Settings(
        file=file.absolute(),
        source={"accounts": "{email}", **content["from"]},
        target=target,
        people=content["people"],
        work=file.absolute().parent / Path(content.get("work", "migration")).expanduser(),
        limits=Limits(**given),
        conflict=content.get("conflict", "keep"),
        rclone=content.get("rclone", "rclone"),
    )


def _check(file: Path, content: object) -> None:
    """Refuse what the schema does not know, in one sentence that names the place."""
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    best = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(content))
    if best is not None:
        place = ".".join(str(part) for part in best.absolute_path)
        # What was written is not repeated: someone may have written a secret there.
        wanted = {
            "required": lambda: ", ".join(name for name in best.validator_value if name not in best.instance),
            "additionalProperties": lambda: ", ".join(sorted(best.schema.get("properties", {}))),
            "enum": lambda: ", ".join(map(str, best.validator_value)),
        }.get(best.validator, lambda: str(best.validator_value))()
        key = "missing" if best.validator == "required" else "wrong"
        raise SchoolError(say(f"migrate.settings.{key}", path=file, place=place or file.name, wanted=wanted))
