#!/usr/bin/python3
"""Keep what other servers' journals have sent here no longer, and in no more room, than the school wants.

systemd-journal-remote itself knows no time, and before version 253 no room either. So once a day its files
are set aside, and of those that were set aside the old ones go, then the oldest as long as there is too much.
A file is as old as the last that was written to it, and holds a day: nothing stays a whole day longer than is
asked for.

Prints one JSON object: what was set aside and what was deleted.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path("/var/log/journal/remote")
UNIT = "systemd-journal-remote.service"
DAY_S = 86_400
MB = 1_000_000


def aside(folder: Path, now: float) -> list[str]:
    """Set aside what is written to, under a name that nobody writes to; return the new names."""
    stamp = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    names = []
    for path in sorted(folder.glob("*.journal")):
        # What was set aside, here or by the program itself when a file was full, has an @ in its name.
        if "@" not in path.name:
            names.append(path.rename(path.with_name(f"{path.stem}@{stamp}.journal")).name)
    return names


def too_much(folder: Path, days: int, mb: int, now: float) -> list[Path]:
    """Return what was set aside and has to go.

    Args:
        folder: where the journals lie.
        days: how long they are kept, in days.
        mb: how much room they may take, in MB.
        now: the present, in seconds since 1970.
    """
    # A journal that was not closed properly ends in ~.
    kept = [(path.stat(), path) for path in (*folder.glob("*@*.journal"), *folder.glob("*.journal~"))]
    kept.sort(key=lambda one: one[0].st_mtime)
    gone = [path for stat, path in kept if stat.st_mtime < now - days * DAY_S]
    rest = kept[len(gone) :]
    # Journals have holes: what counts is the room they take, in blocks of 512 bytes.
    room = sum(stat.st_blocks * 512 for stat, _ in rest)
    for stat, path in rest:
        if room <= mb * MB:
            break
        room -= stat.st_blocks * 512
        gone.append(path)
    return gone


def main() -> int:
    """Do it."""
    parser = argparse.ArgumentParser(description="Keep other servers' journals as long as the school wants.")
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--mb", type=int, required=True)
    arguments = parser.parse_args()
    runs = subprocess.run(["systemctl", "--quiet", "is-active", UNIT], check=False).returncode == 0
    # Who sends meanwhile waits at the socket, and sends again what was not taken.
    subprocess.run(["systemctl", "stop", UNIT], check=True)
    now = datetime.datetime.now(datetime.UTC).timestamp()
    try:
        names = aside(FOLDER, now)
        gone = too_much(FOLDER, arguments.days, arguments.mb, now)
        for path in gone:
            path.unlink()
    finally:
        if runs:
            subprocess.run(["systemctl", "start", UNIT], check=True)
    print(json.dumps({"aside": names, "deleted": [path.name for path in gone]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
