"""A room: the seats of one lesson, on this machine and on others, started from a list.

A seat is driven by ``school lab VERB LESSON --seat NUMBER``, each in a process of its own, so that one that
fails or hangs leaves the others alone. On another machine, SSH carries the very same words.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError
from schoolstack.hosts.state import State, make_folder, read_json, remove_tree, write_json
from schoolstack.labs.lesson import Lesson
from schoolstack.labs.seat import NUMBERS, Attempt, Seat, free_memory_mb
from schoolstack.messages import language, say

# Seats of one machine that are busy at once. On two cores that did other work as well (load 8 to 14), six
# seats of own-server started in 21 to 26 s one by one, in 11 to 12 s three at once, and in 10 to 15 s all at
# once. Looking at them took 40 to 70 s, 28 to 35 s, and 26 s.
AT_ONCE = 3
# Seconds until a seat counts as one that does not answer. A start may include making the server, for which a
# Raspberry Pi on a slow line needs many minutes; everything else takes seconds.
START_LIMIT, ANSWER_LIMIT = 3600, 180
# The project on this machine, and on another one: below the home folder of the account that SSH reaches, with
# sudo where that account is not root's.
HERE = (sys.executable, "-m", "schoolstack.cli")
THERE = 'cd schoolstack && exec $(test "$(id -u)" = 0 || echo sudo -n) .venv/bin/school'
# Asks nothing, and gives up on a machine that is away, or goes away meanwhile, after half a minute.
_OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=10", "ServerAliveCountMax=3")
SSH = ("ssh", *(word for option in _OPTIONS for word in ("-o", option)), "--")

# What stands in a list. A pseudonym is a word; neither it nor a machine can be taken for an option.
_LEARNER = re.compile(r"\w[\w.-]{0,39}")
_MACHINE = re.compile(r"([a-z_][a-z0-9_-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*")


@dataclass(frozen=True)
class Place:
    """One seat of a room, as the list tells it.

    Attributes:
        number: the seat's.
        learner: who sits there, as a pseudonym.
        fault: what is broken; empty for an unfinished machine.
        at: the machine that SSH reaches; empty for this one.
    """

    number: str
    learner: str
    fault: str = ""
    at: str = ""


@dataclass(frozen=True)
class Answer:
    """What came of one seat.

    Attributes:
        place: which one.
        report: what :meth:`schoolstack.labs.seat.Seat.report` says there, and ``now``, the time there; None
            when there was no attempt, or no answer.
        wrong: why it did not do what it was told; empty when it did.
        log: where stands what it said on the way; None when it never came to that.
    """

    place: Place
    report: dict[str, Any] | None = None
    wrong: str = ""
    log: Path | None = None

    @property
    def sentence(self) -> str:
        """What to tell of a seat that did not do what it was told."""
        where = {
            "number": self.place.number,
            "learner": self.place.learner,
            "at": self.place.at or say("room.here"),
        }
        more = " " + say("room.log", log=self.log) if self.log else ""
        return say("room.wrong", **where, reason=self.wrong) + more


def read_list(path: Path, lesson: Lesson, fault: str = "") -> list[Place]:
    """Read who sits where.

    Args:
        path: the list: on each line a number and a pseudonym, and where they apply ``fault=`` and ``at=``.
        lesson: whose faults may stand there.
        fault: what is broken where the list does not say; the lesson's beginning when not given.

    Raises:
        SchoolError: one sentence per thing that is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SchoolError(say("room.unreadable", path=path, reason=error)) from error
    places: list[Place] = []
    wrong: list[str] = []
    for count, line in enumerate(lines, 1):
        if words := line.partition("#")[0].split():
            where = f"{path}:{count}"
            found = _place(words, fault or lesson.beginning)
            if isinstance(found, str):
                wrong.append(say("room.line", where=where, wrong=found))
                continue
            if found.fault and found.fault not in lesson.faults:
                known = ", ".join(lesson.faults)
                told = say("labs.unknown_fault", name=lesson.name, fault=found.fault, known=known)
                wrong.append(say("room.line", where=where, wrong=told))
            for other in places:
                for field in ("number", "learner"):
                    if (twice := getattr(found, field)) == getattr(other, field):
                        wrong.append(say("room.line", where=where, wrong=say("room.twice", what=twice)))
            places.append(found)
    if not places and not wrong:
        wrong.append(say("room.empty", path=path))
    if wrong:
        raise SchoolError("\n".join(wrong))
    return places


