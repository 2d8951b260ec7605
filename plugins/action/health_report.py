"""Put together what all servers said of themselves, and show it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from schoolstack.health import Report
from schoolstack.messages import say

DOCUMENTATION = r"""
name: health_report
short_description: How all servers are, in a line each
description:
    - Shows what the servers of the play said, and fails when something is wrong.
author: Schoolstack contributors
options:
    servers:
        description: Findings by server.
        type: dict
        required: true
    file:
        description: Where it is written as JSON; nowhere when empty.
        type: str
        default: ""
"""


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Show it, write it, and fail when something is wrong."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {"servers": {"type": "dict", "required": True}, "file": {"type": "str", "default": ""}}
        )
        report = Report(options["servers"])
        if options["file"]:
            Path(options["file"]).write_text(report.as_json(), encoding="utf-8")
        Display().display(f"\n{report.as_text(colour=sys.stdout.isatty())}", screen_only=True)
        wrong = report.state == "wrong"
        return {"changed": False, "failed": wrong, "msg": say("health.failed") if wrong else ""}
