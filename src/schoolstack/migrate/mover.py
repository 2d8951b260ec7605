"""Bring the files of one move after the other."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import TypeVar

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.migrate import names
from schoolstack.migrate.decide import Step, empty_folders, key, stated, steps
from schoolstack.migrate.journal import Journal
from schoolstack.migrate.mapping import Move
from schoolstack.migrate.rclone import Item, Rclone, RcloneError, Session
from schoolstack.migrate.receipt import Brought, Receipt, Skipped
from schoolstack.migrate.settings import Settings
from schoolstack.migrate.sources import Source
from schoolstack.migrate.target import Target

T = TypeVar("T")

_TRIES = 3
# Between two looks at a server that is away, in seconds.
_WAITS = (1, 2, 5, 10, 30, 60)
# A look at the clock, so that a computer that slept does not sleep on.
_NAP = 60.0
_ONENOTE = "OneNote file"


class GoneError(SchoolError):
    """A server is away for longer than the school's patience."""


class DiskFullError(SchoolError):
    """The target has no room left for anybody."""


@dataclass(frozen=True)
class Way:
    """What every move of a migration goes through.

    Attributes:
        settings: of the migration.
        rclone: the program.
        source: where files come from.
        target: where they go.
        sleep: waits a number of seconds, in a test; else a wait ends when the run does.
        now: tells the time.
        ignores_hours: whether files are sent at any hour.
    """

    settings: Settings
    rclone: Rclone
    source: Source
    target: Target
    sleep: Callable[[float], object] | None = None
    now: Callable[[], datetime.datetime] = datetime.datetime.now
    ignores_hours: bool = False

    def check(self, moves: Sequence[Move]) -> None:
        """Look whether everything is there that the moves need, before the first transfer.

        Raises:
            SchoolError: with a sentence for each thing that is not.
        """
        self.rclone.require(self.source.needed, self.source.title)
        self.rclone.require(self.target.needed, "Nextcloud")
        refusals = [*self.source.missing(moves), *self.target.unknown(moves)]
        if refusals:
            raise SchoolError("\n".join(dict.fromkeys(refusals)))

    def session(self, move: Move) -> Session:
        """Return rclone for one move."""
        limits = self.settings.limits
        flags = ["--tpslimit", str(limits.requests), "--low-level-retries", "3"]
        source, target = self.source.remote(move), self.target.remote(move)
        return Session(self.rclone, source, target, flags, limits.bandwidth)


@contextlib.contextmanager
def alone(work: Path) -> Iterator[None]:
    """Hold a migration's folder, so that no second run sends the same files.

    Raises:
        SchoolError: another run has it.
    """
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Names of pupils and of their files belong in no repository.
    (work / ".gitignore").write_text("*\n", encoding="utf-8")
    with (work / "lock").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SchoolError(say("migrate.run.busy", path=work)) from None
        yield


