"""What it costs that a school watches itself."""

from __future__ import annotations

import json
import statistics
import time

from schoolstack.bench.bench import Bench
from schoolstack.bench.report import Part, Row, spread
from schoolstack.bench.second import TIMES_SETUP, run_again, tasks
from schoolstack.deployment import Deployment
from schoolstack.hosts.state import run

TITLE = "The dials"
LOOKED_S = 600
BEAT_S = 10
MOST_MB = 350
MOST_PERCENT = 3.0
HOW = """\
The roles `monitoring` and `statuspage`, added to the demo school on a host where all the rest ran already.
The run that changes nothing is bound as without them, times the tasks that are now more. Memory is the
proportional size of all processes of Prometheus, Alertmanager and the exporters, the most that was seen in
{minutes} minutes, looked at every {beat} s; processor time is what their control groups used in that time.
Prometheus asked twice a minute, as it does on a server with more than 6 GB, and nobody used the school.
What the server finds out about itself every five minutes is not among them; it stands in a row of its own.
"""

# Prints the memory (MB) and the processor time (s) of units, by their names.
_USED = """
import json, pathlib, subprocess
def ask(*words):
    return subprocess.run(["systemctl", *words], capture_output=True, text=True, check=True).stdout.split()
listed = ask("list-units", "--plain", "--no-legend", "--state=running", "prometheus*.service")
units = [word for word in listed if word.startswith("prometheus") and word.endswith(".service")]
used = {}
for unit in units:
    group = pathlib.Path("/sys/fs/cgroup" + ask("show", "--value", "-p", "ControlGroup", unit)[0])
    mb = 0.0
    for pid in (group / "cgroup.procs").read_text().split():
        lines = pathlib.Path("/proc", pid, "smaps_rollup").read_text().splitlines()
        mb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    spent = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    used[unit] = [mb, int(spent["usage_usec"]) / 1e6]
print(json.dumps(used))
"""


def measure(bench: Bench) -> Part:
    """Add the dials, run again where nothing changes, and look for ten minutes at what they take."""
    deployment = bench.deployed()
    without = tasks(deployment.play("site"))
    bench.watch(on=True)
    try:
        added = deployment.play("site").seconds
        again = run_again(bench)
        most = TIMES_SETUP * again.tasks / without
        memory, percent = _footprint(deployment)
    finally:
        bench.watch(on=False)
    return Part(
        rows=[
            Row("adding them", f"{added:.0f} s"),
            Row("changes of the run after it", str(again.changed), "0", again.changed == 0),
            Row("`site.yml` with them", spread(again.site, "s")),
            Row(
                "times a bare `ansible -m setup`",
                spread(again.ratios, "times"),
                f"at most {most:.1f} times",
                statistics.median(again.ratios) <= most,
            ),
            Row("their memory", f"{memory:.0f} MB", f"below {MOST_MB} MB", memory < MOST_MB),
            Row(
                "their share of a core",
                f"{percent:.1f} %",
                f"below {MOST_PERCENT:.0f} %",
                percent < MOST_PERCENT,
            ),
            Row("looking at the server itself", f"{_finding(deployment):.1f} s of a core each 5 minutes"),
        ],
        how=HOW.format(minutes=LOOKED_S // 60, beat=BEAT_S),
    )


def _used(deployment: Deployment) -> tuple[float, float]:
    """Return the memory (MB) of what watches, and the processor time (s) that it has used."""
    used = json.loads(run([*deployment.lab.ssh_command(deployment.name), "python3 -"], stdin=_USED))
    return sum(mb for mb, _ in used.values()), sum(seconds for _, seconds in used.values())


def _footprint(deployment: Deployment) -> tuple[float, float]:
    """Return the most memory seen (MB), and the share of a core (percent)."""
    began = time.monotonic()
    memory, before = _used(deployment)
    after = before
    while time.monotonic() < began + LOOKED_S:
        time.sleep(BEAT_S)
        seen, after = _used(deployment)
        memory = max(memory, seen)
    return memory, 100 * (after - before) / (time.monotonic() - began)


def _finding(deployment: Deployment) -> float:
    """Return the processor time (s) of one look of the server at itself."""
    unit = "schoolstack-findings.service"
    used = deployment.shell(f"systemctl start {unit} && systemctl show --value -p CPUUsageNSec {unit}")
    return int(used) / 1e9