def _place(words: Sequence[str], fault: str) -> Place | str:
    """Return what a line of the list says, or what is wrong with it."""
    if len(words) < 2 or words[0] not in map(str, NUMBERS) or not _LEARNER.fullmatch(words[1]):
        return say("room.no_seat", found=" ".join(words), last=NUMBERS[-1])
    further = {"fault": fault, "at": ""}
    for word in words[2:]:
        name, equals, value = word.partition("=")
        if name not in further or not equals or (name == "at" and not _MACHINE.fullmatch(value)):
            return say("room.no_word", word=word)
        further[name] = value
    return Place(words[0], words[1], **further)


class Room:
    """The seats of one lesson.

    Attributes:
        lesson: the lesson.
        folder: what is remembered of the room, and what its seats said while they were busy.
    """

    def __init__(self, lesson: Lesson, state: State) -> None:
        """Look at a lesson's room.

        Args:
            lesson: as :func:`schoolstack.labs.lesson.load` returns it.
            state: the state folder of this machine's test hosts.
        """
        self.lesson = lesson
        self.folder = state.root / "rooms" / lesson.name
        self._state = state
        self._file = self.folder / "places.json"

    @property
    def places(self) -> list[Place]:
        """Who sits where.

        Raises:
            SchoolError: when no room was started.
        """
        if (known := read_json(self._file)) is None:
            raise SchoolError(say("room.none", name=self.lesson.name))
        return [Place(**values) for values in known]

    @property
    def seed(self) -> str:
        """What the names, passwords and ports of all seats follow from; made at first use."""
        file = self.folder / "seed"
        if not file.exists():
            make_folder(self.folder, 0o700)
            partial = self.folder / "seed.partial"
            partial.unlink(missing_ok=True)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(secrets.token_hex(16))
            partial.rename(file)
        return file.read_text(encoding="utf-8")

    def left(self, places: Iterable[Place]) -> list[Place]:
        """Return the seats that a new list no longer has, or has elsewhere."""
        kept = {(place.number, place.at) for place in places}
        known = (Place(**values) for values in read_json(self._file) or [])
        return [place for place in known if (place.number, place.at) not in kept]

    def start(self, places: Sequence[Place]) -> Iterator[Answer]:
        """Start every seat, and yield what came of each as it comes; seats that have begun go on.

        Raises:
            SchoolError: a machine lacks memory for its seats; then none was started.
        """
        away: dict[str, str] = {}
        short: list[str] = []
        machines = {
            at: [place for place in places if place.at == at] for at in dict.fromkeys(p.at for p in places)
        }
        asked = [
            (mine[0], ["room", "memory", self.lesson.name, *(p.number for p in mine)])
            for mine in machines.values()
        ]
        for answer in self._ask(asked, ANSWER_LIMIT):
            at, found = answer.place.at, answer.report
            if not found:
                away[at] = answer.wrong
            elif found["needed"] > found["free"]:
                machine = at or say("room.here")
                seats = ", ".join(place.number for place in machines[at])
                short.append(say("room.no_memory", machine=machine, seats=seats, **found))
        if short:
            raise SchoolError("\n".join(short))
        write_json(self._file, [asdict(place) for place in places])
        asked = []
        for place in places:
            if place.at in away:
                yield Answer(place, wrong=away[place.at])
            else:
                fault = ["--fault", place.fault] if place.fault else []
                words = [*self._seat("start", place), "--learner", place.learner, "--of-room", *fault]
                asked.append((place, words))
        yield from self._ask(asked, START_LIMIT, self.seed)

    def each(self, verb: str, *options: str) -> Iterator[Answer]:
        """Have every seat do something, and yield what came of each as it comes."""
        return self._ask(
            [(place, [*self._seat(verb, place), *options]) for place in self.places], ANSWER_LIMIT
        )

    def forget(self, gone: Iterable[Place]) -> None:
        """Forget seats that were removed, and with the last one the room."""
        removed = set(gone)
        if left := [place for place in self.places if place not in removed]:
            write_json(self._file, [asdict(place) for place in left])
        else:
            remove_tree(self.folder)

    # -- inside ----------------------------------------------------------------------------------

    def _seat(self, verb: str, place: Place) -> list[str]:
        return [verb, self.lesson.name, "--seat", place.number]

    def _ask(
        self, asked: Sequence[tuple[Place, list[str]]], limit: float, stdin: str = ""
    ) -> Iterator[Answer]:
        """Give a command each for places, some at once on each machine."""
        make_folder(self.folder, 0o700)
        with ExitStack() as stack:
            pools = {
                at: stack.enter_context(ThreadPoolExecutor(AT_ONCE))
                for at in {place.at for place, _ in asked}
            }
            doing = [pools[place.at].submit(self._run, place, words, limit, stdin) for place, words in asked]
            try:
                for done in as_completed(doing):
                    yield done.result()
            except BaseException:
                # Of an interrupted command, what has not begun yet never begins.
                for waiting in doing:
                    waiting.cancel()
                raise

    def _run(self, place: Place, words: Sequence[str], limit: float, stdin: str) -> Answer:
        """Give one command, its progress to a file, and return what came of it."""
        told = ["lab", *words, "--json", "--language", language()]
        command = [*SSH, place.at, f"{THERE} {shlex.join(told)}"] if place.at else [*HERE, *told]
        log = self.folder / f"seat-{place.number}.log"
        environment = {**os.environ, "SCHOOLSTACK_STATE": str(self._state.root)}
        try:
            with log.open("w", encoding="utf-8") as progress:
                done = subprocess.run(
                    command,
                    cwd=ROOT,
                    env=environment,
                    input=stdin,
                    stdout=subprocess.PIPE,
                    stderr=progress,
                    text=True,
                    check=False,
                    timeout=limit,
                )
        except subprocess.TimeoutExpired:
            return Answer(place, wrong=say("room.silent", seconds=f"{limit:.0f}"), log=log)
        try:
            return Answer(place, json.loads(done.stdout))
        except ValueError:
            said = log.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next(
                (line.strip() for line in reversed(said) if line.strip()), f"exit code {done.returncode}"
            )
            return Answer(place, wrong=last.removeprefix("school: "), log=log)


