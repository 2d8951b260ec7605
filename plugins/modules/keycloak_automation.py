"""Have one service account for automation in Keycloak, and no other administrator left from setting up."""

from __future__ import annotations

import os
import secrets

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import KeycloakAdmin, KeycloakError

DOCUMENTATION = r"""
module: keycloak_automation
short_description: Have one service account for automation in Keycloak
description:
    - Signs in as the service account. Where that works, nothing else is done but to look for leftovers.
    - Where it does not (a new Keycloak, a restored database, a new secret), Keycloak's own command makes a
      temporary account with a secret that leaves this process only in that command's environment. With it the
      service account is made, and proven by signing in; then the temporary account is deleted.
    - Runs on Keycloak's own host, as root, while Keycloak runs.
author: Schoolstack contributors
options:
    client_id:
        description: The service account's client in the realm C(master).
        type: str
        required: true
    secret_file:
        description: File with its secret.
        type: path
        required: true
    command:
        description: Keycloak's command with the options it needs to find its configuration.
        type: list
        elements: str
        required: true
    environment_file:
        description: File of C(KEY=value) lines with the secrets that Keycloak needs to reach its database.
        type: path
        required: true
    user:
        description: System user that Keycloak runs as.
        type: str
        required: true
"""

RETURN = r"""
made:
    description: Whether the service account was made or got its secret in this run.
    type: bool
removed:
    description: Temporary accounts that were deleted.
    type: list
    elements: str
"""

TEMPORARY = "schoolstack-temporary-"

# The role that administers all realms: realms are made, and the realm master itself is kept in shape.
ROLE = "admin"

HEAP = "-Xms32m -Xmx256m"  # the command runs beside the server


def bootstrap(module: AnsibleModule) -> KeycloakAdmin:
    """Let Keycloak's own command make a temporary account; return a connection that uses it.

    Args:
        module: the running module.

    Raises:
        KeycloakError: the command failed.
    """
    client_id, secret = TEMPORARY + secrets.token_hex(4), secrets.token_urlsafe(32)
    with open(module.params["environment_file"], encoding="utf-8") as lines:
        own = dict(
            line.rstrip("\n").split("=", 1) for line in lines if "=" in line and not line.startswith("#")
        )
    command = [
        *("runuser", "-u", module.params["user"], "--", *module.params["command"]),
        *("bootstrap-admin", "service", "--optimized", "--no-prompt"),
        *("--client-id", client_id, "--client-secret:env=KEYCLOAK_TEMPORARY_SECRET"),
    ]
    environment = {
        **own,
        "KEYCLOAK_TEMPORARY_SECRET": secret,
        "JAVA_OPTS_KC_HEAP": HEAP,
        # Any free port: the server itself holds the usual one.
        "KC_HTTP_MANAGEMENT_PORT": "0",
    }
    code, output, _ = module.run_command(command, environ_update=environment, cwd="/")
    if code:
        last = " ".join(output.strip().splitlines()[-3:])
        raise KeycloakError(f"Keycloak's command to make a temporary administrator failed: {last}")
    return KeycloakAdmin(client_id, secret)


def make(admin: KeycloakAdmin, account: KeycloakAdmin) -> None:
    """Make the service account, or give it its secret, and let it administer all realms.

    Args:
        admin: a connection that may do so.
        account: the connection that is to work from now on.
    """
    wanted = {
        "clientId": account.client_id,
        "name": "Automation",
        "description": "Schoolstack's playbooks sign in as this account; without it they make a new one.",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "fullScopeAllowed": True,
        "secret": account.client_secret,
    }
    found = admin.get("master", "clients", clientId=account.client_id)
    if found:
        internal_id = found[0]["id"]
        admin.put("master", "clients", internal_id, body={**found[0], **wanted})
    else:
        internal_id = admin.post("master", "clients", body=wanted)
    user = admin.get("master", "clients", internal_id, "service-account-user")
    role = admin.get("master", "roles", ROLE)
    admin.post("master", "users", user["id"], "role-mappings", "realm", body=[role])


def leftovers(admin: KeycloakAdmin) -> list[dict[str, str]]:
    """Return the temporary accounts that are still there, as clients with ``id`` and ``clientId``."""
    found = admin.get("master", "clients", clientId=TEMPORARY, search="true")
    return [client for client in found or [] if client["clientId"].startswith(TEMPORARY)]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "client_id": {"type": "str", "required": True},
            "secret_file": {"type": "path", "required": True, "no_log": False},
            "command": {"type": "list", "elements": "str", "required": True},
            "environment_file": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    made = False
    try:
        admin = KeycloakAdmin.with_secret_from(module.params["secret_file"], module.params["client_id"])
        try:
            admin.sign_in()
        except KeycloakError as error:
            if error.status not in (400, 401):
                raise
            made = True
            if module.check_mode:
                module.exit_json(changed=True, made=True, removed=[])
            make(bootstrap(module), admin)
            admin.sign_in()
        removed = leftovers(admin)
        for client in removed if not module.check_mode else []:
            admin.delete("master", "clients", client["id"])
    except KeycloakError as error:
        module.fail_json(msg=str(error))
    names = [client["clientId"] for client in removed]
    module.exit_json(changed=made or bool(names), made=made, removed=names)


if __name__ == "__main__":
    main()
