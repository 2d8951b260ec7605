"""Load a plugin of the project by its file: Ansible finds them by itself, Python does not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

PLUGINS = Path(__file__).parents[2] / "plugins"


def load(path: str) -> Any:
    """Return a plugin as a module.

    Args:
        path: its file below ``plugins``.
    """
    spec = importlib.util.spec_from_file_location(Path(path).stem, PLUGINS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
