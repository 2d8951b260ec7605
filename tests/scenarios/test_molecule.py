"""Every Molecule scenario, start to end."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schoolstack.deployment import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

# What few schools have, left to make test-all: make test is long without it.
RARE = ("edge", "two-servers")
# Lessons are tried in test_labs.py.
SCENARIOS = sorted(
    path.parent.name
    for path in ROOT.glob("molecule/*/molecule.yml")
    if not path.with_name("lab.yml").exists()
)


def test_there_are_scenarios() -> None:
    assert "identity" in SCENARIOS


@pytest.mark.parametrize(
    "scenario", [pytest.param(one, marks=[pytest.mark.slow] if one in RARE else []) for one in SCENARIOS]
)
def test_the_scenario_passes(scenario: str, pytestconfig: pytest.Config) -> None:
    """Whatever its molecule.yml lists, in that order; its report stands above a failure.

    Which of the scenario's own tests are run is as it is for these: in make test none that is marked slow.
    """
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "NO_COLOR": "1"}
    environment["PYTEST_ADDOPTS"] = shlex.join(["-m", pytestconfig.option.markexpr])
    inventory = ROOT / "molecule" / scenario / "inventory"
    try:
        done = subprocess.run(
            [programs / "molecule", "test", "--scenario-name", scenario],
            cwd=ROOT,
            env=environment,
            check=False,
        )
    finally:
        # What it generated for itself; git ignores all of it.
        for left in ("secrets", "sheets", "files"):
            shutil.rmtree(inventory / left, ignore_errors=True)
        (inventory / ".vault-key").unlink(missing_ok=True)
    assert done.returncode == 0
