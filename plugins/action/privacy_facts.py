"""Read what the roles of one server say of outside addresses and telemetry, resolved for this school."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

DOCUMENTATION = r"""
name: privacy_facts
short_description: What a server's roles lead to outside, and what reports home
description:
    - Reads the variables C(<role>_endpoints), C(<role>_artefacts), C(<role>_telemetry) and
      C(<role>_personal_data) of the server's roles, and the records of its applications. Asks nobody.
author: Schoolstack contributors
options:
    package_sites:
        description: Where the server's packages come from, each an address and who publishes there.
        type: list
        elements: str
        required: true
"""

RETURN = r"""
records:
    description: What applications, and other roles, keep of people; of the applications, their records.
    type: list
endpoints:
    description: Per address its role, address, what happens there, and whether that is about people.
    type: list
telemetry:
    description: Per product its state (C(none), C(off), C(on)) and how it came to that.
    type: list
"""

# Who publishes, as the archives themselves say it (Origin, DebianRepository/Format).
DISTRIBUTIONS = ("Debian", "Ubuntu")
# What a server has without being in a group of that name.
EVERYWHERE = ["host", "logs"]
FETCHED = {"en": "fetch {}, pinned by SHA-256", "nl": "{} halen, met vaste SHA-256"}
KEYS = {"en": "fetch {}, pinned by its fingerprint", "nl": "{} halen, met vaste vingerafdruk"}
PACKAGES = {"en": "Debian's packages and their updates", "nl": "pakketten van Debian en hun updates"}
RECORD = ("name", "title", "personal_data", "removed")


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was found."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {"package_sites": {"type": "list", "elements": "str", "required": True}}
        )
        variables = task_vars or {}
        local = variables["ansible_facts"].get("ansible_local") or {}
        records = [record for _, record in sorted(local.items()) if "services" in record]
        # Whoever removes an application keeps its data, and with it the duty to say so.
        left = variables["ansible_facts"]["server"].get("removed", {})
        removed = [{**record, "removed": True} for name, record in sorted(left.items()) if name not in local]
        endpoints = [
            {
                "role": "host",
                "address": site,
                "what": PACKAGES,
                "people": False,
                "kind": "distribution" if publisher in DISTRIBUTIONS else "",
            }
            for site, _, publisher in sorted({line.partition(" ") for line in options["package_sites"]})
        ]
        telemetry = [
            {"role": record["name"], **one} for record in records for one in record.get("telemetry", [])
        ]
        kept = []
        # What comes along with an application, without a group of its own.
        engines = [cache["engine"] for record in records for cache in record.get("caches", [])]
        for role in dict.fromkeys([*EVERYWHERE, *variables["group_names"], *engines]):
            own = self._said(role, variables)
            if own["personal_data"]:
                kept.append({"name": role, "title": own["title"], "personal_data": own["personal_data"]})
            endpoints += [{"role": role, **one} for one in own["endpoints"]]
            telemetry += [{"role": role, **one} for one in own["telemetry"]]
            for artefact in own["artefacts"]:
                told = KEYS if "fingerprint" in artefact else FETCHED
                what = {lang: text.format(artefact["name"]) for lang, text in told.items()}
                addresses = [(source.get("url", source["kind"]), what) for source in artefact["sources"]]
                if "signature" in artefact:
                    key = {lang: text.format(artefact["name"]) for lang, text in KEYS.items()}
                    addresses.append((artefact["signature"]["key"], key))
                endpoints += [
                    {"role": role, "address": address, "what": purpose, "people": False}
                    for address, purpose in addresses
                ]
        return {
            "changed": False,
            "records": [
                {name: record.get(name) for name in RECORD} for record in [*records, *removed, *kept]
            ],
            "endpoints": endpoints,
            "telemetry": telemetry,
        }

    def _said(self, role: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the lists that a role states, its variables being what this server has."""
        folder = Path(variables["playbook_dir"]).parent / "roles" / role
        files = [folder / "defaults" / "main.yml", *sorted((folder / "vars").glob("*.yml"))]
        defaults, *own = [
            (self._loader.load_from_file(str(path), trusted_as_template=True) or {}) if path.exists() else {}
            for path in files
        ]
        known = {**defaults, **variables, **{name: value for part in own for name, value in part.items()}}
        templar = self._templar.copy_with_new_env(available_variables=known)
        return {
            part: templar.template(known.get(f"{role}_{part}", []))
            for part in ("endpoints", "telemetry", "artefacts", "personal_data", "title")
        }
