"""What the server that watches knows, asked where alone it answers: on itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from schoolstack.deployment import Deployment

# Seconds after which what is asked every few seconds has to be known.
KNOWN_S = 90


def series(sso: Deployment, query: str) -> list[dict[str, Any]]:
    """Return what a query gives."""
    return list(sso.ask_prometheus("query", query=query)["result"])


def wait_until(question: Callable[[], Any]) -> Any:
    """Return the first answer that is something."""
    deadline = time.monotonic() + KNOWN_S
    while not (answer := question()):
        assert time.monotonic() < deadline
        time.sleep(1)
    return answer
