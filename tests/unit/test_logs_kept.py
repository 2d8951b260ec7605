"""Journals of other servers: what is set aside, and what goes by time and by size."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "roles/logs/files/schoolstack_logs.py"
spec = importlib.util.spec_from_file_location("schoolstack_logs", PROGRAM)
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)

NOW = 1_795_000_000.0


def kept(folder: Path, name: str, days: float, mb: float = 1) -> Path:
    """Have a journal that was last written to so many days ago."""
    path = folder / name
    path.write_bytes(b"x" * int(mb * program.MB))
    os.utime(path, (NOW, NOW - days * program.DAY_S))
    return path


def test_only_what_is_written_to_is_set_aside(tmp_path: Path) -> None:
    kept(tmp_path, "remote-127.0.0.1.journal", 0)
    kept(tmp_path, "remote-127.0.0.1@20260101T000000Z.journal", 1)
    kept(tmp_path, "remote-127.0.0.1@0006-1.journal~", 1)
    assert program.aside(tmp_path, NOW) == ["remote-127.0.0.1@20261118T110640Z.journal"]
    assert program.aside(tmp_path, NOW + 60) == []
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_stays_longer_than_it_may(tmp_path: Path) -> None:
    old = kept(tmp_path, "remote-a@1.journal", 30.1)
    odd = kept(tmp_path, "remote-a@2.journal~", 31)
    kept(tmp_path, "remote-a@3.journal", 29.9)
    kept(tmp_path, "remote-a.journal", 40)  # written to: it is set aside first
    kept(tmp_path, "notes.txt", 99)
    assert set(program.too_much(tmp_path, 30, 100, NOW)) == {old, odd}


@pytest.mark.parametrize(
    ("room", "gone"), [(100, []), (7, ["remote-a@1.journal"]), (5, ["1", "2"]), (0, ["1", "2", "3"])]
)
def test_the_oldest_go_first_until_there_is_room(tmp_path: Path, room: int, gone: list[str]) -> None:
    for days, name in ((3, "1"), (2, "2"), (1, "3")):
        kept(tmp_path, f"remote-a@{name}.journal", days, mb=3)
    names = [path.name for path in program.too_much(tmp_path, 30, room, NOW)]
    assert names == [name if "@" in name else f"remote-a@{name}.journal" for name in gone]
