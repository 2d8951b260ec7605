"""What the checks of lessons are written with, and the pytest plugin that tells what each of them saw."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from schoolstack.deployment import Deployment
from schoolstack.labs.lesson import load
from schoolstack.labs.seat import Seat
from schoolstack.signin import Browser

# Seconds that a page may take; a firewall that drops everything lets them pass.
PATIENCE = 5
# Of a check that came to no judgement, such as on a host that does not answer; no lesson may use it.
ODD = ""


class NotYetError(AssertionError):
    """A step is not passed yet.

    Attributes:
        code: what the check saw, by the name that the step's ``seen`` gives it.
        said: what the machine said.
    """

    def __init__(self, code: str, said: object = "") -> None:
        """Keep what was seen, and what the machine said on one line."""
        self.code, self.said = code, " ".join(str(said).split())
        super().__init__(f"{code}: {self.said}")


def why_closed(address: str, port: int, patience: float) -> str:
    """Return why nothing answers at a port; empty when something does.

    Args:
        address: where.
        port: which.
        patience: seconds to wait; a firewall that drops everything lets them pass.
    """
    try:
        socket.create_connection((address, port), patience).close()
    except OSError as error:
        return str(error)
    return ""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add which seat it is, and ``--lab-report FILE``, to which a line of JSON per check is written."""
    parser.addoption("--lab-report", type=Path, required=True)
    parser.addoption("--lab-lesson", type=Path, required=True)
    parser.addoption("--lab-seat", default="")
    parser.addoption("--lab-restarted", action="store_true")


@pytest.fixture(scope="session")
def seat(request: pytest.FixtureRequest) -> Seat:
    """The seat that is looked at: its hosts, its inventory, the lesson as it is told there."""
    folder = request.config.getoption("lab_lesson")
    return Seat(load(folder.parents[1], folder.name), request.config.getoption("lab_seat"))


@pytest.fixture(scope="session")
def variants(seat: Seat) -> dict[str, str]:
    """What differs from seat to seat, by the names that the lesson gives it."""
    return seat.variants


@pytest.fixture(scope="session")
def restarted(request: pytest.FixtureRequest) -> bool:
    """Whether the hosts have just been restarted, so that what does not run does not come back."""
    return bool(request.config.getoption("lab_restarted"))


@pytest.fixture(scope="session")
def school(seat: Seat) -> Deployment:
    """The school of a lesson with one server, on the seat's test host."""
    return Deployment(seat.inventory, seat.hosts["server"], seat.lab)


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down how a check ended, or that it could not begin."""
    report = yield
    if call.when == "call" or call.excinfo:
        error = call.excinfo.value if call.excinfo else None
        seen = {"check": f"{item.path.name}::{item.name}", "passed": error is None, "code": ODD, "said": ""}
        if isinstance(error, NotYetError):
            seen |= {"code": error.code, "said": error.said}
        elif error:
            seen["said"] = " ".join(str(error).split()) or type(error).__name__
        with item.config.getoption("lab_report").open("a", encoding="utf-8") as file:
            file.write(json.dumps(seen) + "\n")
    return report
