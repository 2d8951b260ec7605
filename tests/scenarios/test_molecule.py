"""Every Molecule scenario, start to end, but the drill."""

from __future__ import annotations

import os

import pytest
from molecule_scenarios import SCENARIOS, ends_with

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

# In a file of its own, so that make test does it beside these.
APART = "drill"
# What few schools have, left to make test-all: make test is long without it.
RARE = ("collaboration", "edge", "two-servers")
HERE = [
    pytest.param(one, marks=[pytest.mark.slow] if one in RARE else []) for one in SCENARIOS if one != APART
]


def test_there_are_scenarios() -> None:
    assert {"identity", APART} <= set(SCENARIOS)


@pytest.mark.parametrize("scenario", HERE)
def test_the_scenario_passes(scenario: str, pytestconfig: pytest.Config) -> None:
    assert ends_with(scenario, pytestconfig.option.markexpr) == 0
