"""Compare a class list with the accounts in Keycloak, show what would change, and carry it out on request.

Everything is decided, hashed and encrypted on the machine that runs Ansible; the host only reads and writes
its Keycloak. The plan goes to the screen and nowhere else: it holds names.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.roster import passwords, sheets
from schoolstack.roster.model import School
from schoolstack.roster.plan import Plan, State, deletions, make_plan, people_after
from schoolstack.roster.reader import read
from schoolstack.roster.show import show_deletions, show_plan

OPTIONS: dict[str, dict[str, Any]] = {
    "source": {"type": "str", "default": ""},
    "form": {"type": "str", "default": "auto"},
    "map": {"type": "str", "default": ""},
    "list": {"type": "str", "required": True},
    "apply": {"type": "bool", "default": False},
    "delete_leavers": {"type": "bool", "default": False},
    "allow_mass_leave": {"type": "bool", "default": False},
    "keep_days": {"type": "int", "required": True},
    "guardians": {"type": "bool", "default": False},
    "own_usernames": {"type": "bool", "default": False},
    "password_temporary": {"type": "bool", "default": True},
    "tell": {"type": "bool", "default": False},
    "sheets_dir": {"type": "path", "required": True},
    "vault_key_file": {"type": "path", "required": True},
    "keycloak": {"type": "dict", "required": True},
}


class ActionModule(ActionBase):
    """Plan and apply a class list, or the deletion of leavers."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was, or would be, done, in numbers; fail with every reason found."""
        _, self.options = self.validate_argument_spec(OPTIONS)
        self.variables = task_vars or {}
        self.now = datetime.datetime.now()
        self.applies = self.options["apply"] and not self._task.check_mode
        try:
            if self.options["delete_leavers"]:
                return self._delete_leavers()
            return self._bring_in()
        except SchoolError as error:
            raise AnsibleActionFail(str(error)) from None

    def _bring_in(self) -> dict[str, Any]:
        if not self.options["source"]:
            raise SchoolError(say("roster.source_missing"))
        school = read(
            self.options["source"],
            form=self.options["form"],
            map_name=self.options["map"],
            own_usernames=self.options["own_usernames"],
            guardians=self.options["guardians"],
            today=self.now.date(),
        )
        state, password_policy = self._read_keycloak()
        plan = self._plan(school, state)
        self._show(show_plan(plan, asked=self.applies, allowed=self.options["allow_mass_leave"]))
        if plan.refused:
            raise SchoolError("\n".join(str(refusal) for refusal in plan.refused))
        if self.applies:
            if plan.is_mass_leave and not self.options["allow_mass_leave"]:
                raise SchoolError(say("roster.mass_leave", count=plan.disabled, total=plan.active))
            self._apply(plan, state, password_policy)
            if not plan.is_empty:
                self._confirm(school)
        folder = sheets.finish(Path(self.options["sheets_dir"]), self.now) if self.applies else None
        kinds = ("changed", "moved", "returning", "leaving")
        # Names belong in no log: of a result so marked, Ansible shows nothing.
        told = (
            {"people": json.dumps(people_after(plan, state)), "_ansible_no_log": True}
            if self.options["tell"]
            else {}
        )
        return {
            **told,
            "changed": self.options["apply"] and not plan.is_empty,
            "counts": {kind: len(plan.of_kind(kind)) for kind in kinds}
            | {"new": len(plan.new), "untouched": plan.untouched},
            "sheets": str(folder or ""),
        }

    def _plan(self, school: School, state: State) -> Plan:
        return make_plan(school, state, roster_list=self.options["list"], today=self.now.date())

    def _confirm(self, school: School) -> None:
        """Read Keycloak again, and fail unless it now has what the list says."""
        left = self._plan(school, self._read_keycloak()[0])
        if not left.is_empty:
            self._show(show_plan(left, asked=False, allowed=True))
            raise SchoolError(say("roster.left", count=len(left.new) + len(left.changes) + len(left.groups)))

    def _apply(self, plan: Plan, state: State, password_policy: str) -> None:
        """Write the sheets, then make the plan true."""
        representations: dict[str, Any] = {}
        if plan.new:
            representations = self._prepare_passwords(plan, state, password_policy)
        if not plan.is_empty:
            self._ask_keycloak(plan.operations(representations, self.options["password_temporary"]))

    def _prepare_passwords(self, plan: Plan, state: State, password_policy: str) -> dict[str, Any]:
        """Put new people's passwords on paper, so to speak, and return what Keycloak gets to know of them."""
        directory, key_file = Path(self.options["sheets_dir"]), Path(self.options["vault_key_file"])
        before = sheets.pending(directory, key_file)
        ours = {
            account.username
            for account in state.accounts
            if account.attributes.get("roster_source") == self.options["list"]
        }
        lines = {username: line for username, line in before.items() if username in ours}
        for person, username in plan.new:
            syllables = passwords.PUPIL_SYLLABLES if person.roles == {"pupil"} else passwords.ADULT_SYLLABLES
            password = before[username].password if username in before else passwords.readable(syllables)
            lines[username] = sheets.Line(sheets.sheet_of(person), person.name, username, password)
        sheets.write_pending(directory, key_file, lines.values(), self.now.date())
        wanted = {username: lines[username].password for _, username in plan.new}
        rounds = passwords.rounds(password_policy, temporary=self.options["password_temporary"])
        return passwords.credentials(wanted, rounds)

    def _delete_leavers(self) -> dict[str, Any]:
        state, _ = self._read_keycloak()
        due, kept = deletions(
            state,
            roster_list=self.options["list"],
            keep_days=self.options["keep_days"],
            today=self.now.date(),
        )
        self._show(show_deletions(due, kept, applies=self.applies))
        if self.applies and due:
            self._ask_keycloak({"groups": [], "create": [], "update": [], "delete": [a.id for a in due]})
        return {"changed": self.options["apply"] and bool(due), "deleted": len(due), "kept": len(kept)}

    def _read_keycloak(self) -> tuple[State, str]:
        """Return what is in Keycloak, and the realm's password policy."""
        found = json.loads(self._ask_keycloak(None)["found"])
        return State.from_keycloak(found["users"], found["groups"]), found["password_policy"]

    def _ask_keycloak(self, operations: dict[str, Any] | None) -> dict[str, Any]:
        """Read from Keycloak, or change it, on its host."""
        arguments = {**self.options["keycloak"], "operations": operations}
        result: dict[str, Any] = self._execute_module(
            module_name="keycloak_roster", module_args=arguments, task_vars=self.variables
        )
        if result.get("failed"):
            raise SchoolError(str(result.get("msg", "")))
        return result

    def _show(self, text: str) -> None:
        # Not into Ansible's log file: names of pupils belong in no log.
        Display().display(text, screen_only=True)
