"""Match what Grafana keeps in its database and no file of its configuration says."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.grafana_api import OPTIONS, Grafana, GrafanaError

DOCUMENTATION = r"""
module: grafana_state
short_description: The administrator's password, who sees which folder, and who may stay, in Grafana
description:
    - Reads first and changes what differs. Runs on Grafana's own server.
author: Schoolstack contributors
options:
    url:
        description: Grafana's address on its own server.
        type: str
        required: true
    password_file:
        description: File with the password that the account C(admin) is to have.
        type: path
        required: true
    reset:
        description: Command that gives the administrator the password on its standard input.
        type: list
        elements: str
        required: true
    folders:
        description: Of each folder its C(uid) and the C(roles) that see what is in it, beside administrators.
        type: list
        elements: dict
        required: true
    roles:
        description: Roles of Grafana that people may have. Whoever came in with another one is signed out.
        type: list
        elements: str
        required: true
"""

RETURN = r"""
done:
    description: What was changed, in words.
    type: list
"""

# Seconds until a folder of provisioned dashboards has to be there; it is made when Grafana starts.
FOLDER_S = 60
VIEW = 1  # permission "View" in Grafana's API, /api/folders/:uid/permissions
ROLES = ("Viewer", "Editor")


def match_password(grafana: Grafana, reset: list[str], dry: bool) -> list[str]:
    """Give the administrator the password where another one is in force."""
    try:
        grafana.ask("GET", "/api/user")
        return []
    except GrafanaError as error:
        if error.status != 401:
            raise
    if not dry:
        done = subprocess.run(reset, input=grafana.password, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).replace(grafana.password, "...").strip()
            raise GrafanaError(f"Grafana's administrator could not be given the password: {said[-300:]}")
        grafana.ask("GET", "/api/user")
    return ["gave the administrator the password"]


def match_folder(grafana: Grafana, uid: str, roles: list[str], dry: bool) -> list[str]:
    """Let only these roles, and administrators, see a folder."""
    path = f"/api/folders/{uid}/permissions"
    deadline = time.monotonic() + (0 if dry else FOLDER_S)
    while True:
        try:
            items = grafana.ask("GET", path)
            break
        except GrafanaError as error:
            if error.status != 404 or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
    if {item["role"] for item in items if item.get("role") in ROLES} == set(roles):
        return []
    if not dry:
        grafana.ask("POST", path, {"items": [{"role": role, "permission": VIEW} for role in roles]})
    return [f"let see the folder {uid}: {', '.join(['Admin', *roles])}"]


def match_sessions(grafana: Grafana, roles: list[str], dry: bool) -> list[str]:
    """Sign out everybody who came in with a role that may not be there any more."""
    done = []
    for person in grafana.ask("GET", "/api/org/users"):
        place = f"/api/admin/users/{person['userId']}"
        if person["role"] not in roles and grafana.ask("GET", f"{place}/auth-tokens"):
            if not dry:
                grafana.ask("POST", f"{place}/logout")
            done.append(f"signed out {person['login']}")
    return done


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "reset": {"type": "list", "elements": "str", "required": True},
            "folders": {"type": "list", "elements": "dict", "required": True},
            "roles": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    wanted: dict[str, Any] = dict(module.params)
    try:
        grafana = Grafana(wanted["url"], wanted["password_file"])
        done = match_password(grafana, wanted["reset"], module.check_mode)
        if not (done and module.check_mode):
            for folder in wanted["folders"]:
                done += match_folder(grafana, folder["uid"], folder["roles"], module.check_mode)
            done += match_sessions(grafana, wanted["roles"], module.check_mode)
    except (GrafanaError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
