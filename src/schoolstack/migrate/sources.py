"""Where files come from: how rclone reads it, and whether everybody's files are there."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from schoolstack.messages import say
from schoolstack.migrate.graph import Drive, Graph
from schoolstack.migrate.mapping import Move
from schoolstack.migrate.rclone import NEEDED, OLDEST, Rclone, Remote, Version
from schoolstack.migrate.settings import Settings

# How many accounts are looked at at a time before the first transfer.
_AT_ONCE = 8


class Source(Protocol):
    """A system that files come from.

    Attributes:
        title: what people call it.
        needed: the rclone from which it can be read.
    """

    title: ClassVar[str]
    needed: ClassVar[Version]

    def remote(self, move: Move) -> Remote:
        """Return how rclone reads a move's files."""

    def missing(self, moves: Sequence[Move]) -> list[str]:
        """Return a sentence for each move whose files are not there."""


def source_of(settings: Settings, rclone: Rclone) -> Source:
    """Return the source that the settings name.

    Raises:
        SchoolError: a secret of it is missing or open to others.
    """
    match settings.source["kind"]:
        case "microsoft":
            secret = settings.secret(settings.source["secret"])
            return Microsoft(settings.source["tenant"], settings.source["client_id"], secret)
        case "google":
            key = settings.secret_file(settings.source["key"])
            return Google(rclone, key, settings.source.get("administrator", ""))
        case "takeout":
            return Takeout(str(settings.path(settings.source["folder"])))
        case _:
            config = settings.secret_file(settings.source["config"])
            return Other(rclone, config, settings.source["path"])


@dataclass
class Microsoft:
    """OneDrive and SharePoint libraries, read by an application that the school registers with Microsoft.

    rclone's backend has client credentials since 1.69, and has to be told which drive; Graph knows.
    """

    title: ClassVar[str] = "Microsoft 365"
    needed: ClassVar[Version] = NEEDED
    tenant: str
    client_id: str
    secret: str = field(repr=False)
    _drives: dict[str, Drive] = field(default_factory=dict)

    def remote(self, move: Move) -> Remote:
        """Return how rclone reads a drive."""
        drive = self._drive(move)
        return Remote(
            {
                "type": "onedrive",
                "client_credentials": "true",
                "client_id": self.client_id,
                "client_secret": self.secret,
                "tenant": self.tenant,
                "drive_id": drive.id,
                "drive_type": drive.type,
                # Shown, so that they are on the receipt as what was not brought.
                "expose_onenote_files": "true",
            }
        )

    def _drive(self, move: Move) -> Drive:
        if move.name not in self._drives:
            graph = Graph(self.tenant, self.client_id, self.secret)
            self._drives[move.name] = graph.drive(move.source, library=move.kind == "library")
        return self._drives[move.name]

    def missing(self, moves: Sequence[Move]) -> list[str]:
        """Return a sentence for each account without OneDrive, and each site or library that is not there."""
        graph = Graph(self.tenant, self.client_id, self.secret)

        def look(move: Move) -> str:
            try:
                self._drives[move.name] = graph.drive(move.source, library=move.kind == "library")
            except LookupError:
                return say("migrate.source.missing", source=move.source, name=move.name, system=self.title)
            return ""

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [said for said in pool.map(look, moves) if said]


@dataclass
class Google:
    """Drive and shared drives, read by a service account that may act for everybody in the domain."""

    title: ClassVar[str] = "Google Drive"
    needed: ClassVar[Version] = NEEDED
    rclone: Rclone
    key: Path
    administrator: str

    def remote(self, move: Move) -> Remote:
        """Return how rclone reads a drive."""
        options = {
            "type": "drive",
            "scope": "drive.readonly",
            "service_account_file": str(self.key),
            # What people have by a shortcut is somebody else's, and comes with that one's files.
            "skip_shortcuts": "true",
            "export_formats": "docx,xlsx,pptx,svg",
            # So that forms and sites are on the receipt as what was not brought.
            "show_all_gdocs": "true",
        }
        if move.kind == "library":
            return Remote({**options, "impersonate": self.administrator, "team_drive": move.source})
        return Remote({**options, "impersonate": move.source})

    def missing(self, moves: Sequence[Move]) -> list[str]:
        """Return a sentence for each account or shared drive that cannot be read."""
        return _unread(self, self.rclone, moves)


@dataclass
class Takeout:
    """Archives of Google Takeout, unpacked on a disk: a folder for each account."""

    title: ClassVar[str] = "Takeout"
    needed: ClassVar[Version] = OLDEST
    folder: str

    def remote(self, move: Move) -> Remote:
        """Return how rclone reads a folder."""
        return Remote({"type": "local"}, str(self._place(move)))

    def _place(self, move: Move) -> Path:
        return Path(self.folder.replace("{account}", move.source))

    def missing(self, moves: Sequence[Move]) -> list[str]:
        """Return a sentence for each folder that is not there."""
        return [
            say("migrate.source.no_folder", path=self._place(move), name=move.name)
            for move in moves
            if ".." in move.source or not self._place(move).is_dir()
        ]


@dataclass
class Other:
    """Anything else that rclone reads, by a configuration of the school's own."""

    title: ClassVar[str] = "rclone"
    needed: ClassVar[Version] = OLDEST
    rclone: Rclone
    config: Path
    path: str

    def remote(self, move: Move) -> Remote:
        """Return how rclone reads it."""
        return Remote({}, self.path.replace("{account}", move.source), str(self.config))

    def missing(self, moves: Sequence[Move]) -> list[str]:
        """Return a sentence for each path that cannot be read."""
        return _unread(self, self.rclone, moves)


def _unread(source: Source, rclone: Rclone, moves: Sequence[Move]) -> list[str]:
    """Return a sentence for each move that rclone cannot list."""

    def look(move: Move) -> str:
        said = rclone.unlisted(source.remote(move), "source")
        if said is None:
            return ""
        if said.is_missing:
            return say("migrate.source.missing", source=move.source, name=move.name, system=source.title)
        return say("migrate.source.refused", source=move.source, name=move.name, said=said)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [said for said in pool.map(look, moves) if said]
