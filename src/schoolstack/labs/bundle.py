"""Bundles: one folder with all that a lesson needs, for a room without internet.

It is made by playing each lesson to its end on fresh hosts, with a state folder of its own: what apt and the
roles fetched meanwhile is what the lesson needs, no more and no less. It may lie on a stick, whose file
system knows neither links nor owners. What is in it:

``schoolstack.tar.gz``   the project
``machine/``             Debian packages for machines of this one's release: a repository of apt's
``wheels/``              Python packages, those of the lock file
``images/``              base images of test hosts, each a packed one
``hosts/<suite>-<arch>`` Debian packages for test hosts: a repository of apt's
``artefacts/``           upstream artefacts
``bundle.json``          what it is, and the SHA-256 of every file in images, hosts and artefacts
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError
from schoolstack.hosts import image, packages
from schoolstack.hosts.lab import Lab
from schoolstack.hosts.state import State, read_json, remove_tree, run, write_json
from schoolstack.labs.lesson import Lesson
from schoolstack.messages import say

RECORD = "bundle.json"
# What is taken from it. The rest is used where it lies; pip and apt compare that with its hashes.
TAKEN = ("images", "hosts", "artefacts")


def make(folder: Path, lessons: Sequence[Lesson], state: State) -> dict[str, Any]:
    """Make a bundle; progress goes to standard error.

    Args:
        folder: where; it is made, or made anew when it is a bundle.
        lessons: for which.
        state: beside it lies the one that the lessons are played with.

    Returns:
        What is written in its record.

    Raises:
        SchoolError: when the folder holds something else, this is no clone, or a part cannot be had.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / RECORD).exists():
        raise SchoolError(say("bundle.other", folder=folder))
    if not (ROOT / ".git").exists():
        raise SchoolError(say("bundle.no_clone", folder=ROOT))
    partial = folder.with_name(f".{folder.name}.partial")
    remove_tree(partial)
    partial.mkdir(parents=True)
    with _own_state(state) as own:
        for lesson in lessons:
            _play(lesson, own)
        for base in sorted(own.bases.glob("[a-z]*")):
            _pack(base, partial / "images" / f"{base.name}.tar.zst")
        for pool in sorted(own.packages.iterdir()):
            shutil.copytree(pool, partial / "hosts" / pool.name)
            packages.offer(partial / "hosts" / pool.name)
        shutil.copytree(own.root / "artefacts", partial / "artefacts")
    _machine_packages(partial / "machine")
    _wheels(partial / "wheels")
    _project(partial / "schoolstack.tar.gz")
    record = {
        "machine": machine(),
        "lessons": [lesson.name for lesson in lessons],
        "files": {
            str(path.relative_to(partial)): _digest(path)
            for part in TAKEN
            for path in sorted((partial / part).rglob("*"))
            if path.is_file()
        },
    }
    write_json(partial / RECORD, record)
    remove_tree(folder)
    partial.rename(folder)
    return record


