"""A lesson on its test hosts: what Molecule does, put in the words of a lesson. There is no second engine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError
from schoolstack.hosts.lab import Lab
from schoolstack.hosts.state import make_folder, read_json, remove_tree, write_json
from schoolstack.labs.lesson import INVENTORY, Lesson, fitting, words
from schoolstack.labs.records.spool import Spool
from schoolstack.labs.variants import derive
from schoolstack.messages import language, say

# The snapshots of a prepared host: as prepare.yml left it, and with all done where that is unfinished.
PREPARED, WHOLE = "lab", "whole"
# Seconds until what is whole has come up after a start: bounds 80 s, measured on two cores at a load of 11.
SETTLE_LIMIT = 300
# After a restart, what does not come back is waited for at least this long, in seconds, and this many times
# what the same programs needed when the lesson was prepared, since other seats may be busy.
RESTART_LIMIT, RESTART_TIMES = 30, 3
# The numbers that seats of a room may have.
NUMBERS = range(1, 100)
# What is generated in an inventory, by name.
GENERATED = ("secrets", "sheets", "files", "people", "breaches", ".vault-key")


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
        learner: who it is, as a pseudonym; empty when nobody said.
        coming_up: seconds that the hosts' programs need after the beginning until only what is broken fails.
        passed: seconds from the beginning to the first check that passed a step, by step.
        hints: number of each hint that was given, in that order, by step.
        hinted: seconds from the beginning to each of these.
        checks: seconds from the beginning to each check.
        seen: what the last check saw, by step.
        solved: the steps that did not pass yet when the solution was taken; they earn no points.
        ended: when it was stopped or everything passed, in seconds since 1970; 0 while it goes on.
        id: its own, a UUID.
    """

    began: float
    fault: str = ""
    learner: str = ""
    coming_up: float = 0
    passed: dict[str, float] = field(default_factory=dict)
    hints: dict[str, list[int]] = field(default_factory=dict)
    hinted: dict[str, list[float]] = field(default_factory=dict)
    checks: list[float] = field(default_factory=list)
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    solved: list[str] = field(default_factory=list)
    ended: float = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def after(self) -> float:
        """Return the seconds since it began."""
        return round(time.time() - self.began, 1)


