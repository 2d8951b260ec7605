"""What a run costs that has nothing to do."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass

from schoolstack.bench.bench import Bench
from schoolstack.bench.report import Part, Row, spread
from schoolstack.deployment import Deployment, Run

TITLE = "The run that changes nothing"
RUNS = 7
# How many times a bare gathering of facts a run may take that has nothing to do.
TIMES_SETUP = 12
HOW = """\
The demo school's `site.yml` on a host where it ran before, in turns with `ansible server -m setup`
without any setting of this project, both over the SSH connection that Ansible keeps open.
"""


@dataclass(frozen=True)
class Again:
    """Runs with nothing to do, in turns with Ansible's bare gathering of facts.

    Attributes:
        site: how long each took, in seconds.
        setup: how long each gathering took, in seconds.
        changed: number of things they changed nevertheless.
        tasks: number of tasks of a run that were not skipped.
    """

    site: list[float]
    setup: list[float]
    changed: int
    tasks: int

    @property
    def ratios(self) -> list[float]:
        """How many times the gathering each run took."""
        return [a / b for a, b in zip(self.site, self.setup, strict=True)]


def run_again(bench: Bench) -> Again:
    """Run the whole site where it ran before."""
    setup: list[float] = []
    runs: list[Run] = []
    for _ in range(RUNS):
        setup.append(bench.ansible("ansible", "server", "-m", "ansible.builtin.setup", bare=True))
        runs.append(bench.deployment.play("site"))
    return Again([run.seconds for run in runs], setup, sum(run.changed for run in runs), tasks(runs[-1]))


def tasks(run: Run) -> int:
    """Return how many tasks a run had that were not skipped, from Ansible's own closing line."""
    return int(re.findall(r"ok=(\d+)", run.said)[-1])


def measure(bench: Bench) -> Part:
    """Run the whole site again, in turns with Ansible's bare gathering of facts."""
    deployment = bench.deployed()
    deployment.play("site")
    before = _started(deployment)
    received = -_received(deployment)
    again = run_again(bench)
    received += _received(deployment)
    restarted = sorted(name for name, when in _started(deployment).items() if when != before.get(name))
    return Part(
        rows=[
            Row("changes", str(again.changed), "0", again.changed == 0),
            Row("services restarted", ", ".join(restarted) or "none", "none", not restarted),
            Row("`site.yml`", spread(again.site, "s")),
            Row("bare `ansible -m setup`", spread(again.setup, "s")),
            Row(
                "ratio",
                spread(again.ratios, "times"),
                f"at most {TIMES_SETUP} times",
                statistics.median(again.ratios) <= TIMES_SETUP,
            ),
            Row("received by the server per run", f"{received / RUNS / 1e6:.1f} MB, Ansible itself included"),
        ],
        how=HOW,
    )


def _started(deployment: Deployment) -> dict[str, str]:
    """Return since when each service runs."""
    shown = deployment.shell(
        "systemctl show --type=service --state=running '*' -p Id -p ActiveEnterTimestampMonotonic --value"
    ).split()
    return dict(zip(shown[::2], shown[1::2], strict=True))


def _received(deployment: Deployment) -> int:
    return int(deployment.shell("cat /sys/class/net/host0/statistics/rx_bytes"))
