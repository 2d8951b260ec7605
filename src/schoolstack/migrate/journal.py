"""What became of each file of a move, on disk the moment it is known.

Lines are added, one per event, and the last about a file holds. So being killed in the middle costs at most
the line that was being written, which is left out when the file is read again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any


class Journal:
    """The journal of one move; open while it is used as a context manager.

    Attributes:
        notes: the last that is known of each file, by its path at the source.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Args:
            path: the file; made when missing, for its owner only.
        """
        self._path = path
        self._lock = Lock()
        self.notes: dict[str, dict[str, Any]] = {}
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.splitlines():
            note = json.loads(line)
            self.notes[note["path"]] = note
        self._whole = len(whole)

    def __enter__(self) -> Journal:
        """Open it, without the line that was cut off."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, self._whole)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        os.close(self._file)

    def note(self, path: str, state: str, **more: Any) -> Mapping[str, Any]:
        """Write what is now known of a file, and return it.

        Args:
            path: at the source.
            state: what it is in.
            more: what else is known; what was known before and is not named again is forgotten.
        """
        note = {"path": path, "state": state, **more}
        line = json.dumps(note, ensure_ascii=True) + "\n"
        with self._lock:
            os.write(self._file, line.encode())
            os.fsync(self._file)
            self.notes[path] = note
        return note


def write(path: Path, text: str) -> None:
    """Write a file for its owner only, so that at any moment the old or the new one is there as a whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
