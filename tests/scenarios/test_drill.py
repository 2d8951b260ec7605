"""The Molecule scenario that takes longest, in a file of its own: files are what make test shares out."""

from __future__ import annotations

import os

import pytest
from molecule_scenarios import ends_with

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")


def test_the_scenario_passes(pytestconfig: pytest.Config) -> None:
    assert ends_with("drill", pytestconfig.option.markexpr) == 0
