"""How far each seat came, as a table that a trainer opens in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import datetime

from schoolstack.labs.lesson import words
from schoolstack.labs.seat import Seat, Seen, in_words
from schoolstack.messages import say

_WHO = ("lesson", "seat", "learner", "fault", "began")
_WHAT = ("step", "passed", "after", "points", "max_points", "hints", "solved", "seen")
# What spreadsheets take for the beginning of a formula, the wide forms of East Asia as well (OWASP, CSV
# injection), where a cell begins, also for one that cuts rows at another sign than we do.
_FORMULA = re.compile(r"""(^|[,;"])(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")


def table(seats: Iterable[Seat]) -> bytes:
    """Return a row for each step of each seat's last attempt, in the language that is spoken.

    It is CSV as spreadsheets open it by a double click: UTF-8 with the mark that Excel knows it by, and cut
    where the Excel of that language cuts rows, in Dutch at semicolons.
    """
    held = io.StringIO()
    writer = csv.writer(held, delimiter=say("records.separator"))
    writer.writerow(say(f"records.column.{column}") for column in _WHO + _WHAT)
    for seat in seats:
        if seat.attempt:
            writer.writerows(map(_harmless, row) for row in _rows(seat))
    return held.getvalue().encode("utf-8-sig")


def _rows(seat: Seat) -> Iterable[list[object]]:
    report = seat.report()
    began = datetime.fromtimestamp(report["began"]).astimezone().strftime("%Y-%m-%d %H:%M")
    who = [report["lesson"], report["seat"], report["learner"], report["fault"], began]
    for step in report["steps"]:
        passed = step["passed"] is not None
        seen = in_words(seat.lesson.steps[step["id"]], Seen(**step["seen"])) if step["seen"] else ""
        after = f"{step['passed']:.0f}" if passed else ""
        what = [words(step["title"]), _yes(passed), after, step["points"], step["max_points"]]
        yield [*who, *what, len(step["hints"]), _yes(step["solved"]), seen]


def _yes(so: bool) -> str:
    return say("records.yes" if so else "records.no")


def _harmless(cell: object) -> str:
    """Return a cell on one line in which nothing is a formula."""
    return _FORMULA.sub(r"\1'", " ".join(str(cell).split()))
