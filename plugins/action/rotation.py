"""Replace secrets of a school: say which there are, refuse what cannot work, write, judge and report."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.safe import Secret, Store, of_school, vault_key
from schoolstack.safe.declared import VAULT_KEY
from schoolstack.safe.store import NEXT, PREVIOUS

DOCUMENTATION = r"""
name: rotation
short_description: Replace secrets of the school
description:
    - The steps of C(playbooks/rotate.yml), C(secrets.yml) and C(vault-key.yml). All but C(prove) are about
      the whole school and run once.
author: Schoolstack contributors
options:
    step:
        description:
            - C(list) shows the secrets. C(check) refuses what cannot be replaced.
            - C(prepare) has ready the new values of those of kind C(kept), which servers have to know before.
            - C(replace) writes new values into the inventory; C(finish) forgets the old ones and says what
              was done.
            - C(prove) fails unless a new secret works on this server and the old one does not.
            - C(vault_key) puts the inventory under a new key.
        type: str
        choices: [list, check, prepare, replace, prove, finish, vault_key]
        required: true
    names:
        description: The secrets; C(all) stands for each for which nobody outside has to be asked.
        type: list
        elements: str
        default: []
    new_works:
        description: Whether the new secret works, for C(prove).
        type: bool
        default: false
    old_works:
        description: Whether the old secret works, for C(prove).
        type: bool
        default: false
    silent:
        description: By server and application its C(title) and C(silent_s), for C(finish).
        type: dict
        default: {}
"""

RETURN = r"""
secrets:
    description: The secrets that are meant, each with what schoolstack.safe.Secret says of one.
    type: list
