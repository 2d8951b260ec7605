"""Refuse, before the first change, what cannot work: on the controller, with the whole inventory in view."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleLookupError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible.utils.vars import load_extra_vars

from schoolstack.messages import say
from schoolstack.preflight import (
    Page,
    Server,
    check_declaration,
    check_inventory,
    check_pages,
    check_school,
    check_server,
    check_watched,
)
from schoolstack.upgrade import check_versions


@dataclass
class Applications:
    """The applications of one host.

    Attributes:
        declarations: what each declares.
        artefacts: what is installed from upstream for them.
        pinned: the versions of each that can be had, by its name.
        upgrades: what each one's role knows of upgrades, by its name.
    """

    declarations: list[dict[str, Any]] = field(default_factory=list)
    artefacts: list[dict[str, Any]] = field(default_factory=list)
    pinned: dict[str, list[str]] = field(default_factory=dict)
    upgrades: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, declaration: dict[str, Any], pins: list[dict[str, Any]], upgrades: dict[str, Any]) -> None:
        """Add one application; of its archive, only the declared version is installed, with its own parts."""
        name, version = declaration["name"], declaration["version"]
        of_its_own = [pin for pin in pins if pin["name"] == declaration.get("archive")]
        self.declarations.append(declaration)
        self.artefacts += [
            pin for pin in pins if (pin["version"] == version if pin in of_its_own else belongs(pin, version))
        ]
        self.pinned[name] = [pin["version"] for pin in of_its_own] or [version]
        self.upgrades[name] = upgrades


def belongs(pin: dict[str, Any], version: str) -> bool:
    """Return whether a pinned part is one of that version of its application; whatever is no part, is."""
    return "within" not in pin or version in pin["within"]["versions"]


def unpacked_as(pin: dict[str, Any], declarations: list[dict[str, Any]]) -> str:
    """Return below ``/opt`` the folder in which a pinned archive lies once it is installed.

    A part lies in its application's. One that is new there is fetched when its turn comes.
    """
    if "within" not in pin:
        return f"{pin['name']}/{pin['version']}"
    archive = pin["within"]["archive"]
    return next(f"{archive}/{one['version']}" for one in declarations if one.get("archive") == archive)


class ActionModule(ActionBase):
    """Check the school's facts, the inventory's groups, every application's declaration and this server."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the applications of this host and their artefacts, or fail with every reason found.

        The fact ``school.pages`` says at which address each page of the school is, whichever server has it,
        and ``school.addresses`` where each server is reached by the others.
        """
        variables = task_vars or {}
        # Whether versions may change: that is what an upgrade is for.
        _, options = self.validate_argument_spec({"upgrades": {"type": "bool", "default": False}})
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
        found = Applications()
        pages: list[Page] = []
        addresses: dict[str, str] = {}
        # What is wrong with the school's facts would show again in everything that is made from them.
        if not problems:
            found, problems = self._applications(roles, variables)
            addresses = self._addresses(roles, variables)
            pages = self._pages(roles, addresses, variables)
            problems += check_watched(variables["groups"], addresses)
            problems += check_pages(pages, in_dns=school["school_internal_dns"])
        declarations = found.declarations
        if not problems:
            server = self._server(state, variables)
            domain, tolerance = school["school_domain"], school["school_clock_tolerance_s"]
            problems += check_server(server, declarations, domain, tolerance)
            if not options["upgrades"]:
                problems += self._versions(server.name, declarations, state, variables)
        if problems:
            raise AnsibleActionFail("\n".join(problems))
        return {
            "changed": False,
            "ansible_facts": {"school": {"pages": [asdict(page) for page in pages], "addresses": addresses}},
            "applications": declarations,
            "artefacts": [
                artefact
                for artefact in found.artefacts
                if unpacked_as(artefact, found.declarations) not in state["archives"]
            ],
            "pinned": found.pinned,
            "upgrades": found.upgrades,
        }

    def _versions(
        self,
        server: str,
        declarations: list[dict[str, Any]],
        state: dict[str, Any],
        variables: dict[str, Any],
    ) -> list[str]:
        """Return a sentence for each application that has to be upgraded, or whose upgrade was cut off."""
        records = variables["ansible_facts"].get("ansible_local") or {}
        return [
            *(say("upgrade.unfinished", app=app, server=server) for app in state["upgrading"]),
            *check_versions(
                server, [d for d in declarations if d["name"] not in state["upgrading"]], records
            ),
        ]

    def _roles(self, variables: dict[str, Any]) -> dict[str, Path]:
        """Return the folders of the project's roles by name."""
        here = Path(variables["role_path"]).parent
        return {folder.name: folder for folder in sorted(here.iterdir()) if (folder / "meta").is_dir()}

    def _applications(
        self, roles: dict[str, Path], variables: dict[str, Any]
    ) -> tuple[Applications, list[str]]:
        """Resolve the declarations and pins of the applications whose group this host is in."""
        found = Applications()
        problems: list[str] = []
        schema = json.loads((roles["app"] / "files" / "declaration.schema.json").read_text(encoding="utf-8"))
        for role in variables["group_names"]:
            known = self._known(role, roles, variables)
            if f"{role}_app" not in known:
                continue
            templar = self._templar.copy_with_new_env(available_variables=known)
            declaration = templar.template(known[f"{role}_app"])
            wrong = check_declaration(declaration, schema, role)
            problems += wrong
            if not wrong:
                pins = templar.template(known.get(f"{role}_artefacts", []))
                found.add(declaration, pins, templar.template(known.get(f"{role}_upgrades", {})))
        return found, problems

    def _common(self, roles: dict[str, Path], variables: dict[str, Any]) -> dict[str, Any]:
        """Return what roles say of every server; the rest is each server's own."""
        common = {name: value for name, value in variables.items() if name.startswith("school_")}
        return common | self._load(roles["host"] / "defaults" / "main.yml")

    def _addresses(self, roles: dict[str, Path], variables: dict[str, Any]) -> dict[str, str]:
        """Return where the others reach each server, also of those that this run leaves out."""
        common, found = self._common(roles, variables), {}
        for server in variables["groups"]["all"]:
            # What a drill remembers of the server that plays at being lost is no further server.
            if "drill_name" in variables["hostvars"].raw_get(server):
                continue
            known = {**common, **variables["hostvars"].raw_get(server)}
            templar = self._templar.copy_with_new_env(available_variables=known)
            found[server] = str(templar.template(known["host_address"]))
        return found

    def _pages(
        self, roles: dict[str, Path], addresses: dict[str, str], variables: dict[str, Any]
    ) -> list[Page]:
        """Return the pages of all the school's servers, also of those that this run leaves out."""
        pages: list[Page] = []
        common = self._common(roles, variables)
        for role in sorted(set(roles) & set(variables["groups"])):
            for server in variables["groups"][role]:
                known = self._known(role, roles, {**common, **variables["hostvars"].raw_get(server)})
                if site := known.get(f"{role}_app", {}).get("site"):
                    templar = self._templar.copy_with_new_env(available_variables=known)
                    pages.append(Page(templar.template(site["host"]), server, addresses[server]))
        return pages

    def _known(self, role: str, roles: dict[str, Path], variables: dict[str, Any]) -> dict[str, Any]:
        """Return *variables* as they are inside a role."""
        folder = roles.get(role)
        if not folder:
            return {}
        files = [folder / "defaults" / "main.yml", *sorted((folder / "vars").glob("*.yml"))]
        defaults, *own = [self._load(path) for path in files]
        inside = {name: value for part in own for name, value in part.items()}
        # Variables of the command line win over everything, here as in the roles.
        stated = load_extra_vars(self._loader)
        return {**defaults, **variables, **inside, **stated, "role_path": str(folder)}

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
