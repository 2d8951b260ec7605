"""Call, on one server, the door that each application declares for what it keeps of one person."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

DOCUMENTATION = r"""
name: person_data
short_description: What a server's applications keep of one person
description:
    - Reads from the records which module of this project each application has for it, and runs that.
    - Returns what belongs in no log. Give its task C(no_log).
author: Schoolstack contributors
extends_documentation_fragment: [person]
options:
    signs_in:
        description: >-
          Only applications that sign people in through the school's sign-in, or only the sign-in itself; all
          when not given. A person goes from the sign-in last, so that a run that was stopped finds them.
        type: bool
"""

RETURN = r"""
applications:
    description: Per application its title, what its module returned, and what stays after erasing.
    type: dict
doorless:
    description: Titles of applications that keep something of people and declare no door.
    type: list
"""


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the applications say."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "do": {"type": "str", "choices": ["show", "export", "erase"], "required": True},
                "username": {"type": "str", "required": True},
                "signs_in": {"type": "bool"},
            }
        )
        variables = task_vars or {}
        local = variables["ansible_facts"].get("ansible_local") or {}
        records = [record for _, record in sorted(local.items()) if record.get("personal_data")]
        applications = {}
        for record in records:
            if options["signs_in"] not in (None, "sign_in" in record) or "module" not in record.get(
                "person", {}
            ):
                continue
            applications[record["name"]] = {
                "title": record["title"],
                "stays": [entry["stays"] for entry in record["personal_data"] if "stays" in entry],
                **self._ask(record["person"], options, variables),
            }
        return {
            "changed": any(one.get("changed") for one in applications.values()),
            "applications": applications,
            "doorless": [record["title"] for record in records if not record.get("person")],
        }

    def _ask(
        self, door: dict[str, Any], options: dict[str, Any], variables: dict[str, Any]
    ) -> dict[str, Any]:
        arguments = {**door.get("options", {}), "do": options["do"], "username": options["username"]}
        result = self._execute_module(module_name=door["module"], module_args=arguments, task_vars=variables)
        if result.get("failed"):
            raise AnsibleActionFail(str(result.get("msg", "")))
        kept = ("changed", "found", "person", "holds", "data")
        return {name: result[name] for name in kept if name in result}
