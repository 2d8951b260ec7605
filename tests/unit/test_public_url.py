"""The address at which browsers reach a host of the school."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "plugins" / "filter" / "public_url.py"
spec = importlib.util.spec_from_file_location("public_url", SOURCE)
plugin = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plugin)


@pytest.mark.parametrize(
    ("port", "authority"),
    [(443, "login.school.example"), (8443, "login.school.example:8443"), ("443", "login.school.example")],
)
def test_only_another_port_than_that_of_https_is_named(port: int, authority: str) -> None:
    filters = plugin.FilterModule().filters()
    assert filters["public_authority"]("login.school.example", port) == authority
    assert filters["public_url"]("login.school.example", port) == f"https://{authority}"
