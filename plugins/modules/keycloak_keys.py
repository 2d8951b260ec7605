"""Have Keycloak sign with keys that are as new as the school wants them."""

from __future__ import annotations

import datetime
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import OPTIONS, KeycloakAdmin, KeycloakError
from ansible.module_utils.keycloak_state import Change, report

DOCUMENTATION = r"""
module: keycloak_keys
short_description: Have Keycloak sign with keys that are as new as the school wants them
description:
    - Keycloak keeps a realm's keys as components. Every key that Keycloak generates by itself is replaced by
      one of the same sort unless its name says that it was made for O(renewal).
    - An old key signs nothing any more, but still verifies what it has signed. It is deleted once that has
      come to its end; until when it is kept, its name says.
    - Keys of other sorts, such as those that a school brings along itself, are left alone.
    - Runs on Keycloak's own host.
author: Schoolstack contributors
extends_documentation_fragment: [keycloak_admin]
options:
    realms:
        description: The realms whose keys are meant.
        type: list
        elements: str
        required: true
    renewal:
        description: Since when the keys have to be made anew, in ISO 8601; empty when that was never asked.
        type: str
        default: ""
    keep_s:
        description: How long what an old key has signed may be used, in seconds.
        type: int
        required: true
"""

RETURN = r"""
changes:
    description: What was done, one readable line each.
    type: list
    elements: str
"""

PROVIDER_TYPE = "org.keycloak.keys.KeyProvider"
# What makes a key one of its sort.
SETTINGS = ("algorithm", "keySize", "secretSize", "ecdsaEllipticCurveKey", "eddsaEllipticCurveKey")

SINCE, UNTIL = " since ", " until "

# How old and new keys are told apart: an old one ranks lower.
RANK_STEP = 10


def own_name(name: str) -> str:
    """Return what a key is called without the moments that are added to its name."""
    return re.split(f"{SINCE}|{UNTIL}", name)[0]


def replacement(component: dict[str, Any], renewal: str) -> dict[str, Any]:
    """Return the key that is to be made in the place of another.

    Args:
        component: the present key, as Keycloak describes it; its secrets are masked.
        renewal: since when it has to be new.
    """
    config = component["config"]
    settings = {name: config[name] for name in SETTINGS if name in config}
    return {
        "name": f"{own_name(component['name'])}{SINCE}{renewal}",
        "providerId": component["providerId"],
        "providerType": PROVIDER_TYPE,
        "parentId": component["parentId"],
        "config": {
            **settings,
            "priority": [str(rank(component) + RANK_STEP)],
            "enabled": ["true"],
            "active": ["true"],
        },
    }


def rank(component: dict[str, Any]) -> int:
    """Return a key's priority: of several that could sign, the highest does."""
    return int(component["config"].get("priority", ["0"])[0])


def is_active(component: dict[str, Any]) -> bool:
    """Return whether a key may sign."""
    config = component["config"]
    return all(config.get(name, ["true"])[0] == "true" for name in ("enabled", "active"))


def retired(component: dict[str, Any], until: datetime.datetime) -> dict[str, Any]:
    """Return a key that only verifies, until a moment that its name says."""
    name = f"{component['name']}{UNTIL}{until.isoformat(timespec='seconds')}"
    return {**component, "name": name, "config": {**component["config"], "active": ["false"]}}


def is_over(component: dict[str, Any], now: datetime.datetime) -> bool:
    """Return whether nothing that an old key has signed is valid any more."""
    _, _, until = component["name"].partition(UNTIL)
    return bool(until) and datetime.datetime.fromisoformat(until) < now


class Keys:
    """The keys of one realm.

    Attributes:
        changes: what was done, or would be.
    """

    def __init__(self, admin: KeycloakAdmin, realm: str, check: bool) -> None:
        """Read the keys.

        Args:
            admin: the connection to Keycloak.
            realm: the realm.
            check: whether to only tell what would change.

        Raises:
            KeycloakError: Keycloak does not answer or refuses.
        """
        self._admin, self._realm, self._check = admin, realm, check
        self.changes: list[Change] = []
        found = admin.get(realm, "components", type=PROVIDER_TYPE) or []
        self._found = [one for one in found if one["providerId"].endswith("-generated")]

    def converge(self, renewal: str, keep_s: int) -> None:
        """Have new keys where they are wanted, and no old ones beyond their time.

        A new key is there before the old one retires, so that there is always one to sign with, and a run
        that was cut off is taken up again.

        Args:
            renewal: since when keys have to be new.
            keep_s: how long an old key verifies, in seconds.

        Raises:
            KeycloakError: Keycloak does not answer or refuses.
        """
        now = datetime.datetime.now(datetime.UTC)
        until = now + datetime.timedelta(seconds=keep_s)
        names = {one["name"] for one in self._found}
        for one in sorted(self._found, key=rank, reverse=True):
            if is_over(one, now):
                self._write(one["name"], None, self._admin.delete, "components", one["id"])
            elif is_active(one) and renewal and not one["name"].endswith(f"{SINCE}{renewal}"):
                new = replacement(one, renewal)
                if new["name"] not in names:
                    self._write(None, new["name"], self._admin.post, "components", body=new)
                    names.add(new["name"])
                old = retired(one, until)
                self._write(one["name"], old["name"], self._admin.put, "components", one["id"], body=old)

    def _write(self, before: str | None, after: str | None, method: Any, *path: str, **body: Any) -> None:
        self.changes.append(Change(f"{self._realm}.key", before, after))
        if not self._check:
            method(self._realm, *path, **body)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "realms": {"type": "list", "elements": "str", "required": True},
            "renewal": {"type": "str", "default": ""},
            "keep_s": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    changes: list[Change] = []
    try:
        admin = KeycloakAdmin.from_options(given)
        for realm in given["realms"]:
            keys = Keys(admin, realm, module.check_mode)
            # Where it fails on the way, what was done is told all the same.
            keys.changes = changes
            keys.converge(given["renewal"], given["keep_s"])
    except KeycloakError as error:
        module.fail_json(msg=str(error), **report(changes))
    module.exit_json(**report(changes))


if __name__ == "__main__":
    main()
