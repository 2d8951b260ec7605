"""Make a realm of Keycloak match its description."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import KeycloakAdmin, KeycloakError
from ansible.module_utils.keycloak_state import Realm, report

DOCUMENTATION = r"""
module: keycloak_realm_state
short_description: Make a realm of Keycloak match its description
description:
    - Reads the whole realm in one request, compares what is described, and changes what differs.
    - What is not described is left alone. Runs on Keycloak's own host.
author: Schoolstack contributors
options:
    client_id:
        description: The service account, in the realm C(master), that this signs in as.
        type: str
        required: true
    secret_file:
        description: File on Keycloak's host with its secret.
        type: path
        required: true
    realms:
        description:
            - The realms, by name. Each has the shape of Keycloak's RealmRepresentation, with two differences.
            - C(authenticationFlows) holds C(alias) and C(steps). A step is a C(step) (a provider's id) or a
              C(flow) (a name, with C(steps) of its own), with its C(requirement) and C(config).
            - C(userProfile) is the user profile's own document.
        type: dict
        required: true
"""

RETURN = r"""
changes:
    description: What differed, one readable line each; secrets are hidden.
    type: list
    elements: str
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "client_id": {"type": "str", "required": True},
            "secret_file": {"type": "path", "required": True, "no_log": False},
            "realms": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    changes: list[Any] = []
    try:
        admin = KeycloakAdmin.with_secret_from(module.params["secret_file"], module.params["client_id"])
        for name, wanted in module.params["realms"].items():
            realm = Realm(admin, name, module.check_mode)
            realm.converge(wanted)
            changes += realm.changes
    except KeycloakError as error:
        module.fail_json(msg=str(error), **report(changes))
    module.exit_json(**report(changes))


if __name__ == "__main__":
    main()
