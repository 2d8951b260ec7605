"""See that every dashboard shows something, and say in a sentence which does not."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from schoolstack.messages import say

DOCUMENTATION = r"""
name: dashboards_answer
short_description: Every question of every dashboard has an answer
description:
    - Has M(dashboard_queries) ask them on the server, and fails with a sentence for each without an answer.
author: Schoolstack contributors
extends_documentation_fragment: [dashboards]
"""

RETURN = r"""
asked:
    description: How many questions were asked; none where the dashboards had their answers before.
    type: int
"""

# Sentences that somebody reads at once.
MOST = 5

OPTIONS: dict[str, dict[str, Any]] = {
    "folder": {"type": "path", "required": True},
    "url": {"type": "str", "required": True},
    "wait_s": {"type": "int", "required": True},
    "before": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return how many questions were asked, or fail with those that had no answer."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(OPTIONS)
        found = self._execute_module(
            module_name="dashboard_queries", module_args=options, task_vars=task_vars or {}
        )
        if found.get("failed"):
            return dict(found)
        if problems := sentences(found, options["url"]):
            raise AnsibleActionFail("\n".join(problems))
        return {"changed": False, "asked": found["asked"]}


def sentences(found: dict[str, Any], url: str) -> list[str]:
    """Return what is to be said of what M(dashboard_queries) found."""
    if found["silent"]:
        return [say("dashboard.silent", url=url, reason=found["silent"])]
    told = [
        *(say("dashboard.wrong", **question) for question in found["wrong"]),
        *(say("dashboard.empty", **question) for question in found["empty"]),
    ]
    if len(told) > MOST:
        # One program that does not run leaves many questions without an answer.
        return [*told[:MOST], say("dashboard.more", count=len(told) - MOST)]
    return told
