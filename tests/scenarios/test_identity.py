"""The Molecule scenario of the demo school, start to end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schoolstack.deployment import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")


def test_the_scenario_identity_passes() -> None:
    """Check, converge, class list, idempotence, check again, verify; its report stands above a failure."""
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "NO_COLOR": "1"}
    inventory = ROOT / "molecule" / "identity" / "inventory"
    try:
        done = subprocess.run(
            [programs / "molecule", "test", "--scenario-name", "identity"],
            cwd=ROOT,
            env=environment,
            check=False,
        )
    finally:
        for left in ("secrets", "sheets"):
            shutil.rmtree(inventory / left, ignore_errors=True)
        (inventory / ".vault-key").unlink(missing_ok=True)
    assert done.returncode == 0
