"""Which products stand-ins take the place of, on a test host: those that cannot be had here."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from schoolstack.deployment import Deployment
from schoolstack.stand_ins import at_hand, make_nextcloud, nextcloud_pins, within_reach
from schoolstack.stand_ins.office import bring_office, make_office, office_within_reach

# Those that there is a stand-in for.
ALL = ("nextcloud", "collabora")


def stand_ins_for(
    school: Deployment, applications: Collection[str] = ALL, artefacts: Path | None = None
) -> dict[str, Mapping[str, Any]]:
    """Make stand-ins for what is neither at hand nor within reach, and bring the server what it needs.

    Args:
        school: a school on a test host.
        applications: those that it has; others get none.
        artefacts: where its archives are kept; when not given, where SCHOOLSTACK_ARTEFACTS says, or
            else beside the test hosts.

    Returns:
        By application, the variables that put its stand-in in the real one's place. They overrule what roles
        pin, as only variables of the command line and facts do.
    """
    root = school.lab.state.root
    artefacts = artefacts or Path(os.environ.get("SCHOOLSTACK_ARTEFACTS", root / "artefacts"))
    folder = root / "stand-ins"
    found: dict[str, Mapping[str, Any]] = {}
    pins = nextcloud_pins()
    if "nextcloud" in applications and not at_hand(pins, artefacts) and not within_reach(pins):
        found["nextcloud"] = {"nextcloud_artefacts": make_nextcloud(folder)}
    if "collabora" in applications and not office_within_reach():
        found["collabora"] = make_office(folder / "collabora")
        bring_office(folder / "collabora", school)
    return found
