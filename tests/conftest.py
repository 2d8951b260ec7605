"""How the tests are shared out when several run side by side, as ``make test`` has them."""

from __future__ import annotations

import pytest

# What takes longest begins first, so that nothing long is left for the end.
LONGEST = (
    "test_the_scenario_passes[drill]",
    "test_labs.py",
    "test_the_scenario_passes[identity]",
    "test_site.py",
    "test_monitoring.py",
    "test_upgrade.py",
    "test_remove.py",
    "test_lab.py",
    "test_page_browser.py",
)


# Before xdist reads the mark.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file together, which share machines, and scenarios apart, which do not."""
    for item in items:
        alone = item.name.startswith("test_the_scenario_passes")
        item.add_marker(pytest.mark.xdist_group(item.name if alone else item.path.stem))
    items.sort(key=place)


def place(item: pytest.Item) -> int:
    """Return where in the row a test begins."""
    return next((number for number, words in enumerate(LONGEST) if words in item.nodeid), len(LONGEST))
