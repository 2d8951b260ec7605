"""Take one application off the school's sign-in."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import KeycloakAdmin, KeycloakError
from ansible.module_utils.keycloak_client import flow_name
from ansible.module_utils.keycloak_state import Realm, report

DOCUMENTATION = r"""
module: keycloak_client_removed
short_description: Take one application off the school's sign-in
description:
    - Deletes what M(keycloak_client_state) made for it, its client and the steps of its sign-in.
    - Runs on Keycloak's own host.
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
            "client_id": {"type": "str", "required": True},
            "secret_file": {"type": "path", "required": True, "no_log": False},
            "realm": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "client": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    changes: list[Any] = []
    try:
        admin = KeycloakAdmin.with_secret_from(module.params["secret_file"], module.params["client_id"])
        realm = Realm(admin, module.params["realm"], module.check_mode)
        changes = realm.changes
        realm.remove_client(module.params["client"], flow_name(module.params["name"]))
    except KeycloakError as error:
        module.fail_json(msg=str(error), **report(changes))
    module.exit_json(**report(changes))


if __name__ == "__main__":
    main()
