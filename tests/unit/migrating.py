"""A school that moves: its class list, its people's files on a disk, and a WebDAV server to bring them to."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schoolstack.cli import main

DEBIAN = "/usr/bin/rclone"
NEW = str(Path(sys.executable).with_name("rclone"))
SERVER = Path(__file__).parents[1] / "webdav_server.py"
JAN, PIET, LIBRARIAN = "jan.jansen", "piet.pieters", "schoolstack"
SECRETS = {JAN: "app-password-of-jan", PIET: "app-password-of-piet", LIBRARIAN: "app-password-of-all"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for_port(port: int) -> None:
    for _ in range(300):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing answers on port {port}")


@dataclass
class Dav:
    """The server of ``tests/webdav_server.py``."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _seen: int = 0

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "passwords.json").write_text(json.dumps(SECRETS), encoding="utf-8")
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVER), str(self.folder), str(self.port)], stdout=log, stderr=log
            )
        wait_for_port(self.port)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def reset(self) -> None:
        """Begin anew: no files, no remarks, no requests."""
        for account in SECRETS:
            for name in ("files", "uploads"):
                shutil.rmtree(self.folder / name / account, ignore_errors=True)
                (self.folder / name / account).mkdir(parents=True)
        self.control()
        self._seen = len(self._lines())

    def control(self, **wanted: Any) -> None:
        draft = self.folder / "control.draft"
        draft.write_text(json.dumps(wanted), encoding="utf-8")
        draft.replace(self.folder / "control.json")

    def _lines(self) -> list[str]:
        path = self.folder / "requests.jsonl"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def requests(self, method: str = "") -> list[dict[str, Any]]:
        """Return what it was asked since the last reset."""
        found = [json.loads(line) for line in self._lines()[self._seen :]]
        return [one for one in found if not method or one["method"] == method]

    def home(self, account: str) -> Path:
        return self.folder / "files" / account

    def files(self, account: str) -> dict[str, bytes]:
        home = self.home(account)
        return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


@contextmanager
def serving(folder: Path) -> Iterator[Dav]:
    dav = Dav(folder, free_port())
    try:
        dav.start()
        dav.reset()
        yield dav
    finally:
        dav.stop()


@dataclass
class School:
    """A migration, described in a folder of its own."""

    folder: Path
    dav: Dav
    rclone: str = NEW
    exceptions: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = ["id;voornaam;achternaam;klas;rol;email"]
        lines += ["1;Jan;Jansen;1A;leerling;jan@old.example", "2;Piet;Pieters;1A;leraar;piet@old.example"]
        (self.folder / "class-list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        passwords = ["username;password", *(f"{name};{value}" for name, value in SECRETS.items())]
        self.secret("passwords.csv", "\n".join(passwords) + "\n")
        for account in ("jan@old.example", "piet@old.example"):
            self.source(account).mkdir(parents=True)
        is_new = self.rclone == NEW
        url = f"http://127.0.0.1:{self.dav.port}"
        target = {"kind": "nextcloud", "url": url, "chunk": "1M"}
        if not is_new:
            target = {"kind": "webdav", "url": f"{url}/remote.php/dav/files/{{account}}"}
        self.settings = {
            "from": {"kind": "takeout", "folder": "takeout/{account}"},
            "to": {**target, "passwords": "passwords.csv"},
            "people": {"class_list": "class-list.csv"},
            "limits": {"requests": 1000},
            "rclone": self.rclone,
            **self.settings,
        }
        if self.exceptions:
            self.except_for(self.exceptions)

    def secret(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def except_for(self, rows: str) -> None:
        self.settings["people"]["exceptions"] = "exceptions.csv"
        (self.folder / "exceptions.csv").write_text(f"kind;source;target\n{rows}", encoding="utf-8")

    def limit(self, **limits: Any) -> None:
        self.settings["limits"] = {**self.settings["limits"], **limits}

    def source(self, account: str = "jan@old.example") -> Path:
        return self.folder / "takeout" / account

    def put(self, path: str, content: bytes | str = b"", account: str = "jan@old.example") -> bytes:
        file = self.source(account) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        file.write_bytes(data)
        return data

    @property
    def file(self) -> Path:
        path = self.folder / "migration.yml"
        path.write_text(yaml.safe_dump(self.settings), encoding="utf-8")
        return path

    def call(self, verb: str, *words: str) -> int:
        """Run a verb in this process, and return its exit code."""
        return main(["migrate", verb, str(self.file), *words])

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin to bring files, in a process that can be killed."""
        command = [sys.executable, "-m", "schoolstack.cli", "migrate", "run", str(self.file), *words]
        # Whoever runs the tests in the background has Ctrl-C ignored, and every child inherits that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        finally:
            signal.signal(signal.SIGINT, before)

    def receipt(self, name: str = JAN) -> dict[str, Any]:
        text = (self.folder / "migration" / "receipts" / f"{name}.json").read_text(encoding="utf-8")
        return dict(json.loads(text))

    def skipped(self, name: str = JAN) -> dict[str, str]:
        return {one["path"]: one["reason"] for one in self.receipt(name)["skipped"]}

    def journal(self, name: str = JAN) -> list[dict[str, Any]]:
        path = self.folder / "migration" / "journal" / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def noise(size: int, seed: int = 1) -> bytes:
    """Return bytes that no compression and no chance makes the same."""
    return b"".join(hashlib.sha256(f"{seed}-{block}".encode()).digest() for block in range(size // 32 + 1))[
        :size
    ]


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return what a folder holds, with times of change."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.stat().st_size,
            sha256(path.read_bytes()) if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
    }


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
