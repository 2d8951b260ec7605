"""What the server that watches knows, asked where alone it answers: on itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from schoolstack.deployment import Deployment

# Seconds after which what is asked every few seconds has to be known.
KNOWN_S = 90


def asked(sso: Deployment, path: str, **parameters: str) -> Any:
    """Return what Prometheus answers to a question."""
    url = f"http://127.0.0.1:9090/api/v1/{path}?{urlencode(parameters)}"
    said = sso.shell(f"python3 -c 'import urllib.request as r; print(r.urlopen(\"{url}\").read().decode())'")
    return json.loads(said)["data"]


def series(sso: Deployment, query: str) -> list[dict[str, Any]]:
    """Return what a query gives."""
    return list(asked(sso, "query", query=query)["result"])


def wait_until(question: Callable[[], Any]) -> Any:
    """Return the first answer that is something."""
    deadline = time.monotonic() + KNOWN_S
    while not (answer := question()):
        assert time.monotonic() < deadline
        time.sleep(1)
    return answer
