"""Upstream's own lists of settings, which the configuration of roles is compared with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schoolstack.deployment import ROOT

# They are read where they are kept for all who work on this: copied here they would grow old unseen.
VECTORS = ROOT.parent / "shared" / "vectors"


@pytest.fixture(scope="session")
def published() -> Callable[[str], Any]:
    """Return what upstream publishes, by the name of the list.

    A school's clone has no such lists beside it. There, a comparison with them would say nothing; what is
    rendered is still tested for all that needs no list.
    """

    def read(name: str) -> Any:
        path: Path = VECTORS / f"{name}.json"
        if not path.exists():
            pytest.skip(f"nothing to compare with: upstream's own list of settings would be {path}")
        return json.loads(path.read_text(encoding="utf-8"))

    return read
