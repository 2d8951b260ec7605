"""Say how an upgrade ended."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from schoolstack.messages import say


class ActionModule(ActionBase):
    """Say in one sentence which version runs now; fail unless it is the new one."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return nothing of interest, or fail."""
        _, options = self.validate_argument_spec(
            {
                "outcome": {"type": "str", "choices": ["done", "back", "untouched"], "required": True},
                "record": {"type": "dict", "required": True},
                "to": {"type": "str", "required": True},
            }
        )
        record = options["record"]
        sentence = say(
            f"upgrade.{options['outcome']}",
            title=record["title"],
            server=(task_vars or {})["inventory_hostname"],
            before=record["version"],
            to=options["to"],
        )
        if options["outcome"] != "done":
            raise AnsibleActionFail(sentence)
        Display().display(sentence)
        return {"changed": False}
