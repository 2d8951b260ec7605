"""The strategy that all playbooks run with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from schoolstack.deployment import ROOT

STATUS = "/proc/self/status"


def allowed(status: str) -> str:
    """Return the processors that a process may run on, as the kernel says it."""
    return next(line for line in status.splitlines() if line.startswith("Cpus_allowed:"))


def test_a_run_may_use_every_processor(tmp_path: Path) -> None:
    """Mitogen would tie the work of every run to the same one of two processors."""
    playbook, seen = tmp_path / "playbook.json", tmp_path / "status"
    task = {"ansible.builtin.debug": {"msg": f"{{{{ lookup('pipe', 'cat {STATUS} >{seen}') }}}}"}}
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    command = [Path(sys.executable).with_name("ansible-playbook"), playbook]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert allowed(seen.read_text()) == allowed(Path(STATUS).read_text())
