"""A migration from its settings to its report."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.migrate import mapping
from schoolstack.migrate.journal import Journal, write
from schoolstack.migrate.look import journal_path
from schoolstack.migrate.mapping import Move
from schoolstack.migrate.mover import DiskFullError, GoneError, Mover, Way, alone
from schoolstack.migrate.rclone import OLDEST, Rclone
from schoolstack.migrate.receipt import Receipt, school_report, size
from schoolstack.migrate.settings import load
from schoolstack.migrate.sources import source_of
from schoolstack.migrate.target import Target


def prepare(file: Path, only: Collection[str] = (), *, ignores_hours: bool = False) -> tuple[Way, list[Move]]:
    """Return the way and the moves of a migration, after a look at all that they need. Nothing is sent.

    Args:
        file: its settings.
        only: names of the moves that are meant; all when empty.
        ignores_hours: whether files are sent at any hour.

    Raises:
        SchoolError: with a sentence for each thing that cannot be.
    """
    settings = load(file)
    moves = mapping.moves(settings)
    if unknown := sorted(set(only) - {move.name for move in moves}):
        raise SchoolError(say("migrate.run.no_such", names=", ".join(unknown)))
    chosen = [move for move in moves if not only or move.name in only]
    rclone = Rclone(settings.rclone)
    rclone.require(OLDEST, "school migrate")
    way = Way(
        settings,
        rclone,
        source_of(settings, rclone),
        Target(settings, rclone),
        ignores_hours=ignores_hours,
    )
    way.check(chosen)
    return way, chosen


def run(way: Way, moves: Sequence[Move]) -> bool:
    """Carry moves out, one after the other, and write the school's report.

    Returns:
        Whether all that can be brought was brought.

    Raises:
        SchoolError: the run ended before its end. What was brought is on the receipts.
    """
    work = way.settings.work
    complete = True
    with alone(work):
        try:
            for number, move in enumerate(moves, start=1):
                receipt = _one(way, move)
                complete = complete and receipt is not None and not receipt.left
                print(_line(number, len(moves), move, receipt), flush=True)
        finally:
            data, text = school_report(work, mapping.moves(way.settings))
            write(work / "report.json", json.dumps(data, ensure_ascii=False, indent=1) + "\n")
            write(work / "report.txt", text)
    print("\n" + text.splitlines()[-1])
    print(say("migrate.run.receipts", path=work / "receipts"))
    return complete


def _one(way: Way, move: Move) -> Receipt | None:
    """Carry one move out; what is wrong with it alone is said, and the next one goes on."""
    with way.session(move) as session, Journal(journal_path(way.settings.work, move)) as journal:
        try:
            return Mover(way, move, session, journal).bring()
        except (GoneError, DiskFullError):
            raise
        except SchoolError as error:
            print(error, flush=True)
            return None


def _line(number: int, count: int, move: Move, receipt: Receipt | None) -> str:
    values: dict[str, Any] = {"number": number, "count": count, "name": move.name}
    if receipt is None:
        return say("migrate.run.failed", **values)
    totals = receipt.as_data()["totals"]
    full = any(one.reason == "full" for one in receipt.skipped)
    key = "full" if full else "line"
    return say(f"migrate.run.{key}", **values, size=size(totals["bytes"]), **totals)
