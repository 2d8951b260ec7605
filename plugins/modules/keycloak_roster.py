"""Read what a class list depends on in Keycloak, or make a plan true."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import OPTIONS, KeycloakAdmin, KeycloakError

DOCUMENTATION = r"""
module: keycloak_roster
short_description: Read a realm's people and classes, or change many of them at once
description:
    - Called by the action plugin C(roster), which compares a class list with what this reads.
    - Without C(operations) it reads and changes nothing. Runs on Keycloak's own host.
    - New accounts are made in batches, each of which Keycloak makes as a whole or not at all.
author: Schoolstack contributors
extends_documentation_fragment: [keycloak_admin]
options:
    realm:
        description: The realm of the school.
        type: str
        required: true
    operations:
        description:
            - C(groups) with C(path) and C(attributes) to make or change; C(create) with accounts;
              C(update) with C(id), C(user), C(join) and C(leave); C(delete) with ids.
        type: dict
"""

RETURN = r"""
found:
    description:
        - What was read, where nothing was changed, as JSON - Ansible handles the values of an answer one by
          one, which for 2,000 people took 0.2 s of an import's 3.
        - C(users) is every account of the realm; C(groups) every class and role group, with the ids of its
          C(members); C(password_policy) the realm's, as Keycloak writes it.
    type: str
"""

# More than any school has: Keycloak gives ten of anything unless told otherwise.
ALL = 1_000_000
PARENTS = ("role", "class")
# For each account that it reads or makes, Keycloak looks at all those it has read or made for the same
# request. So many small requests are fast: reading 2,000 accounts anew took 2 s by 100 and 25 s at once;
# making them took a third of the time by 25 that it took by 250.
PAGE = 100
BATCH = 25
# Keycloak works for each connection on one processor; small hosts have two to four.
CONNECTIONS = 2
USER_FIELDS = ("id", "username", "firstName", "lastName", "email", "enabled", "attributes")


class Roster:
    """The people and classes of one realm."""

    def __init__(self, realm: str, connect: Callable[[], KeycloakAdmin]) -> None:
        """Prepare the connections; nothing is read yet."""
        self.realm = realm
        connections = [connect() for _ in range(CONNECTIONS)]
        # For what is asked alone, while no other is in use.
        self.admin = connections[0]
        self._idle: SimpleQueue[KeycloakAdmin] = SimpleQueue()
        for connection in connections:
            self._idle.put(connection)

    def read(self) -> dict[str, Any]:
        """Return every account, every class and role group with its members, and the password policy."""
        realm = self.admin.get(self.realm)
        if realm is None:
            raise KeycloakError(f"Keycloak has no realm {self.realm}: run site.yml first.")
        groups = self._groups()
        total = self.admin.get(self.realm, "users", "count")
        # One page more than counted: somebody may be made by hand meanwhile.
        starts = range(0, total + PAGE, PAGE)
        # All in one queue, and role groups, the longest, first: no connection idles while another works.
        answers = self._for_each(
            [partial(self._members, group=group) for group in groups]
            + [partial(self._users_from, first=first) for first in starts],
            lambda admin, question: question(admin),
        )
        members, pages = answers[: len(groups)], answers[len(groups) :]
        users = {user["id"]: user for page in pages for user in page}
        return {
            "users": [{name: user.get(name) for name in USER_FIELDS} for user in users.values()],
            "groups": [
                {"path": group["path"], "attributes": group.get("attributes", {}), "members": own}
                for group, own in zip(groups, members, strict=True)
            ],
            "password_policy": realm.get("passwordPolicy", ""),
        }

    def apply(self, operations: dict[str, Any]) -> None:
        """Make a plan true; what an interrupted run left undone is in the next plan again."""
        groups = self._make_groups(operations)
        users = operations["create"]
        self._for_each([users[at : at + BATCH] for at in range(0, len(users), BATCH)], self._create)
        self._for_each(operations["update"], lambda admin, change: self._update(admin, change, groups))
        self._for_each(operations["delete"], lambda admin, user: admin.delete(self.realm, "users", user))

    def _for_each(self, things: list[Any], work: Callable[[KeycloakAdmin, Any], Any]) -> list[Any]:
        """Return what some work gave for each thing, done over several connections at once."""

        def one(thing: Any) -> Any:
            admin = self._idle.get()
            try:
                return work(admin, thing)
            finally:
                self._idle.put(admin)

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return list(pool.map(one, things))

    def _members(self, admin: KeycloakAdmin, group: dict[str, Any]) -> list[str]:
        found = admin.get(self.realm, "groups", group["id"], "members", max=ALL, briefRepresentation="true")
        return [user["id"] for user in found]

    def _create(self, admin: KeycloakAdmin, users: list[dict[str, Any]]) -> None:
        admin.post(self.realm, "partialImport", body={"ifResourceExists": "FAIL", "users": users})

    def _update(self, admin: KeycloakAdmin, change: dict[str, Any], groups: dict[str, str]) -> None:
        user = (self.realm, "users", change["id"])
        if change["user"]:
            admin.put(*user, body=change["user"])
        for path in change["join"]:
            admin.put(*user, "groups", groups[path])
        for path in change["leave"]:
            admin.delete(*user, "groups", groups[path])

    def _users_from(self, admin: KeycloakAdmin, first: int) -> list[dict[str, Any]]:
        page: list[dict[str, Any]] = admin.get(
            self.realm, "users", first=first, max=PAGE, briefRepresentation="false"
        )
        return page

    def _parents(self) -> dict[str, str]:
        """Return the ids of the groups that hold classes and roles, by name."""
        return {group["name"]: group["id"] for group in self.admin.get(self.realm, "groups", max=ALL)}

    def _groups(self) -> list[dict[str, Any]]:
        parents = self._parents()
        return [
            group
            for name in PARENTS
            if name in parents
            for group in self.admin.get(
                self.realm, "groups", parents[name], "children", max=ALL, briefRepresentation="false"
            )
        ]

    def _make_groups(self, operations: dict[str, Any]) -> dict[str, str]:
        """Make the groups of a plan, and return the id of every class and role group by path."""
        if operations["groups"]:
            for name in set(PARENTS) - set(self._parents()):
                self.admin.post(self.realm, "groups", body={"name": name})
        parents = self._parents()
        known = {group["path"]: group["id"] for group in self._groups()}
        for group in operations["groups"]:
            _, parent, name = group["path"].split("/", 2)
            body = {"name": name, "attributes": group["attributes"]}
            if group["path"] in known:
                self.admin.put(self.realm, "groups", known[group["path"]], body=body)
            else:
                place = (self.realm, "groups", parents[parent], "children")
                answer = self.admin.post(*place, body=body)
                known[group["path"]] = answer["id"] if isinstance(answer, dict) else answer
        return known


def main() -> None:
    """Run the module."""
    # no_log: names and hashes belong in no journal.
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "realm": {"type": "str", "required": True},
            "operations": {"type": "dict"},
        },
        supports_check_mode=True,
        no_log=True,
    )
    wanted = module.params

    def connect() -> KeycloakAdmin:
        return KeycloakAdmin.from_options(wanted)

    try:
        roster = Roster(wanted["realm"], connect)
        if wanted["operations"] is None:
            result = {"changed": False, "found": json.dumps(roster.read())}
        else:
            if not module.check_mode:
                roster.apply(wanted["operations"])
            result = {"changed": True}
    except KeycloakError as error:
        module.fail_json(msg=str(error))
    # What is returned beside this would repeat every argument.
    module.params.clear()
    module.exit_json(**result)


if __name__ == "__main__":
    main()
