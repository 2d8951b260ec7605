"""Make a realm of Keycloak match its description."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import OPTIONS, KeycloakAdmin, KeycloakError
from ansible.module_utils.keycloak_state import Realm, report

DOCUMENTATION = r"""
module: keycloak_realm_state
short_description: Make a realm of Keycloak match its description
description:
    - Reads the whole realm in one request, compares what is described, and changes what differs.
    - What is not described is left alone. Runs on Keycloak's own host.
author: Schoolstack contributors
extends_documentation_fragment: [keycloak_admin]
options:
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
            **OPTIONS,
            "realms": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    changes: list[Any] = []
    try:
        admin = KeycloakAdmin.from_options(module.params)
        for name, wanted in module.params["realms"].items():
            realm = Realm(admin, name, module.check_mode)
            realm.converge(wanted)
            changes += realm.changes
    except KeycloakError as error:
        module.fail_json(msg=str(error), **report(changes))
    module.exit_json(**report(changes))


if __name__ == "__main__":
    main()
