"""Where files go: each person's own files in Nextcloud, over WebDAV, with an app password of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from urllib.parse import quote

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.migrate.mapping import Move
from schoolstack.migrate.rclone import NEEDED, OLDEST, Rclone, Remote, Version
from schoolstack.migrate.settings import Settings
from schoolstack.roster.files import parse

_AT_ONCE = 8


class Target:
    """Nextcloud, or another WebDAV server."""

    def __init__(self, settings: Settings, rclone: Rclone) -> None:
        """Take what the settings say of it."""
        self._settings = settings
        self._rclone = rclone
        self._obscured: dict[str, str] = {}
        self.is_nextcloud = settings.target["kind"] == "nextcloud"
        self._ca = str(settings.path(settings.target["ca"])) if "ca" in settings.target else ""

    @property
    def needed(self) -> Version:
        """The rclone from which it can be written to."""
        return NEEDED if self.is_nextcloud else OLDEST

    @cached_property
    def _passwords(self) -> dict[str, str]:
        """Everybody's app password.

        Raises:
            SchoolError: the file is missing, open to others, or no such table.
        """
        path = self._settings.secret_file(self._settings.target["passwords"])
        table = parse(path.name, path.read_bytes(), ("username", "password"))
        return {row.fields["username"]: row.fields["password"] for row in table.rows}

    def remote(self, move: Move) -> Remote:
        """Return how rclone writes a move's files.

        Raises:
            SchoolError: there is no password for it.
        """
        password = self._passwords.get(move.account, "")
        if not password:
            raise SchoolError(say("migrate.target.no_password", username=move.account))
        if move.account not in self._obscured:
            self._obscured[move.account] = self._rclone.obscure(password)
        options = {"type": "webdav", "user": move.account, "pass": self._obscured[move.account]}
        url = self._settings.target["url"].rstrip("/")
        if self.is_nextcloud:
            # Uploads in pieces need this address and no other (rclone's webdav backend, chunking.go).
            url += f"/remote.php/dav/files/{quote(move.account)}"
            options |= {"vendor": "nextcloud", "nextcloud_chunk_size": self._settings.target["chunk"]}
        else:
            url = url.replace("{account}", quote(move.account))
            options["vendor"] = "other"
        return Remote({**options, "url": f"{url}/"}, ca=self._ca)

    def unknown(self, moves: Sequence[Move]) -> list[str]:
        """Return a sentence for each account that is not let in."""
        accounts = {move.account: move for move in moves}

        def look(move: Move) -> str:
            try:
                remote = self.remote(move)
            except SchoolError as error:
                return str(error)
            said = self._rclone.unlisted(remote, "target")
            if said is None:
                return ""
            key = "unknown" if said.is_denied or said.is_missing else "refused"
            return say(f"migrate.target.{key}", username=move.account, said=said)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [said for said in pool.map(look, accounts.values()) if said]
