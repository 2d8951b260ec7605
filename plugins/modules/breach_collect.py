"""Put into one archive what a server can tell of a breach, before it is overwritten."""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: breach_collect
short_description: Evidence of a server, in one archive
description:
    - Collects the journal, logs, configuration, what runs and who is signed in, SHA-256 of programs and
      settings, and what the applications' records declare as C(evidence). Changes nothing else on the server.
    - What only root or a service may read, such as keys and passwords, goes in as its SHA-256 only.
author: Schoolstack contributors
options:
    days:
        description: How far back the journal and the logs go, in days.
        type: int
        required: true
"""

RETURN = r"""
path:
    description: The archive on the server, for root only; whoever has copied it removes its folder.
    type: str
bytes:
    description: Its size.
    type: int
sha256:
    description: Its SHA-256, in hexadecimal.
    type: str
missing:
    description: What could not be collected, and why.
    type: list
"""

RECORDS = "/etc/ansible/facts.d/*.fact"
# Where programs and settings lie that a stranger might have changed.
HASHED = ("/etc", "/usr/local", "/opt", "/root", "/home", "/var/spool/cron")
LOGS = "/var/log"
JOURNAL = "/var/log/journal"
COMMANDS = {
    "processes": ["ps", "-eo", "pid,ppid,user,lstart,args", "--forest"],
    "connections": ["ss", "--tcp", "--udp", "--all", "--numeric", "--processes"],
    "addresses": ["ip", "address"],
    "routes": ["ip", "route"],
    "firewall": ["nft", "list", "ruleset"],
    "signed-in": ["who", "--all"],
    "sessions": ["loginctl", "list-sessions", "--no-pager"],
    "ssh": ["journalctl", "--unit=ssh", "--no-pager", "--output=short-iso"],
    "units": ["systemctl", "list-units", "--all", "--no-pager", "--plain"],
    "timers": ["systemctl", "list-timers", "--all", "--no-pager"],
    "mounts": ["findmnt", "--list"],
    "packages": ["dpkg-query", "--show"],
    "changed-packages": ["dpkg", "--verify"],
    "clock": ["timedatectl"],
}
# Public parts of keys: who may sign in is what one wants to know.
ALWAYS_COPIED = "authorized_keys"
# Where it is put together, on a disk and not in memory.
STAGE = "/var/lib"
DAY_S = 86_400
# So much stays free on the server's disk, in bytes.
RESERVE = 500 * 1024 * 1024


class Collection:
    """What is collected, in a folder that becomes the archive."""

    def __init__(self, folder: str, days: int) -> None:
        """Begin with nothing."""
        self.folder = folder
        self.since = time.time() - days * DAY_S
        self.missing: list[str] = []

    def collect(self) -> None:
        """Collect everything; what cannot be had is noted, and keeps nothing else from being collected."""
        # What passes soonest comes first.
        for name, command in COMMANDS.items():
            self.run(f"now/{name}.txt", command)
        self.run(
            "journal.export.gz",
            ["journalctl", "--output=export", f"--since=@{int(self.since)}", "--no-pager"],
            pack=True,
        )
        for path in files(LOGS):
            if not path.startswith(JOURNAL) and os.stat(path).st_mtime >= self.since:
                self.copy(path)
        for record in records():
            self.application(record)
        self.settings()

    def application(self, record: dict[str, Any]) -> None:
        """Collect what an application declares."""
        evidence = record.get("evidence", {})
        for database, tables in evidence.get("tables", {}).items():
            wanted = [f"--table={table}" for table in tables]
            dump = ["runuser", "-u", "postgres", "--", "pg_dump", *wanted, database]
            self.run(f"databases/{database}.sql.gz", dump, pack=True)
        for declared in evidence.get("paths", []):
            for path in [declared] if os.path.isfile(declared) else files(declared):
                self.copy(path)

    def settings(self) -> None:
        """Copy what everybody may read of /etc, and note the SHA-256 of all that could have been changed."""
        with open(self.place("sha256.txt"), "w", encoding="utf-8", errors="surrogateescape") as hashes:
            for path in (path for folder in HASHED for path in files(folder)):
                state = os.stat(path)
                hashes.write(
                    f"{digest(path)} {stat.filemode(state.st_mode)} {state.st_uid}:{state.st_gid}"
                    f" {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(state.st_mtime))} {path}\n"
                )
                if os.path.basename(path) == ALWAYS_COPIED or (
                    path.startswith("/etc/") and state.st_mode & stat.S_IROTH and reachable(path)
                ):
                    self.copy(path)

    def place(self, name: str) -> str:
        """Return where something goes, its folder made."""
        target = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return target

    def copy(self, path: str) -> None:
        """Copy a file with its times."""
        try:
            shutil.copy2(path, self.place(f"files{path}"))
        except OSError as error:
            self.missing.append(f"{path}: {error.strerror}")

    def run(self, name: str, command: list[str], *, pack: bool = False) -> None:
        """Keep what a command prints, packed or not."""
        target = self.place(name)
        try:
            with (
                gzip.open(target, "wb") if pack else open(target, "wb") as file,
                subprocess.Popen(
                    command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                ) as process,
            ):
                shutil.copyfileobj(process.stdout, file)  # type: ignore[arg-type]
        except OSError as error:
            os.unlink(target)
            self.missing.append(f"{command[0]}: {error.strerror}")
            return
        # dpkg says by its exit code that something was changed, which is no trouble here.
        if process.returncode and not os.path.getsize(target):
            self.missing.append(f"{' '.join(command[:4])}: {process.returncode}")


def records() -> list[dict[str, Any]]:
    """Return the records of the applications that run here."""
    found = []
    for path in sorted(glob.glob(RECORDS)):
        with open(path, encoding="utf-8") as file:
            found.append(json.load(file))
    return found


def files(folder: str) -> Iterator[str]:
    """Yield every ordinary file below a folder; links are not followed."""
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def reachable(path: str) -> bool:
    """Tell whether everybody gets to a file: a folder on the way may be closed."""
    while (path := os.path.dirname(path)) != "/":
        if not os.stat(path).st_mode & stat.S_IXOTH:
            return False
    return True


def digest(path: str) -> str:
    """Return a file's SHA-256 in hexadecimal; dashes where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "-" * 64


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"days": {"type": "int", "required": True}})
    os.umask(0o077)
    home = tempfile.mkdtemp(prefix="schoolstack-evidence-", dir=STAGE)
    try:
        needed = sum(os.path.getsize(path) for path in files(LOGS)) + RESERVE
        if shutil.disk_usage(home).free < needed:
            module.fail_json(msg=f"{STAGE} has too little room: {needed // 1024**2} MB are needed.")
        collection = Collection(os.path.join(home, "evidence"), module.params["days"])
        collection.collect()
        path = os.path.join(home, "evidence.tar.gz")
        with tarfile.open(path, "w:gz", compresslevel=3) as archive:
            archive.add(collection.folder, arcname=".")
        shutil.rmtree(collection.folder)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    module.exit_json(
        changed=False,
        path=path,
        bytes=os.path.getsize(path),
        sha256=digest(path),
        missing=collection.missing,
    )


if __name__ == "__main__":
    main()