class Mover:
    """One move, being carried out."""

    def __init__(self, way: Way, move: Move, session: Session, journal: Journal) -> None:
        """Take what it needs."""
        self.way, self.move, self.session, self.journal = way, move, session, journal
        self.receipt = Receipt(move, way.source.title)
        self._stop = Event()
        self._waiting = Lock()
        self._skipped: dict[str, Skipped] = {}
        self._there: dict[str, Item] = {}
        self._full = self._full_for_all = False
        # Until then there is nothing to say, and what an earlier run has said stays.
        self._filled = False
        self._sources: dict[str, str] = {}
        self._hash_type, self._source_reads = "", False

    def bring(self) -> Receipt:
        """Send what is not there yet, look whether it has arrived, and return the receipt.

        Raises:
            GoneError: a server is away; what was brought is on the receipt, which is saved.
            DiskFullError: there is no room left for anybody; likewise.
        """
        self.receipt.began = self._moment()
        try:
            self._bring()
        finally:
            self.receipt.ended = self._moment()
            self.receipt.skipped = list(self._skipped.values())
            if self._filled:
                self.receipt.save(self.way.settings.work)
        return self.receipt

    def _bring(self) -> None:
        self._wait_for_hours()
        known, cheap = self._patiently(lambda: self.session.hash_type("source"))
        self._hash_type = self.receipt.hash_type = known or "sha256"
        self._source_reads = not known
        source = self._patiently(lambda: self.session.list("source", hash_type=known if cheap else ""))
        target = self._patiently(lambda: self.session.list("target", self.move.folder))
        self._there = {key(item.path): item for item in target}
        self._sources = stated(source)
        decided = self._compare(steps(source, target, self.journal.notes, self.way.settings.limits.biggest))
        try:
            self._send([step for step in decided if step.do in ("send", "over")])
            self._make_folders(source)
            self._look_whether_arrived(decided)
        finally:
            self._fill(decided)
        if self._full_for_all:
            raise DiskFullError(say("migrate.run.disk_full"))

    # -- what is there already --

    def _compare(self, decided: Sequence[Step]) -> list[Step]:
        """Return the steps, with those decided that depend on what the files hold."""
        doubtful = [step for step in decided if step.do in ("compare", "renew")]
        there = self._target_hashes(doubtful)
        self._find_sources([step for step in doubtful if step.do == "compare"])
        found = []
        for step in decided:
            if step.do == "compare":
                step = self._compared(step, there.get(step.to, ""))
            elif step.do == "renew":
                note = self.journal.notes[step.item.path]
                same = bool(there.get(step.to)) and there[step.to] == note.get("hash")
                step = self._over(step) if same else self._conflict(step)
            elif step.do == "skip" and step.reason == "conflict":
                step = self._conflict(step)
            if step.do == "skip":
                self._skip(step, step.reason)
            found.append(step)
        return found

    def _compared(self, step: Step, there: str) -> Step:
        """Return what is to be done with a file that the target has in some form."""
        item = step.item
        ours = self._sources.get(item.path, "")
        if there and there == ours:
            state = self.journal.notes[item.path]["as"] if step.ours else "already"
            self._checked(step, there, compared=True, state=state)
            return Step(item, step.to, "done")
        if not step.ours:
            return self._conflict(step)
        note = self.journal.notes[item.path]
        if item.size < 0:
            # Converted anew each time, so there is nothing to compare. Nextcloud has an upload whole or not
            # at all.
            if there and (note["state"] == "sent" or self.way.target.is_nextcloud):
                self._checked(step, there, compared=False, state=note["as"])
                return Step(item, step.to, "done")
            return self._conflict(step)
        if (there and there == note.get("was")) or self._is_beginning(step):
            return self._over(step)
        return self._conflict(step)

    def _is_beginning(self, step: Step) -> bool:
        """Tell whether what is there begins the file: what a server kept of an upload that was cut off."""
        there = self._there.get(key(step.to))
        if there is None or there.size < 0 or there.size >= step.item.size:
            return False
        first = self.session.begins("target", self._place(step.to), there.size)
        return bool(first) and first == self.session.begins("source", step.item.path, there.size)

    def _conflict(self, step: Step) -> Step:
        """Return what the school wants where the target has another file."""
        policy = self.way.settings.conflict
        if policy == "replace":
            return self._over(step)
        aside = names.acceptable(names.beside(step.to, self.way.source.title))
        if policy == "both" and key(aside) not in self._there:
            return Step(step.item, aside, "send")
        return step.skipped("conflict")

    def _over(self, step: Step) -> Step:
        return Step(step.item, step.to, "over")

    # -- sending --

    def _send(self, todo: Sequence[Step]) -> None:
        """Send files, several at a time, until all are sent or something stops it."""
        waiting = iter(todo)
        turn = Lock()

        def work() -> None:
            while not self._stop.is_set():
                with turn:
                    step = next(waiting, None)
                    if step is not None:
                        self._wait_for_hours()
                if step is None:
                    return
                self._send_one(step)

        at_once = self.way.settings.limits.at_once
        with ThreadPoolExecutor(at_once) as pool:
            running = [pool.submit(work) for _ in range(at_once)]
            try:
                for one in running:
                    one.result()
            except BaseException:
                self._stop.set()
                # Ends what is being sent, so that the pool does not wait for it.
                self.session.__exit__()
                raise
        for step in waiting:
            self._skip(step, "full" if self._full else "left")

    def _send_one(self, step: Step) -> None:
        """Send one file, and note before and after what is being done."""
        item, over = step.item, step.do == "over"
        before = self.journal.notes.get(item.path, {})
        if step.to != before.get("to", names.acceptable(item.path)):
            state = "beside"
        else:
            state = str(before.get("as") or ("replaced" if over else "sent"))
        known = {"to": step.to, "size": item.size, "changed": item.changed, "as": state}
        if over and (was := before.get("hash") or before.get("was")):
            # What is there until this has arrived.
            known["was"] = was
        self.journal.note(item.path, "sending", **known)
        failed = 0
        while True:
            try:
                self.session.copy(item.path, self._place(step.to), over=over)
            except RcloneError as error:
                if error.is_full:
                    return self._no_room(step, error)
                if _ONENOTE in str(error):
                    return self._skip(step, "onenote")
                if self._answer():
                    failed += 1
                if failed == _TRIES:
                    return self._skip(step, "failed", str(error))
                continue
            self.journal.note(item.path, "sent", **known)
            return None

    def _no_room(self, step: Step, error: RcloneError) -> None:
        """Stop, since there is no room: for this person, or for anybody."""
        self._skip(step, "full", str(error))
        self._full = True
        self._stop.set()
        free = self.session.free("target")
        # An account that has room of its own is refused because the server has none.
        self._full_for_all = free is None or free >= step.item.size

    def _make_folders(self, source: Sequence[Item]) -> None:
        """Make the folders that no file has made."""
        if self._stop.is_set():
            return
        for folder in empty_folders(source):
            if key(folder) not in self._there:
                try:
                    self.session.make_folder(self._place(folder))
                except RcloneError as error:
                    self._skipped[f"{folder}/"] = Skipped(f"{folder}/", 0, "failed", str(error))
                    continue
            self.receipt.folders += 1

    # -- looking whether it arrived --

    def _look_whether_arrived(self, decided: Sequence[Step]) -> None:
        """Read back what was sent, and compare it with what the source says."""
        notes = self.journal.notes
        sent = [step for step in decided if notes.get(step.item.path, {}).get("state") == "sent"]
        there = self._target_hashes(sent)
        self._find_sources([step for step in sent if step.item.size >= 0])
        for step in sent:
            note = notes[step.item.path]
            found, wanted = there.get(note["to"], ""), self._sources.get(step.item.path, "")
            compares = step.item.size >= 0
            if not found or (compares and not wanted):
                self._skip(step, "not_there")
            elif compares and found != wanted:
                known = {name: note[name] for name in ("to", "size", "changed", "as")}
                self.journal.note(step.item.path, "differs", **known)
                self._skip(step, "differs")
            else:
                there_now = Step(step.item, note["to"], "done")
                self._checked(there_now, found, compared=compares, state=note["as"])

    def _fill(self, decided: Sequence[Step]) -> None:
        """Put on the receipt what is known to be at the target, and what is not."""
        self._filled = True
        sizes = {}
        with contextlib.suppress(SchoolError, RcloneError):
            sizes = {key(one.path): one.size for one in self.session.list("target", self.move.folder)}
        for step in decided:
            path, note = step.item.path, self.journal.notes.get(step.item.path, {})
            if path in self._skipped:
                continue
            if note.get("state") != "checked":
                self._skip(step, "left")
                continue
            # What Google converts has a size only here; what people have moved since, only there.
            size = sizes.get(key(note["to"]), max(note["size"], 0))
            self.receipt.brought.append(
                Brought(path, note["to"], size, note["as"], note["hash"], note["compared"])
            )

    def _checked(self, step: Step, found: str, *, compared: bool, state: str) -> None:
        self.journal.note(
            step.item.path,
            "checked",
            to=step.to,
            size=step.item.size,
            changed=step.item.changed,
            hash=found,
            compared=compared,
            **{"as": state},
        )

    def _target_hashes(self, wanted: Sequence[Step]) -> dict[str, str]:
        """Return what the target's files hold, read back, by their paths in the move's folder."""
        notes = self.journal.notes
        paths = [self._place(notes[s.item.path]["to"] if s.item.path in notes else s.to) for s in wanted]
        if not paths:
            return {}
        found = self._hashes("target", paths, read=True)
        below = f"{self.move.folder}/" if self.move.folder else ""
        return {path.removeprefix(below): value for path, value in found.items()}

    def _find_sources(self, wanted: Sequence[Step]) -> None:
        """Ask what the source's files hold, where their list did not tell; read them where nobody knows."""
        for read in (self._source_reads, True):
            unknown = [step.item.path for step in wanted if not self._sources.get(step.item.path)]
            if unknown:
                self._sources |= self._hashes("source", unknown, read=read)

    def _hashes(self, side: str, paths: Sequence[str], *, read: bool) -> dict[str, str]:
        """Return the hashes of files that a side has, when it is there."""
        found: dict[str, str] = {}
        while left := [path for path in paths if path not in found]:
            found |= self.session.hashes(side, self._hash_type, left, read=read)
            # What is missing now is missing, unless the server was.
            if len(found) == len(paths) or self._answer():
                break
        return found

    # -- patience --

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask something until the servers answer.

        Raises:
            GoneError: they do not, for longer than the school's patience.
            SchoolError: they answer, and do not do this.
        """
        failed = 0
        while True:
            try:
                return ask()
            except RcloneError as error:
                if self._answer():
                    failed += 1
                if failed == _TRIES:
                    raise SchoolError(say("migrate.run.unread", name=self.move.name, said=error)) from None

    def _answer(self) -> bool:
        """Return at once whether both sides answer; if not, wait until they do and return that they did not.

        Raises:
            GoneError: they did not, for longer than the school's patience.
            SchoolError: one of them answers, and no longer lets us in.
        """
        with self._waiting:
            began, said = time.monotonic(), ""
            for wait in (*_WAITS, *[_WAITS[-1]] * 10000):
                error = self.session.unanswered("source") or self.session.unanswered("target")
                if error is None:
                    return not said
                if error.is_denied or error.is_missing:
                    # Waiting does not cure that.
                    raise SchoolError(say("migrate.run.unread", name=self.move.name, said=error))
                if not said:
                    said = str(error)
                    print(say("migrate.run.away", said=said), flush=True)
                if time.monotonic() - began < self.way.settings.limits.patience:
                    self._sleep(wait)
                    if not self._stop.is_set():
                        continue
                raise GoneError(say("migrate.run.gone", said=said))
        raise AssertionError("patience ends before its list of waits does")

    def _wait_for_hours(self) -> None:
        """Wait until files may be sent."""
        limits, said = self.way.settings.limits, False
        while not self.way.ignores_hours and not self._stop.is_set():
            seconds = limits.until_open(self.way.now())
            if not seconds:
                return
            if not said:
                print(say("migrate.run.waits_hours", hours=limits.hours), flush=True)
                said = True
            self._sleep(min(seconds, _NAP))

    def _sleep(self, seconds: float) -> None:
        if self.way.sleep is not None:
            self.way.sleep(seconds)
        else:
            self._stop.wait(seconds)

    # -- small things --

    def _place(self, to: str) -> str:
        return f"{self.move.folder}/{to}" if self.move.folder else to

    def _skip(self, step: Step, reason: str, said: str = "") -> None:
        self._skipped[step.item.path] = Skipped(step.item.path, step.item.size, reason, said)

    def _moment(self) -> str:
        return self.way.now().astimezone().isoformat(timespec="seconds")
