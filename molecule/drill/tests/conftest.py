"""The school that is backed up, the server that keeps its backups, and what is known of its people."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schoolstack.demo.people import People
from schoolstack.deployment import Deployment
from schoolstack.hosts.lab import Lab
from schoolstack.safe import Store

# Tests may share helpers that stand beside them.
sys.path.insert(0, str(Path(__file__).parent))

INVENTORY = Path(__file__).parents[1] / "inventory"


@dataclass(frozen=True)
class Said:
    """How the program on the server ended.

    Attributes:
        code: its exit code.
        result: what it returned; empty when it refused.
        sentence: what it refused with.
    """

    code: int
    result: dict[str, Any]
    sentence: str


@pytest.fixture(scope="session")
def school() -> Deployment:
    """The school that is backed up."""
    return Deployment(INVENTORY, "drill-server", Lab())


@pytest.fixture(scope="session")
def vault() -> Deployment:
    """The server that keeps its backups."""
    return Deployment(INVENTORY, "drill-vault", Lab())


@pytest.fixture(scope="session")
def store() -> Store:
    """The school's secrets."""
    return Store(INVENTORY / "secrets", INVENTORY / ".vault-key")


@pytest.fixture(scope="session")
def people(school: Deployment) -> People:
    """Who has signed in so far, with what they chose."""
    return People(school.lab.folder("drill-vault") / "people.json")


@pytest.fixture
def program(school: Deployment) -> Callable[..., Said]:
    """Call the program on the server: ``program("backup")``."""

    def call(command: str, **given: Any) -> Said:
        done = subprocess.run(
            [*school.lab.ssh_command(school.name), "SCHOOL_LANGUAGE=en", "schoolstack-backup", command],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
        )
        return Said(done.returncode, json.loads(done.stdout or "{}"), done.stderr.strip())

    return call
