"""Refuse, before the first change, what cannot work: on the controller, with the whole inventory in view."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleLookupError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from schoolstack.preflight import (
    Server,
    check_declaration,
    check_inventory,
    check_school,
    check_server,
)


class ActionModule(ActionBase):
    """Check the school's facts, the inventory's groups, every application's declaration and this server."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the applications of this host and their artefacts, or fail with every reason found."""
        variables = task_vars or {}
        state = variables["ansible_facts"]["server"]
        roles = self._roles(variables)
        school = {
            name: self._templar.template(value)
            for name, value in variables.items()
            if name.startswith("school_")
        }
        problems = [
            *check_school(school),
            *check_inventory(variables["groups"], roles, school["school_own_groups"]),
            *self._unreadable_secrets(Path(school["school_secrets_dir"]), variables),
        ]
        declarations: list[dict[str, Any]] = []
        artefacts: list[dict[str, Any]] = []
        # What is wrong with the school's facts would show again in everything that is made from them.
        if not problems:
            declarations, artefacts, problems = self._applications(roles, variables)
        if not problems:
            server = self._server(state, variables)
            domain, tolerance = school["school_domain"], school["school_clock_tolerance_s"]
            problems += check_server(server, declarations, domain, tolerance)
        if problems:
            raise AnsibleActionFail("\n".join(problems))
        return {
            "changed": False,
            "applications": declarations,
            "artefacts": [
                artefact
                for artefact in artefacts
                if f"{artefact['name']}/{artefact['version']}" not in state["archives"]
            ],
        }

    def _roles(self, variables: dict[str, Any]) -> dict[str, Path]:
        """Return the folders of the project's roles by name."""
        here = Path(variables["role_path"]).parent
        return {folder.name: folder for folder in sorted(here.iterdir()) if (folder / "meta").is_dir()}

    def _applications(
        self, roles: dict[str, Path], variables: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
        """Resolve the declarations and pins of the applications whose group this host is in."""
        declarations: list[dict[str, Any]] = []
        artefacts: list[dict[str, Any]] = []
        problems: list[str] = []
        schema = json.loads((roles["app"] / "files" / "declaration.schema.json").read_text(encoding="utf-8"))
        for role in variables["group_names"]:
            folder = roles.get(role)
            if not folder or not (folder / "vars" / "main.yml").exists():
                continue
            files = [folder / "defaults" / "main.yml", *sorted((folder / "vars").glob("*.yml"))]
            defaults, *own = [self._load(path) for path in files]
            known = {**defaults, **variables, **{name: value for part in own for name, value in part.items()}}
            known["role_path"] = str(folder)
            if f"{role}_app" not in known:
                continue
            templar = self._templar.copy_with_new_env(available_variables=known)
            declaration = templar.template(known[f"{role}_app"])
            wrong = check_declaration(declaration, schema, role)
            problems += wrong
            if not wrong:
                declarations.append(declaration)
                artefacts += templar.template(known.get(f"{role}_artefacts", []))
        return declarations, artefacts, problems

    def _unreadable_secrets(self, folder: Path, variables: dict[str, Any]) -> list[str]:
        """Return a sentence when what is encrypted there cannot be read: the key is missing or another."""
        secret = lookup_loader.get("school_secret", loader=self._loader, templar=self._templar)
        try:
            secret.run([path.stem for path in sorted(folder.glob("*.vault"))], variables)
        except AnsibleLookupError as error:
            return [error.message]
        return []

    def _load(self, path: Path) -> dict[str, Any]:
        if not path.exists():
            return {}
        return self._loader.load_from_file(str(path), trusted_as_template=True) or {}

    def _server(self, state: dict[str, Any], variables: dict[str, Any]) -> Server:
        facts = variables["ansible_facts"]
        release = (
            facts["distribution_version"]
            if facts["distribution"] == "Ubuntu"
            else facts["distribution_major_version"]
        )
        return Server(
            name=variables["inventory_hostname"],
            groups=variables["group_names"],
            distribution=facts["distribution"],
            release=release,
            machine=facts["architecture"],
            memory_mb=facts["memtotal_mb"],
            clock_ahead_s=state["epoch_s"] - time.time(),
            free_mb=state["free_mb"],
            listeners=state["listeners"],
        )
