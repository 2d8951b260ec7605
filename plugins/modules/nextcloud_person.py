"""Show, export or erase what Nextcloud keeps of one person."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nextcloud_api import OPTIONS, Connections, Element, Nextcloud, NextcloudError

DOCUMENTATION = r"""
module: nextcloud_person
short_description: What Nextcloud keeps of one person
description:
    - The door through which C(playbooks/person.yml) reaches Nextcloud. Runs on Nextcloud's own server.
    - A person's own files, what they handed in to class folders, and what they shared. Accounts of Nextcloud
      itself, such as its administrator's, are nobody of the school, and are never found.
    - What they put into folders that others use stays there, since it is theirs as well.
author: Schoolstack contributors
extends_documentation_fragment: [nextcloud, person]
options:
    files:
        description: Folder in which Nextcloud keeps people's files.
        type: path
        required: true
    occ:
        description: Nextcloud's own command.
        type: path
        required: true
    hand_in:
        description: How the folder in a class folder is called where pupils hand in.
        type: str
        required: true
"""

RETURN = r"""
found:
    description: Whether it keeps anything of that person.
    type: bool
holds:
    description: How much it keeps, by kind; C(bytes) is the size of the files.
    type: dict
data:
    description: The account, and lists of the files, of what was handed in and is shared; where asked for.
    type: dict
"""

FROM_SIGN_IN = "user_oidc"
# How the group begins for which a class folder was made, in use or archived.
MARK = "archive-"
TYPE = "{DAV:}resourcetype"
FOLDER = "{DAV:}collection"
SIZE = "{DAV:}getcontentlength"
CHANGED = "{DAV:}getlastmodified"
# What Symfony's console says of a command that a version does not have.
NO_COMMAND = "is not defined"


class Person:
    """One person in one Nextcloud."""

    def __init__(self, connections: Connections, account: dict[str, Any], options: dict[str, Any]) -> None:
        """Remember who it is.

        Args:
            connections: to Nextcloud.
            account: what Nextcloud says of the account.
            options: C(files), C(occ) and C(hand_in) of the module.
        """
        self.connections = connections
        self.nextcloud = connections.first
        self.account = account
        self.options = options
        self.user: str = account["id"]

    @classmethod
    def find(cls, connections: Connections, username: str, options: dict[str, Any]) -> Person | None:
        """Return the person of that username; None when there is nobody."""
        path = f"/cloud/users/{connections.first.part(username.lower())}"
        try:
            account: dict[str, Any] = connections.first.ocs("GET", path)
        except NextcloudError as error:
            if error.status == 404:
                return None
            raise
        return cls(connections, account, options) if account["backend"] == FROM_SIGN_IN else None

    def files(self) -> list[dict[str, Any]]:
        """Return each of the person's files, those in the bin too: path, size in bytes, time of change."""
        found = []
        home = os.path.join(self.options["files"], self.user)
        for part in ("files", "files_trashbin/files"):
            for folder, _, names in os.walk(os.path.join(home, part)):
                for name in names:
                    path = os.path.join(folder, name)
                    state = os.lstat(path)
                    place = os.path.relpath(path, home)
                    found.append({"path": place, "bytes": state.st_size, "changed": int(state.st_mtime)})
        return sorted(found, key=lambda one: one["path"])

    def shares(self) -> list[dict[str, Any]]:
        """Return what the person shares with others.

        Raises:
            NextcloudError: Nextcloud's command fails.
        """
        command = [self.options["occ"], "share:list", f"--owner={self.user}", "--output=json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            told: list[dict[str, Any]] = json.loads(done.stdout or "[]")
            return told
        said = f"{done.stdout} {done.stderr}".strip()
        if NO_COMMAND in said:
            return []
        raise NextcloudError(f"Nextcloud's command does not tell what is shared: {said[-300:]}")

    def handed_in(self) -> list[str]:
        """Return the person's folders in all class folders, those of past years too."""
        # Folders of past years lie in one of that year, which Nextcloud makes when it lists what lies there.
        self.nextcloud.look("", TYPE)
        folders = self.nextcloud.folders("GET")
        places = [
            f"{folder['mount_point']}/{self.options['hand_in']}/{self.user}"
            for folder in (folders.values() if isinstance(folders, dict) else folders)
            if any(group.startswith(MARK) for group in folder["groups"] or {})
        ]

        def there(nextcloud: Nextcloud, path: str) -> bool:
            try:
                nextcloud.look(path, TYPE, depth=0)
            except NextcloudError as error:
                if error.status == 404:
                    return False
                raise
            return True

        return [
            place
            for place, is_there in zip(places, self.connections.for_each(places, there), strict=True)
            if is_there
        ]

    def listing(self, path: str) -> list[dict[str, Any]]:
        """Return the files in a folder of the class folders, however deep."""
        found: list[dict[str, Any]] = []
        todo = [path]
        while todo:
            here = todo.pop()
            for place, said in self.nextcloud.look(here, TYPE, SIZE, CHANGED).items():
                if place == here:
                    continue
                if _is_folder(said):
                    todo.append(place)
                else:
                    found.append(
                        {"path": place, "bytes": int(said.first(SIZE)), "changed": said.first(CHANGED)}
                    )
        return sorted(found, key=lambda one: one["path"])

    def erase(self, handed_in: list[str]) -> None:
        """Delete what was handed in, and the account with its files and shares."""
        for path in handed_in:
            self.nextcloud.delete(path)
        self.nextcloud.ocs("DELETE", f"/apps/user_oidc/api/v1/user/{self.nextcloud.part(self.user)}")


def _is_folder(said: Element) -> bool:
    return any(True for _ in said.all(FOLDER))


def main() -> None:
    """Run the module."""
    # no_log: what is returned is about a person and belongs in no journal.
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "do": {"type": "str", "choices": ["show", "export", "erase"], "required": True},
            "username": {"type": "str", "required": True},
            "files": {"type": "path", "required": True},
            "occ": {"type": "path", "required": True},
            "hand_in": {"type": "str", "required": True},
        },
        supports_check_mode=True,
        no_log=True,
    )
    wanted = dict(module.params)
    result: dict[str, Any] = {"changed": False, "found": False}
    try:
        connections = Connections(lambda: Nextcloud.from_options(wanted))
        if person := Person.find(connections, wanted["username"], wanted):
            files, shares, places = person.files(), person.shares(), person.handed_in()
            handed_in = [one for place in places for one in person.listing(place)]
            result |= {
                "found": True,
                "holds": {
                    "account": 1,
                    "files": len(files),
                    "bytes": sum(one["bytes"] for one in files),
                    "handed_in": len(handed_in),
                    "shares": len(shares),
                },
            }
            if wanted["do"] == "export":
                result["data"] = {
                    "account": person.account,
                    "files": files,
                    "handed_in": handed_in,
                    "shares": shares,
                }
            if wanted["do"] == "erase":
                if not module.check_mode:
                    person.erase(places)
                result["changed"] = True
    except (NextcloudError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.params.clear()
    module.exit_json(**result)


if __name__ == "__main__":
    main()
