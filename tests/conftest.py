"""In which order the tests run."""

from __future__ import annotations

import pytest

# What takes longest begins first, so that of several files at a time none is left for the end. A worker that
# has two tests left is given its next file already, and that one waits. So the two files that are one long
# test each stand here first, and what stands third and fourth is begun when they end.
LONGEST = (
    "test_drill.py",
    "test_molecule.py",
    "test_monitoring.py",
    "test_upgrade.py",
    "test_labs.py",
    "test_remove.py",
    "test_migrate.py",
    "test_lab.py",
    "test_page_browser.py",
    "test_status_page.py",
    # In make test-all.
    "test_site.py",
    "test_dashboards.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
