"""The desk of a lesson has fewer libraries than this machine: what every controller loads does without."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from schoolstack.deployment import ROOT

# What Ansible loads where it runs; modules and their helpers run on servers.
PLUGINS = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "plugins").rglob("*.py")
    if path.parent.name not in ("modules", "module_utils")
)


def brought() -> set[str]:
    """Return the packages that the desk gets, from Debian and from this machine."""
    tasks = yaml.safe_load((ROOT / "molecule/lost-server/tasks/project.yml").read_text(encoding="utf-8"))
    debian = next(task["vars"]["libraries"] for task in tasks if "libraries" in task.get("vars", {}))
    script = next(task["ansible.builtin.shell"] for task in tasks if "ansible.builtin.shell" in task)
    [packed] = re.findall(r"^pack (ansible [^|]*)", script, re.MULTILINE)
    return {*debian, *packed.split()}


def imported(path: Path) -> set[str]:
    """Return the packages that a file imports when it is loaded."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("plugin", PLUGINS, ids=str)
def test_a_plugin_loads_with_what_a_desk_has(plugin: Path) -> None:
    assert imported(ROOT / plugin) - sys.stdlib_module_names - brought() - {"schoolstack"} == set()
