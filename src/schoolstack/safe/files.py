"""Write files of which a reader, or a power cut, never meets half."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def publish(path: Path, content: bytes) -> None:
    """Write *path* for its owner only, unless it exists: the first of two runs wins."""
    draft = _draft(path, content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _settle(path.parent)


def overwrite(path: Path, content: bytes) -> None:
    """Put *content* into the place of what *path* holds, with its owner and permissions."""
    draft = _draft(path, content)
    if path.exists():
        before = path.stat()
        os.chown(draft, before.st_uid, before.st_gid)
        draft.chmod(before.st_mode)
    draft.replace(path)
    _settle(path.parent)


def _draft(path: Path, content: bytes) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _settle(folder: Path) -> None:
    """Have a folder's new names on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
