"""Make the stand-ins that are needed here, and write down what leads to them: stand_ins.py INVENTORY."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from schoolstack.deployment import Deployment
from schoolstack.hosts.lab import Lab
from schoolstack.stand_ins.choice import stand_ins_for


def main() -> None:
    """Write ``files/stand-ins.json``: by application, the variables."""
    inventory = Path(sys.argv[1])
    school = Deployment(inventory, "collaboration-server", Lab())
    # Where the role school has archives kept.
    artefacts = os.environ.get("SCHOOLSTACK_ARTEFACTS") or "~/.cache/schoolstack/artefacts"
    found = stand_ins_for(school, artefacts=Path(artefacts).expanduser())
    folder = inventory / "files"
    folder.mkdir(exist_ok=True)
    (folder / "stand-ins.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
