"""How much memory a server takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from schoolstack.bench.bench import Bench
from schoolstack.bench.report import Part, Row
from schoolstack.deployment import Deployment

TITLE = "Memory"
HOW = """\
Resident size of Keycloak's processes, and the proportional size of all processes of the host. Heap and
bound follow from the host's memory; see the role keycloak.
"""


@dataclass(frozen=True)
class Memory:
    """What a server takes, in MB.

    Attributes:
        keycloak_mb: the resident size of Keycloak's processes.
        heap_mb: the bound of its heap.
        bound_mb: the bound of its unit.
        host_mb: the resident size of all processes of the host, shared pages counted once.
    """

    keycloak_mb: float
    heap_mb: int
    bound_mb: int
    host_mb: float


def memory(deployment: Deployment) -> Memory:
    """Look at a server as it is now."""
    service = deployment.records["keycloak"]["services"][0]
    heap = re.search(r"-Xmx(\d+)m", service["environment"]["JAVA_OPTS_KC_HEAP"])
    sizes = deployment.shell(
        "for p in $(cat /sys/fs/cgroup/system.slice/keycloak.service/cgroup.procs 2>/dev/null"
        " || pgrep -u keycloak); do grep VmRSS /proc/$p/status; done | awk '{s+=$2} END {print s}';"
        "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ {s+=$2} END {print s}'"
    ).split()
    return Memory(
        keycloak_mb=int(sizes[0]) / 1024,
        heap_mb=int(heap[1]) if heap else 0,
        bound_mb=int(service["memory_max_mb"]),
        host_mb=int(sizes[1]) / 1024,
    )


def measure(bench: Bench) -> Part:
    """Look at a server that was just started."""
    deployment = bench.deployed()
    found = memory(deployment)
    within = found.keycloak_mb < found.bound_mb
    return Part(
        rows=[
            Row(
                "Keycloak after its start",
                f"{found.keycloak_mb:.0f} MB",
                f"below {found.bound_mb} MB",
                within,
            ),
            Row("its heap, at most", f"{found.heap_mb} MB"),
            Row("the whole host", f"{found.host_mb:.0f} MB", "a 4 GB board holds it", found.host_mb < 3500),
        ],
        how=HOW,
    )
