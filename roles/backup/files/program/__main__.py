"""Back this server up, and put backups back.

Ansible calls it, timers call it, and people may. Every command prints one JSON object; failures are one plain
sentence on standard error. Those that need more than words read a JSON object from standard input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import keys
import making
import places
import restoring
import watching
from words import RefusalError

Command = Callable[[dict[str, Any]], dict[str, Any]]


def given() -> Any:
    """Return the JSON object on standard input."""
    return json.load(sys.stdin)


# What changes something, and what only looks: two of the first kind never run at once.
CHANGES: dict[str, tuple[str, Command]] = {
    "start": ("have a repository", making.start),
    "run": ("the night's work: back up, check a share of the repository, thin out", making.run),
    "backup": ("back up", making.back_up),
    "check": ("check a share of the repository, another one every time", making.check),
    "check-all": ("check the whole repository", lambda settings: making.check(settings, whole=True)),
    "thin-out": ("remove what is older than it is to be kept", making.thin_out),
    "adopt": ("go on where the repository's last backup ends, or begin a repository", making.adopt),
    "resume": ("let go on what was paused for a backup", lambda _: making.resume()),
    "restore-begin": ("choose a backup to restore", lambda settings: restoring.begin(settings, given())),
    "restore-application": ("put back one", lambda settings: restoring.application(settings, given())),
    "restore-source": ("put back a role's own", lambda settings: restoring.source(settings, given()["name"])),
    "restore-finish": ("end a restore", lambda _: restoring.finish()),
    "extract": (
        "put one file or table to a side place",
        lambda settings: restoring.extract(settings, given()),
    ),
    "key-add": ("let another key open the repository too", lambda settings: keys.add(settings, given())),
    "key-remove": ("take a key away", lambda settings: keys.remove(settings, given())),
    "drilled": ("keep the result of a drill", lambda _: watching.drilled(given())),
}
LOOKS: dict[str, tuple[str, Command]] = {
    "key-work": ("which keys open the repository", lambda settings: keys.work(settings, given())),
    "list": ("the backups there are", restoring.listed),
    "status": ("how old the last good backup is", watching.status),
    "alarm": ("fail when the last good backup is too old", watching.alarm),
}


def main() -> int:
    """Run one command; return 0, or 1 when it was refused."""
    parser = argparse.ArgumentParser(description="Back this server up, and put backups back.")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    for name, (what, _) in {**CHANGES, **LOOKS}.items():
        commands.add_parser(name, help=what)
    name = parser.parse_args().command
    os.umask(0o077)
    try:
        settings = places.load(places.SETTINGS, {})
        if name in LOOKS:
            result = LOOKS[name][1](settings)
        else:
            with places.alone():
                result = CHANGES[name][1](settings)
    except RefusalError as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
