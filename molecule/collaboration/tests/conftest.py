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
def products() -> dict[str, Any]:
    """Which products are stand-ins, and the variables that lead to all: what a playbook has to be given."""
    found: dict[str, Any] = json.loads((INVENTORY / "files" / "products.json").read_text(encoding="utf-8"))
    return found
