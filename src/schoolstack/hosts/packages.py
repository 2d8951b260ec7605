"""Debian packages: those that hosts share, those they find in a bundle, and those the bootstrap installed."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path

from schoolstack.hosts.state import State, make_folder, run

# Every host has an archives folder of its own, so that apt's lock in it keeps no other host waiting. The
# files in them are hard links to one pool: a package is downloaded once and stored once.


def share(pool: Path, archives: Path) -> None:
    """Give what a host has downloaded to the pool, and what the pool has to the host.

    A package is complete under its name from its first moment (apt renames it into place), and is
    flushed to disk before others may rely on it.
    """
    for folder in (pool, archives):
        make_folder(folder, 0o755)
    for source, target in ((archives, pool), (pool, archives)):
        for package in source.glob("*.deb"):
            copy = target / package.name
            if not copy.exists():
                with package.open("rb") as content:
                    os.fsync(content.fileno())
                with contextlib.suppress(FileExistsError):
                    copy.hardlink_to(package)


# Where a host sees the packages of a bundle, and what makes apt look there instead of on the internet. What
# else is in sources.list.d, such as a learner adds, stays as it is.
OFFERED = "/var/cache/apt/bundle"
_SOURCES = f"deb [trusted=yes] file:{OFFERED} ./\n"
_SETTINGS = f'Dir::Etc::SourceList "{OFFERED}/sources.list";\n'


def index(folder: Path) -> None:
    """Make a folder of packages a repository that apt reads from disk.

    It is not signed: apt has checked the packages when they were fetched.
    """
    listed = subprocess.run(
        ["apt-ftparchive", "packages", "."], cwd=folder, capture_output=True, text=True, check=True
    )
    (folder / "Packages").write_text(listed.stdout, encoding="utf-8")


def offer(folder: Path) -> None:
    """Make a folder of packages one that hosts take all they install from; see :func:`offered`."""
    index(folder)
    (folder / "sources.list").write_text(_SOURCES, encoding="utf-8")
    (folder / "apt.conf").write_text(_SETTINGS, encoding="utf-8")


def offered(folder: Path) -> list[str]:
    """Return the options of systemd-nspawn by which a host takes from there all it installs."""
    settings = folder / "apt.conf"
    return [f"--bind-ro={folder}:{OFFERED}", f"--bind-ro={settings}:/etc/apt/apt.conf.d/00bundle"]


def remove_installed(state: State) -> list[str]:
    """Purge the Debian packages that ``.ci/bootstrap`` added, unless others came to need them.

    Returns:
        Sentences about packages that had to stay.
    """
    record = state.root / "installed-packages"
    ours = record.read_text().split() if record.exists() else []
    present = set(run(["dpkg-query", "--show", "--showformat=${Package}\n"]).split())
    ours = [package for package in ours if package in present]
    if not ours:
        return []
    planned = run(["apt-get", "--simulate", "purge", *ours])
    others = sorted(set(re.findall(r"^Purg (\S+)", planned, re.MULTILINE)) - set(ours))
    if others:
        return [f"{', '.join(ours)} stay installed, because {', '.join(others)} came to need them."]
    run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--assume-yes", "purge", *ours])
    return []
