"""Decide whether an application may be removed, and say afterwards what it left."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from schoolstack.messages import say
from schoolstack.preflight.removal import Holder, check_removal, idle_packages, tell


class ActionModule(ActionBase):
    """Check a removal with the whole inventory in view; with ``places``, say what became of the data."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what is to be done on this server, or fail with every reason not to do it anywhere."""
        variables = task_vars or {}
        _, options = self.validate_argument_spec(
            {
                "app": {"type": "str", "default": ""},
                "purge": {"type": "str", "default": ""},
                "places": {"type": "list", "elements": "dict"},
            }
        )
        app, purge = options["app"], options["purge"]
        holders = {
            server: self._holder(variables["hostvars"][server]) for server in variables["groups"]["all"]
        }
        here = holders[variables["inventory_hostname"]]
        if options["places"] is not None:
            fates = ("would_keep", "would_purge") if self._task.check_mode else ("kept", "purged")
            fate = fates[bool(purge)]
            self._tell(app, variables["inventory_hostname"], here, options["places"], fate)
            return {"changed": False}
        problems = list(check_removal(app, purge, holders))
        if problems:
            raise AnsibleActionFail("\n".join(problems))
        removes = here.is_to_lose(app)
        return {
            "changed": False,
            "declaration": here.records.get(app) or here.removed.get(app),
            "removes": removes,
            "purges": bool(purge) and (removes or (app in here.removed and app not in here.records)),
        }

    def _holder(self, facts: Any) -> Holder:
        return Holder(
            groups=facts["group_names"],
            records=facts["ansible_facts"].get("ansible_local") or {},
            removed=facts["ansible_facts"]["server"]["removed"],
        )

    def _tell(self, app: str, server: str, here: Holder, places: list[dict[str, Any]], fate: str) -> None:
        record = here.records.get(app) or here.removed[app]
        lines = [tell(record["title"], server, places, fate)]
        if packages := idle_packages(app, here):
            lines.append(say("removal.packages", packages=" ".join(packages)))
        for line in lines:
            Display().display(line)