def begin(seat: Seat, fault: str, learner: str, seed: str) -> Attempt:
    """Begin an attempt at a seat of a room, or go on with the one that has begun there.

    Args:
        seat: the seat.
        fault: what is broken; the lesson's beginning when not given.
        learner: who it is, as a pseudonym.
        seed: the room's.

    Raises:
        SchoolError: another attempt goes on there, or the hosts did not come up.
    """
    fault = fault or seat.lesson.beginning
    if attempt := seat.attempt:
        same = (attempt.fault, attempt.learner, seat.seed) == (fault, learner, seed)
        if not attempt.ended and not same:
            raise SchoolError(say("room.taken", name=seat.address, learner=attempt.learner or "-"))
        done = {*attempt.passed, *attempt.solved} >= set(seat.to_do(attempt))
        if same and (not attempt.ended or (seat.running and done)) and seat.resume():
            return attempt
    # A start that is cut off is not to look like an attempt that had ended.
    seat.forget()
    return seat.start(fault, learner, seed)


def memory(lesson: Lesson, numbers: Iterable[str]) -> dict[str, int]:
    """Return the MB of memory that seats here need besides those that run, and the MB that are free."""
    waiting = [number for number in numbers if not Seat(lesson, number).running]
    return {"needed": len(waiting) * int(lesson.content["memory_mb"]), "free": free_memory_mb()}


def metrics(reports: Iterable[Mapping[str, Any] | None]) -> str:
    """Return how far the seats are, in the text format that Prometheus reads: numbers of seats, no names.

    Args:
        reports: what each seat says of its attempt; None of one that said nothing.
    """
    told = {
        "steps": "Steps of the lesson that are to be done at a seat.",
        "passed": "Steps that have passed.",
        "hints": "Hints asked for.",
    }
    counts = {
        (report["lesson"], report["seat"]): {
            "steps": len(report["steps"]),
            "passed": sum(step["passed"] is not None for step in report["steps"]),
            "hints": sum(len(step["hints"]) for step in report["steps"]),
        }
        for report in reports
        if report
    }
    lines = []
    for name, what in told.items():
        lines += [f"# HELP schoolstack_seat_{name} {what}", f"# TYPE schoolstack_seat_{name} gauge"]
        lines += [
            f'schoolstack_seat_{name}{{lesson="{lesson}",seat="{seat}"}} {count[name]}'
            for (lesson, seat), count in counts.items()
        ]
    return "\n".join(lines) + "\n"


def stuck(lesson: Lesson, report: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the step that a learner is at, and for how many seconds; None when nothing is left to do."""
    steps = report["steps"]
    left = {step["id"] for step in steps if step["passed"] is None and not step["solved"]}
    for step in steps:
        if step["id"] in left and not left & set(lesson.steps[step["id"]].get("needs", [])):
            since = max((one["passed"] for one in steps if one["passed"] is not None), default=0.0)
            return step["id"], (report["ended"] or report["now"]) - report["began"] - since
    return None
