"""The dry run: what would be brought, how large it is, and what a coordinator should know of before."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.migrate.decide import Problem, problems, steps
from schoolstack.migrate.journal import Journal, write
from schoolstack.migrate.mapping import Move
from schoolstack.migrate.mover import Way
from schoolstack.migrate.rclone import RcloneError
from schoolstack.migrate.receipt import size, table

# So many of one kind are named on screen; the file beside it has all.
_NAMED = 5


@dataclass(frozen=True)
class Look:
    """What was seen of one move.

    Attributes:
        move: which.
        files: how many files the source has.
        bytes: how large they are, without those whose size nobody knows before they are converted.
        converts: how many those are.
        sends: how many would be sent now.
        sends_bytes: how large those are.
        problems: what a coordinator should know of.
    """

    move: Move
    files: int
    bytes: int
    converts: int
    sends: int
    sends_bytes: int
    problems: Sequence[Problem]

    def save(self, work: Path) -> None:
        """Write it, for its owner only."""
        data = {**asdict(self), "move": self.move.name, "problems": [asdict(one) for one in self.problems]}
        write(work / "plan" / f"{self.move.name}.json", json.dumps(data, ensure_ascii=False, indent=1) + "\n")


def look(way: Way, move: Move) -> Look:
    """Look at one move; nothing is sent or written at either side.

    Raises:
        SchoolError: one of the sides cannot be read.
    """
    notes = Journal(journal_path(way.settings.work, move)).notes
    with way.session(move) as session:
        try:
            source = session.list("source")
            target = session.list("target", move.folder)
            free = session.free("target")
        except RcloneError as error:
            raise SchoolError(say("migrate.run.unread", name=move.name, said=error)) from None
    decided = steps(source, target, notes, way.settings.limits.biggest)
    found = list(problems(source, decided))
    sends = [step.item for step in decided if step.do in ("send", "over", "renew")]
    sends_bytes = sum(max(item.size, 0) for item in sends)
    if free is not None and sends_bytes > free:
        found.append(Problem("no_room", move.account, size(free)))
    files = [item for item in source if not item.folder]
    return Look(
        move,
        files=len(files),
        bytes=sum(max(item.size, 0) for item in files),
        converts=sum(one.kind == "converts" for one in found),
        sends=len(sends),
        sends_bytes=sends_bytes,
        problems=found,
    )


def journal_path(work: Path, move: Move) -> Path:
    """Return where a move's journal is."""
    return work / "journal" / f"{move.name}.jsonl"


def as_data(looks: Sequence[Look]) -> dict[str, Any]:
    """Return a dry run for programs."""
    names = ("files", "bytes", "converts", "sends", "sends_bytes")
    rows = [
        {
            "name": one.move.name,
            **{name: getattr(one, name) for name in names},
            "problems": [asdict(problem) for problem in one.problems],
        }
        for one in looks
    ]
    return {"moves": rows, "totals": {name: sum(row[name] for row in rows) for name in names}}


def as_text(looks: Sequence[Look]) -> str:
    """Return a dry run for people."""
    head = ("who", "from", "files", "size", "converts", "sends", "problems")
    rows = [[say(f"migrate.plan.{name}") for name in head]]
    rows += [
        [
            one.move.name,
            one.move.source,
            str(one.files),
            size(one.bytes),
            str(one.converts),
            f"{one.sends} ({size(one.sends_bytes)})",
            str(len(one.problems)),
        ]
        for one in looks
    ]
    lines = table(rows)
    for one in looks:
        if one.problems:
            lines += ["", f"{one.move.title} ({one.move.name})"]
            lines += _problems(one.problems)
    total = as_data(looks)["totals"]
    values = {**total, "size": size(total["bytes"]), "sends_size": size(total["sends_bytes"])}
    return "\n".join([*lines, "", say("migrate.plan.summary", moves=len(looks), **values)])


def _problems(found: Sequence[Problem]) -> list[str]:
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in found:
        kinds[problem.kind].append(problem)
    lines = []
    for kind, those in kinds.items():
        lines.append("  " + say(f"migrate.problem.{kind}", count=len(those)))
        lines += [f"    {one.path}" + (f" → {one.more}" if one.more else "") for one in those[:_NAMED]]
        if len(those) > _NAMED:
            lines.append("    " + say("migrate.plan.more", count=len(those) - _NAMED))
    return lines
