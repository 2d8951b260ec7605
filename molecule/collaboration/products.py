"""See which products can be had, make stand-ins for the others, write both down: products.py INVENTORY."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from schoolstack.deployment import ROOT, Deployment
from schoolstack.hosts.lab import Lab
from schoolstack.reference.declarations import resolved
from schoolstack.stand_ins.choice import stand_ins_for

# What roles say of where the products come from.
PINNED = ("collabora_apt_url", "collabora_artefacts", "nextcloud_artefacts")


def main() -> None:
    """Write ``files/products.json``: which are stand-ins, and the variables that lead to all."""
    inventory = Path(sys.argv[1])
    school = Deployment(inventory, "collaboration-server", Lab())
    # Where the role school has archives kept.
    artefacts = os.environ.get("SCHOOLSTACK_ARTEFACTS") or "~/.cache/schoolstack/artefacts"
    made = stand_ins_for(school, artefacts=Path(artefacts).expanduser())
    variables = {name: resolved(ROOT, name) for name in PINNED}
    for given in made.values():
        variables |= given
    folder = inventory / "files"
    folder.mkdir(exist_ok=True)
    found = {"stand_ins": sorted(made), "variables": variables}
    (folder / "products.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