"""

OPTIONS: dict[str, dict[str, Any]] = {
    "step": {
        "type": "str",
        "required": True,
        "choices": ["list", "check", "prepare", "replace", "prove", "finish", "vault_key"],
    },
    "names": {"type": "list", "elements": "str", "default": []},
    "new_works": {"type": "bool", "default": False},
    "old_works": {"type": "bool", "default": False},
    "silent": {"type": "dict", "default": {}},
}

# Characters of a secret that has no value yet.
LENGTH = 32

ALL = "all"


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = False
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do one step, or fail with one sentence for each reason found."""
        _, self.options = self.validate_argument_spec(OPTIONS)
        self.variables = task_vars or {}
        try:
            return {"changed": False, **getattr(self, f"_{self.options['step']}")()}
        except SchoolError as error:
            raise AnsibleActionFail(str(error)) from None

    # The steps

    def _list(self) -> dict[str, Any]:
        rows = [(say("rotate.head.name"), say("rotate.head.what"), say("rotate.head.state"))]
        for secret in self._secrets.values():
            begun = any(self._store.path(secret.name, kind).exists() for kind in (PREVIOUS, NEXT))
            rows.append((secret.name, secret.what, say(f"rotate.kind.{'begun' if begun else secret.kind}")))
        rows.append(("vault-key", say("rotate.what.vault_key"), say("rotate.kind.vault_key")))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            self._say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return {"secrets": [asdict(secret) for secret in self._secrets.values()]}

    def _check(self) -> dict[str, Any]:
        known = self._secrets
        names = self._names()
        if not names:
            raise SchoolError(say("rotate.nothing", known=", ".join(known)))
        if VAULT_KEY in names:
            raise SchoolError(say("rotate.alone"))
        if ALL in names:
            meant = [secret for secret in known.values() if secret.can_be_made]
        else:
            problems = list(self._refusals(names))
            if problems:
                raise SchoolError("\n".join(problems))
            meant = [known[name] for name in names]
        if not self._store.key_file.exists():
            raise SchoolError(say("rotate.no_key", key=self._store.key_file))
        self._refuse_some_servers()
        return {"secrets": [asdict(secret) for secret in meant]}

    def _prepare(self) -> dict[str, Any]:
        self._refuse_some_servers()
        for name in self._names():
            if self._secrets[name].kind == "kept":
                self._store.prepare(name)
        return {}

    def _replace(self) -> dict[str, Any]:
        self._refuse_some_servers()
        for name in self._names():
            if self._secrets[name].kind == "renewed":
                self._store.renew(name)
            else:
                self._store.replace(name, LENGTH)
        return {"changed": True}

    def _prove(self) -> dict[str, Any]:
        [name], server = self._names(), self.variables["inventory_hostname"]
        if not self.options["new_works"]:
            raise SchoolError(say("rotate.new_fails", name=name, server=server))
        if self.options["old_works"]:
            raise SchoolError(say("rotate.old_works", name=name, server=server))
        return {}

    def _finish(self) -> dict[str, Any]:
        for name in self._names():
            secret = self._secrets[name]
            self._store.forget_previous(name)
            done = secret.kind if secret.kind in ("renewed", "kept") else "one"
            self._say(say(f"rotate.done_{done}", name=name, what=secret.what[0].upper() + secret.what[1:]))
        for server, applications in sorted(self.options["silent"].items()):
            for found in applications.values():
                seconds = found["silent_s"]
                self._say(
                    say("rotate.silent", title=found["title"], server=server, seconds=f"{seconds:g}")
                    if seconds
                    else say("rotate.quiet", title=found["title"], server=server)
                )
        return {}

    def _vault_key(self) -> dict[str, Any]:
        inventory = Path(self.variables["inventory_dir"])
        folders = [inventory, self._store.folder, *self._paths("roster_sheets_dir")]
        files = vault_key.change(self._store.key_file, folders)
        self._say(say("rotate.key_changed", count=len(files), key=self._store.key_file))
        return {"changed": True}

    # What they need

    def _names(self) -> list[str]:
        """Return the names given, each once; people write a dash as easily as a line."""
        names = (name.strip().replace("-", "_") for name in self.options["names"])
        return list(dict.fromkeys(filter(None, names)))

    def _refusals(self, names: Iterable[str]) -> Iterable[str]:
        known = self._secrets
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                said = say("preflight.near", word=near[0]) if near else ""
                yield say("rotate.unknown", name=name, near=said, known=", ".join(known))
            elif not known[name].can_be_made:
                secret, store = known[name], self._store
                what, path = secret.what, store.path(name)
                yield say(f"rotate.{secret.kind}", name=name, what=what, key=store.key_file, path=path)

    def _refuse_some_servers(self) -> None:
        """Refuse where a server would be left out: it would keep the old secret."""
        away = set(self.variables["groups"]["all"]) - set(self.variables["ansible_play_hosts"])
        if away:
            raise SchoolError(say("rotate.all_servers", away=", ".join(sorted(away))))

    @cached_property
    def _store(self) -> Store:
        [folder] = self._paths("school_secrets_dir")
        [key_file] = self._paths("school_vault_key_file")
        return Store(folder, key_file)

    def _paths(self, name: str) -> list[Path]:
        """Return what a variable says, or nothing where it is not set."""
        return [Path(self._templar.template(self.variables[name]))] if name in self.variables else []

    @cached_property
    def _secrets(self) -> dict[str, Secret]:
        """The school's secrets by name."""
        folder = Path(self.variables["playbook_dir"]).parent / "roles"
        used = [role.name for role in folder.iterdir() if self.variables["groups"].get(role.name)]
        return {secret.name: secret for secret in of_school(used, self._resolve)}

    def _resolve(self, role: str, name: str) -> Any:
        """Return a role's variable as it is on the servers of its group.

        Where they differ, what one of them wants handed in decides for all.
        """
        known: dict[str, Any] = {}
        roles = Path(self.variables["playbook_dir"]).parent / "roles"
        for path in sorted(roles.glob("*/defaults/main.yml")) + sorted((roles / role / "vars").glob("*.yml")):
            known |= self._loader.load_from_file(str(path), trusted_as_template=True) or {}
        if name not in known:
            return None
        found = []
        for server in self.variables["groups"][role]:
            inside = {**known, **self.variables["hostvars"].raw_get(server), name: known[name]}
            wanted = _of_secrets(known[name])
            found.append(self._templar.copy_with_new_env(available_variables=inside).template(wanted))
        return max(found, key=lambda one: str(one).count("'files'"))

    def _say(self, line: str) -> None:
        Display().display(line)


def _of_secrets(declared: Any) -> Any:
    """Return what says which secrets there are; the rest of a declaration may need a server's facts."""
    if isinstance(declared, dict):
        parts = ("name", "title", "databases", "sign_in", "secrets")
        return {part: declared[part] for part in parts if part in declared}
    return declared
