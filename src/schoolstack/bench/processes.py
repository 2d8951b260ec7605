"""How much memory Ansible's processes take, on this machine and on a test host."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Seconds between two looks. The kernel keeps each process's peak, so only its last moment may be missed.
INTERVAL_S = 0.1


class Peak:
    """The largest process seen, in MB: here, and on test hosts, whose processes root sees here too."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.here = 0.0
        self.on_hosts = 0.0

    def look(self, mine: Path, ignore: set[str]) -> None:
        """Take every Python process into account but those to ignore."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if process.name in ignore or b"python" not in (process / "cmdline").read_bytes():
                    continue
                there = (process / "ns" / "pid").readlink() != mine
                status = (process / "status").read_text(encoding="utf-8")
            except OSError:
                continue  # it has ended
            peak = next(
                (int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0
            )
            if there:
                self.on_hosts = max(self.on_hosts, peak)
            else:
                self.here = max(self.here, peak)


@contextmanager
def peak() -> Iterator[Peak]:
    """Watch the processes that start within the block."""
    found, done = Peak(), threading.Event()
    ignore = {process.name for process in Path("/proc").glob("[0-9]*")}
    mine = Path("/proc/self/ns/pid").readlink()

    def watch() -> None:
        while not done.wait(INTERVAL_S):
            found.look(mine, ignore)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()
