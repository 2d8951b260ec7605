"""The script that builds Keycloak, with a program in Keycloak's place that takes its time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from schoolstack.deployment import ROOT

BUILD = ROOT / "roles/keycloak/files/build.sh"
# Builds slowly, and says when it begins and ends.
SLOW = """#!/bin/sh
echo begun >>"$LOG"
sleep 1
echo "$*" >"${0%/bin/kc.sh}/lib/quarkus/built"
echo ended >>"$LOG"
"""


@pytest.fixture
def build(tmp_path: Path) -> Callable[[], subprocess.Popen[bytes]]:
    """Start a build, always the same, of a version that lies in ``tmp_path``."""
    for part in ("bin", "conf", "lib/quarkus", "providers", "themes"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "version.txt").touch()
    program = tmp_path / "bin/kc.sh"
    program.write_text(SLOW)
    program.chmod(0o755)
    command = ["sh", str(BUILD), str(tmp_path), "build-1", "db=postgres"]
    environment = {"PATH": "/usr/bin:/bin", "LOG": str(tmp_path / "log")}
    return lambda: subprocess.Popen(command, env=environment)


def assert_built(folder: Path, log: str) -> None:
    """Look that there is one whole build and nothing besides, and what its program said."""
    assert (folder / "log").read_text() == log
    assert [path.name for path in (folder / "lib/build-1").iterdir()] == ["built"]
    assert (folder / "lib/build-1/built").read_text() == "build --db=postgres\n"
    assert not (folder / ".building").exists()


def test_what_another_run_builds_meanwhile_is_waited_for_and_used(
    tmp_path: Path, build: Callable[[], subprocess.Popen[bytes]]
) -> None:
    both = [build(), build()]
    assert [process.wait(timeout=30) for process in both] == [0, 0]
    assert_built(tmp_path, "begun\nended\n")


def test_what_a_killed_build_left_at_work_is_waited_for_and_built_anew(
    tmp_path: Path, build: Callable[[], subprocess.Popen[bytes]]
) -> None:
    killed = build()
    deadline = time.monotonic() + 30
    while not (tmp_path / "log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert build().wait(timeout=30) == 0
    assert_built(tmp_path, "begun\nended\n" * 2)
