"""Match what Nextcloud keeps in its database to what is wanted, by its own command."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nextcloud_state
short_description: Nextcloud's apps, settings, sign-in, administrator, push and office as they should be
description:
    - Reads all at once (C(occ config:list) and the provider of the sign-in), compares, and changes what
      differs. Where nothing does, these two questions are all that is asked.
    - Nextcloud gives no secret back. So it keeps, beside its own settings, a digest of the secrets that it
      was given last (app C(schoolstack)); with the database, that goes into each backup and out of it again.
author: Schoolstack contributors
options:
    occ:
        description: Nextcloud's own command.
        type: path
        required: true
    apps_on:
        description: Apps that are to be on.
        type: list
        elements: str
        default: []
    apps_off:
        description: Apps that are to be off, if they are there.
        type: list
        elements: str
        default: []
    settings:
        description: App, then key, then value, as C(occ config:list) shows them.
        type: dict
        default: {}
    provider:
        description: Identifier of the sign-in's provider.
        type: str
        required: true
    provider_options:
        description: Options of C(occ user_oidc:provider), without the dashes.
        type: dict
        required: true
    client_secret_file:
        description: File with the secret of the sign-in's client.
        type: path
        required: true
    admin:
        description: Name of Nextcloud's own administrator.
        type: str
        required: true
    admin_password_file:
        description: File with that one's password.
        type: path
        required: true
    push_url:
        description: Public address of notify_push.
        type: str
        required: true
    office_url:
        description: Public address of the office server; empty where there is none.
        type: str
        default: ""
    url:
        description: Nextcloud's own public address, at which the office server calls it.
        type: str
        required: true
"""

RETURN = r"""
done:
    description: What was changed, in words.
    type: list
    returned: always
"""

# Where digests are kept: an app of this name there is not.
OWN = "schoolstack"

# Option of `occ user_oidc:provider` -> where its output shows it.
# From user_oidc 8.11.0, lib/Command/UpsertProvider.php and lib/Service/ProviderService.php.
SHOWN = {
    "clientid": "clientId",
    "discoveryuri": "discoveryEndpoint",
    "scope": "scope",
    "unique-uid": "uniqueUid",
    "mapping-uid": "mappingUid",
    "mapping-display-name": "mappingDisplayName",
    "mapping-email": "mappingEmail",
    "mapping-groups": "mappingGroups",
    "group-provisioning": "groupProvisioning",
    "group-whitelist-regex": "groupWhitelistRegex",
    "group-restrict-login-to-whitelist": "restrictLoginToGroups",
    "send-id-token-hint": "sendIdTokenHint",
    "check-bearer": "checkBearer",
}


class OccError(Exception):
    """Nextcloud's command failed; the message is one plain sentence."""


@dataclass
class Step:
    """One change.

    Attributes:
        says: what it does, in words.
        words: the command's.
        given: what it reads.
        environment: what it finds in its environment.
    """

    says: str
    words: Sequence[str]
    given: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Found:
    """What Nextcloud keeps.

    Attributes:
        apps: app, then key, then value.
        provider: the sign-in's provider; empty where there is none.
    """

    apps: Mapping[str, Mapping[str, Any]]
    provider: Mapping[str, Any]

    def value(self, app: str, key: str) -> str:
        """Return a setting as one writes it; empty where there is none."""
        return text(self.apps.get(app, {}).get(key, ""))


