"""Show a text on the screen and nowhere else: not in Ansible's log, not in what a task returns."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

DOCUMENTATION = r"""
name: on_screen
short_description: A text for whoever sits at the screen
description:
    - For what people have to see and no log may hold, such as keys to be kept on paper.
author: Schoolstack contributors
options:
    text:
        description: The text.
        type: str
        required: true
"""


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Show it."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(argument_spec={"text": {"type": "str", "required": True}})
        Display().display(args["text"], screen_only=True)
        return {"changed": False}
