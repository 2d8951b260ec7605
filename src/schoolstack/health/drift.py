"""What a run of site.yml would change: a server was changed by hand, or the inventory since the last run."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schoolstack.deployment import ROOT, playbook_command
from schoolstack.health.report import finding

# So many tasks are named; the rest is counted.
NAMED = 5


def look(inventories: Sequence[Path], servers: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return, by server, what site.yml would change there. Changes nothing.

    Args:
        inventories: what ``-i`` is given.
        servers: those that can be reached.
    """
    command = [*playbook_command("site", inventories), "--check", "--limit", ",".join(servers)]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    try:
        ran = json.loads(done.stdout)
    except ValueError:
        said = _last_line(done.stderr or done.stdout)
        return {server: [finding("drift", "wrong", "drift_failed", said=said)] for server in servers}
    return judge(ran, servers)


def judge(ran: Mapping[str, Any], servers: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return, by server, what a run that only looked says.

    Args:
        ran: what the callback ``ansible.posix.json`` wrote of it.
        servers: those that were looked at.
    """
    would: defaultdict[str, list[str]] = defaultdict(list)
    failed: dict[str, str] = {}
    for play in ran["plays"]:
        for task in play["tasks"]:
            name = task["task"]["name"].rsplit(" : ", 1)[-1]
            for server, result in task["hosts"].items():
                if result.get("failed") or result.get("unreachable"):
                    failed.setdefault(server, _last_line(str(result.get("msg") or name), first=True))
                elif result.get("changed"):
                    would[server].append(name)
    # One server that fails ends the run on all of them.
    held = next(iter(failed.values()), "")
    found = {}
    for server in servers:
        if said := failed.get(server, held):
            found[server] = [finding("drift", "wrong", "drift_failed", said=said)]
        elif names := list(dict.fromkeys(would[server])):
            listed = "; ".join(names[:NAMED])
            found[server] = [finding("drift", "look", "drift", count=len(names), list=listed)]
        else:
            found[server] = [finding("drift", "good", "drift_none")]
    return found


def _last_line(said: str, *, first: bool = False) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["?"]
    return lines[0 if first else -1]
