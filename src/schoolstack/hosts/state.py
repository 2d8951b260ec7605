"""Where test hosts live on disk, and the locks that keep two runs apart."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from schoolstack.errors import SchoolError

DEFAULT_STATE = Path("/var/lib/schoolstack")

# Debian package of each program this library calls, for the sentence that says what to install.
PROGRAMS = {
    "apt-ftparchive": "apt-utils",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ss": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}


class State:
    """One folder with everything test hosts leave on disk.

    ``bases/`` read-only images, ``packages/`` downloaded Debian packages, ``bundle/`` those of a bundle,
    ``hosts/<name>/`` one host, ``locks/``, ``network.json``, ``key`` and ``key.pub``.
    """

    def __init__(self, root: Path) -> None:
        """Use the folder ``root``; it is made at first need.

        Only root may enter it, because it holds whole systems with programs that run as root.
        """
        self.root = root

    @classmethod
    def of_this_machine(cls) -> State:
        """Return the usual state folder, or the one named by ``SCHOOLSTACK_STATE``."""
        return cls(Path(os.environ.get("SCHOOLSTACK_STATE", DEFAULT_STATE)))

    @property
    def bases(self) -> Path:
        """The folder of base images."""
        return self.root / "bases"

    @property
    def packages(self) -> Path:
        """The folder of Debian packages that hosts share."""
        return self.root / "packages"

    @property
    def bundle(self) -> Path:
        """The folder of Debian packages that hosts have instead of the internet; there with a bundle only."""
        return self.root / "bundle"

    @property
    def hosts(self) -> Path:
        """The folder with one folder per host."""
        return self.root / "hosts"

    @property
    def key(self) -> Path:
        """The private SSH key that opens every test host; generated at first use."""
        key = self.root / "key"
        with self.lock("key"):
            if not key.exists():
                generate_key(key, "schoolstack test hosts")
        return key

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock ``name``. The kernel frees it when its holder dies, however it dies."""
        make_folder(self.root, 0o700)
        with file_lock(self.root / "locks" / name):
            yield


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path``, which is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Whoever held it before may have removed the file, and somebody else made and locked it anew.
            if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                yield
                return


def generate_key(path: Path, comment: str) -> None:
    """Make an Ed25519 key pair ``path`` and ``path.pub``, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(partial)])
    partial.with_name(partial.name + ".pub").rename(path.with_name(path.name + ".pub"))
    partial.rename(path)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` so that a reader sees the old file or the new one, never half of one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=2) + "\n")
    partial.rename(path)


def read_json(path: Path) -> Any:
    """Return what :func:`write_json` wrote, or None when the file does not exist."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder and its missing parents with exactly this mode, whatever the umask.

    Args:
        folder: the folder to make.
        mode: its permissions, which an overlay shows and apt's own user depends on.
    """
    if not folder.exists():
        make_folder(folder.parent, mode)
        folder.mkdir()
        folder.chmod(mode)


def remove_tree(path: Path) -> None:
    """Delete a folder at one stroke for onlookers: it is first renamed, then deleted."""
    if not path.exists():
        return
    doomed = path.with_name(f".{path.name}.doomed")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed)


def run(command: Sequence[str], *, stdin: str = "") -> str:
    """Run a program to its end.

    Returns:
        Its standard output, with U+FFFD for what is not text.

    Raises:
        SchoolError: with its last words, when it fails.
    """
    done = subprocess.run(
        command, input=stdin, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise SchoolError(f"{shlex.join(command[:3])} failed: {last}")
    return done.stdout


def require_root_and_programs() -> None:
    """Refuse to go on without root or without the programs test hosts are made with.

    Raises:
        SchoolError: saying what to type.
    """
    if os.geteuid() != 0:
        raise SchoolError(f"test hosts need root, so type: sudo {shlex.join(sys.argv)}")
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        raise SchoolError(f"programs are missing, so type: apt-get install {' '.join(missing)}")
