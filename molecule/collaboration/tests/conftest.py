"""What the scenario's tests look at: a school with files and office, and the server that both stand on."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.hosts.lab import Lab

INVENTORY = Path(__file__).parents[1] / "inventory"


@pytest.fixture(scope="session")
def school() -> Deployment:
    """The school on this scenario's test host."""
    return Deployment(INVENTORY, "collaboration-server", Lab())


@pytest.fixture(scope="session")
def host(school: Deployment) -> Host:
    """The server, over SSH."""
    options = shlex.join(word for word in school.lab.ssh_command(school.name)[1:-1])
    return testinfra.get_host(f"ssh://root@{school.address}", ssh_extra_args=options)


@pytest.fixture(scope="session")
def stand_ins() -> dict[str, dict[str, Any]]:
    """By application, the variables of what takes its place here."""
    found: dict[str, dict[str, Any]] = json.loads((INVENTORY / "files" / "stand-ins.json").read_text())
    return found


@pytest.fixture(scope="session")
def settings(stand_ins: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What a playbook has to be given besides the inventory."""
    return {name: value for variables in stand_ins.values() for name, value in variables.items()}
