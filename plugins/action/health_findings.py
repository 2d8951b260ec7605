"""Ask one server how it is; one that does not answer is a finding, not a failure."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from schoolstack.health import finding, server_entry
from schoolstack.messages import language

DOCUMENTATION = r"""
name: health_findings
short_description: How a server and the applications on it are
description:
    - Runs C(schoolstack-health), which the role C(health) installs. Changes nothing.
author: Schoolstack contributors
options:
    tolerance_s:
        description: How far the server's clock may be off, in seconds.
        type: float
        required: true
"""

RETURN = r"""
findings:
    description: What is to be said of the server and of each application.
    type: list
    elements: dict
"""

PROGRAM = "/usr/local/sbin/schoolstack-health"
NO_SUCH_PROGRAM = 127  # what env and shells end with


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the findings."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec({"tolerance_s": {"type": "float", "required": True}})
        return {"changed": False, "findings": self._ask(options["tolerance_s"])}

    def _ask(self, tolerance_s: float) -> list[dict[str, Any]]:
        asked = time.time()
        try:
            done = self._low_level_execute_command(
                f"env SCHOOL_LANGUAGE={shlex.quote(language())} {PROGRAM} findings"
            )
        except AnsibleConnectionFailure as error:
            return [finding("reached", "wrong", "unreachable", said=_last_line(str(error)))]
        if done["rc"] == NO_SUCH_PROGRAM:
            return [finding("reached", "wrong", "not_installed")]
        try:
            return server_entry(json.loads(done["stdout"]), asked, time.time(), tolerance_s)
        except ValueError:
            return [finding("reached", "wrong", "no_answer", said=_last_line(done["stderr"]))]


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "?"
