"""What the first run costs, beside the same work by hand."""

from __future__ import annotations

import os
import statistics
import subprocess
from pathlib import Path

from schoolstack.bench.bench import Bench, seconds
from schoolstack.bench.report import Part, Row, spread
from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError

TITLE = "The first run"
RUNS = 3
SCRIPT = Path(__file__).with_name("first.sh")
HOW = """\
Each on a host fresh from the image, in turns. The script installs the same {count} Debian packages from
the same cache, copies and unpacks the same archive, builds Keycloak, starts it with the same heap on the
same database and waits until it is ready. It leaves out all the rest: hardening, firewall, certificates,
nginx, the realm and the start page.
"""


def measure(bench: Bench) -> Part:
    """Deploy the site on fresh hosts, in turns with a shell script that does the same by hand."""
    before = _packages(bench.fresh())
    deployment = bench.deployed()
    wanted = sorted(_packages(deployment) - before)
    heap = deployment.records["keycloak"]["services"][0]["environment"]["JAVA_OPTS_KC_HEAP"].rsplit(
        "-Xmx", 1
    )[1]
    script = (
        f"PACKAGES='{' '.join(wanted)}'\nHEAP_MB={heap.rstrip('m')}\n{SCRIPT.read_text(encoding='utf-8')}"
    )
    archive = _archive(bench)
    site: list[float] = []
    bare: list[float] = []
    for _ in range(RUNS):
        bench.fresh()
        bare.append(seconds(lambda: _by_hand(deployment, script, archive)))
        bench.fresh()
        site.append(deployment.play("site").seconds)
    ratios = [a / b for a, b in zip(site, bare, strict=True)]
    return Part(
        rows=[
            Row("first `site.yml`", spread(site, "s", 0)),
            Row("bare shell script", spread(bare, "s", 0)),
            Row("ratio", spread(ratios, "times", 2), "at most 2 times", statistics.median(ratios) <= 2),
        ],
        how=HOW.format(count=len(wanted)),
    )


def _packages(deployment: Deployment) -> set[str]:
    return set(deployment.shell("dpkg-query -f '${Package}\\n' -W").split())


def _archive(bench: Bench) -> Path:
    folder = Path(os.environ.get("SCHOOLSTACK_ARTEFACTS", bench.lab.state.root / "artefacts"))
    found = sorted(folder.rglob("keycloak-*.tar.gz"))
    if not found:
        raise SchoolError(f"{folder} holds no archive of Keycloak: run `school artefacts fetch` first")
    return found[-1]


def _by_hand(deployment: Deployment, script: str, archive: Path) -> None:
    ssh = deployment.lab.ssh_command(deployment.name)
    with archive.open("rb") as content:
        subprocess.run([*ssh, "cat >/root/keycloak.tar.gz"], stdin=content, check=True)
    done = subprocess.run(
        [*ssh, "bash -s"],
        input=script,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        raise SchoolError(f"the shell script failed: {done.stdout[-2000:]}")
