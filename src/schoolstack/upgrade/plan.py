"""The plan of an upgrade: plain values in, steps and sentences out. Nothing here reads a file or a host."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schoolstack.errors import SchoolError
from schoolstack.messages import language, say

Declaration = Mapping[str, Any]

# What a database may grow by while its tables are changed, besides its copy: as much again.
COPIES_OF_DATABASE = 2


@dataclass(frozen=True)
class Step:
    """One step: ``before`` is the version it starts from, ``to`` the one it ends with."""

    before: str
    to: str


@dataclass(frozen=True)
class Room:
    """Disk space, in bytes.

    Attributes:
        data: what the application's folder of data takes.
        databases: what its databases take.
        free: what is free, where there is least.
    """

    data: int
    databases: int
    free: int


@dataclass(frozen=True)
class Plan:
    """What an upgrade would do.

    Attributes:
        title: what people call the application.
        server: where it runs.
        steps: from version to version; none when there is nothing to do.
        reasons: why it goes by way of other versions.
        notes: what one has to know before, and whom it affects.
        needed: disk space it needs, in bytes.
        free: disk space there is, in bytes.
    """

    title: str
    server: str
    steps: Sequence[Step]
    reasons: Sequence[str]
    notes: Sequence[str]
    needed: int
    free: int


def newer(one: str, other: str) -> bool:
    """Return whether version *one* is newer than *other*, number by number: 26.10 is newer than 26.9."""
    return _numbers(one) > _numbers(other)


def check_versions(
    server: str, declarations: Collection[Declaration], records: Mapping[str, Declaration]
) -> Iterator[str]:
    """Yield a sentence for each application whose version an ordinary run would change.

    Args:
        server: the server's name.
        declarations: what the inventory gives it.
        records: what runs there, by name.
    """
    for declaration in declarations:
        name, wanted = declaration["name"], declaration["version"]
        found = records.get(name, declaration)["version"]
        if newer(wanted, found):
            yield say("upgrade.first", **_about(declaration, server), found=found, wanted=wanted, app=name)
        elif newer(found, wanted):
            yield say("upgrade.downgrade", **_about(declaration, server), found=found, wanted=wanted)


def make_plan(
    server: str,
    record: Declaration,
    wanted: Declaration,
    pinned: Collection[str],
    known: Mapping[str, Any],
    room: Room,
) -> Plan:
    """Plan the way from the version that runs to the one that is wanted.

    Args:
        server: the server's name.
        record: the application as it runs.
        wanted: the application as the inventory wants it.
        pinned: versions of it that can be had.
        known: what its role knows of upgrades, ``vars/upgrades.yml``.
        room: the disk.

    Raises:
        SchoolError: it would go back, skip a version that may not be skipped, or not fit on the disk.
    """
    about = _about(wanted, server)
    begin, end = record["version"], wanted["version"]
    if newer(begin, end):
        raise SchoolError(say("upgrade.downgrade", **about, found=begin, wanted=end))
    steps, reasons, here = [], [], begin
    for stop in sorted(known.get("stops", ()), key=lambda stop: _numbers(stop["version"])):
        if newer(stop["below"], here) and newer(end, stop["version"]):
            if stop["version"] not in pinned:
                raise SchoolError(
                    say("upgrade.skipped", **about, found=here, wanted=end, via=stop["version"])
                )
            steps.append(Step(here, stop["version"]))
            reasons.append(_spoken(stop["because"]))
            here = stop["version"]
    if newer(end, here):
        steps.append(Step(here, end))
    notes = [
        _spoken(note["text"])
        for note in known.get("notes", ())
        if newer(note["since"], begin) and not newer(note["since"], end)
    ]
    needed = room.data + COPIES_OF_DATABASE * room.databases + wanted["disk_mb"] * 10**6
    if steps and room.free < needed:
        raise SchoolError(say("upgrade.disk", **about, needed=_megabytes(needed), free=_megabytes(room.free)))
    return Plan(wanted["title"], server, steps, reasons, notes, needed, room.free)


def show(plan: Plan) -> str:
    """Return a plan as people read it, in several lines."""
    about = {"title": plan.title, "server": plan.server}
    if not plan.steps:
        return say("upgrade.nothing", **about)
    versions = " → ".join([plan.steps[0].before, *(step.to for step in plan.steps)])
    lines = [say("upgrade.goes", **about, versions=versions), *(f"  {reason}" for reason in plan.reasons)]
    lines += [f"  - {note}" for note in plan.notes]
    lines.append(say("upgrade.room", needed=_megabytes(plan.needed), free=_megabytes(plan.free)))
    return "\n".join([*lines, say("upgrade.copy", **about)])


def _about(declaration: Declaration, server: str) -> dict[str, str]:
    return {"title": declaration["title"], "server": server}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _megabytes(count: int) -> int:
    return math.ceil(count / 10**6)


def _spoken(texts: Mapping[str, str]) -> str:
    """Return a role's sentence in the language that this process speaks."""
    return " ".join(texts[language()].split())
