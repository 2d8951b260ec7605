"""Show, export or erase what Grafana keeps of one person."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.grafana_api import OPTIONS, Grafana, GrafanaError

DOCUMENTATION = r"""
module: grafana_person
short_description: What Grafana keeps of one person
description:
    - The door through which C(playbooks/person.yml) reaches Grafana. Runs on Grafana's own server.
    - Grafana's own administrator is nobody of the school, and is never found.
author: Schoolstack contributors
extends_documentation_fragment: [person]
options:
    url:
        description: Grafana's address on its own server.
        type: str
        required: true
    password_file:
        description: File with the password of the account C(admin).
        type: path
        required: true
"""

RETURN = r"""
found:
    description: Whether it keeps anything of that person.
    type: bool
holds:
    description: How much it keeps, by kind.
    type: dict
data:
    description: All of it, where that was asked for.
    type: dict
"""

ADMINISTRATOR = "admin"


def find(grafana: Grafana, username: str) -> dict[str, Any] | None:
    """Return a person's account; None when there is none."""
    if username.lower() == ADMINISTRATOR:
        return None
    try:
        account: dict[str, Any] = grafana.ask("GET", "/api/users/lookup", loginOrEmail=username.lower())
    except GrafanaError as error:
        if error.status == 404:
            return None
        raise
    # Not whoever has that as a mail address.
    return account if account["login"].lower() == username.lower() else None


def main() -> None:
    """Run the module."""
    # no_log: what is returned is about a person and belongs in no journal.
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "do": {"type": "str", "choices": ["show", "export", "erase"], "required": True},
            "username": {"type": "str", "required": True},
        },
        supports_check_mode=True,
        no_log=True,
    )
    wanted = dict(module.params)
    result: dict[str, Any] = {"changed": False, "found": False}
    try:
        grafana = Grafana(wanted["url"], wanted["password_file"])
        if account := find(grafana, wanted["username"]):
            sessions = grafana.ask("GET", f"/api/admin/users/{account['id']}/auth-tokens")
            result |= {"found": True, "holds": {"account": 1, "sessions": len(sessions)}}
            if wanted["do"] == "export":
                result["data"] = {"account": account, "sessions": sessions}
            if wanted["do"] == "erase":
                if not module.check_mode:
                    grafana.ask("DELETE", f"/api/admin/users/{account['id']}")
                result["changed"] = True
    except (GrafanaError, OSError) as error:
        module.fail_json(msg=str(error))
    module.params.clear()
    module.exit_json(**result)


if __name__ == "__main__":
    main()
