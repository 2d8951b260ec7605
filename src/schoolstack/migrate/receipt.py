"""What became of each file of a move, for the person and for the school."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schoolstack.messages import say
from schoolstack.migrate.journal import write
from schoolstack.migrate.mapping import Move

# A table of more lines is no longer read; the JSON beside it has them all.
SHOWN = 200
# Skipped because of what the file is; with any other reason, another run may bring it.
_FOR_GOOD = frozenset({"native", "onenote", "too_big", "duplicate", "long_path", "conflict"})


@dataclass(frozen=True)
class Brought:
    """A file that is at the target.

    Attributes:
        path: at the source.
        to: at the target.
        bytes: its size there.
        state: ``sent``, ``already`` there, sent ``beside`` another file, or ``replaced`` one.
        hash: of its content, read back from the target.
        compared: whether the source's own hash is the same. Only what was converted has none.
    """

    path: str
    to: str
    bytes: int
    state: str
    hash: str
    compared: bool


@dataclass(frozen=True)
class Skipped:
    """A file that is not.

    Attributes:
        path: at the source.
        bytes: its size there; -1 where nobody knows.
        reason: a key below ``migrate.reason``.
        said: what rclone said of it.
    """

    path: str
    bytes: int
    reason: str
    said: str = ""

    def __str__(self) -> str:
        """Return why, in one sentence."""
        return say(f"migrate.reason.{self.reason}", said=self.said)


@dataclass
class Receipt:
    """What became of one move.

    Attributes:
        move: which.
        system: where it came from.
        hash_type: which hash the files have.
        began: when this run looked at it, ISO 8601.
        ended: when it was done with it.
        brought: what is at the target.
        skipped: what is not.
        folders: empty folders that were made.
    """

    move: Move
    system: str
    hash_type: str = ""
    began: str = ""
    ended: str = ""
    brought: list[Brought] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    folders: int = 0

    @property
    def left(self) -> int:
        """How many files another run may bring."""
        return sum(one.reason not in _FOR_GOOD for one in self.skipped)

    def as_data(self) -> dict[str, Any]:
        """Return it for programs."""
        states = Counter(one.state for one in self.brought)
        return {
            "name": self.move.name,
            "kind": self.move.kind,
            "title": self.move.title,
            "from": {"system": self.system, "account": self.move.source},
            "to": {"account": self.move.account, "folder": self.move.folder},
            "began": self.began,
            "ended": self.ended,
            "complete": not self.left,
            "totals": {
                "files": len(self.brought),
                "bytes": sum(one.bytes for one in self.brought),
                **{state: states[state] for state in ("sent", "already", "beside", "replaced")},
                "compared": sum(one.compared for one in self.brought),
                "folders": self.folders,
                "skipped": len(self.skipped),
                "left": self.left,
            },
            "hash": self.hash_type,
            "files": [asdict(one) for one in sorted(self.brought, key=lambda one: one.path)],
            "skipped": [
                {**asdict(one), "says": str(one)} for one in sorted(self.skipped, key=lambda one: one.path)
            ],
        }

    def as_text(self) -> str:
        """Return it for its person."""
        data = self.as_data()
        totals = data["totals"]
        lines = [
            say("migrate.receipt.title", title=self.move.title, name=self.move.name),
            say(
                "migrate.receipt.where",
                system=self.system,
                source=self.move.source,
                account=self.move.account,
                folder=self.move.folder or "/",
                ended=self.ended,
            ),
            say("migrate.receipt.totals", size=size(totals["bytes"]), **totals),
        ]
        if self.skipped:
            lines += ["", say("migrate.receipt.skipped")]
            lines += [f"  {one['path']}: {one['says']}" for one in data["skipped"]]
        if self.brought:
            lines += ["", say("migrate.receipt.files", type=self.hash_type)]
            rows = [
                [
                    one["to"],
                    size(one["bytes"]),
                    say(f"migrate.state.{one['state']}"),
                    one["hash"][:16],
                    "" if one["compared"] else say("migrate.receipt.not_compared"),
                ]
                for one in data["files"][:SHOWN]
            ]
            lines += table(rows)
            if len(self.brought) > SHOWN:
                lines.append(say("migrate.receipt.more", count=len(self.brought) - SHOWN))
        return "\n".join(lines) + "\n"

    def save(self, work: Path) -> None:
        """Write it both ways, for its owner only."""
        folder = work / "receipts"
        write(folder / f"{self.move.name}.txt", self.as_text())
        write(
            folder / f"{self.move.name}.json", json.dumps(self.as_data(), ensure_ascii=False, indent=1) + "\n"
        )


def school_report(work: Path, moves: Iterable[Move]) -> tuple[dict[str, Any], str]:
    """Return what the receipts say together, for programs and for people.

    Args:
        work: the folder of the migration.
        moves: all of it.
    """
    people: list[dict[str, Any]] = []
    for move in moves:
        path = work / "receipts" / f"{move.name}.json"
        receipt = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        state = "waiting" if receipt is None else "complete" if receipt["complete"] else "incomplete"
        totals = receipt["totals"] if receipt else {}
        reasons = Counter(one["reason"] for one in receipt["skipped"]) if receipt else Counter()
        people.append({"name": move.name, "state": state, "totals": totals, "reasons": dict(reasons)})
    whole = {
        name: sum(one["totals"].get(name, 0) for one in people)
        for name in ("files", "bytes", "skipped", "left")
    }
    states = Counter(one["state"] for one in people)
    data = {"moves": len(people), "states": dict(states), "totals": whole, "people": people}
    rows = [[say(f"migrate.report.{name}") for name in ("who", "state", "files", "size", "skipped")]]
    rows += [
        [
            one["name"],
            say(f"migrate.report.{one['state']}"),
            str(one["totals"].get("files", "")),
            size(one["totals"]["bytes"]) if one["totals"] else "",
            ", ".join(
                f"{say(f'migrate.short.{reason}')} {count}" for reason, count in one["reasons"].items()
            ),
        ]
        for one in people
    ]
    summary = say(
        "migrate.report.summary",
        moves=len(people),
        complete=states["complete"],
        incomplete=states["incomplete"],
        waiting=states["waiting"],
        files=whole["files"],
        size=size(whole["bytes"]),
        skipped=whole["skipped"],
    )
    return data, "\n".join([*table(rows), "", summary]) + "\n"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines, in columns as wide as they need."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def size(count: int) -> str:
    """Return a number of bytes as people say it."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
