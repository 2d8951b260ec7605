"""In which order the tests run."""

from __future__ import annotations

import pytest

# What takes longest begins first, so that of several files at a time none is left for the end.
LONGEST = (
    "test_molecule.py",
    "test_labs.py",
    "test_site.py",
    "test_monitoring.py",
    "test_upgrade.py",
    "test_dashboards.py",
    "test_remove.py",
    "test_lab.py",
    "test_page_browser.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
