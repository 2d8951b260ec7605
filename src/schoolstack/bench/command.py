"""``school bench``: measure, print and write the report."""

from __future__ import annotations

import argparse
from types import ModuleType

from schoolstack.bench import backup, dials, first, lab, memory, morning, roster, second
from schoolstack.bench.bench import SERVER, Bench
from schoolstack.bench.report import table, write
from schoolstack.deployment import ROOT

PARTS: dict[str, ModuleType] = {
    "lab": lab,
    "first": first,
    "second": second,
    "roster": roster,
    "morning": morning,
    "memory": memory,
    "backup": backup,
    "dials": dials,
}
REPORT = ROOT / "docs" / "bench.md"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("bench", help="measure speed and memory, and write docs/bench.md")
    parser.add_argument(
        "--only", action="append", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}"
    )
    parser.add_argument("--keep", action="store_true", help="leave the test host for the next time")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure the parts asked for; 0 when every promise was kept."""
    bench = Bench()
    titles = [part.TITLE for part in PARTS.values()]
    found = {}
    try:
        for name in arguments.only or PARTS:
            part = PARTS[name]
            found[part.TITLE] = part.measure(bench)
            write(REPORT, titles, part.TITLE, found[part.TITLE])
    finally:
        if not arguments.keep:
            bench.lab.down(SERVER)
    for title, part in found.items():
        print(f"\n{title}\n\n{table(part)}")
    return int(any(row.kept is False for part in found.values() for row in part.rows))
