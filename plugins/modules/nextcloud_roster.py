"""Read what a class list decides in Nextcloud, or make a plan true."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import ceil
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nextcloud_api import (
    NEXTCLOUD,
    OPTIONS,
    Connections,
    Element,
    Nextcloud,
    NextcloudError,
)

DOCUMENTATION = r"""
module: nextcloud_roster
short_description: Read people, groups and group folders of Nextcloud, or change many of them at once
description:
    - Called by the action plugin C(nextcloud_people), which decides what shall change.
    - Without C(operations) it reads and changes nothing. Runs on Nextcloud's own server.
    - Nothing is ever deleted, neither account nor group nor folder.
author: Schoolstack contributors
extends_documentation_fragment: [nextcloud]
options:
    hand_in:
        description: How the folder in a class folder is called where pupils hand in.
        type: str
        required: true
    provider:
        description: How user_oidc calls the school's sign-in.
        type: str
        default: school
    operations:
        description: What is to be done, as JSON - phases, as Plan.operations in schoolstack.classfolders.
        type: str
"""

RETURN = r"""
found:
    description:
        - What was read, where nothing was changed, as JSON.
        - C(accounts), C(groups), C(folders), and C(provider), by which number user_oidc knows the sign-in.
    type: str
"""

# More than any school has.
ALL = 1_000_000
# People whose details are asked for at once: Nextcloud looks at each one's storage for it.
PAGE = 100
# FileInfo::SPACE_UNLIMITED of Nextcloud.
UNLIMITED = -3
# What one may do with a folder that one may only read (OCP\Constants::PERMISSION_READ).
READ = 1
RULES = "{" + NEXTCLOUD + "}acl-list"
# How the groups of classes begin.
CLASS = "class-"


class Roster:
    """People, groups and class folders of one Nextcloud."""

    def __init__(self, connections: Connections, hand_in: str, provider: str) -> None:
        """Remember the connections; nothing is read yet."""
        self.connections = connections
        self.first = connections.first
        self.hand_in = hand_in
        self.provider = provider

    def read(self) -> dict[str, Any]:
        """Return the whole state.

        Raises:
            NextcloudError: Nextcloud refuses or does not answer, or does not know the school's sign-in.
        """
        providers = self.first.ocs("GET", "/apps/user_oidc/api/v1/provider")
        numbers = [one["id"] for one in providers if one["identifier"] == self.provider]
        if not numbers:
            raise NextcloudError(f"Nextcloud knows no sign-in {self.provider}: run site.yml first.")
        folders = self.first.folders("GET")
        return {
            "provider": int(numbers[0]),
            "accounts": self._accounts(),
            "groups": self.first.ocs("GET", "/cloud/groups", limit=ALL)["groups"],
            # An empty mapping of PHP is an empty list in JSON.
            "folders": self._folders(list(folders.values()) if isinstance(folders, dict) else folders),
        }

    def apply(self, phases: list[list[list[list[Any]]]]) -> None:
        """Make a plan true, one phase after the other; what a run that was cut off left is in the next plan.

        Raises:
            NextcloudError: something was refused; what was done before stays.
        """
        for phase in phases:
            self.connections.for_each(phase, self._step)

    def _step(self, nextcloud: Nextcloud, actions: list[list[Any]]) -> None:
        for verb, *given in actions:
            doing: Callable[..., None] = getattr(self, f"_do_{verb}")
            doing(nextcloud, *given)

    def _do_group(self, nextcloud: Nextcloud, group: str) -> None:
        nextcloud.ocs("POST", "/cloud/groups", {"groupid": group})

    def _do_join(self, nextcloud: Nextcloud, user: str, group: str) -> None:
        nextcloud.ocs("POST", f"/cloud/users/{nextcloud.part(user)}/groups", {"groupid": group})

    def _do_leave(self, nextcloud: Nextcloud, user: str, group: str) -> None:
        nextcloud.ocs("DELETE", f"/cloud/users/{nextcloud.part(user)}/groups", {"groupid": group})

    def _do_disable(self, nextcloud: Nextcloud, user: str) -> None:
        nextcloud.ocs("PUT", f"/cloud/users/{nextcloud.part(user)}/disable")

    def _do_enable(self, nextcloud: Nextcloud, user: str) -> None:
        nextcloud.ocs("PUT", f"/cloud/users/{nextcloud.part(user)}/enable")

    def _do_account(self, nextcloud: Nextcloud, account: dict[str, Any]) -> None:
        made = nextcloud.ocs("POST", "/apps/user_oidc/api/v1/user", account)
        if made["user_id"] != account["userId"]:
            raise NextcloudError(
                f"Nextcloud calls {account['userId']} {made['user_id']}: its sign-in has to take usernames "
                "as they are (user_oidc, unique-uid 0). Run site.yml."
            )

    def _do_archive(self, nextcloud: Nextcloud, archive: dict[str, Any]) -> None:
        for group in archive["reads"]:
            nextcloud.folders("POST", archive["id"], "groups", group, body={"permissions": READ})
        for group in archive["leaves"]:
            nextcloud.folders("DELETE", archive["id"], "groups", group)
        nextcloud.folders("POST", archive["id"], "mountpoint", body={"mountpoint": archive["path"]})

    def _do_folder(self, nextcloud: Nextcloud, folder: dict[str, Any]) -> None:
        number = folder["id"]
        if number is None:
            wanted = {"mountpoint": folder["path"], "acl_default_no_permission": folder["closed"]}
            number = nextcloud.folders("POST", body=wanted)["id"]
        if folder["renamed"]:
            nextcloud.folders("POST", number, "mountpoint", body={"mountpoint": folder["path"]})
        if folder["advanced"]:
            nextcloud.folders("POST", number, "acl", body={"acl": True})
        if folder["quota"] is not None:
            nextcloud.folders("POST", number, "quota", body={"quota": folder["quota"]})
        # Who looks after it is let in first, who uses it when its permissions are there.
        groups = folder["groups"]
        users = [one for one in groups if one[0].startswith(CLASS)]
        for group, rights in [one for one in groups if one not in users]:
            self._let_in(nextcloud, number, group, rights, folder["known"])
        for one in folder["rules"]:
            path = f"{folder['path']}/{one['path']}".rstrip("/")
            if one["path"]:
                nextcloud.make_folder(path)
            nextcloud.give_rules(path, one["rules"])
        for group, rights in users:
            self._let_in(nextcloud, number, group, rights, folder["known"])

    def _let_in(self, nextcloud: Nextcloud, number: int, group: str, rights: int, known: list[str]) -> None:
        if group not in known:
            nextcloud.folders("POST", number, "groups", body={"group": group})
        nextcloud.folders("POST", number, "groups", group, body={"permissions": rights})

    def _accounts(self) -> list[dict[str, Any]]:
        total = len(self.first.ocs("GET", "/cloud/users", limit=ALL)["users"])
        # Each source of accounts gives a page of its own: nobody is missed, and some come twice.
        pages = self.connections.for_each(
            [page * PAGE for page in range(ceil(total / PAGE))],
            lambda nextcloud, start: nextcloud.ocs("GET", "/cloud/users/details", limit=PAGE, offset=start)[
                "users"
            ],
        )
        people = {user["id"]: user for page in pages for user in (page.values() if page else ())}
        return [
            {
                "id": user["id"],
                "name": user["displayname"],
                "email": user["email"] or "",
                "enabled": bool(user["enabled"]),
                "backend": user["backend"],
                "quota": _quota(user["quota"]),
                "groups": user["groups"],
            }
            for user in people.values()
        ]

    def _folders(self, folders: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the group folders, those of classes in use with their advanced permissions."""
        keeper = self.first.account
        # An empty mapping of PHP is an empty list in JSON.
        described = [
            {
                "id": int(folder["id"]),
                "path": folder["mount_point"],
                "quota": int(folder["quota"]),
                "size": max(int(folder["size"]), 0),
                "advanced": bool(folder["acl"]),
                "groups": dict(folder["groups"] or {}),
                "rules": {},
            }
            for folder in folders
        ]
        looked = [
            folder
            for folder in described
            if keeper in folder["groups"] and any(group.startswith(CLASS) for group in folder["groups"])
        ]
        if looked:
            roots = self.first.look("", RULES)
            inner = self.connections.for_each(looked, self._hand_in)
            for folder, rules in zip(looked, inner, strict=True):
                if root := roots.get(folder["path"]):
                    folder["rules"] = {"": _rules(root), **rules}
        return described

    def _hand_in(self, nextcloud: Nextcloud, folder: dict[str, Any]) -> dict[str, Any]:
        """Return the advanced permissions of a class folder's hand-in folder and what is in it."""
        try:
            seen = nextcloud.look(f"{folder['path']}/{self.hand_in}", RULES)
        except NextcloudError as error:
            if error.status == 404:
                return {}
            raise
        return {path.removeprefix(f"{folder['path']}/"): _rules(said) for path, said in seen.items()}


