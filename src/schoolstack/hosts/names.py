"""What a test host may be called, and what its name says."""

from __future__ import annotations

import re

from schoolstack.errors import SchoolError

# A host name is at most 63 characters (RFC 1123); the scenario's part and the bridge's are put before it.
NAME = re.compile(r"(?=.{3,48}$)([a-z][a-z0-9]*)-([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")
SNAPSHOT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def split(name: str) -> tuple[str, str]:
    """Return the scenario and the inventory host that ``<scenario>-<host>`` names.

    Raises:
        SchoolError: when the name has another shape.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise SchoolError(
            f'"{name}" is not a name for a test host: write <scenario>-<host> in small letters and '
            "digits, for example demo-server"
        )
    return match[1], match[2]


def check_snapshot(snapshot: str) -> None:
    """Refuse a snapshot name that could not be a folder's name.

    Raises:
        SchoolError: when the name has another shape than small letters, digits and dashes.
    """
    if not SNAPSHOT.fullmatch(snapshot):
        raise SchoolError(
            f'"{snapshot}" is not a name for a snapshot: write small letters, digits and dashes, '
            "for example before-upgrade"
        )
