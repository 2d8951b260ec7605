"""Applications' declarations, resolved for a school that stands for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

# A school as a coordinator might have it, on a small server: what depends on either is shown for these.
SAMPLE_SCHOOL = {
    "school_name": "My school",
    "school_domain": "myschool.example",
    "school_contact": "ict@myschool.example",
    "inventory_dir": "inventories/myschool",
    "inventory_hostname": "server",
    "groups": {},
}
SAMPLE_SERVER = {
    "architecture": "x86_64",
    "distribution": "Debian",
    "distribution_major_version": "13",
    "distribution_release": "trixie",
    "distribution_version": "13",
    "memtotal_mb": 4096,
    "processor_vcpus": 2,
    "virtualization_tech_guest": [],
}


def applications(root: Path) -> list[str]:
    """Return the roles below a project's root that declare an application, by name."""
    loader = DataLoader()
    found = sorted(root.glob("roles/*/vars/main.yml"))
    return [path.parts[-3] for path in found if f"{path.parts[-3]}_app" in _variables(loader, path)]


def resolve(root: Path, role: str) -> dict[str, Any]:
    """Return an application's declaration for the sample school.

    Args:
        root: the project's root.
        role: the application's role.
    """
    declaration: dict[str, Any] = resolved(root, f"{role}_app")
    return declaration


def resolved(root: Path, name: str, **otherwise: Any) -> Any:
    """Return a variable that a role sets for the sample school; None where no role does.

    Args:
        root: the project's root.
        name: the variable.
        otherwise: what the school sets otherwise.
    """
    loader = DataLoader()
    known: dict[str, Any] = {**SAMPLE_SCHOOL, "ansible_facts": SAMPLE_SERVER}
    for pattern in ("roles/*/defaults/main.yml", "roles/*/vars/*.yml"):
        for path in sorted(root.glob(pattern)):
            known |= _variables(loader, path)
    known |= otherwise
    return Templar(loader=loader, variables=known).template(known[name]) if name in known else None


def _variables(loader: DataLoader, path: Path) -> dict[str, Any]:
    content: dict[str, Any] = loader.load_from_file(str(path), trusted_as_template=True) or {}
    return content
