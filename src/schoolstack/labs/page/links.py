"""The secret in each page's address. It is what lets somebody in."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from hmac import compare_digest
from pathlib import Path

from schoolstack.hosts.state import make_folder, read_json, write_json

# Bytes of a secret; 16 are beyond guessing, and 22 letters fit on a line.
SECRET_BYTES = 16
# Whose secret it is beside those of the seats, whose names are numbers.
TRAINER = "trainer"


class Links:
    """The secrets of a lesson's pages, by whose they are."""

    def __init__(self, file: Path) -> None:
        """Know nobody's yet.

        Args:
            file: where they are kept, so that a link stays the same when the pages are served again.
        """
        self._file = file
        self._secrets: Mapping[str, str] = {}

    def know(self, numbers: Iterable[str]) -> None:
        """Read the secrets of some seats and the trainer, and make those that are missing.

        Args:
            numbers: the seats'; empty for the one outside a room.
        """
        kept: dict[str, str] = read_json(self._file) or {}
        secrets = {name: kept.get(name) or _new() for name in (TRAINER, *numbers)}
        if not secrets.items() <= kept.items():
            make_folder(self._file.parent, 0o700)
            write_json(self._file, kept | secrets)
        self._secrets = secrets

    def path(self, name: str) -> str:
        """Return the path of somebody's page."""
        kind = "room" if name == TRAINER else "seat"
        return f"/{kind}/{self._secrets[name]}"

    def whose(self, kind: str, secret: str) -> str | None:
        """Return whose page a path leads to; None when nobody's.

        Args:
            kind: ``room`` or ``seat``.
            secret: the rest of the path.
        """
        given, found = secret.encode(), None
        # All are compared, so that the time it takes tells nothing.
        for name, own in self._secrets.items():
            if compare_digest(given, own.encode()) and (name == TRAINER) == (kind == "room"):
                found = name
        return found


def _new() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)
