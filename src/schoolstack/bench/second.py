"""What a run costs that has nothing to do."""

from __future__ import annotations

import statistics

from schoolstack.bench.bench import Bench
from schoolstack.bench.report import Part, Row, spread
from schoolstack.deployment import Deployment

TITLE = "The run that changes nothing"
RUNS = 7
# How many times a bare gathering of facts a run may take that has nothing to do.
TIMES_SETUP = 12
HOW = """\
The demo school's `site.yml` on a host where it ran before, in turns with `ansible server -m setup`
without any setting of this project, both over the SSH connection that Ansible keeps open.
"""


def measure(bench: Bench) -> Part:
    """Run the whole site again, in turns with Ansible's bare gathering of facts."""
    deployment = bench.deployed()
    deployment.play("site")
    site: list[float] = []
    setup: list[float] = []
    changed = 0
    before = _started(deployment)
    received = -_received(deployment)
    for _ in range(RUNS):
        setup.append(bench.ansible("ansible", "server", "-m", "ansible.builtin.setup", bare=True))
        run = deployment.play("site")
        site.append(run.seconds)
        changed += run.changed
    received += _received(deployment)
    restarted = sorted(name for name, when in _started(deployment).items() if when != before.get(name))
    ratios = [a / b for a, b in zip(site, setup, strict=True)]
    return Part(
        rows=[
            Row("changes", str(changed), "0", changed == 0),
            Row("services restarted", ", ".join(restarted) or "none", "none", not restarted),
            Row("`site.yml`", spread(site, "s")),
            Row("bare `ansible -m setup`", spread(setup, "s")),
            Row(
                "ratio",
                spread(ratios, "times"),
                f"at most {TIMES_SETUP} times",
                statistics.median(ratios) <= TIMES_SETUP,
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
