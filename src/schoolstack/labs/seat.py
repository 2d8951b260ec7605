"""A lesson on its test hosts: what Molecule does, put in the words of a lesson. There is no second engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError
from schoolstack.hosts.lab import Lab
from schoolstack.hosts.state import make_folder, read_json, write_json
from schoolstack.labs.lesson import Lesson, fitting, words
from schoolstack.messages import say

# The snapshot of a prepared host: to it every start and every reset returns.
PREPARED = "lab"
# Seconds until what is whole has come up after a start: bounds 80 s, measured on two cores at a load of 11.
SETTLE_LIMIT = 300


@dataclass(frozen=True)
class Seen:
    """What the check of a step saw.

    Attributes:
        passed: whether it is as it should be.
        code: what it saw otherwise, by its name in the step's ``seen``; empty when it came to no judgement.
        said: what the machine said.
    """

    passed: bool
    code: str = ""
    said: str = ""


@dataclass
class Attempt:
    """One attempt at a lesson.

    Attributes:
        began: when, in seconds since 1970.
        fault: what is broken; empty when it began on an unfinished machine.
        passed: seconds from the beginning to the first check that passed a step, by step.
        hints: number of each hint that was given, by step.
        solved: the steps that did not pass yet when the solution was taken; they earn no points.
        ended: when it was stopped or everything passed, in seconds since 1970; 0 while it goes on.
    """

    began: float
    fault: str = ""
    passed: dict[str, float] = field(default_factory=dict)
    hints: dict[str, list[int]] = field(default_factory=dict)
    solved: list[str] = field(default_factory=list)
    ended: float = 0


class Seat:
    """One lesson on this machine."""

    def __init__(self, lesson: Lesson, lab: Lab | None = None) -> None:
        """Look at a lesson's hosts.

        Raises:
            SchoolError: without what lessons run on.
        """
        if missing := [name for name in ("molecule", "pytest", "testinfra") if not find_spec(name)]:
            raise SchoolError(say("labs.tools", missing=", ".join(missing)))
        self.lesson = lesson
        self.lab = lab or Lab()
        self._file = self.lab.state.root / "labs" / f"{lesson.name}.json"

    # -- asking ----------------------------------------------------------------------------------

    @property
    def prepared(self) -> bool:
        """Whether every host has what a start returns to."""
        return all(PREPARED in self.lab.snapshots(name) for name in self.lesson.hosts.values())

    @property
    def running(self) -> bool:
        """Whether every host runs."""
        return all(map(self.lab.running, self.lesson.hosts.values()))

    @property
    def attempt(self) -> Attempt | None:
        """The last attempt; None when there was none."""
        values = read_json(self._file)
        return Attempt(**values) if values else None

    def require_attempt(self) -> Attempt:
        """Return the last attempt.

        Raises:
            SchoolError: when there was none.
        """
        attempt = self.attempt
        if not attempt:
            raise SchoolError(say("labs.not_running", name=self.lesson.name))
        return attempt

    def to_do(self, attempt: Attempt) -> list[str]:
        """Return the steps that an attempt is about: those that fail at its beginning."""
        fails = self.lesson.fails(attempt.fault)
        return [step for step in self.lesson.steps if step in fails]

    def points(self, attempt: Attempt, step: str) -> int:
        """Return the points a step has earned: none before it passes, less those its hints cost."""
        if step not in attempt.passed or step in attempt.solved:
            return 0
        told = self.lesson.steps[step]
        cost = sum(told["hints"][number]["cost"] for number in attempt.hints.get(step, []))
        return max(0, int(told["points"] - cost))

    def look(self) -> dict[str, Seen]:
        """Run every step's check, from outside, and return what each saw, in the order of the steps.

        Raises:
            SchoolError: when a host does not run.
        """
        self._require_running()
        tests = [f"{self.lesson.folder}/tests/{step['check']}" for step in self.lesson.steps.values()]
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report"
            report.touch()
            command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
            command += ["-p", "schoolstack.labs.checks", "--lab-report", str(report), *tests]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
        seen = {line.pop("check"): Seen(**line) for line in lines}
        nothing = Seen(False, said=(done.stdout.strip() or done.stderr.strip() or "pytest").splitlines()[-1])
        return {name: seen.get(step["check"], nothing) for name, step in self.lesson.steps.items()}

    # -- doing -----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the hosts as the lesson wants them before anything is broken, once.

        Raises:
            SchoolError: for want of room, or when they could not be made.
        """
        if self.prepared:
            return
        make_folder(self.lab.state.root, 0o700)
        free = shutil.disk_usage(self.lab.state.root).free // 1024**2
        if free < (needed := self.lesson.content["disk_mb"]):
            raise SchoolError(say("labs.no_disk", name=self.lesson.name, needed=needed, free=free))
        # What a preparation that was interrupted left is of unknown worth.
        self.molecule("destroy")
        self.molecule("create")
        for name in self.lesson.hosts.values():
            self.lab.snapshot(name, PREPARED)

    def start(self, fault: str = "") -> Attempt:
        """Begin an attempt on the prepared hosts, which are made when there are none.

        Args:
            fault: what is to be broken; how the lesson begins when not given.

        Raises:
            SchoolError: the lesson has no such fault, or the hosts did not come up.
        """
        fault = fault or self.lesson.beginning
        if fault:
            self._check_fault(fault)
        free, needed = free_memory_mb(), self.lesson.content["memory_mb"]
        if not self.running and free < needed:
            raise SchoolError(say("labs.no_memory", name=self.lesson.name, needed=needed, free=free))
        self.prepare()
        for name in self.lesson.hosts.values():
            self.lab.reset(name, PREPARED)
        if fault:
            # What is broken was whole before: an unfinished machine is finished first.
            if not self.lesson.beginning:
                self.molecule("converge")
            self._settle()
        return self.break_it(fault)

    def break_it(self, fault: str) -> Attempt:
        """Apply a fault to the hosts as they are, and begin an attempt at mending it.

        Raises:
            SchoolError: the lesson has no such fault, or it could not be applied.
        """
        if fault:
            self._check_fault(fault)
            self._require_running()
            self.molecule("side-effect", SCHOOL_LAB_FAULT=fault)
        attempt = Attempt(time.time(), fault)
        self._keep(attempt)
        return attempt

    def check(self) -> dict[str, Seen]:
        """Run every check, and remember which steps passed for the first time."""
        seen = self.look()
        if (attempt := self.attempt) and not attempt.ended:
            now = time.time()
            for step in self.to_do(attempt):
                if seen[step].passed:
                    attempt.passed.setdefault(step, round(now - attempt.began, 1))
            if all(found.passed for found in seen.values()):
                attempt.ended = now
            self._keep(attempt)
        return seen

    def hint(self) -> tuple[str, str] | None:
        """Look at the hosts, and return the step that is next and the hint that fits; None when all pass.

        Each call gives the next hint; the last one is given again.
        """
        attempt = self.require_attempt()
        seen = self.check()
        step = first_open(self.lesson, seen)
        if not step:
            return None
        given = attempt.hints.get(step, [])
        hints = self.lesson.steps[step]["hints"]
        fit = [hints.index(hint) for hint in fitting(self.lesson.steps[step], seen[step].code)]
        if not fit:
            return step, say("labs.no_hint")
        number = next((number for number in fit if number not in given), fit[-1])
        attempt = self.require_attempt()
        attempt.hints[step] = sorted({*given, number})
        self._keep(attempt)
        return step, words(hints[number]["text"])

    def solve(self) -> dict[str, Seen]:
        """Let the production roles mend it, and return what the checks see then."""
        attempt = self.require_attempt()
        self._require_running()
        tags = self.lesson.faults[attempt.fault]["mended_by"] if attempt.fault else []
        attempt.solved = [step for step in self.to_do(attempt) if step not in attempt.passed]
        self._keep(attempt)
        self.molecule("converge", *(["--", "--tags", ",".join(tags)] if tags else []))
        self._settle()
        return self.check()

    def stop(self) -> None:
        """End the attempt and switch the hosts off; they stay prepared."""
        if (attempt := self.attempt) and not attempt.ended:
            attempt.ended = time.time()
            self._keep(attempt)
        known = {host.name for host in self.lab.hosts()}
        for name in known & set(self.lesson.hosts.values()):
            self.lab.power_cut(name)

    def remove(self) -> None:
        """Remove the hosts, what was generated for them, and the attempt."""
        self.molecule("destroy")
        inventory = self.lesson.folder / "inventory"
        for left in ("secrets", "sheets", "files"):
            shutil.rmtree(inventory / left, ignore_errors=True)
        (inventory / ".vault-key").unlink(missing_ok=True)
        self._file.unlink(missing_ok=True)

    def molecule(self, verb: str, *further: str, **environment: str) -> None:
        """Run a verb of Molecule on the scenario, its progress on standard error.

        Raises:
            SchoolError: when it failed; the reason stands above.
        """
        command = [sys.executable, "-m", "molecule", verb, "--scenario-name", self.lesson.name, *further]
        # Playbooks call `school`; what is fetched for test hosts goes when they go.
        environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        artefacts = {"SCHOOLSTACK_ARTEFACTS": str(self.lab.state.root / "artefacts")}
        environment = {**artefacts, **os.environ, **environment}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False)
        if done.returncode:
            raise SchoolError(say("labs.molecule", verb=verb, name=self.lesson.name))

    # -- inside ----------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Wait until every check passes on hosts that are to be whole."""
        deadline = time.monotonic() + SETTLE_LIMIT
        while bad := "; ".join(told(self.lesson, self.look())):
            if time.monotonic() > deadline:
                raise SchoolError(
                    say("labs.unsettled", name=self.lesson.name, seconds=SETTLE_LIMIT, seen=bad)
                )
            time.sleep(1)

    def _check_fault(self, fault: str) -> None:
        if fault not in self.lesson.faults:
            known = ", ".join(self.lesson.faults) or "-"
            raise SchoolError(say("labs.unknown_fault", name=self.lesson.name, fault=fault, known=known))

    def _require_running(self) -> None:
        if not self.prepared or not self.running:
            raise SchoolError(say("labs.not_running", name=self.lesson.name))

    def _keep(self, attempt: Attempt) -> None:
        make_folder(self._file.parent, 0o700)
        write_json(self._file, asdict(attempt))


def free_memory_mb() -> int:
    """Return how much memory this machine can give away, in MB."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) // 1024


def first_open(lesson: Lesson, seen: Mapping[str, Seen]) -> str:
    """Return the first step that does not pass while all it needs do; empty when every step passes."""
    for name, step in lesson.steps.items():
        if not seen[name].passed and all(seen[needed].passed for needed in step.get("needs", [])):
            return name
    return ""


def told(lesson: Lesson, seen: Mapping[str, Seen]) -> Iterator[str]:
    """Yield in words what was seen at each step that does not pass."""
    for name, found in seen.items():
        if not found.passed:
            yield in_words(lesson.steps[name], found)


def in_words(step: Mapping[str, Any], found: Seen) -> str:
    """Return what a check saw, as its step tells it."""
    if found.passed:
        return words(step["passed"])
    text = step["seen"].get(found.code)
    return words(text, said=found.said) if text else say("labs.odd", said=found.said)
