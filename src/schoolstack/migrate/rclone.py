"""rclone, which reads every cloud there is and writes to Nextcloud.

One process of it serves one move, over its remote control on the loopback address, with a password of its
own. What it needs to know of the two sides stands in its environment, which nobody but its user and root can
read, and in no command line. It is killed by the kernel when this process goes, however this process goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import subprocess
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from schoolstack.errors import SchoolError
from schoolstack.messages import say

Version = tuple[int, int]
# rclone's changelog: client credentials for OneDrive since 1.69; all kinds of Google's own documents shown
# since 1.65; uploads to Nextcloud in pieces since 1.63, and waiting for a file that Nextcloud has locked
# since 1.69.
NEEDED: Version = (1, 69)
# The oldest one that was tried; Debian 12 and 13 have it.
OLDEST: Version = (1, 60)
# From the strongest to the weakest: what a source knows of its own files.
_HASHES = ("sha256", "quickxor", "sha1", "md5")
# What is asked of rclone, and nothing else: none of it changes a source.
_ASKED = frozenset(
    {"operations/list", "operations/copyfile", "operations/fsinfo", "operations/about", "operations/mkdir"}
)
_FULL = re.compile(r"\b507\b|insufficient storage|no space left on device", re.IGNORECASE)
_DENIED = re.compile(
    r"\b401\b|unauthori[sz]ed|invalid_client|invalid_grant|unauthorized_client", re.IGNORECASE
)
_MISSING = re.compile(r"\b404\b|not found|no such file", re.IGNORECASE)
_START_SECONDS = 20


class RcloneError(Exception):
    """What rclone said of something that did not work.

    Attributes:
        status: the HTTP status of its remote control.
    """

    def __init__(self, said: str, status: int = 500) -> None:
        """Keep what it said, without what follows the question mark of an address: that may be a key."""
        super().__init__(re.sub(r"(https?://[^\s\"'?]+)\?[^\s\"']+", r"\1", said).strip())
        self.status = status

    @property
    def is_full(self) -> bool:
        """Whether the target has no room left."""
        return bool(_FULL.search(str(self)))

    @property
    def is_denied(self) -> bool:
        """Whether one of the sides does not let us in."""
        return bool(_DENIED.search(str(self)))

    @property
    def is_missing(self) -> bool:
        """Whether what was asked for is not there."""
        return self.status == 404 or bool(_MISSING.search(str(self)))


@dataclass(frozen=True)
class Remote:
    """One side, as rclone knows it.

    Attributes:
        options: of rclone's backend, ``type`` among them; empty for one of a configuration file.
        path: what stands before a file's path; ``source:`` or ``target:`` is put before it unless the file
            names the remote.
        config: the configuration file that names the remote.
        ca: a file of certificates that are trusted besides the system's; empty for none.
    """

    options: Mapping[str, str]
    path: str = ""
    config: str = ""
    ca: str = ""

    def fs(self, name: str) -> str:
        """Return how rclone is told of it."""
        return self.path if self.config else f"{name}:{self.path}"

    def environment(self, name: str) -> dict[str, str]:
        """Return what tells rclone of it (rclone.org/docs, "Environment Variables")."""
        told = {f"RCLONE_CONFIG_{name.upper()}_{key.upper()}": value for key, value in self.options.items()}
        # Go's own variable (crypto/x509), beside which the system's folder of certificates is read as always.
        # rclone's --ca-cert would have nothing else be trusted, and so no cloud.
        return told | ({"SSL_CERT_FILE": self.ca} if self.ca else {})


@dataclass(frozen=True)
class Item:
    """A file or folder as rclone lists it.

    Attributes:
        path: below the remote's own path.
        size: bytes; -1 where nobody knows before it is read, as of a document that Google converts.
        changed: when it was changed, in ISO 8601.
        folder: whether it is a folder.
        kind: its media type, where that was asked for.
        hash: what the source says of its content.
    """

    path: str
    size: int
    changed: str = ""
    folder: bool = False
    kind: str = ""
    hash: str = ""


class Rclone:
    """The program."""

    def __init__(self, program: str) -> None:
        """Look which version it is.

        Raises:
            SchoolError: it is not there, or too old to know.
        """
        self.program = program
        try:
            done = subprocess.run([program, "version"], check=False, capture_output=True, text=True)
        except OSError:
            raise SchoolError(say("migrate.rclone.none", program=program, needed=_words(NEEDED))) from None
        found = re.search(r"v(\d+)\.(\d+)", done.stdout)
        if not found:
            raise SchoolError(say("migrate.rclone.none", program=program, needed=_words(NEEDED)))
        self.version: Version = (int(found[1]), int(found[2]))

    def require(self, needed: Version, what: str) -> None:
        """Refuse a program that is too old for something.

        Args:
            needed: the version from which it can do that.
            what: what that is, for people.

        Raises:
            SchoolError: it is older.
        """
        if self.version < needed:
            values = {"program": self.program, "found": _words(self.version), "needed": _words(needed)}
            raise SchoolError(say("migrate.rclone.old", what=what, **values))

    def obscure(self, secret: str) -> str:
        """Return a password as rclone wants it in its configuration, which is no protection.

        Raises:
            SchoolError: rclone does not answer.
        """
        command = [self.program, "obscure", "-"]
        done = subprocess.run(command, check=False, input=secret, capture_output=True, text=True)
        if done.returncode:
            raise SchoolError(say("migrate.rclone.died", said=done.stderr.strip()[-300:]))
        return done.stdout.strip()

    def unlisted(self, remote: Remote, name: str) -> RcloneError | None:
        """Return what it says when it cannot list the top of a remote; nothing when it can.

        Args:
            remote: what is listed.
            name: ``source`` or ``target``.
        """
        command = [self.program, "lsf", "--max-depth", "1", remote.fs(name), "--config", remote.config]
        command += ["--retries", "1", "--low-level-retries", "2"]
        environment = {**os.environ, **remote.environment(name)}
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
        if not done.returncode:
            return None
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        # Without the date and the level.
        return RcloneError(re.sub(r"^[0-9/]+ [0-9:]+ \w+ *: *", "", lines[-1]) if lines else "")


class Session:
    """rclone, running for one move. Used as a context manager, from the main thread."""

    def __init__(
        self,
        rclone: Rclone,
        source: Remote,
        target: Remote,
        flags: Sequence[str] = (),
        bandwidth: str = "",
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            rclone: the program.
            source: where files come from.
            target: where they go.
            flags: what else the process is told; no secret.
            bandwidth: how much may be read from the source, and so be sent; empty for no limit. What is read
                back from the target does not go over the school's line to the cloud.
        """
        self.rclone = rclone
        self.remotes = {"source": source, "target": target}
        self._config = ["--config", next((one.config for one in (source, target) if one.config), "")]
        self._flags = [*self._config, *flags]
        self._bandwidth = ["--bwlimit", bandwidth] if bandwidth else []
        self._password = secrets.token_urlsafe(24)
        self._environment = {
            **os.environ,
            **source.environment("source"),
            **target.environment("target"),
            "RCLONE_RC_USER": "school",
            "RCLONE_RC_PASS": self._password,
        }
        self._tail: list[str] = []
        self._url = ""
        self._local = threading.local()

    def __enter__(self) -> Session:
        """Start it.

        Raises:
            SchoolError: it does not start.
        """
        # setpriv (util-linux) has the kernel kill it with us: an rclone on its own would go on sending.
        command = ["setpriv", "--pdeathsig", "KILL", self.rclone.program, "rcd", "--rc-addr", "127.0.0.1:0"]
        # Never over another file, unless a single call says so. Not --immutable: rclone 1.75 writes over it.
        command += ["--use-json-log", "--log-level", "NOTICE", "--ignore-existing", *self._common()]
        self._process = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        served = threading.Event()
        threading.Thread(target=self._listen, args=(served,), daemon=True).start()
        if not served.wait(_START_SECONDS) or not self._url:
            self.__exit__()
            raise SchoolError(say("migrate.rclone.died", said=self._said()))
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _common(self, side: str = "source") -> list[str]:
        return [*self._flags, *(self._bandwidth if side == "source" else [])]

    def _listen(self, served: threading.Event) -> None:
        """Read what it says, for its address and for what it says last."""
        for line in self._process.stderr or ():
            self._tail = [*self._tail[-9:], line]
            if found := re.search(r"Serving remote control on (http://[0-9.:]+)/", line):
                self._url = found[1]
                served.set()
        served.set()

    def _said(self) -> str:
        said = []
        for line in self._tail[-3:]:
            try:
                said.append(str(json.loads(line)["msg"]))
            except (ValueError, KeyError, TypeError):
                said.append(line.strip())
        return str(RcloneError(" ".join(said)))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for something over its remote control.

        Args:
            method: one of those that change no source.
            parameters: of the method (rclone.org/rc).

        Returns:
            What it answers.

        Raises:
            RcloneError: it could not do it.
            SchoolError: it is no longer there.
        """
        if method not in _ASKED:
            raise ValueError(f"{method} is not one of what this program asks of rclone")
        try:
            answer = self._http().post(f"{self._url}/{method}", json=parameters)
            said = answer.json()
        except (requests.RequestException, ValueError):
            raise SchoolError(say("migrate.rclone.died", said=self._said())) from None
        if answer.ok:
            return dict(said)
        raise RcloneError(str(said.get("error", "")), int(said.get("status", 500)))

    def _http(self) -> requests.Session:
        """Return a connection of this thread's own."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
            self._local.session.auth = ("school", self._password)
        return self._local.session  # type: ignore[no-any-return]

    def fs(self, side: str) -> str:
        """Return how rclone is told of a side, ``source`` or ``target``."""
        return self.remotes[side].fs(side)

    def list(self, side: str, folder: str = "", hash_type: str = "") -> list[Item]:
        """Return everything below a folder; nothing where the folder is not there.

        Args:
            side: ``source`` or ``target``.
            folder: below its path.
            hash_type: the hash that is asked for with each file.

        Raises:
            RcloneError: it cannot be read.
        """
        options: dict[str, Any] = {"recurse": True, "showHash": bool(hash_type)}
        if hash_type:
            options["hashTypes"] = [hash_type]
        try:
            answer = self.call("operations/list", fs=self.fs(side), remote=folder, opt=options)
        except RcloneError as error:
            if folder and error.is_missing:
                return []
            raise
        below = f"{folder}/" if folder else ""
        return [
            Item(
                path=one["Path"].removeprefix(below),
                size=-1 if one["IsDir"] else one["Size"],
                changed=one.get("ModTime", ""),
                folder=one["IsDir"],
                kind=one.get("MimeType", ""),
                hash=(one.get("Hashes") or {}).get(hash_type, ""),
            )
            for one in answer["list"] or []
        ]

    def unanswered(self, side: str) -> RcloneError | None:
        """Return what is said when a side does not answer; nothing when it does.

        Asked by a process of its own, since this one waits longer the more often it was disappointed.
        """
        return self.rclone.unlisted(self.remotes[side], side)

    def hash_type(self, side: str) -> tuple[str, bool]:
        """Return the strongest hash that a side knows, empty for none, and whether asking for it is cheap."""
        info = self.call("operations/fsinfo", fs=self.fs(side))
        known = next((name for name in _HASHES if name in (info["Hashes"] or [])), "")
        return known, bool(known) and not info["Features"].get("SlowHash")

    def free(self, side: str) -> int | None:
        """Return how many bytes a side has left for this account, where it tells."""
        with contextlib.suppress(RcloneError):
            free = self.call("operations/about", fs=self.fs(side)).get("free")
            return None if free is None or free < 0 else int(free)
        return None

    def copy(self, path: str, to: str, *, over: bool) -> None:
        """Send one file from the source to the target.

        Args:
            path: at the source.
            to: at the target.
            over: whether it may be written over a file that is there.

        Raises:
            RcloneError: it was not sent.
        """
        given: dict[str, Any] = {"_config": {"IgnoreExisting": False, "IgnoreTimes": True}} if over else {}
        sides = {"srcFs": self.fs("source"), "dstFs": self.fs("target")}
        self.call("operations/copyfile", srcRemote=path, dstRemote=to, **sides, **given)

    def make_folder(self, path: str) -> None:
        """Make a folder at the target.

        Raises:
            RcloneError: it could not be made.
        """
        self.call("operations/mkdir", fs=self.fs("target"), remote=path)

    def hashes(self, side: str, hash_type: str, paths: Collection[str], *, read: bool) -> dict[str, str]:
        """Return the hashes of files, by path; those that could not be had are left out.

        Args:
            side: ``source`` or ``target``.
            hash_type: which hash.
            paths: of the files.
            read: whether the content is read for it, rather than what the side says of it being believed.
        """
        fs = self.fs(side)
        command = [
            self.rclone.program,
            "hashsum",
            hash_type,
            fs,
            *self._common(side),
            "--files-from-raw",
            "-",
        ]
        command += ["--download"] if read else []
        done = subprocess.run(
            command,
            check=False,
            env=self._environment,
            # rclone shows an end of line in a name as another sign, so that a line is a path.
            input="".join(f"{path}\n" for path in paths),
            capture_output=True,
            text=True,
            errors="surrogateescape",
        )
        matches = (re.fullmatch(r"([0-9a-f]{8,128})  (.*)", line) for line in done.stdout.split("\n"))
        return {found[2]: found[1] for found in matches if found}

    def begins(self, side: str, path: str, size: int) -> str:
        """Return the SHA-256 of the first bytes of a file; empty when it cannot be read.

        Args:
            side: ``source`` or ``target``.
            path: of the file.
            size: how many bytes.
        """
        fs = self.fs(side)
        command = [self.rclone.program, "cat", "--count", str(size), *self._common(side)]
        command.append(fs + ("" if fs.endswith((":", "/")) else "/") + path)
        digest, length = hashlib.sha256(), 0
        with subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            while block := process.stdout.read(1 << 20) if process.stdout else b"":
                digest.update(block)
                length += len(block)
        return digest.hexdigest() if not process.returncode and length == size else ""


def _words(version: Version) -> str:
    return ".".join(map(str, version))
