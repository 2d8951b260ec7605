"""Make app passwords for people in Nextcloud, whose own passwords nobody needs, or take them back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nextcloud_app_passwords
short_description: Make app passwords for people in Nextcloud, or take them back
description:
    - By C(occ user:auth-tokens:add), which asks for no password of the person where nobody can be asked. What
      it makes opens the person's files over WebDAV and nothing that needs the person's own password.
    - Runs on Nextcloud's own host.
author: Schoolstack contributors
options:
    usernames:
        description: Who gets an app password.
        type: list
        elements: str
        default: []
    back:
        description: Numbers of app passwords that are taken back, by username.
        type: dict
        default: {}
    occ:
        description: Nextcloud's command, with what it needs to find its configuration.
        type: path
        required: true
"""

RETURN = r"""
made:
    description: C(password) and C(number) of each that was made, by username.
    type: dict
unknown:
    description: Usernames that Nextcloud does not know.
    type: list
    elements: str
taken:
    description: Whose app passwords were taken back.
    type: list
    elements: str
said:
    description: What occ said where it did not do what it was asked, once; empty when it did all.
    type: str
"""

# Each starts PHP for half a second; small servers have two to four processors.
AT_ONCE = 4


class OccError(Exception):
    """What occ said of something that did not work."""


def occ(command: str, *words: str) -> str:
    """Run occ and return what it prints; nobody is there to be asked.

    Raises:
        OccError: it fails.
    """
    done = subprocess.run([command, "--no-interaction", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise OccError((done.stdout + done.stderr).strip() or f"occ ended with {done.returncode}")
    return done.stdout


def make(command: str, username: str) -> dict[str, Any]:
    """Make an app password; return nothing of it where Nextcloud does not know the username.

    Raises:
        OccError: it could not be made, or its number not be told.
    """
    try:
        said = occ(command, "user:auth-tokens:add", username)
    except OccError as error:
        if "Account does not exist" in str(error):
            return {}
        raise
    lines = said.split()
    tokens = json.loads(occ(command, "user:auth-tokens:list", "--output=json", username))
    # Numbers are given in order, so the last one is the newest.
    return {"password": lines[-1], "number": max(int(token["id"]) for token in tokens)}


def take_back(command: str, username: str, number: str) -> bool:
    """Have an app password work no more.

    Raises:
        OccError: Nextcloud did not do it.
    """
    occ(command, "user:auth-tokens:delete", username, number)
    return True


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "usernames": {"type": "list", "elements": "str", "default": []},
            "back": {"type": "dict", "default": {}},
            "occ": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    command, usernames, back = (module.params[name] for name in ("occ", "usernames", "back"))
    if module.check_mode:
        module.exit_json(changed=bool(usernames or back), made={}, unknown=[], taken=[], said="")
    said: list[str] = []

    def attempt(work: Callable[..., Any], *words: str) -> Any:
        # One that fails does not keep from the caller what was made for the others.
        try:
            return work(command, *words)
        except (OccError, OSError, ValueError, IndexError) as error:
            said.append(str(error))
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [*pool.map(lambda name: attempt(make, name), usernames)]
        gone = [*pool.map(lambda one: attempt(take_back, one[0], str(one[1])), back.items())]
    pairs = list(zip(usernames, found, strict=True))
    made = {name: one for name, one in pairs if one}
    taken = [name for name, one in zip(back, gone, strict=True) if one]
    unknown = [name for name, one in pairs if one == {}]
    module.exit_json(
        changed=bool(made or taken), made=made, unknown=unknown, taken=taken, said="".join(said[:1])
    )


if __name__ == "__main__":
    main()
