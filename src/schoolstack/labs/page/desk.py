"""What goes on at a seat while its page is open: one thing at a time, in the background."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from schoolstack.errors import SchoolError
from schoolstack.hosts.lab import Lab
from schoolstack.labs.lesson import Lesson
from schoolstack.labs.seat import NUMBERS, Seat
from schoolstack.messages import language, say, speaking


def seats_of(lesson: Lesson, lab: Lab | None = None) -> list[Seat]:
    """Return the seats that a lesson has on this machine, by number.

    The one without a number is among them where somebody has used it, or where there is no other.

    Args:
        lesson: as it is told at no seat in particular.
        lab: the test hosts; this machine's usual ones when not given.
    """
    alone = Seat(lesson, lab=lab)
    folders = {path.name for path in alone.folder.parent.glob(f"{alone.folder.name}*")}
    room = [
        Seat(lesson, number, alone.lab)
        for number in map(str, NUMBERS)
        if f"{alone.folder.name}{number}" in folders
    ]
    return [alone, *room] if alone.attempt or not room else room


@dataclass(frozen=True)
class Doing:
    """What is being done at a seat.

    Attributes:
        verb: ``check``, ``restart``, ``hint`` or ``start``.
        begun: whether it is its turn; before that, it waits for what other seats asked.
    """

    verb: str
    begun: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of the last thing that was done.

    Attributes:
        verb: as in :class:`Doing`.
        ended: when, in seconds since 1970.
        passed: steps that passed for the first time.
        hinted: the step that a hint was asked about; empty when every step passed.
        new: whether that hint is one that was not given before.
        refused: why it was not done, in a sentence; empty when it was.
        language: the language of that sentence.
    """

    verb: str
    ended: float
    passed: tuple[str, ...] = ()
    hinted: str = ""
    new: bool = False
    refused: str = ""
    language: str = ""


class Desk:
    """A seat, and what its page has asked for.

    Attributes:
        seat: the seat.
        doing: what is being done; None when nothing is.
        outcome: what came of the last thing; None before that.
    """

    def __init__(self, seat: Seat, pool: Executor) -> None:
        """Have a seat's work done by ``pool``, which bounds how much is done at all seats at once."""
        self.seat = seat
        self._seed = seat.seed
        self.doing: Doing | None = None
        self.outcome: Outcome | None = None
        self._pool = pool
        self._lock = threading.Lock()
        self._verbs: dict[str, Callable[[], object]] = {
            "check": lambda: seat.check(),
            "restart": lambda: seat.check(restart=True),
            "hint": lambda: seat.hint(),
            "start": self._start,
        }

    @property
    def outdated(self) -> bool:
        """Whether the seat was made anew with another seed since, and so has other texts."""
        return not self.doing and self.seat.seed != self._seed

    def ask(self, verb: str) -> bool:
        """Have something done; what goes wrong is told in the language that is spoken now.

        Args:
            verb: as in :class:`Doing`.

        Returns:
            Whether it is being done; not when something else is, so that a second click does nothing.
        """
        with self._lock:
            if self.doing:
                return False
            self.doing = Doing(verb)
        self._pool.submit(self._do, verb, language())
        return True

    def _do(self, verb: str, tongue: str) -> None:
        """Do it, and keep what came of it."""
        self.doing = Doing(verb, begun=True)
        # Whatever happens, the seat has to be free again: nobody else would make it so.
        outcome = Outcome(verb, time.time(), refused=say("labs.page.broke", tongue), language=tongue)
        try:
            with speaking(tongue):
                before = self._passed()
                hints = self._hints()
                result = self._verbs[verb]()
            passed = () if verb == "start" else tuple(s for s in self._passed() if s not in before)
            hinted = str(result[0]) if verb == "hint" and isinstance(result, tuple) else ""
            outcome = Outcome(verb, time.time(), passed, hinted, self._hints() > hints)
        except SchoolError as error:
            outcome = Outcome(verb, time.time(), refused=str(error), language=tongue)
        except Exception:
            # Why is for the terminal of who serves the page, not for the browser.
            traceback.print_exc(file=sys.stderr)
        finally:
            with self._lock:
                self.outcome, self.doing = outcome, None

    def _start(self) -> None:
        before = self.seat.attempt
        if before:
            self.seat.start(before.fault, before.learner)
        else:
            self.seat.start()

    def _passed(self) -> list[str]:
        attempt = self.seat.attempt
        return list(attempt.passed) if attempt else []

    def _hints(self) -> int:
        attempt = self.seat.attempt
        return sum(map(len, attempt.hints.values())) if attempt else 0