def use(folder: Path, state: State) -> dict[str, Any]:
    """Take from a bundle what test hosts are made of; from then on they are made from that.

    Returns:
        The bundle's record.

    Raises:
        SchoolError: when it is no bundle, is damaged, or is for another machine or another version.
    """
    record = read_json(folder / RECORD)
    if record is None:
        raise SchoolError(say("bundle.none", folder=folder))
    if record["machine"] != machine():
        raise SchoolError(say("bundle.machine", folder=folder, made=record["machine"], here=machine()))
    for packed in (folder / "images").glob("*.tar.zst"):
        suite, arch, _ = packed.name.split("-")
        if packed.name != f"{image.image_name(suite, arch)}.tar.zst":
            raise SchoolError(say("bundle.version", folder=folder))
    for name, digest in record["files"].items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise SchoolError(say("bundle.damaged", file=folder / name))
    with state.lock("bundle"):
        for packed in sorted((folder / "images").iterdir()):
            _unpack(packed, state)
        shutil.copytree(folder / "artefacts", state.root / "artefacts", dirs_exist_ok=True)
        partial = state.bundle.with_name(f".{state.bundle.name}.partial")
        remove_tree(partial)
        shutil.copytree(folder / "hosts", partial)
        # apt's own user reads it, in a host.
        for path in (partial, *partial.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        remove_tree(state.bundle)
        partial.rename(state.bundle)
    return dict(record)


def drop(state: State) -> bool:
    """Let test hosts fetch packages from the internet again.

    Returns:
        Whether a bundle was in use.
    """
    with state.lock("bundle"):
        used = state.bundle.exists()
        remove_tree(state.bundle)
    return used


def machine() -> str:
    """Return which machines a bundle made on this one is for: Debian's release and architecture."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return f"{values.get('VERSION_CODENAME', '').strip(chr(34))}-{image.native_architecture()}"


@contextlib.contextmanager
def _own_state(state: State) -> Iterator[State]:
    """A state folder with nothing in it, of which nothing is left in the end."""
    own = State(state.root.with_name(f"{state.root.name}-bundle"))
    with state.lock("bundle-made"):
        try:
            _remove(own)
            (own.root / "artefacts").mkdir(parents=True, mode=0o700)
            yield own
        finally:
            _remove(own)


def _remove(own: State) -> None:
    _take_down(own)
    remove_tree(own.root)


def _take_down(state: State) -> None:
    if state.hosts.exists():
        lab = Lab(state)
        for host in lab.hosts():
            lab.down(host.name)


def _play(lesson: Lesson, state: State) -> None:
    """Have a lesson fetch all that it needs: prepare all of it, and let the production roles mend it."""
    ours = {"SCHOOLSTACK_STATE": str(state.root), "SCHOOLSTACK_ARTEFACTS": str(state.root / "artefacts")}
    for words in (["prepare", lesson.name, "--all"], ["start", lesson.name], ["solve", lesson.name]):
        command = [sys.executable, "-m", "schoolstack.cli", "lab", *words]
        done = subprocess.run(command, env={**os.environ, **ours}, stdout=sys.stderr, check=False)
        if done.returncode:
            raise SchoolError(say("bundle.lesson", name=lesson.name))
    # What a host fetched since it was booted is with the host only.
    lab = Lab(state)
    for host in lab.hosts():
        lab.share_packages(host)
    _take_down(state)


def _machine_packages(folder: Path) -> None:
    """Fetch what ``.ci/bootstrap`` installs, and all that rests on, whatever this machine has already."""
    names = run([str(ROOT / ".ci" / "bootstrap"), "list"]).split()
    folder.mkdir()
    run(["apt-get", "-qq", "update"])
    nothing = folder / "status"
    nothing.touch()
    settings = (
        f"Dir::State::status={nothing}",
        f"Dir::Cache::archives={folder}/",
        "APT::Sandbox::User=root",
        "Debug::NoLocking=true",
    )
    options = [word for setting in settings for word in ("-o", setting)]
    run(["apt-get", "-qq", *options, "--no-install-recommends", "--download-only", "install", *names])
    for path in folder.iterdir():
        if path.is_dir():
            path.rmdir()
        elif path.suffix != ".deb":
            path.unlink()
    packages.index(folder)


def _wheels(folder: Path) -> None:
    """Fetch the Python packages of the lock file; pip compares their hashes, here and where they are used."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
    lock = ROOT / ".ci" / "requirements.txt"
    run([*pip, "--only-binary=:all:", "--require-hashes", f"--requirement={lock}", f"--dest={folder}"])


def _project(packed: Path) -> None:
    """Pack what is committed, so that no secret of an inventory comes along."""
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]
    run([*git, "archive", "--prefix=schoolstack/", f"--output={packed}", "HEAD"])


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _pack(base: Path, packed: Path) -> None:
    packed.parent.mkdir(exist_ok=True)
    run(["tar", "--create", "--zstd", "--xattrs", "--file", str(packed), "--directory", str(base), "."])


def _unpack(packed: Path, state: State) -> None:
    name = packed.name.removesuffix(".tar.zst")
    with state.lock(name):
        if (state.bases / name).exists():
            return
        partial = state.bases / f".{name}.partial"
        remove_tree(partial)
        partial.mkdir(parents=True)
        run(["tar", "--extract", "--zstd", "--xattrs", "--file", str(packed), "--directory", str(partial)])
        partial.rename(state.bases / name)
