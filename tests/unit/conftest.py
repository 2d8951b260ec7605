"""Let tests import what modules import: Ansible itself merges these folders when it packs a module."""

from __future__ import annotations

from pathlib import Path

import ansible.module_utils

ansible.module_utils.__path__.append(str(Path(__file__).parents[2] / "plugins" / "module_utils"))