class Seat:
    """One lesson on hosts of its own on this machine.

    There is one without a number, and any number of them with one: the seats of a room. All share what
    prepared hosts have on their disks, which is made once, for the one without a number.

    Attributes:
        lesson: the lesson as it is told at this seat.
        number: the seat's; empty for the one that is no part of a room.
        folder: what is remembered of it.
        inventory: a copy of the scenario's inventory, with where this seat's hosts are reached, and their
            secrets. Who practises may change it; each beginning makes it anew.
    """

    def __init__(self, lesson: Lesson, number: str = "", lab: Lab | None = None) -> None:
        """Look at a lesson's hosts.

        Args:
            lesson: as :func:`schoolstack.labs.lesson.load` returns it.
            number: the seat's.
            lab: the test hosts; this machine's usual ones when not given.

        Raises:
            SchoolError: without what lessons run on, or when there can be no such seat.
        """
        if missing := [name for name in ("molecule", "pytest", "testinfra") if not find_spec(name)]:
            raise SchoolError(say("labs.tools", missing=", ".join(missing)))
        if number and number not in map(str, NUMBERS):
            raise SchoolError(say("labs.no_number", number=number, last=NUMBERS[-1]))
        self._told = lesson
        self.number = number
        self.lab = lab or Lab()
        self._scenario = f"{lesson.name.replace('-', '')}{number}"
        self.folder = self.lab.state.root / "labs" / self._scenario
        self.inventory = self.folder / "inventory"
        self._file = self.folder / "attempt.json"
        self.lesson = lesson.filled(self._words)

    # -- what it is ------------------------------------------------------------------------------

    @property
    def hosts(self) -> dict[str, str]:
        """The test host of each host of the inventory, by its name there."""
        return {name: f"{self._scenario}-{name}" for name in self._told.content["hosts"]}

    @property
    def seed(self) -> str:
        """What its variants follow from; empty when it was given none."""
        file = self.folder / "seed"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    @property
    def variants(self) -> dict[str, str]:
        """What differs from seat to seat: the value of each by its name."""
        return derive(self._told.variants, self.seed, self._told.name, self.number)

    @property
    def address(self) -> str:
        """The words that name it behind ``school lab VERB``."""
        return f"{self.lesson.name} --seat {self.number}" if self.number else self.lesson.name

    # -- asking ----------------------------------------------------------------------------------

    @property
    def prepared(self) -> bool:
        """Whether every host has what everything else is made from."""
        return self._has(PREPARED)

    @property
    def running(self) -> bool:
        """Whether every host runs."""
        return all(map(self.lab.running, self.hosts.values()))

    @property
    def attempt(self) -> Attempt | None:
        """The last attempt; None when there was none, or none that the lesson can still tell."""
        values = read_json(self._file)
        attempt = Attempt(**values) if values else None
        return attempt if attempt and self._can_tell(attempt) else None

    def require_attempt(self) -> Attempt:
        """Return the last attempt.

        Raises:
            SchoolError: when there was none.
        """
        attempt = self.attempt
        if not attempt:
            raise SchoolError(say("labs.not_running", name=self.address))
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

    def unconfirmed(self, attempt: Attempt) -> list[str]:
        """Return the steps of an attempt that are only earned after a restart, and were not yet."""
        steps = self.lesson.steps
        return [s for s in self.to_do(attempt) if steps[s].get("after_restart") and s not in attempt.passed]

    def report(self) -> dict[str, Any]:
        """Return what is known of the last attempt, as plain values; times are seconds.

        Raises:
            SchoolError: when there was none.
        """
        attempt = self.require_attempt()
        steps = []
        for name in self.to_do(attempt):
            told = self.lesson.steps[name]
            given = zip(attempt.hints.get(name, []), attempt.hinted.get(name, []), strict=True)
            steps.append(
                {
                    "id": name,
                    "title": dict(told["title"]),
                    "points": self.points(attempt, name),
                    "max_points": told["points"],
                    "passed": attempt.passed.get(name),
                    "solved": name in attempt.solved,
                    "seen": attempt.seen.get(name),
                    "hints": [
                        {"number": number, "cost": told["hints"][number]["cost"], "after": after}
                        for number, after in given
                    ],
                }
            )
        checks = [attempt.began + after for after in attempt.checks]
        return {
            "attempt": attempt.id,
            "lesson": self.lesson.name,
            "title": dict(self.lesson.content["title"]),
            "language": language(),
            "seat": self.number,
            "learner": attempt.learner,
            "fault": attempt.fault,
            "began": attempt.began,
            "ended": attempt.ended,
            "checks": checks,
            "looked": checks[-1] if checks else 0.0,
            "points": sum(step["points"] for step in steps),
            "max_points": sum(step["max_points"] for step in steps),
            "solved": bool(attempt.solved),
            "steps": steps,
        }

    def look(self, *, restarted: bool = False) -> dict[str, Seen]:
        """Run every step's check, from outside, and return what each saw, in the order of the steps.

        Args:
            restarted: whether the hosts have just been restarted, which checks may ask.

        Raises:
            SchoolError: when a host does not run.
        """
        self._require_running()
        tests = [f"{self.lesson.folder}/tests/{step['check']}" for step in self.lesson.steps.values()]
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report"
            report.touch()
            command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
            command += ["-p", "schoolstack.labs.checks", "--lab-report", str(report)]
            command += ["--lab-lesson", str(self.lesson.folder), "--lab-seat", self.number]
            command += ["--lab-restarted"] if restarted else []
            done = subprocess.run(
                [*command, *tests],
                cwd=ROOT,
                env={**os.environ, "SCHOOLSTACK_STATE": str(self.lab.state.root)},
                capture_output=True,
                text=True,
                check=False,
            )
            lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
        seen = {line.pop("check"): Seen(**line) for line in lines}
        nothing = Seen(False, said=(done.stdout.strip() or done.stderr.strip() or "pytest").splitlines()[-1])
        return {name: seen.get(step["check"], nothing) for name, step in self.lesson.steps.items()}

    # -- doing -----------------------------------------------------------------------------------

    def prepare(self, fault: str = "", seed: str = "") -> None:
        """Make the hosts, and what a start with this fault returns to, as far as that is not there yet.

        Args:
            fault: what is to be broken; nothing when empty.
            seed: what its variants follow from; as they are when not given.

        Raises:
            SchoolError: for want of room, when they could not be made, or when they do not show what is told.
        """
        if fault:
            self._check_fault(fault)
        with self._lock():
            self._prepare(fault, seed)

    def lend(self, fault: str) -> None:
        """Be prepared as far as other seats need it, who share the disks, and go on as before."""
        with self._lock():
            ran = self.running
            self._prepare(fault, "")
            if not ran:
                self.switch_off()

    def start(self, fault: str = "", learner: str = "", seed: str = "") -> Attempt:
        """Begin an attempt, on hosts that are prepared for it when they are not yet.

        It does not wait until the hosts' programs have come up.

        Args:
            fault: what is broken; the lesson's first fault when not given.
            learner: who it is, as a pseudonym.
            seed: what its variants follow from; as they are when not given.

        Raises:
            SchoolError: the lesson has no such fault, or the hosts did not come up.
        """
        fault = fault or self.lesson.beginning
        if fault:
            self._check_fault(fault)
        free, needed = free_memory_mb(), self.lesson.content["memory_mb"]
        if not self.running and free < needed:
            raise SchoolError(say("labs.no_memory", name=self.lesson.name, needed=needed, free=free))
        with self._lock():
            self._prepare(fault, seed)
            self._for_each_host(lambda name, host: self._return_to(name, host, fault))
            self._write_inventory(self._origin_of(fault)._kept(_snapshot(fault)))
        self._end()
        attempt = Attempt(time.time(), fault, learner, self._origin_of(fault)._coming_up.get(fault, 0))
        self._keep(attempt)
        return attempt

    def break_it(self, fault: str) -> Attempt:
        """Apply a fault to the hosts as they are, and begin an attempt at mending it.

        Raises:
            SchoolError: the lesson has no such fault, or it could not be applied.
        """
        self._check_fault(fault)
        self._require_running()
        self.molecule("side-effect", SCHOOL_LAB_FAULT=fault)
        before = self.attempt
        self._end()
        attempt = Attempt(time.time(), fault, before.learner if before else "")
        self._keep(attempt)
        return attempt

    def check(self, *, restart: bool = False) -> dict[str, Seen]:
        """Run every check, and remember which steps passed for the first time.

        Args:
            restart: restart the hosts before, in order, and wait until all that passed before does again, as
                long as the programs may need for it.
        """
        seen = self._after_restart() if restart else self.look()
        if (attempt := self.attempt) and not attempt.ended:
            attempt.checks.append(attempt.after())
            attempt.seen = {step: asdict(found) for step, found in seen.items()}
            for step in self.to_do(attempt):
                if seen[step].passed and (restart or not self.lesson.steps[step].get("after_restart")):
                    attempt.passed.setdefault(step, attempt.after())
            self._keep(attempt)
            if all(found.passed for found in seen.values()) and not self.unconfirmed(attempt):
                self._end()
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
        if number not in given:
            attempt.hints.setdefault(step, []).append(number)
            attempt.hinted.setdefault(step, []).append(attempt.after())
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
        return self.check(restart=bool(self.unconfirmed(attempt)))

    def resume(self) -> bool:
        """Make the hosts run with what is on them, such as after a power cut.

        Returns:
            Whether there are any; otherwise nothing was done.
        """
        with self._lock():
            if set(self._existing()) != set(self.hosts.values()):
                return False
            self._for_each_host(lambda _, host: self.lab.up(host))
        return True

    def forget(self) -> None:
        """Forget the last attempt."""
        self._file.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the attempt and switch the hosts off; they stay prepared."""
        self._end()
        self.switch_off()

    def switch_off(self) -> None:
        """Cut the power of the hosts; they stay prepared."""
        for name in self._existing():
            self.lab.power_cut(name)

    def remove(self) -> None:
        """Remove the hosts, what was generated for them, and the attempt.

        Raises:
            SchoolError: seats of a room share what is on their disks.
        """
        self._end()
        for name in self._existing():
            self.lab.down(name)
        remove_tree(self.folder)

    def molecule(self, verb: str, *further: str, **environment: str) -> None:
        """Run a verb of Molecule on the scenario, its progress on standard error.

        Raises:
            SchoolError: when it failed; the reason stands above.
        """
        # Molecule itself would look for it in a clone of git only.
        settings = ["--base-config", str(ROOT / ".config" / "molecule" / "config.yml")]
        command = [sys.executable, "-m", "molecule", *settings, verb]
        command += ["--scenario-name", self.lesson.name, *further]
        root = self.lab.state.root
        ours = {
            "SCHOOLSTACK_STATE": str(root),
            "SCHOOL_LAB_INVENTORY": os.path.relpath(self.inventory, self.lesson.folder),
            "SCHOOL_LAB_HOSTS": self._scenario,
            # Molecule's notes on how far a scenario is.
            "MOLECULE_EPHEMERAL_DIRECTORY": str(self._molecule),
            # Playbooks call `school`.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        # What is fetched for test hosts goes when they go.
        environment = {"SCHOOLSTACK_ARTEFACTS": str(root / "artefacts"), **os.environ, **ours, **environment}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False)
        if done.returncode:
            raise SchoolError(say("labs.molecule", verb=verb, name=self.lesson.name))

    # -- inside ----------------------------------------------------------------------------------

    @property
    def _own_disk(self) -> bool:
        """Whether something on its prepared hosts differs from those of other seats."""
        return not self.number or self._personal.is_file()

    @property
    def _personal(self) -> Path:
        """The playbook that makes on the hosts what differs from seat to seat; it may be missing."""
        return self.lesson.folder / "seat.yml"

    @property
    def _words(self) -> dict[str, str]:
        """What stands for each word in a text: the variants, and where the inventory is."""
        return {**self.variants, INVENTORY: str(self.inventory)}

    @property
    def _molecule(self) -> Path:
        return self.folder / "molecule"

    def _kept(self, snapshot: str) -> Path:
        """Return where the inventory is kept that fits what is on the disks at a snapshot."""
        return self.folder / "kept" / snapshot

    @property
    def _notes(self) -> Path:
        """Molecule's notes on what was done to the hosts."""
        return self._molecule / "state.yml"

    @property
    def _origin(self) -> Seat:
        """The seat whose prepared hosts lie under this one's."""
        return Seat(self._told, lab=self.lab) if self.number else self

    def _origin_of(self, fault: str) -> Seat:
        """Return the seat whose snapshots a start returns to."""
        return self if self._own_disk else self._origin

    @property
    def _coming_up(self) -> dict[str, float]:
        """Seconds that programs needed at the first start of each fault, which is frozen once it is here."""
        return read_json(self.folder / "coming-up.json") or {}

    def _has(self, snapshot: str) -> bool:
        hosts = self.hosts.values()
        return self._kept(snapshot).is_dir() and all(snapshot in self.lab.snapshots(name) for name in hosts)

    def _existing(self) -> list[str]:
        known = {host.name for host in self.lab.hosts()}
        return [name for name in self.hosts.values() if name in known]

    def _for_each_host(self, do: Callable[[str, str], object]) -> None:
        """Do something at all hosts at once, which takes as long as at one."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(do, self.hosts, self.hosts.values()))

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        """Keep apart those who prepare, start or borrow this seat's hosts."""
        return self.lab.state.lock(f"lab-{self._scenario}")

    def _prepare(self, fault: str, seed: str) -> None:
        if seed and seed != self.seed:
            self.remove()
            make_folder(self.folder, 0o700)
            (self.folder / "seed").write_text(seed, encoding="utf-8")
            self.lesson = self._told.filled(self._words)
        if self.number:
            self._origin.lend("" if self._own_disk else fault)
            if not self._own_disk:
                self._take_notes()
        if self._own_disk and not self.prepared:
            self._make()
        if self._own_disk and fault and not self._frozen(fault):
            self._freeze(fault)

    def _make(self) -> None:
        """Make the hosts as the lesson wants them before anything is broken."""
        free = shutil.disk_usage(self.lab.state.root).free // 1024**2
        if not self.number and free < (needed := self.lesson.content["disk_mb"]):
            raise SchoolError(say("labs.no_disk", name=self.lesson.name, needed=needed, free=free))
        # What a preparation that was interrupted left is of unknown worth.
        for name in self._existing():
            self.lab.down(name)
        remove_tree(self._molecule)
        remove_tree(self.inventory)
        if self.number:
            origin = self._origin
            self._for_each_host(lambda name, host: self.lab.clone(host, origin.hosts[name], PREPARED))
            self._write_inventory(origin._kept(PREPARED))
            self._take_notes()
        else:
            # What a run of Molecule alone generated there is none of the seat's.
            self._write_inventory(self.lesson.folder / "inventory", without=GENERATED)
            self.molecule("create")
        if self._personal.is_file():
            self.molecule("prepare", "--force", SCHOOL_LAB_PREPARE=self._personal.name)
        self._keep_disks(PREPARED)

    def _take_notes(self) -> None:
        """Let Molecule know that these hosts are prepared, or it would prepare them again."""
        if self._origin._notes.exists():
            make_folder(self._molecule, 0o700)
            shutil.copy2(self._origin._notes, self._notes)

    def _frozen(self, fault: str) -> bool:
        return fault in self._coming_up and self._has(_snapshot(fault))

    def _freeze(self, fault: str) -> None:
        """Break the prepared hosts, and keep them as they are then, so that later starts need no playbook."""
        if self.lesson.beginning:
            self._reset(PREPARED, _snapshot(fault))
        else:
            if not self._has(WHOLE):
                self._reset(PREPARED, WHOLE)
                self.molecule("converge")
                self._keep_disks(WHOLE)
            self._reset(WHOLE, _snapshot(fault))
        self._settle()
        self.molecule("side-effect", SCHOOL_LAB_FAULT=fault)
        self._keep_disks(_snapshot(fault))
        began = time.monotonic()
        self._settle(self.lesson.fails(fault))
        took = round(time.monotonic() - began, 1)
        make_folder(self.folder, 0o700)
        write_json(self.folder / "coming-up.json", {**self._coming_up, fault: took})

    def _reset(self, snapshot: str, without: str) -> None:
        """Return all hosts to a snapshot, and forget one that a preparation may have begun."""
        self._for_each_host(lambda _, host: self.lab.reset(host, snapshot))
        for host in self.hosts.values():
            self.lab.forget(host, without)
        self._write_inventory(self._kept(snapshot))

    def _keep_disks(self, snapshot: str) -> None:
        """Shut the hosts down, keep what is on them and the inventory under a name, and boot them again."""
        for host in self.hosts.values():
            self.lab.snapshot(host, snapshot)
        remove_tree(self._kept(snapshot))
        _copy_inventory(self.inventory, self._kept(snapshot))

    def _return_to(self, name: str, host: str, fault: str) -> None:
        """Make a host run that has nothing on it but what the lesson begins with."""
        if self._own_disk:
            self.lab.reset(host, _snapshot(fault))
            return
        source = self._origin.hosts[name]
        over = f"{source}/{_snapshot(fault)}"
        if [one.over for one in self.lab.hosts() if one.name == host] == [over]:
            self.lab.reset(host)
        else:
            self.lab.down(host)
            self.lab.clone(host, source, _snapshot(fault))

    def _write_inventory(self, source: Path, without: Collection[str] = ()) -> None:
        """Make the inventory anew.

        Args:
            source: what is in it besides where the hosts are reached and what differs at this seat.
            without: names there that are left out.
        """
        remove_tree(self.inventory)
        _copy_inventory(source, self.inventory, without)
        for host in self._existing():
            (self.inventory / f"zz-{host}.yml").symlink_to(self.lab.inventory(host))
        variables = {"lab_seat": self.number, "lab_variants": self.variants}
        write_json(self.inventory / "zz-seat.yml", {"all": {"vars": variables}})

    def _after_restart(self) -> dict[str, Seen]:
        """Restart the hosts, and return what checks see then, when it is as before or time is up."""
        passed = {step for step, found in self.look().items() if found.passed}
        for name in reversed(self.hosts.values()):
            self.lab.shut_down(name)
        for name in self.hosts.values():
            self.lab.up(name)
        usual = max(self._origin_of("")._coming_up.values(), default=0)
        deadline = time.monotonic() + max(RESTART_LIMIT, RESTART_TIMES * usual)
        while True:
            seen = self.look(restarted=True)
            if all(seen[step].passed for step in passed) or time.monotonic() > deadline:
                return seen
            time.sleep(1)

    def _settle(self, fails: Mapping[str, str] | None = None) -> None:
        """Wait until just the named steps fail, each as named; none, when not given."""
        deadline = time.monotonic() + SETTLE_LIMIT
        while True:
            seen = self.look()
            if {step: found.code for step, found in seen.items() if not found.passed} == dict(fails or {}):
                return
            if time.monotonic() > deadline:
                bad = "; ".join(told(self.lesson, seen)) or say("labs.all_pass")
                raise SchoolError(say("labs.unsettled", name=self.address, seconds=SETTLE_LIMIT, seen=bad))
            time.sleep(1)

    def _can_tell(self, attempt: Attempt) -> bool:
        """Whether the lesson has all that an attempt at it names; it may have been changed since."""
        begins = attempt.fault in self.lesson.faults if attempt.fault else "unfinished" in self.lesson.content
        given = ((self.lesson.steps.get(step), numbers) for step, numbers in attempt.hints.items())
        return begins and all(max(numbers) < len(step["hints"]) for step, numbers in given if step)

    def _check_fault(self, fault: str) -> None:
        if fault not in self.lesson.faults:
            known = ", ".join(self.lesson.faults) or "-"
            raise SchoolError(say("labs.unknown_fault", name=self.lesson.name, fault=fault, known=known))

    def _require_running(self) -> None:
        if not self.running:
            raise SchoolError(say("labs.not_running", name=self.address))

    def _end(self) -> None:
        """End the attempt if it goes on; with a learner named, it waits for ``school lab send``."""
        if (attempt := self.attempt) and not attempt.ended:
            attempt.ended = time.time()
            if attempt.learner:
                Spool(self.lab.state).add({**self.report(), "ended": attempt.ended})
            self._keep(attempt)

    def _keep(self, attempt: Attempt) -> None:
        make_folder(self.folder, 0o700)
        write_json(self._file, asdict(attempt))


def _copy_inventory(source: Path, target: Path, without: Collection[str] = ()) -> None:
    """Copy an inventory, what its links lead to included, but not where its hosts are reached."""

    def ignored(folder: str, names: list[str]) -> list[str]:
        here = Path(folder) == source
        return [name for name in names if here and (name in without or name.startswith("zz-"))]

    make_folder(target.parent, 0o700)
    shutil.copytree(source, target, ignore=ignored)
    target.chmod(0o700)


def _snapshot(fault: str) -> str:
    """Return the name of the snapshot that an attempt at a fault begins with."""
    return f"fault-{fault}" if fault else PREPARED


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
