"""What the lesson's checks look at: the server over SSH, and the school's pages as people see them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
import testinfra
from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.labs.checks import NotYetError, why_closed
from schoolstack.labs.seat import Seat
from schoolstack.signin import Browser

# Seconds that a page may take; a firewall that drops everything lets them pass.
PATIENCE = 5


@pytest.fixture(scope="session")
def school(seat: Seat) -> Deployment:
    """The lesson's school on the seat's test host."""
    return Deployment(seat.inventory, seat.hosts["server"], seat.lab)


@pytest.fixture(scope="session")
def host(school: Deployment) -> Host:
    """The server, over SSH."""
    options = shlex.join(word for word in school.lab.ssh_command(school.name)[1:-1])
    return testinfra.get_host(f"ssh://root@{school.address}", ssh_extra_args=options)


@pytest.fixture(scope="session")
def unreachable(school: Deployment) -> str:
    """Why nothing answers on port 443; empty when something does. Asked once, since it may take its time."""
    return why_closed(school.address, 443, PATIENCE)


@pytest.fixture
def browser(school: Deployment, unreachable: str) -> Iterator[Browser]:
    """A browser without cookies, that speaks English."""
    if unreachable:
        raise NotYetError("unreachable", unreachable)
    browser = school.browser(language="en")
    browser.timeout = PATIENCE
    yield browser
    browser.close()
