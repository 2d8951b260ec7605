"""Folders and files: fetch them beside what is there, and let them take its place in repeatable steps."""

from __future__ import annotations

import errno
import grp
import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from places import sync
from repository import Repository
from words import refuse

# Beside what they are about or, where that is a disk of its own, on it.
RESTORED = ".schoolstack-restored-"
REPLACED = ".schoolstack-replaced-"

Owners = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Place:
    """A folder or file that is backed up.

    Attributes:
        path: what it is called.
        stored: where it really was when it was backed up, since restic keeps a link as a link.
        is_folder: whether it is a folder.
    """

    path: str
    stored: str
    is_folder: bool

    @classmethod
    def of(cls, path: str) -> Place:
        """Look at what there is now."""
        return cls(path, str(Path(path).resolve()), Path(path).is_dir())

    def described(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return asdict(self)

    @property
    def here(self) -> Path:
        """Where it really is on this server."""
        return Path(self.path).resolve()

    def make_room(self) -> None:
        """Move aside what is there; may be repeated as long as :meth:`move_in` has not begun."""
        aside = self._aside(REPLACED)
        aside.mkdir(mode=0o700, exist_ok=True)
        for child in self._present():
            _move(child, aside / child.name)
        sync(aside)
        sync(self.here if self.is_folder else self.here.parent)

    def move_in(self) -> None:
        """Move what was fetched into place; may be repeated."""
        if self.is_folder:
            for child in sorted(self.fetched.iterdir()):
                child.replace(self.here / child.name)
            owner = self.fetched.stat()
            os.chown(self.here, owner.st_uid, owner.st_gid)
            shutil.copystat(self.fetched, self.here)
        elif os.path.lexists(self.fetched):
            self.fetched.replace(self.here)
        sync(self.here if self.is_folder else self.here.parent)

    def forget_replaced(self) -> None:
        """Remove what was replaced, and what is left of fetching."""
        for left in (RESTORED, REPLACED):
            if self._aside(left).exists():
                shutil.rmtree(self._aside(left))

    def _aside(self, what: str) -> Path:
        """Return a folder on the same disk, for what was restored or replaced."""
        return (self.here if self.here.is_mount() else self.here.parent) / f"{what}{self.here.name}"

    @property
    def restored(self) -> Path:
        """The folder into which restic restores it, on the same disk."""
        return self._aside(RESTORED)

    @property
    def fetched(self) -> Path:
        """Where it is in there."""
        return self.restored / Path(self.stored).relative_to("/")

    def _present(self) -> Iterator[Path]:
        if self.is_folder:
            ours = (self._aside(RESTORED), self._aside(REPLACED))
            yield from (child for child in sorted(self.here.iterdir()) if child not in ours)
        elif os.path.lexists(self.here):
            yield self.here


def fetch(wanted: list[Place], repository: Repository, snapshot: str, owners: Owners) -> None:
    """Restore places beside what is there, owned by the users of the same names; may be repeated.

    Those on one disk come in one go: restic takes half a second of work to open a repository, each time.

    Raises:
        RefusalError: it failed.
    """
    disks: dict[int, list[Place]] = {}
    for place in wanted:
        place.forget_replaced()
        if place.is_folder:
            place.here.mkdir(mode=0o700, parents=True, exist_ok=True)
        disks.setdefault(device(place.restored.parent), []).append(place)
    for together in disks.values():
        target = together[0].restored
        includes = [f"--include={place.stored}" for place in together]
        repository.run("restore", "--no-lock", snapshot, f"--target={target}", *includes)
        for place in together:
            come = target / Path(place.stored).relative_to("/")
            if not os.path.lexists(come):
                refuse("not_in_snapshot", path=place.path)
            if come != place.fetched:
                place.restored.mkdir(mode=0o700)
                place.fetched.parent.mkdir(parents=True, exist_ok=True)
                come.replace(place.fetched)
            give(place.fetched, owners)


def sizes(repository: Repository, snapshot: str, places: list[Place]) -> dict[Place, int]:
    """Return how many bytes the files of each place have in a snapshot."""
    found = dict.fromkeys(places, 0)
    if not places:
        return found
    words = ["ls", "--no-lock", "--json", "--recursive", snapshot, *(place.stored for place in places)]
    for node in map(json.loads, repository.run(*words).splitlines()):
        for place in places if node.get("type") == "file" else ():
            if f"{node['path']}/".startswith(f"{place.stored}/"):
                found[place] += node.get("size") or 0
    return found


def numbers() -> Owners:
    """Return the names of this server's users and groups by number; restic knows owners by number."""
    return {
        "users": {str(user.pw_uid): user.pw_name for user in pwd.getpwall()},
        "groups": {str(group.gr_gid): group.gr_name for group in grp.getgrall()},
    }


def give(tree: Path, owners: Owners) -> None:
    """Give files whose owner has another number on this server to the owner of the same name."""
    users = _moved(owners["users"], lambda name: pwd.getpwnam(name).pw_uid)
    groups = _moved(owners["groups"], lambda name: grp.getgrnam(name).gr_gid)
    if not users and not groups:
        return
    inside = (Path(folder) / name for folder, folders, files in os.walk(tree) for name in [*folders, *files])
    for path in [tree, *inside]:
        found = path.lstat()
        wanted = (users.get(found.st_uid, found.st_uid), groups.get(found.st_gid, found.st_gid))
        if wanted != (found.st_uid, found.st_gid):
            os.chown(path, *wanted, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(found.st_mode & 0o7777)  # a change of owner takes away set-user-id


def _move(here: Path, there: Path) -> None:
    """Move a file or folder on one disk; may be repeated.

    A disk in layers, such as a Raspberry Pi's whose card is protected, does not rename the folders of its
    lower layer (overlayfs without redirect_dir): they are copied, and removed once the copy is whole.

    Raises:
        RefusalError: the copy was not made, such as for want of room; everything is where it was.
    """
    try:
        here.replace(there)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Where it is there already, a power cut stopped the removal.
        if not there.exists():
            part = there.with_name(f"{there.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            command = ["cp", "--archive", "--no-target-directory", here, part]
            copied = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
            if copied.returncode:
                shutil.rmtree(part, ignore_errors=True)
                refuse("not_moved", path=here, said=copied.stderr.strip().rpartition("\n")[2])
            os.sync()
            part.replace(there)
            sync(there.parent)
        shutil.rmtree(here)


def free(path: Path) -> int:
    """Return how many bytes fit where *path* is, or would be."""
    found = os.statvfs(_there(path))
    return found.f_bavail * found.f_frsize


def device(path: Path) -> int:
    """Return the number of the file system where *path* is, or would be."""
    return _there(path).stat().st_dev


def _there(path: Path) -> Path:
    return next(parent for parent in [path, *path.parents] if parent.exists())


def _moved(then: dict[str, str], now: Callable[[str], int]) -> dict[int, int]:
    """Return the numbers that mean somebody else today -> the numbers of the same names."""
    changed = {}
    for number, name in then.items():
        try:
            if now(name) != int(number):
                changed[int(number)] = now(name)
        except KeyError:  # no such user here: the number stays
            continue
    return changed
