"""Tell what an upgrade would change, and refuse what cannot work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.preflight.checks import near
from schoolstack.upgrade import Plan, Room, make_plan, show

OPTIONS: dict[str, dict[str, Any]] = {
    "app": {"type": "str", "default": ""},
    "applications": {"type": "list", "elements": "dict", "required": True},
    "pinned": {"type": "dict", "required": True},
    "known": {"type": "dict", "required": True},
}


class ActionModule(ActionBase):
    """Plan the upgrade of one application on this server; without a name, show what could be upgraded."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the steps to take on this server, or fail with the reason to take none."""
        self.variables = task_vars or {}
        _, self.options = self.validate_argument_spec(OPTIONS)
        self.server: str = self.variables["inventory_hostname"]
        self.records: Mapping[str, Any] = self.variables["ansible_facts"].get("ansible_local") or {}
        self.state: Mapping[str, Any] = self.variables["ansible_facts"]["server"]
        self.wanted = {declaration["name"]: declaration for declaration in self.options["applications"]}
        app = self.options["app"]
        try:
            if not app:
                self._show_all()
                return {"changed": False, "steps": [], "unfinished": ""}
            return self._one(app)
        except SchoolError as error:
            raise AnsibleActionFail(str(error)) from None

    def _show_all(self) -> None:
        behind = False
        for name in sorted(self.records.keys() & self.wanted.keys()):
            try:
                plan = self._plan(name, self.records[name])
                behind = behind or bool(plan.steps)
                self._say(show(plan))
            except SchoolError as error:
                self._say(str(error))
        if behind:
            self._say(say("upgrade.which"))

    def _one(self, app: str) -> dict[str, Any]:
        """Return the steps for one application; none where it does not run."""
        servers = self.variables["hostvars"]
        locals_ = [servers[name]["ansible_facts"].get("ansible_local") or {} for name in servers]
        known = sorted({name for records in locals_ for name in records})
        if app not in known:
            names = ", ".join(known) or say("upgrade.none")
            raise SchoolError(say("upgrade.unknown", app=app, near=near(app, known), known=names))
        if app not in self.records:
            return {"changed": False, "steps": [], "unfinished": ""}
        if app not in self.wanted:
            raise SchoolError(say("upgrade.not_given", app=app, server=self.server))
        cut_off = self.state["upgrading"].get(app, {})
        phase = cut_off.get("phase", "")
        steps: list[dict[str, Any]] = []
        begin = self.records[app]
        if self._is_under_way(cut_off):
            about = {"title": begin["title"], "server": self.server, "to": cut_off["to"]}
            self._say(say("upgrade.resumed", **about, before=cut_off["record"]["version"]))
            steps = [{"to": cut_off["to"], "fresh": False, "record": cut_off["record"]}]
            begin = {**begin, "version": cut_off["to"]}
        plan = self._plan(app, begin)
        if plan.steps or not steps:
            self._say(show(plan))
        steps += [{"to": step.to, "fresh": True, "record": None} for step in plan.steps]
        return {"changed": False, "steps": [] if phase == "back" else steps, "unfinished": phase}

    def _is_under_way(self, cut_off: Mapping[str, Any]) -> bool:
        """Return whether the new version is in use already, so that what people did meanwhile is with it.

        Where the old one is, an upgrade begins anew, with a new copy: people may have gone on with it.
        """
        if cut_off.get("phase") != "copied":
            return False
        record = cut_off["record"]
        if archive := record.get("archive"):
            return bool(self.state["links"].get(archive) == cut_off["to"])
        for package in record.get("apt", {}).get("packages", {}):
            # The application's own comes first.
            return bool(self.state["vendor_packages"].get(package) == cut_off["to"])
        return True

    def _plan(self, app: str, record: Mapping[str, Any]) -> Plan:
        measured = self._execute_module(
            module_name="application_data", module_args={"declaration": record}, task_vars=self.variables
        )
        if measured.get("failed"):
            raise SchoolError(str(measured.get("msg", "")))
        sizes = {"folder": 0, "database": 0}
        for place in measured["places"]:
            sizes[place["what"]] += place["bytes"]
        free = min(self.state["free_mb"].values()) * 10**6
        room = Room(data=sizes["folder"], databases=sizes["database"], free=free)
        known = self.options["known"].get(app, {})
        return make_plan(
            self.server, record, self.wanted[app], self.options["pinned"].get(app, []), known, room
        )

    def _say(self, text: str) -> None:
        Display().display(text)
