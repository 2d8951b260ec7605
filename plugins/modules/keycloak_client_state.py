"""Register one application with the school's sign-in."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import OPTIONS, KeycloakAdmin, KeycloakError
from ansible.module_utils.keycloak_client import describe, refusals
from ansible.module_utils.keycloak_state import Realm, report

DOCUMENTATION = r"""
module: keycloak_client_state
short_description: Register one application with the school's sign-in
description:
    - Keeps the application's client, the claims in its tokens, and who may sign in to it.
    - Runs on Keycloak's own host.
author: Schoolstack contributors
extends_documentation_fragment: [keycloak_admin]
options:
    realm:
        description: The realm people sign in to.
        type: str
        required: true
    client:
        description: The application, as the door C(client) of the role C(keycloak) describes it.
        type: dict
        required: true
    school_roles:
        description: Every role people can have at school.
        type: list
        elements: str
        required: true
    sign_in_steps:
        description: The steps of the school's sign-in, as in M(keycloak_realm_state).
        type: list
        elements: dict
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
            "realm": {"type": "str", "required": True},
            "client": {
                "type": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "title": {"type": "str", "required": True},
                    "protocol": {"type": "str", "required": True, "choices": ["oidc", "saml"]},
                    "root_url": {"type": "str", "required": True},
                    "redirect_uris": {"type": "list", "elements": "str", "required": True},
                    "post_logout_redirect_uris": {"type": "list", "elements": "str", "default": []},
                    "backchannel_logout_url": {"type": "str", "default": ""},
                    "secret": {"type": "str", "required": True, "no_log": True},
                    "roles": {"type": "dict", "required": True},
                    "entity_id": {"type": "str"},
                    "name_id": {"type": "str", "default": "username", "choices": ["username", "email"]},
                },
            },
            "school_roles": {"type": "list", "elements": "str", "required": True},
            "sign_in_steps": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    client = module.params["client"]
    wrong = refusals(client, module.params["school_roles"])
    if wrong:
        module.fail_json(msg=" ".join(wrong))
    changes: list[Any] = []
    try:
        admin = KeycloakAdmin.from_options(module.params)
        realm = Realm(admin, module.params["realm"], module.check_mode)
        changes = realm.changes
        realm.converge(describe(client, module.params["school_roles"], module.params["sign_in_steps"]))
    except KeycloakError as error:
        module.fail_json(msg=str(error), **report(changes))
    module.exit_json(**report(changes))


if __name__ == "__main__":
    main()
