"""Take one application off the school's sign-in."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import OPTIONS, KeycloakAdmin, KeycloakError
from ansible.module_utils.keycloak_client import flow_name
from ansible.module_utils.keycloak_state import Realm, report

DOCUMENTATION = r"""
module: keycloak_client_removed
short_description: Take one application off the school's sign-in
description:
    - Deletes what M(keycloak_client_state) made for it, its client and the steps of its sign-in.
    - Runs on Keycloak's own host.
author: Schoolstack contributors
extends_documentation_fragment: [keycloak_admin]
options:
    realm:
        description: The realm people sign in to.
        type: str
        required: true
    name:
        description: The application's name.
        type: str
        required: true
    client:
        description: Its client's id.
        type: str
        required: true
"""

RETURN = r"""
changes:
    description: What was deleted, one readable line each.
    type: list
    elements: str
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "realm": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "client": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    changes: list[Any] = []
    try:
        admin = KeycloakAdmin.from_options(module.params)
        realm = Realm(admin, module.params["realm"], module.check_mode)
        changes = realm.changes
        realm.remove_client(module.params["client"], flow_name(module.params["name"]))
    except KeycloakError as error:
        module.fail_json(msg=str(error), **report(changes))
    module.exit_json(**report(changes))


if __name__ == "__main__":
    main()
