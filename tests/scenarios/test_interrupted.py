"""A run that is killed at any moment and started again ends like one that was not."""

from __future__ import annotations

import difflib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from schoolstack.deployment import ROOT, Deployment
from schoolstack.hosts.lab import Lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

INVENTORY = ROOT / "inventories" / "demo"
FINGERPRINT = (Path(__file__).parent / "fingerprint.sh").read_text(encoding="utf-8")

# Moments spread over the run, as the share of the tasks of an undisturbed one that have begun.
MOMENTS = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]


def site(deployment: Deployment, kill_after: int | None = None) -> int:
    """Run site.yml, and kill it with all its children when its nth task begins.

    Returns:
        The number of tasks that had begun.
    """
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/site.yml"]
    for inventory in deployment.inventories:
        command += ["-i", str(inventory)]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    environment["PYTHONUNBUFFERED"] = "1"
    begun, lines = 0, []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            begun += line.startswith("TASK [")
            if begun == kill_after:
                os.killpg(process.pid, signal.SIGKILL)
                break
    if kill_after is None:
        assert process.returncode == 0, "".join(lines[-60:])
    return begun


def fingerprint(deployment: Deployment) -> list[str]:
    command = [*deployment.lab.ssh_command(deployment.name), "bash -s"]
    return subprocess.run(
        command, input=FINGERPRINT, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_a_run_killed_at_ten_moments_ends_like_an_undisturbed_one() -> None:
    lab = Lab()
    lab.up("undisturbed-server")
    lab.up("killed-server")
    try:
        undisturbed = Deployment(INVENTORY, "undisturbed-server", lab)
        killed = Deployment(INVENTORY, "killed-server", lab)
        tasks = site(undisturbed)
        for moment in MOMENTS:
            assert site(killed, kill_after=max(1, int(tasks * moment))) > 0
        site(killed)
        difference = list(
            difflib.unified_diff(fingerprint(undisturbed), fingerprint(killed), "undisturbed", "killed", n=0)
        )
        assert difference == []
        assert killed.play("site").changed == 0
    finally:
        lab.down("killed-server")
        lab.down("undisturbed-server")
