"""Parts of an archive: brought whole or not at all, and noted only when they are there."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from plugin import load

PROGRAM = Path(__file__).parents[2] / "roles/archive/files/part.sh"
preflight = load("action/preflight.py")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="what is unpacked belongs to root")


def place(folder: Path, path: str, version: str, *, whole: bool = True) -> subprocess.CompletedProcess[str]:
    """Bring a part whose archive holds its version, as the role does; or half of that archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        content = version.encode()
        entry = tarfile.TarInfo("app/appinfo/version")
        entry.size = len(content)
        entry.mode = 0o666
        archive.addfile(entry, io.BytesIO(content))
    content = packed.getvalue()
    (folder / ".archive").write_bytes(content if whole else content[:40])
    command = ["sh", str(PROGRAM), str(folder), path, version, hashlib.sha256(content).hexdigest()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def parts(folder: Path) -> list[str]:
    return (folder / ".parts").read_text(encoding="utf-8").splitlines()


@needs_root
def test_parts_lie_side_by_side_and_one_takes_the_place_of_its_own_kind_only(tmp_path: Path) -> None:
    for path, version in (("apps/deck", "1"), ("apps/deck2", "1"), ("apps/deck", "2")):
        assert place(tmp_path, path, version).returncode == 0
    assert sorted(parts(tmp_path)) == ["apps/deck 2", "apps/deck2 1"]
    assert (tmp_path / "apps/deck/appinfo/version").read_text() == "2"
    assert (tmp_path / "apps/deck2/appinfo/version").read_text() == "1"
    # Nobody but root writes there, whatever the archive says.
    assert (tmp_path / "apps/deck/appinfo/version").stat().st_mode & 0o777 == 0o644
    assert {one.name for one in tmp_path.iterdir()} == {"apps", ".parts"}


@needs_root
def test_a_damaged_archive_leaves_what_is_there(tmp_path: Path) -> None:
    assert place(tmp_path, "apps/deck", "1").returncode == 0
    refused = place(tmp_path, "apps/deck", "2", whole=False)
    assert refused.returncode == 1
    assert "arrived damaged" in refused.stderr
    assert parts(tmp_path) == ["apps/deck 1"]
    assert (tmp_path / "apps/deck/appinfo/version").read_text() == "1"


@needs_root
@pytest.mark.parametrize("left", [".unpacking", ".before"])
def test_what_a_run_left_that_was_cut_off_is_in_nobodys_way(tmp_path: Path, left: str) -> None:
    (tmp_path / left / "half").mkdir(parents=True)
    assert place(tmp_path, "apps/deck", "1").returncode == 0
    assert parts(tmp_path) == ["apps/deck 1"]
    assert not (tmp_path / left).exists()


def test_of_parts_only_those_of_the_installed_version_are_fetched() -> None:
    declaration = {"name": "files", "archive": "files", "version": "2"}
    within = {"archive": "files", "path": "apps/deck"}
    pins = [
        {"name": "files", "version": "1"},
        {"name": "files", "version": "2"},
        {"name": "deck", "version": "7", "within": {**within, "versions": ["1"]}},
        {"name": "deck", "version": "8", "within": {**within, "versions": ["2", "3"]}},
        {"name": "key", "version": "x"},
    ]
    found = preflight.Applications()
    found.add(declaration, pins, {})
    assert [(pin["name"], pin["version"]) for pin in found.artefacts] == [
        ("files", "2"),
        ("deck", "8"),
        ("key", "x"),
    ]
    assert found.pinned == {"files": ["1", "2"]}
    # Where that version lies unpacked, its parts are looked at in it, and not fetched to find out.
    assert preflight.unpacked_as(pins[3], [declaration]) == "files/2"
    assert preflight.unpacked_as(pins[4], [declaration]) == "key/x"
