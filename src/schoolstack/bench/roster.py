"""What a large class list costs."""

from __future__ import annotations

import statistics
from typing import Any

from schoolstack.bench.bench import Bench
from schoolstack.bench.processes import peak
from schoolstack.bench.report import Part, Row, spread
from schoolstack.deployment import ROOT
from schoolstack.roster import sample

TITLE = "The class list"
RUNS = 3
AGAIN = 5
ACCOUNTS = {"pupils": 1850, "teachers": 130, "staff": 18, "ict": 2}
CLASSES = 90
LOOP = 40
# What Ansible does where nobody sets anything.
STOCK = {"ANSIBLE_STRATEGY": "linear", "ANSIBLE_PIPELINING": "0"}
HOW = """\
`playbooks/roster.yml` as a whole, Ansible's start included, on a school without accounts. Sheets with
initial passwords are written and their hashes computed. The loop makes {loop} accounts, each with a
password and two groups as the class list gives them, on the same host, with Ansible's own strategy and
connection settings; its time per account is the whole run's, divided by their number. Memory is the peak
resident size of the largest single Python process, as the kernel keeps it. An import that changes something
is done when it has read everything again. After each first import {again} follow that change nothing, one
upon the other; each is a little faster than the one before, while Keycloak's Java machine compiles what
reads accounts.
"""


def measure(bench: Bench) -> Part:
    """Import a large school, import it again, and make a few accounts one by one."""
    source = bench.folder / "class-list"
    sample.write(source, classes=CLASSES, **ACCOUNTS)
    variables: dict[str, Any] = {
        "roster_source": str(source),
        "roster_sheets_dir": str(bench.folder / "sheets"),
        "roster_apply": True,
    }
    total = sum(ACCOUNTS.values())
    first: list[float] = []
    again: list[float] = []
    loop: list[float] = []
    quick: list[float] = []
    here: list[float] = []
    there: list[float] = []
    changed = 0
    for _ in range(RUNS):
        deployment = bench.deployed()
        with peak() as memory:
            first.append(deployment.play("roster", **variables).seconds)
            for _ in range(AGAIN):
                run = deployment.play("roster", **variables)
                again.append(run.seconds)
                changed += run.changed
        here.append(memory.here)
        there.append(memory.on_hosts)
        loop.append(_loop(bench, "stock", STOCK))
        quick.append(_loop(bench, "quick", {}))
    per_account = [taken / LOOP for taken in loop]
    faster = [one / (taken / total) for one, taken in zip(per_account, first, strict=True)]
    shares = [taken / first[number // AGAIN] for number, taken in enumerate(again)]
    largest = max(here + there)
    return Part(
        rows=[
            Row(f"first import of {total} accounts in {CLASSES} classes", spread(first, "s")),
            Row(f"`community.general.keycloak_user`, {LOOP} accounts", spread(loop, "s")),
            Row("import, per account", f"{statistics.median(first) / total * 1000:.0f} ms"),
            Row("loop, per account", spread([one * 1000 for one in per_account], "ms", 0)),
            Row("the same loop through this project's Mitogen", spread(quick, "s")),
            Row(
                "faster than the loop",
                spread(faster, "times", 0),
                "at least 30",
                statistics.median(faster) >= 30,
            ),
            Row("import that changes nothing", spread(again, "s"), "", changed == 0),
            Row(
                "share of the first import",
                spread(shares, "", 3),
                "at most 0.1",
                statistics.median(shares) <= 0.1,
            ),
            Row("largest process on the machine that runs Ansible", spread(here, "MB", 0)),
            Row("largest process on the server", spread(there, "MB", 0)),
            Row("memory", f"{largest:.0f} MB", "below 200 MB", largest < 200),
        ],
        how=HOW.format(loop=LOOP, again=AGAIN),
    )


def _loop(bench: Bench, prefix: str, settings: dict[str, str]) -> float:
    """Make accounts one by one and return the seconds it took."""
    playbook = str(ROOT / "src/schoolstack/bench/loop.yml")
    given = f"accounts={LOOP} prefix={prefix}"
    return bench.ansible("ansible-playbook", playbook, "-e", given, settings=settings)
