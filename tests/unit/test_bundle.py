"""Bundles: which ones are refused, and that nothing is taken then. Making and using one is a scenario's."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from schoolstack.errors import SchoolError
from schoolstack.hosts import image, packages
from schoolstack.hosts.state import State
from schoolstack.labs import bundle

IMAGE = image.image_name("trixie", "amd64")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A bundle of one small image, one package and one artefact."""
    folder = tmp_path / "bundle"
    system = tmp_path / "system"
    (system / "etc").mkdir(parents=True)
    (system / "etc" / "hostname").write_text("seat\n")
    for part in ("images", "hosts/trixie-amd64", "artefacts"):
        (folder / part).mkdir(parents=True)
    packed = folder / "images" / f"{IMAGE}.tar.zst"
    subprocess.run(["tar", "--create", "--zstd", "--file", packed, "--directory", system, "."], check=True)
    (folder / "hosts" / "trixie-amd64" / "apt.conf").write_text("settings\n")
    (folder / "artefacts" / "archive").write_text("content\n")
    files = [path for path in folder.rglob("*") if path.is_file()]
    digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    record = {"machine": bundle.machine(), "lessons": ["own-server"], "files": digests}
    (folder / "bundle.json").write_text(json.dumps(record))
    return folder


def test_hosts_are_made_from_it_until_it_is_dropped(made: Path, tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    assert bundle.use(made, state)["lessons"] == ["own-server"]
    assert (state.bases / IMAGE / "etc" / "hostname").read_text() == "seat\n"
    assert (state.root / "artefacts" / "archive").read_text() == "content\n"
    options = packages.offered(state.bundle / "trixie-amd64")
    assert all(Path(option.split("=")[1].split(":")[0]).exists() for option in options)
    # Once more, such as after a newer one was brought.
    bundle.use(made, state)
    assert bundle.drop(state)
    assert not state.bundle.exists()
    assert not bundle.drop(state)


def change_record(key: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        record = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps(record | {key: value}))

    return change


def older_image(folder: Path) -> None:
    (folder / "images" / f"{IMAGE}.tar.zst").rename(folder / "images" / "trixie-amd64-00000000.tar.zst")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no bundle": (lambda folder: (folder / "bundle.json").unlink(), "holds no bundle"),
    "another machine": (change_record("machine", "sid-riscv64"), "is for sid-riscv64"),
    "another version": (older_image, "another version of the project"),
    "a damaged file": (
        lambda folder: (folder / "artefacts" / "archive").write_text("contenT\n"),
        "archive is missing or damaged",
    ),
    "a lost file": (
        lambda folder: (folder / "hosts" / "trixie-amd64" / "apt.conf").unlink(),
        "apt.conf is missing or damaged",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_before_anything_is_taken(
    made: Path, tmp_path: Path, name: str
) -> None:
    spoil, words = REFUSED[name]
    spoil(made)
    state = State(tmp_path / "state")
    with pytest.raises(SchoolError, match=words):
        bundle.use(made, state)
    assert not state.root.exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(SchoolError, match="holds something else"):
        bundle.make(tmp_path, [], State(tmp_path / "state"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
