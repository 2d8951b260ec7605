"""The repository, through restic: what it says when it fails becomes a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from places import CACHE, ENVIRONMENT, KEY, load
from words import refuse

# What restic, ssh and rclone say -> the sentence for it.
REASONS = {
    r"wrong password or no key found": "wrong_key",
    r"no space left on device|too big for remaining disk space|disk quota exceeded": "repository_full",
    r"Permission denied \(|Host key verification failed"
    r"|InvalidAccessKeyId|SignatureDoesNotMatch|Access Denied": "not_let_in",
    r"RequestTimeTooSkewed": "clock",
    r"Could not resolve hostname|Connection (refused|timed out|reset|closed)|No route to host"
    r"|Network is unreachable|Operation timed out|Broken pipe|server \S+ not responding"
    r"|dial tcp": "unreachable",
    r"repository is already locked": "locked",
    # After those that say why: restic begins with this for any of them.
    r"repository does not exist|unable to open config file|Is there a repository at": "no_repository",
    r"config file already exists|repository master key and config already initialized": "exists",
    r"repository contains errors|ciphertext verification failed|Pack ID does not match|invalid data returned"
    r"|(?i:pack) [0-9a-f]{64}.* (does not exist|contains)|failed to load snapshot": "damage",
}
# What is damaged, as restic names it.
DAMAGED = r"(?i:pack|want|snapshot) ([0-9a-f]{8})[0-9a-f]*\b"

# restic tries again for a quarter of an hour, which cures none of these.
HOPELESS = {"repository_full", "not_let_in", "clock", "unreachable"}

# What every snapshot of ours is marked with, and what besides is no backup, but sent ahead of the first one.
TAG = "schoolstack"
AHEAD = "ahead"


class Repository:
    """The backups of this server, and perhaps of others."""

    def __init__(self, settings: dict[str, Any], key_file: Path = KEY) -> None:
        """Remember where it is and where its key is read; nothing is asked of it yet."""
        self.settings = settings
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/root",
            "TZ": "UTC",
            "RESTIC_REPOSITORY": settings["repository"],
            "RESTIC_PASSWORD_FILE": str(key_file),
            "RESTIC_CACHE_DIR": str(CACHE),
            # Else it says sixty times a second how far it is, and all of that is kept here until it ends.
            "RESTIC_PROGRESS_FPS": "0.01",
            **load(ENVIRONMENT, {}),
        }

    def command(self, *words: str) -> list[str]:
        """Return the command line of restic for *words*."""
        options = [word for option in self.settings["options"] for word in ("-o", option)]
        return ["restic", *options, *words]

    def run(self, *words: str, output: IO[bytes] | int = subprocess.PIPE, given: str = "") -> bytes:
        """Run restic and return its standard output.

        Args:
            words: the command and its arguments.
            output: where standard output goes instead.
            given: a line for its standard input.

        Raises:
            RefusalError: it failed.
        """
        found, watch = self._run(words, output, given)
        if watch and watch.reason == "locked":
            # Takes away only locks of this server's ended processes, and others after half an hour.
            self._run(("unlock",), subprocess.DEVNULL)
            found, watch = self._run(words, output, given)
        if watch:
            self.refuse(watch)
        return found

    def _run(
        self, words: Sequence[str], output: IO[bytes] | int, given: str = ""
    ) -> tuple[bytes, Watch | None]:
        """Run restic once; return its standard output, and what it complained of when it failed."""
        with subprocess.Popen(
            self.command(*words),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            env={**os.environ, **self.environment},
        ) as process:
            watch = Watch(process)
            if process.stdin:
                # It may have ended, for a reason that it says, before it reads.
                with contextlib.suppress(BrokenPipeError), process.stdin as line:
                    line.write(f"{given}\n".encode() if given else b"")
            found = process.stdout.read() if process.stdout else b""
            process.wait()
            watch.join()
        if not process.returncode and watch.reason not in HOPELESS:
            return found, None
        for line in found.decode(errors="replace").splitlines():
            watch.hear(line)
        return found, watch

    def refuse(self, watch: Watch) -> None:
        """Say in a sentence what restic failed with.

        Raises:
            RefusalError: always.
        """
        where = self.settings["where"]
        if watch.reason:
            what = ", ".join(sorted(watch.damaged)) or watch.last
            refuse(watch.reason, where=where, host=self.settings["host"], what=what)
        refuse("restic", where=where, said=watch.last)

    def snapshots(self) -> list[dict[str, Any]]:
        """Return this server's backups, oldest first, each with ``installation`` from its tags.

        Raises:
            RefusalError: it cannot be read, or holds only backups of others.
        """
        return [found for found in self.everything() if AHEAD not in (found.get("tags") or ())]

    def everything(self) -> list[dict[str, Any]]:
        """Return this server's backups and what was sent ahead of them.

        Raises:
            RefusalError: it cannot be read, or holds only what is of others.
        """
        everything = json.loads(self.run("snapshots", "--no-lock", "--json")) or []
        ours = [found for found in everything if self._is_ours(found)]
        if everything and not ours:
            others = sorted({describe(found) for found in everything})
            refuse(
                "another_school",
                where=self.settings["where"],
                found="; ".join(others),
                wanted=f"{self.settings['host']} ({self.settings['school']})",
            )
        for found in ours:
            found["installation"] = tag(found, "installation")
        return sorted(ours, key=lambda found: str(found["time"]))

    def _is_ours(self, snapshot: dict[str, Any]) -> bool:
        return (
            snapshot["hostname"] == self.settings["host"]
            and tag(snapshot, "school") == self.settings["school"]
        )


class Watch(threading.Thread):
    """Reads what restic complains of, and ends it when trying again is no use.

    Attributes:
        reason: the key of the sentence for it; empty when it is none of the known.
        last: the last line it said.
        damaged: the first digits of the packs and snapshots that it found damaged.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Begin to read."""
        super().__init__(daemon=True)
        self.process = process
        self.reason = ""
        self.last = ""
        self.damaged: set[str] = set()
        self.start()

    def run(self) -> None:
        """Read until restic ends."""
        for raw in self.process.stderr or ():
            self.hear(raw.decode(errors="replace"))
            if self.reason in HOPELESS:
                self.process.terminate()

    def hear(self, line: str) -> None:
        """Understand one line."""
        if line.startswith(
            '{"message_type":"exit_error"'
        ):  # with --json its last words are followed by a trace
            line = json.loads(line)["message"].splitlines()[0]
        self.last = line.strip() or self.last
        key = next((key for what, key in REASONS.items() if re.search(what, line)), "")
        self.reason = self.reason or key
        if key == "damage":
            self.damaged |= set(re.findall(DAMAGED, line))


def tag(snapshot: dict[str, Any], name: str) -> str:
    """Return what a snapshot's tag ``name=...`` says; empty when it has none."""
    tags: Sequence[str] = snapshot.get("tags") or ()
    return next((text.partition("=")[2] for text in tags if text.startswith(f"{name}=")), "")


def describe(snapshot: dict[str, Any]) -> str:
    """Say whose a snapshot is."""
    return f"{snapshot['hostname']} ({tag(snapshot, 'school') or '?'})"
