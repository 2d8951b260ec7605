"""Ask Prometheus everything that the dashboards of a server ask."""

from __future__ import annotations

import hashlib
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: dashboard_queries
short_description: Which questions of dashboards have no answer
description:
    - Asks again and again, since what has just been installed is not measured yet.
    - Asks nothing where the dashboards are those that had all their answers the last time.
author: Schoolstack contributors
extends_documentation_fragment: [dashboards]
options:
    remember:
        description: File that says which dashboards had all their answers.
        type: path
        default: /var/lib/schoolstack/dashboards-answered
"""

RETURN = r"""
asked:
    description: How many questions were asked.
    type: int
empty:
    description: Those without an answer, each a C(board), a C(panel) and its C(expr).
    type: list
wrong:
    description: Those that Prometheus does not understand, in the same way.
    type: list
silent:
    description: Why Prometheus does not answer at all; empty when it does.
    type: str
"""

PAUSE_S = 1
TIMEOUT_S = 20


class NotUnderstoodError(Exception):
    """Prometheus does not understand a question."""


def answered(url: str, expr: str) -> bool:
    """Return whether Prometheus has an answer to an expression.

    Raises:
        NotUnderstoodError: it is no expression.
        OSError: Prometheus does not answer.
    """
    given = urllib.parse.urlencode({"query": expr}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/api/v1/query", given, TIMEOUT_S) as answer:
            return bool(json.load(answer)["data"]["result"])
    except urllib.error.HTTPError as error:
        if error.code == 400:
            raise NotUnderstoodError from None
        raise


def questions(boards: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield the questions of dashboards, given as JSON by file."""
    for _, text in sorted(boards.items()):
        board = json.loads(text)
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield {"board": board["title"], "panel": panel["title"], "expr": target["expr"]}


def ask(url: str, asked: list[dict[str, str]], wait_s: float) -> dict[str, Any]:
    """Return the questions without an answer, and those that are none."""
    deadline = time.monotonic() + wait_s
    empty, wrong, silent = list(asked), [], ""
    while empty:
        left = []
        silent = ""
        for question in empty:
            try:
                if not answered(url, question["expr"]):
                    left.append(question)
            except NotUnderstoodError:
                wrong.append(question)
            except OSError as error:
                silent = str(error)
                left.append(question)
                break
        empty = empty if silent else left
        if not empty or time.monotonic() > deadline:
            break
        time.sleep(PAUSE_S)
    return {"empty": [] if silent else empty, "wrong": wrong, "silent": silent}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "url": {"type": "str", "required": True},
            "wait_s": {"type": "int", "required": True},
            "before": {"type": "list", "elements": "str", "default": []},
            "remember": {"type": "path", "default": "/var/lib/schoolstack/dashboards-answered"},
        },
        supports_check_mode=True,
    )
    files = sorted(Path(module.params["folder"]).glob("*/*.json"))
    boards = {str(path): path.read_text(encoding="utf-8") for path in files}
    these = hashlib.sha256(json.dumps(boards).encode()).hexdigest()
    remember = Path(module.params["remember"])
    nothing = {"empty": [], "wrong": [], "silent": ""}
    if module.check_mode or (remember.exists() and remember.read_text(encoding="utf-8") == these):
        module.exit_json(changed=False, asked=0, **nothing)
    if module.params["before"]:
        module.run_command(module.params["before"], check_rc=True)
    asked = list(questions(boards))
    found = ask(module.params["url"], asked, module.params["wait_s"])
    if found == nothing:
        os.makedirs(remember.parent, mode=0o755, exist_ok=True)
        remember.write_text(these, encoding="utf-8")
    module.exit_json(changed=False, asked=len(asked), **found)


if __name__ == "__main__":
    main()
