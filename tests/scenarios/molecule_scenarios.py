"""Which Molecule scenarios there are, and how one is run start to end."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from schoolstack.deployment import ROOT

# Lessons are tried in test_labs.py.
SCENARIOS = sorted(
    path.parent.name
    for path in ROOT.glob("molecule/*/molecule.yml")
    if not path.with_name("lab.yml").exists()
)


def ends_with(scenario: str, marks: str) -> int:
    """Run whatever its molecule.yml lists, in that order; its report stands above a failure.

    Args:
        scenario: its folder's name.
        marks: which of its own tests are run, as ``-m`` says it: in make test none that is slow.

    Returns:
        With which code it ended.
    """
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "NO_COLOR": "1"}
    environment["PYTEST_ADDOPTS"] = shlex.join(["-m", marks])
    inventory = ROOT / "molecule" / scenario / "inventory"
    try:
        command = [programs / "molecule", "test", "--scenario-name", scenario]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    finally:
        # What it generated for itself; git ignores all of it.
        for left in ("secrets", "sheets", "files"):
            shutil.rmtree(inventory / left, ignore_errors=True)
        (inventory / ".vault-key").unlink(missing_ok=True)
