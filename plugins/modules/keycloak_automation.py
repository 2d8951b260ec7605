"""Have one service account for automation in Keycloak, and no other administrator left from setting up."""

from __future__ import annotations

import os
import secrets

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import OPTIONS, KeycloakAdmin, KeycloakError

DOCUMENTATION = r"""
module: keycloak_automation
short_description: Have one service account for automation in Keycloak
description:
    - Signs in as the service account. Where that works, nothing else is done but to look for leftovers.
    - Where it does not, the account gives itself its new secret, by the old one in O(secret_file).
    - Where that does not work either, a temporary account makes it, and is deleted once the service account
      is proven by signing in. A new Keycloak has made one from the environment of its first start
      (O(first_start_file)). For a restored database Keycloak's own command makes one, with a secret that
      leaves this process only in that command's environment.
    - Only then O(secret_file) gets the secret, so that it holds one that works, however the run ends.
    - Runs on Keycloak's own host, as root, while Keycloak runs.
author: Schoolstack contributors
extends_documentation_fragment: [keycloak_admin]
options:
    secret:
        description: The secret that the service account is to have.
        type: str
        required: true
    command:
        description: Keycloak's command with the options it needs to find its configuration.
        type: list
        elements: str
        required: true
    environment:
        description: Environment variables with which that command finds Keycloak's database.
        type: dict
        required: true
    first_start_file:
        description:
            - File of C(KEY=value) lines that named a temporary account to Keycloak's first start. Deleted
              once the service account is proven.
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


def variables(path: str) -> dict[str, str]:
    """Return what a file of ``KEY=value`` lines sets."""
    with open(path, encoding="utf-8") as lines:
        return dict(
            line.rstrip("\n").split("=", 1) for line in lines if "=" in line and not line.startswith("#")
        )


def from_first_start(path: str) -> KeycloakAdmin | None:
    """Return a connection that uses the temporary account of Keycloak's first start.

    Args:
        path: the file that named it.

    Returns:
        ``None`` where there is no such file, or Keycloak's database was there before it.

    Raises:
        KeycloakError: Keycloak does not answer.
    """
    if not os.path.exists(path):
        return None
    named = variables(path)
    admin = KeycloakAdmin(named["KC_BOOTSTRAP_ADMIN_CLIENT_ID"], named["KC_BOOTSTRAP_ADMIN_CLIENT_SECRET"])
    return admin if is_accepted(admin) else None


def is_accepted(account: KeycloakAdmin) -> bool:
    """Return whether Keycloak knows an account with this secret.

    Raises:
        KeycloakError: Keycloak does not answer.
    """
    try:
        account.sign_in()
    except KeycloakError as error:
        if error.status not in (400, 401):
            raise
        return False
    return True


def from_old_secret(path: str, client_id: str) -> KeycloakAdmin | None:
    """Return a connection that uses the secret that this host has known until now.

    Args:
        path: the file that holds it.
        client_id: the service account's client.

    Returns:
        ``None`` where there is no such file, or Keycloak refuses what it holds.

    Raises:
        KeycloakError: Keycloak does not answer.
    """
    if not os.path.exists(path):
        return None
    admin = KeycloakAdmin.with_secret_from(path, client_id)
    return admin if is_accepted(admin) else None


def keep(path: str, secret: str) -> bool:
    """Have a file hold the secret, for root only, whole or not at all; return whether it was another one."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == secret:
                return False
    draft = f"{path}.new"
    with open(draft, "w", encoding="utf-8") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    return True


def from_command(module: AnsibleModule) -> KeycloakAdmin:
    """Let Keycloak's own command make a temporary account; return a connection that uses it.

    Args:
        module: the running module.

    Raises:
        KeycloakError: the command failed.
    """
    client_id, secret = TEMPORARY + secrets.token_hex(4), secrets.token_urlsafe(32)
    command = [
        *("runuser", "-u", module.params["user"], "--", *module.params["command"]),
        *("bootstrap-admin", "service", "--optimized", "--no-prompt"),
        *("--client-id", client_id, "--client-secret:env=KEYCLOAK_TEMPORARY_SECRET"),
    ]
    environment = {
        **module.params["environment"],
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
            **OPTIONS,
            "secret": {"type": "str", "required": True, "no_log": True},
            "command": {"type": "list", "elements": "str", "required": True},
            "environment": {"type": "dict", "required": True},
            "first_start_file": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    given = module.params
    try:
        admin = KeycloakAdmin(given["client_id"], given["secret"])
        made = not is_accepted(admin)
        if made and module.check_mode:
            module.exit_json(changed=True, made=True, removed=[])
        if made:
            make(
                from_old_secret(given["secret_file"], given["client_id"])
                or from_first_start(given["first_start_file"])
                or from_command(module),
                admin,
            )
            admin.sign_in()
        removed = leftovers(admin)
        for client in removed if not module.check_mode else []:
            admin.delete("master", "clients", client["id"])
    except KeycloakError as error:
        module.fail_json(msg=str(error))
    kept = not module.check_mode and keep(given["secret_file"], given["secret"])
    had_file = os.path.exists(given["first_start_file"])
    if had_file and not module.check_mode:
        os.unlink(given["first_start_file"])
    names = [client["clientId"] for client in removed]
    module.exit_json(changed=made or kept or had_file or bool(names), made=made, removed=names)


if __name__ == "__main__":
    main()
