"""Show, export or erase what Keycloak keeps of one person."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import OPTIONS, KeycloakAdmin, KeycloakError

DOCUMENTATION = r"""
module: keycloak_person
short_description: What Keycloak keeps of one person
description:
    - The door through which C(playbooks/person.yml) reaches Keycloak. Runs on Keycloak's own host.
    - Coordinators and accounts of programs are never erased.
author: Schoolstack contributors
extends_documentation_fragment: [keycloak_admin, person]
options:
    realm:
        description: The realm of the school.
        type: str
        required: true
"""

RETURN = r"""
found:
    description: Whether it keeps anything of that person.
    type: bool
person:
    description: C(name), C(enabled), C(roles), C(classes); C(protected) is why it may not be erased.
    type: dict
holds:
    description: How much it keeps, by kind.
    type: dict
data:
    description: All of it, where that was asked for.
    type: dict
"""

# More than one person has.
ALL = 100_000
COORDINATOR = "ict"
# What Keycloak calls the accounts of programs.
PROGRAM = "service-account-"


class Person:
    """One person in one realm."""

    def __init__(self, admin: KeycloakAdmin, realm: str, user: dict[str, Any]) -> None:
        """Remember who it is."""
        self.admin = admin
        self.realm = realm
        self.user = user

    @classmethod
    def find(cls, admin: KeycloakAdmin, realm: str, username: str) -> Person | None:
        """Return the person of that username, disabled or not; None when there is nobody."""
        found = admin.get(
            realm, "users", username=username.lower(), exact="true", briefRepresentation="false"
        )
        return cls(admin, realm, found[0]) if found else None

    def about(self, *path: str, **query: Any) -> Any:
        """Return what lies below the person in the Admin API."""
        return self.admin.get(self.realm, "users", self.user["id"], *path, **query)

    def describe(self) -> dict[str, Any]:
        """Return who it is, and why the account may not be erased; empty when it may."""
        roles = {role["name"] for role in self.about("role-mappings", "realm", "composite")}
        groups = [group["path"] for group in self.about("groups", max=ALL)]
        protected = ""
        if self.user["username"].startswith(PROGRAM) or self.user.get("serviceAccountClientId"):
            protected = "program"
        elif COORDINATOR in roles or self._administers():
            protected = "coordinator"
        return {
            "name": " ".join(filter(None, [self.user.get("firstName"), self.user.get("lastName")])),
            "enabled": self.user["enabled"],
            "roles": sorted(path.rpartition("/")[2] for path in groups if path.startswith("/role/")),
            "classes": sorted(path.rpartition("/")[2] for path in groups if path.startswith("/class/")),
            "protected": protected,
        }

    def _administers(self) -> bool:
        """Tell whether the person may change the realm, by whatever role."""
        clients = self.admin.get(self.realm, "clients", clientId="realm-management")
        return any(self.about("role-mappings", "clients", client["id"], "composite") for client in clients)

    def data(self) -> dict[str, Any]:
        """Return all that is kept, but for what proves who somebody is: that stays secret also on paper."""
        credentials = [
            {name: one.get(name) for name in ("type", "userLabel", "createdDate")}
            for one in self.about("credentials")
        ]
        events = self.admin.get(self.realm, "events", user=self.user["id"], max=ALL)
        changes = self.admin.get(
            self.realm, "admin-events", resourcePath=f"users/{self.user['id']}*", max=ALL
        )
        return {
            "account": self.user,
            "groups": self.about("groups", max=ALL, briefRepresentation="false"),
            "credentials": credentials,
            "sessions": self.about("sessions"),
            "consents": self.about("consents"),
            "sign_ins": events,
            "changes_by_administrators": [
                {name: one.get(name) for name in ("time", "operationType", "resourceType", "resourcePath")}
                for one in changes
            ],
        }

    def erase(self) -> None:
        """End the person's sessions, in applications too, and delete the account with all that is its."""
        self.admin.post(self.realm, "users", self.user["id"], "logout")
        self.admin.delete(self.realm, "users", self.user["id"])


def main() -> None:
    """Run the module."""
    # no_log: what is returned is about a person and belongs in no journal.
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "do": {"type": "str", "choices": ["show", "export", "erase"], "required": True},
            "username": {"type": "str", "required": True},
            "realm": {"type": "str", "required": True},
        },
        supports_check_mode=True,
        no_log=True,
    )
    wanted = dict(module.params)
    try:
        person = Person.find(KeycloakAdmin.from_options(wanted), wanted["realm"], wanted["username"])
        result: dict[str, Any] = {"changed": False, "found": person is not None}
        if person:
            described = person.describe()
            data = person.data()
            result |= {
                "person": described,
                "holds": {kind: len(kept) if kind != "account" else 1 for kind, kept in data.items()},
            }
            if wanted["do"] == "export":
                result["data"] = data
            if wanted["do"] == "erase":
                if described["protected"]:
                    module.fail_json(msg=f"{wanted['username']} may not be erased: {described['protected']}.")
                if not module.check_mode:
                    person.erase()
                result["changed"] = True
    except KeycloakError as error:
        module.fail_json(msg=str(error))
    module.params.clear()
    module.exit_json(**result)


if __name__ == "__main__":
    main()
