"""``school artefacts``: the pinned upstream artefacts as a table.

The work is done by ``playbooks/artefacts.yml``, the same way as in a run of ``site.yml``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from schoolstack.arguments import add_inventory
from schoolstack.deployment import ROOT, playbook_command
from schoolstack.errors import SchoolError

COLUMNS = ("name", "version", "file", "size", "state")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school artefacts fetch`` and ``school artefacts list``."""
    parser = subparsers.add_parser("artefacts", help="pinned upstream artefacts, in one verified folder")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, text in (("fetch", "fetch what is missing"), ("list", "show what is there")):
        action = actions.add_parser(name, help=text)
        add_inventory(action, required=False)
        action.set_defaults(run=run, action=name)


def run(arguments: argparse.Namespace) -> int:
    """Print the table and, below it, why what is missing could not be had.

    Returns:
        0 when every artefact is there and is what was pinned, 1 otherwise.

    Raises:
        SchoolError: when Ansible stops before it has looked at the artefacts.
    """
    rows = examine(arguments.inventories, fetch=arguments.action == "fetch")
    print(table(rows))
    for row in rows:
        if row["reason"]:
            print(f"school: {row['reason']}", file=sys.stderr)
    return int(any(row["state"] in ("missing", "refused") for row in rows))


def examine(inventories: Sequence[Path], fetch: bool) -> list[dict[str, Any]]:
    """Have Ansible look at the artefacts.

    Args:
        inventories: paths of inventories; none for all roles.
        fetch: whether to fetch what is missing.

    Returns:
        The rows that the action plugin ``school_artefacts`` reports.
    """
    command = playbook_command("artefacts", inventories)
    if not fetch:
        command.append("--check")
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    results = list(task_results(ran.stdout))
    for result in results:
        if "artefacts" in result:
            rows: list[dict[str, Any]] = result["artefacts"]
            return rows
    reasons = [result["msg"] for result in results if result.get("failed")]
    raise SchoolError("; ".join(reasons) or "Ansible could not look at the artefacts, for the reason above")


def task_results(output: str) -> Iterable[dict[str, Any]]:
    """Yield the result of each task in what Ansible's JSON callback wrote."""
    start = output.find("{")
    for play in json.loads(output[start:])["plays"] if start >= 0 else []:
        for task in play["tasks"]:
            yield from task["hosts"].values()


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Lay the rows out in columns."""
    lines = [COLUMNS] + [
        (row["name"], row["version"], row["file"], size(row["bytes"]), row["state"]) for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def size(count: int | None) -> str:
    """Say a number of bytes in MB; nothing for a file that is not there."""
    return "" if count is None else f"{count / 1e6:.1f} MB"
