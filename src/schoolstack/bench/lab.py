"""How fast a lab host is there, and there anew."""

from __future__ import annotations

from schoolstack.bench.bench import Bench, seconds
from schoolstack.bench.report import Part, Row, spread

TITLE = "Lab hosts"
RUNS = 7
NAME = "bench-spare"
HOW = """\
From `up` or `reset` until a command has run on the host over SSH. The slowest run counts.
"""


def measure(bench: Bench) -> Part:
    """Start and reset a host several times."""
    lab = bench.lab
    lab.down(NAME)
    lab.up(NAME)  # builds the image where there is none yet
    up: list[float] = []
    reset: list[float] = []
    for _ in range(RUNS):
        lab.down(NAME)
        up.append(seconds(lambda: lab.up(NAME)))
        reset.append(seconds(lambda: lab.reset(NAME)))
    lab.down(NAME)
    return Part(
        rows=[
            Row("cached image to SSH prompt", spread(up, "s"), "within 10 s", max(up) <= 10),
            Row("reset to SSH prompt", spread(reset, "s"), "within 5 s", max(reset) <= 5),
        ],
        how=HOW,
    )
