"""A seat of a real lesson whose machine is played: it sees what the test says, in no time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from schoolstack.deployment import ROOT
from schoolstack.hosts.state import State
from schoolstack.labs.lesson import load
from schoolstack.labs.page.server import Site
from schoolstack.labs.seat import Attempt, Seat, Seen

LESSON = "broken-sign-in"
UNFINISHED = "own-server"
# What machines may say: it must not become part of the page.
ODD = "<script>alert('1')</script> & {braces}"


class Practice(Seat):
    """A seat whose machine is played.

    Attributes:
        sees: what its checks see.
        may_look: cleared to let a check take as long as the test likes.
        looks: how many times the checks ran.
        restarts: how many times the hosts were restarted.
        switched_on: whether its hosts run.
    """

    def __init__(self, root: Path, number: str = "", lesson: str = LESSON) -> None:
        host = SimpleNamespace(
            name=f"{lesson.replace('-', '')}{number}-server", address=f"198.51.100.{10 + int(number or 0)}"
        )
        lab = SimpleNamespace(state=State(root), hosts=lambda: [host])
        super().__init__(load(ROOT, lesson), number, lab)  # type: ignore[arg-type]
        self.may_look = threading.Event()
        self.may_look.set()
        self.looks = self.restarts = 0
        self.switched_on = True
        self.sees: dict[str, Seen] = {}

    @property
    def prepared(self) -> bool:
        return True

    @property
    def running(self) -> bool:
        return self.switched_on

    def start(self, fault: str = "", learner: str = "", seed: str = "") -> Attempt:
        self.switched_on = True
        fault = fault or self.lesson.beginning
        self._begin_to_see(fault)
        attempt = Attempt(time.time(), fault, learner)
        self._keep(attempt)
        return attempt

    def break_it(self, fault: str) -> Attempt:
        self._begin_to_see(fault)
        return super().break_it(fault)

    def mend(self, *steps: str) -> None:
        """Let steps pass from now on; all of them when none is named."""
        self.sees |= {step: Seen(True) for step in steps or self.lesson.steps}

    def look(self, *, restarted: bool = False) -> dict[str, Seen]:
        self._require_running()
        self.looks += 1
        assert self.may_look.wait(timeout=30)
        return dict(self.sees)

    def molecule(self, verb: str, *further: str, **environment: str) -> None:
        """Do nothing: there is no machine."""

    def _after_restart(self) -> dict[str, Seen]:
        self.restarts += 1
        return self.look(restarted=True)

    def _begin_to_see(self, fault: str) -> None:
        fails = self.lesson.fails(fault)
        said = self.lesson.faults[fault]["symptom"]["shows"] if fault else "nothing"
        self.sees = {step: Seen(step not in fails, fails.get(step, ""), said) for step in self.lesson.steps}


@contextmanager
def served(*seats: Practice) -> Iterator[Site]:
    """Serve the pages of some seats on a free port of this machine."""
    with served_as_found(lambda: seats) as site:
        yield site


@contextmanager
def served_as_found(find: Callable[[], Sequence[Practice]]) -> Iterator[Site]:
    """Serve the pages of the seats that are found each time."""
    site = Site(find, "127.0.0.1", 0)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        for seat in find():
            seat.may_look.set()
        site.shutdown()
        site.server_close()
        thread.join()
