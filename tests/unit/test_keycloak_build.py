"""The script that builds Keycloak, with a program in Keycloak's place that takes its time."""

from __future__ import annotations

import subprocess
from pathlib import Path

from schoolstack.deployment import ROOT

BUILD = ROOT / "roles/keycloak/files/build.sh"
# Says on its beginning that it works, and then builds slowly.
SLOW = """#!/bin/sh
echo begun >>"$LOG"
sleep 1
echo "$*" >"${0%/bin/kc.sh}/lib/quarkus/built"
"""


def test_a_build_waits_for_one_that_a_killed_run_left_at_work(tmp_path: Path) -> None:
    for part in ("bin", "conf", "lib/quarkus", "providers", "themes"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "version.txt").touch()
    program = tmp_path / "bin/kc.sh"
    program.write_text(SLOW)
    program.chmod(0o755)
    log = tmp_path / "log"
    command = ["sh", str(BUILD), str(tmp_path), "build-1", "db=postgres"]
    environment = {"PATH": "/usr/bin:/bin", "LOG": str(log)}
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(timeout=30) for process in both] == [0, 0]
    assert log.read_text() == "begun\n", "what was built needs no second build"
    assert (tmp_path / "lib/build-1/built").read_text() == "build --db=postgres\n"
    assert sorted(path.name for path in (tmp_path / "lib/build-1").iterdir()) == ["built"]
    assert not (tmp_path / ".building").exists()
