"""What the checks of lessons are written with, and the pytest plugin that tells what each of them saw."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lab-report FILE``, to which a line of JSON per check is written."""
    parser.addoption("--lab-report", type=Path, required=True)


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