def _quota(told: Any) -> int:
    quota = (told or {}).get("quota", UNLIMITED)
    return UNLIMITED if quota == "none" else int(quota)


def _rules(said: Element) -> list[dict[str, Any]]:
    name = "{" + NEXTCLOUD + "}acl"
    return [
        {
            "kind": one.first(f"{name}-mapping-type"),
            "id": one.first(f"{name}-mapping-id"),
            "mask": int(one.first(f"{name}-mask")),
            "permissions": int(one.first(f"{name}-permissions")),
        }
        for one in said.all(name)
    ]


def main() -> None:
    """Run the module."""
    # no_log: names belong in no journal.
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "hand_in": {"type": "str", "required": True},
            "provider": {"type": "str", "default": "school"},
            "operations": {"type": "str"},
        },
        supports_check_mode=True,
        no_log=True,
    )
    wanted = dict(module.params)
    try:
        connections = Connections(lambda: Nextcloud.from_options(wanted))
        roster = Roster(connections, wanted["hand_in"], wanted["provider"])
        if wanted["operations"] is None:
            result = {"changed": False, "found": json.dumps(roster.read())}
        else:
            if not module.check_mode:
                roster.apply(json.loads(wanted["operations"]))
            result = {"changed": True}
    except (NextcloudError, OSError) as error:
        module.fail_json(msg=str(error))
    # What is returned beside this would repeat every argument.
    module.params.clear()
    module.exit_json(**result)


if __name__ == "__main__":
    main()
