"""The report: figures with their spread, in a table on the console and in ``docs/bench.md``."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_HEAD = """# Bench

<!-- Written by `school bench`. -->

What the project promises about speed and memory, measured. A figure is the median; in brackets follow
the best and the worst run. Ratios compare things measured in turns in one go, so that a slow moment of
the machine hits both. The school under test is sized for a board with 4 GB. It and what measures it
share one machine, so that sign-in looks slower than it is with browsers elsewhere. `make bench` measures
everything again, `school bench --only PART` one part.
"""


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: what was measured.
        figure: what came out, with its unit.
        wanted: what was promised; empty where nothing was.
        kept: whether the promise was kept; None where there was none.
    """

    what: str
    figure: str
    wanted: str = ""
    kept: bool | None = None


@dataclass
class Part:
    """What one part of the bench found, and how."""

    rows: list[Row] = field(default_factory=list)
    how: str = ""


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """Return the median of some runs with the best and the worst."""
    median, best, worst = (
        f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values))
    )
    return f"{median} {unit} ({best} to {worst}, {len(values)} runs)".replace("  ", " ")


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def table(part: Part) -> str:
    """Return a part's figures as a Markdown table, which reads well on a console too."""
    cells = [["what", "measured", "wanted", "kept"], ["---"] * 4]
    cells += [
        [row.what, row.figure, row.wanted, {None: "", True: "yes", False: "**no**"}[row.kept]]
        for row in part.rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in cells
    )


def write(file: Path, titles: Sequence[str], title: str, part: Part) -> None:
    """Write one part into the report and leave the others as they are.

    Args:
        file: the report.
        titles: of all parts, in the report's order.
        title: of this one.
        part: what it found.
    """
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    found = re.split(r"(?m)^## ", text)[1:]
    sections = {section.split("\n", 1)[0]: section.split("\n", 1)[1].strip() for section in found}
    when = f"Measured on {datetime.now(UTC):%Y-%m-%d}, on {machine()}."
    sections[title] = f"{table(part)}\n\n{part.how.strip()}\n\n{when}"
    written = "\n\n".join(f"## {name}\n\n{sections[name]}" for name in titles if name in sections)
    file.write_text(f"{_HEAD}\n{written}\n", encoding="utf-8")


def machine() -> str:
    """Describe this machine without naming it."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"(?m)^model name\s*: (.*)$", cpuinfo)
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"))
    gigabytes = round(int(memory[1]) / 1024**2) if memory else 0
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    processor = model[1].strip() if model else platform.machine()
    return f"{os.cpu_count()} cores ({processor}), {gigabytes} GB of memory, {system}"
