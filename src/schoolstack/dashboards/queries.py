"""The questions that dashboards ask of Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# What stands in an expression and is no metric: PromQL's own words and functions, from the language's
# documentation (prometheus.io/docs/prometheus/latest/querying), as far as the dashboards here use them.
WORDS = {
    *(
        "abs",
        "and",
        "avg",
        "bool",
        "bottomk",
        "by",
        "changes",
        "count",
        "group_left",
        "group_right",
        "ignoring",
    ),
    *(
        "increase",
        "irate",
        "label_replace",
        "max",
        "max_over_time",
        "min",
        "min_over_time",
        "offset",
        "on",
        "or",
    ),
    *("rate", "scalar", "sort_desc", "sum", "time", "timestamp", "topk", "unless", "vector", "without"),
}
_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_INSIDE = re.compile(r"\{[^}]*\}|\[[^\]]*\]")
_GROUPED = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@dataclass(frozen=True)
class Query:
    """One question.

    Attributes:
        board: title of the dashboard.
        panel: title of the panel.
        expr: the expression.
    """

    board: str
    panel: str
    expr: str


def queries(board: str | Mapping[str, Any]) -> Iterator[Query]:
    """Yield the questions of a dashboard.

    Args:
        board: the dashboard as Grafana reads it, as text or parsed.
    """
    content = json.loads(board) if isinstance(board, str) else board
    for panel in content.get("panels", []):
        for target in panel.get("targets", []):
            yield Query(content["title"], panel["title"], target["expr"])


def metrics(expr: str) -> set[str]:
    """Return the names of the metrics that an expression asks for."""
    bare = _GROUPED.sub(" ", _INSIDE.sub(" ", _STRING.sub('""', expr)))
    return {name for name in _NAME.findall(bare) if name not in WORDS}
