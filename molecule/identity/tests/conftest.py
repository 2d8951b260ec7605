"""What the scenario's tests look at: the server over SSH, and the school's pages as people see them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from schoolstack.demo.people import People, Person
from schoolstack.deployment import Deployment
from schoolstack.hosts.lab import Lab
from schoolstack.roster import sheets
from schoolstack.signin import Browser

# Tests may share helpers that stand beside them.
sys.path.insert(0, str(Path(__file__).parent))

INVENTORY = Path(__file__).parents[1] / "inventory"


@pytest.fixture(scope="session")
def school() -> Deployment:
    """The demo school on this scenario's test host."""
    return Deployment(INVENTORY, "identity-server", Lab())


@pytest.fixture(scope="session")
def host(school: Deployment) -> Host:
    """The server, over SSH."""
    options = shlex.join(word for word in school.lab.ssh_command(school.name)[1:-1])
    return testinfra.get_host(f"ssh://root@{school.address}", ssh_extra_args=options)


@pytest.fixture(scope="session")
def address(school: Deployment) -> str:
    """The server's IP address, as the machine that tests it sees it."""
    return school.address


@pytest.fixture(scope="session")
def ask(school: Deployment) -> Callable[[str], Any]:
    """Evaluate an expression with ``admin``, a connection to the Admin API, on the server itself."""
    return school.ask_keycloak


@pytest.fixture
def browser(school: Deployment) -> Iterator[Browser]:
    """A browser without cookies."""
    browser = school.browser()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def people(school: Deployment) -> People:
    """Who has signed in so far, with what they chose."""
    return People(school.lab.folder(school.name) / "people.json")


@pytest.fixture(scope="session")
def visitors(people: People) -> dict[str, Person]:
    """One person of each role, with the password of the printed sheet or the one chosen since."""
    initial = sheets.read_all(INVENTORY)
    return {role: people.find(role, *entries[0]) for role, entries in initial.items() if entries}