def text(value: Any) -> str:
    """Return a value as Nextcloud keeps it: yes and no as 1 and 0."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def digest(*parts: str) -> str:
    """Return what tells two settings apart and gives no secret away: each holds one made by a machine."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def steps(wanted: Mapping[str, Any], found: Found, secret: str, password: str) -> Iterator[Step]:
    """Yield what has to be done, in this order.

    Args:
        wanted: the module's parameters.
        found: what Nextcloud keeps.
        secret: the secret of the sign-in's client.
        password: the administrator's.
    """
    enabled = {app for app in found.apps if found.value(app, "enabled") not in ("", "no")}
    if missing := [app for app in wanted["apps_on"] if app not in enabled]:
        yield Step(f"switched on {', '.join(missing)}", ["app:enable", *missing])
    if spare := [app for app in wanted["apps_off"] if app in enabled]:
        yield Step(f"switched off {', '.join(spare)}", ["app:disable", *spare])
    marks: dict[str, str] = {}

    mark = digest(password)
    if found.value(OWN, "admin") != mark:
        marks["admin"] = mark
        yield Step(
            "gave the administrator its password",
            ["user:resetpassword", "--password-from-env", wanted["admin"]],
            environment={"OC_PASS": password},
        )

    options = wanted["provider_options"]
    mark = digest(secret)
    settings = found.provider.get("settings", {})
    shown = {name: text(found.provider.get(key, settings.get(key, ""))) for name, key in SHOWN.items()}
    if found.value(OWN, "client") != mark or any(shown[name] != value for name, value in options.items()):
        marks["client"] = mark
        # Named along with the rest: a secret alone is not taken for a change.
        given = [f"--{name}={value}" for name, value in options.items()]
        yield Step(
            "set up the sign-in",
            [
                "user_oidc:provider",
                wanted["provider"],
                *given,
                f"--clientsecret-file={wanted['client_secret_file']}",
            ],
        )

    changed = {
        app: {key: value for key, value in keys.items() if found.value(app, key) != text(value)}
        for app, keys in wanted["settings"].items()
    }
    changed = {app: keys for app, keys in changed.items() if keys}
    if changed:
        names = [f"{app} {key}" for app, keys in changed.items() for key in keys]
        yield imported(f"set {', '.join(names)}", changed)

    if found.value("notify_push", "base_endpoint") != wanted["push_url"]:
        yield Step("set up push", ["notify_push:setup", wanted["push_url"]])

    if office := wanted["office_url"]:
        mark = digest(office, wanted["url"])
        if found.value(OWN, "office") != mark or found.value("richdocuments", "wopi_url") != office:
            marks["office"] = mark
            # Without the second address the first would be set, and the second forgotten.
            yield Step(
                "connected the office",
                ["richdocuments:activate-config", f"--wopi-url={office}", f"--callback-url={wanted['url']}"],
            )
    # Last: what was cut off before is done again.
    if marks:
        yield imported("noted what it was given", {OWN: marks})


def imported(says: str, apps: Mapping[str, Any]) -> Step:
    """Return the step that sets many settings at once."""
    return Step(says, ["config:import"], given=json.dumps({"apps": apps}))


class Nextcloud:
    """Nextcloud's own command."""

    def __init__(self, occ: str) -> None:
        """Take the command's path."""
        self.occ = occ

    def run(self, words: Sequence[str], given: str = "", environment: Mapping[str, str] | None = None) -> str:
        """Run it and return what it printed.

        Raises:
            OccError: it failed.
        """
        done = subprocess.run(
            [self.occ, *words],
            input=given,
            capture_output=True,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        if done.returncode:
            said = " ".join((done.stdout + done.stderr).split())[-400:]
            raise OccError(f"`occ {words[0]}` failed: {said or 'it did not say why'}")
        return done.stdout

    def read(self, provider: str) -> Found:
        """Return what it keeps.

        Args:
            provider: identifier of the sign-in's provider.

        Raises:
            OccError: it could not be asked.
        """
        apps = json.loads(self.run(["config:list", "--private", "--output=json"]))["apps"]
        # PHP writes an empty map as a list.
        apps = {app: keys if isinstance(keys, dict) else {} for app, keys in dict(apps).items()}
        found = Found(apps, {})
        if found.value("user_oidc", "enabled") == "yes" and found.value(OWN, "client"):
            found.provider = json.loads(self.run(["user_oidc:provider", provider, "--output=json"]))
        return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "occ": {"type": "path", "required": True},
            "apps_on": {"type": "list", "elements": "str", "default": []},
            "apps_off": {"type": "list", "elements": "str", "default": []},
            "settings": {"type": "dict", "default": {}},
            "provider": {"type": "str", "required": True},
            "provider_options": {"type": "dict", "required": True},
            "client_secret_file": {"type": "path", "required": True},
            "admin": {"type": "str", "required": True},
            "admin_password_file": {"type": "path", "required": True, "no_log": False},
            "push_url": {"type": "str", "required": True},
            "office_url": {"type": "str", "default": ""},
            "url": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    with open(wanted["client_secret_file"], encoding="utf-8") as file:
        secret = file.read()
    with open(wanted["admin_password_file"], encoding="utf-8") as file:
        password = file.read()
    nextcloud = Nextcloud(wanted["occ"])
    done: list[str] = []
    try:
        for step in list(steps(wanted, nextcloud.read(wanted["provider"]), secret, password)):
            if not module.check_mode:
                nextcloud.run(step.words, step.given, step.environment)
            done.append(step.says)
    except OccError as error:
        module.fail_json(msg=f"Files (Nextcloud): {error}", done=done)
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
