"""Compare Nextcloud with the people of the class list, show what would change, and carry it out on request.

Everything is decided on the machine that runs Ansible; the server only reads and writes its Nextcloud. The
plan goes to the screen and nowhere else: it holds names.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from schoolstack.classfolders.model import Person, State, Wishes
from schoolstack.classfolders.plan import Plan, make_plan
from schoolstack.classfolders.show import mass_removal, show_plan
from schoolstack.errors import SchoolError
from schoolstack.messages import say

DOCUMENTATION = r"""
name: nextcloud_people
short_description: People, groups and class folders in Nextcloud, as the class list has them
description:
    - Shows a plan, and carries it out when told to. Deletes neither account nor group nor folder.
author: Schoolstack contributors
options:
    people:
        description: Everybody the sign-in has, or will have, as JSON (what the action C(roster) tells).
        type: str
        required: true
    apply:
        description: Carry the plan out instead of only showing it.
        type: bool
        default: false
    allow_mass_leave:
        description: Carry out a plan after which more than a tenth of the accounts or classes is gone.
        type: bool
        default: false
    wishes:
        description: >-
          What the school wants, as Wishes in schoolstack.classfolders.model has it - C(school_year),
          C(quotas), C(class_quota), C(teachers_quota), C(class_folder), C(hand_in), C(teachers_room) and
          C(archive).
        type: dict
        required: true
    nextcloud:
        description: Options of the module C(nextcloud_roster) that say how Nextcloud is reached.
        type: dict
        required: true
"""

# The first month of a school year, in Belgium and the Netherlands: from August on the new one is prepared.
FIRST_MONTH = 8


def school_year(today: datetime.date) -> str:
    """Return the school year of a day, such as ``2026-2027``."""
    begin = today.year if today.month >= FIRST_MONTH else today.year - 1
    return f"{begin}-{begin + 1}"


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was, or would be, done, in numbers; fail with a plain sentence."""
        super().run(tmp, task_vars)
        _, self.options = self.validate_argument_spec(
            {
                "people": {"type": "str", "required": True},
                "apply": {"type": "bool", "default": False},
                "allow_mass_leave": {"type": "bool", "default": False},
                "wishes": {"type": "dict", "required": True},
                "nextcloud": {"type": "dict", "required": True},
            }
        )
        self.variables = task_vars or {}
        try:
            return self._follow()
        except SchoolError as error:
            raise AnsibleActionFail(str(error)) from None

    def _follow(self) -> dict[str, Any]:
        options = self.options
        applies = options["apply"] and not self._task.check_mode
        self.wishes = Wishes.from_options(options["wishes"], school_year(datetime.date.today()))
        self.people = [Person.from_plan(one) for one in json.loads(options["people"])]
        plan, provider = self._plan()
        self._show(show_plan(plan, asked=applies, allowed=options["allow_mass_leave"]))
        if applies and not plan.is_empty:
            if plan.is_mass_removal and not options["allow_mass_leave"]:
                raise SchoolError(mass_removal(plan))
            self._ask(json.dumps(plan.operations(provider)))
            left, _ = self._plan()
            if not left.is_empty:
                self._show(show_plan(left, asked=False, allowed=True))
                raise SchoolError(say("classfolders.left", count=left.count))
        return {
            "changed": options["apply"] and not plan.is_empty,
            "counts": {
                "accounts": len(plan.accounts),
                "disabled": len(plan.disabled),
                "folders": len(plan.works),
                "archived": len(plan.archives),
                "untouched": plan.untouched,
            },
        }

    def _plan(self) -> tuple[Plan, int]:
        """Return what would change now, and the number of the school's sign-in."""
        found = json.loads(self._ask(None)["found"])
        return make_plan(self.people, State.from_nextcloud(found), self.wishes), found["provider"]

    def _ask(self, operations: str | None) -> dict[str, Any]:
        """Read from Nextcloud, or change it, on its server."""
        arguments = {**self.options["nextcloud"], "hand_in": self.wishes.hand_in, "operations": operations}
        result: dict[str, Any] = self._execute_module(
            module_name="nextcloud_roster", module_args=arguments, task_vars=self.variables
        )
        if result.get("failed"):
            raise SchoolError(str(result.get("msg", "")))
        return result

    def _show(self, text: str) -> None:
        # Not into Ansible's log file: names of pupils belong in no log.
        Display().display(text, screen_only=True)
