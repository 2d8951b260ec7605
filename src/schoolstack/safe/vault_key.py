"""The key of a school's inventory, and how everything in it comes under another one, whole or not at all.

All that is to be written is first put into one journal beside the key. The journal's appearance is the moment
of change: what happens before it leaves everything as it was, what happens after is finished by the next use.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.safe.files import overwrite

KEY_BYTES = 32  # 256 bits, the strength of the AES-256 that Ansible Vault uses
JOURNAL = ".change"

# What Ansible Vault has encrypted: a whole file, or a value in a file, which is indented.
_ENVELOPE = re.compile(rb"(?m)^([ \t]*)(\$ANSIBLE_VAULT;[^\n]*\n(?:\1[0-9a-f]+[ \t]*(?:\n|\Z))+)")


def made() -> bytes:
    """Return a new key, as its file holds it."""
    return secrets.token_urlsafe(KEY_BYTES).encode() + b"\n"


def read(key_file: Path) -> bytes:
    """Return the key.

    Raises:
        SchoolError: the file is empty.
    """
    key = key_file.read_bytes().strip()
    if not key:
        raise SchoolError(say("safe.empty_key", key=key_file))
    return key


def change(key_file: Path, folders: Iterable[Path]) -> list[Path]:
    """Put everything that the key encrypts under a new key.

    Args:
        key_file: the file with the key.
        folders: where encrypted files are, and files with encrypted values.

    Returns:
        The files that were encrypted anew.

    Raises:
        SchoolError: there is no key, or it does not open one of them; nothing has changed then.
    """
    finish(key_file)
    if not key_file.exists():
        raise SchoolError(say("safe.no_key_to_change", key=key_file))
    old, new = read(key_file), made()
    files: dict[str, str] = {}
    for path in _encrypted_files(folders, key_file):
        try:
            content = _again(path.read_bytes(), old, new.strip())
        except AnsibleError:
            raise SchoolError(say("safe.other_key_to_change", path=path, key=key_file)) from None
        files[str(path)] = base64.b64encode(content).decode()
    journal = {"files": files, "key": new.decode()}
    overwrite(_journal(key_file), json.dumps(journal).encode())
    finish(key_file)
    return [Path(name) for name in files]


def finish(key_file: Path) -> None:
    """Bring to its end a change of the key that was cut off; do nothing where there is none."""
    try:
        journal = json.loads(_journal(key_file).read_bytes())
    except FileNotFoundError:
        return
    for name, content in journal["files"].items():
        overwrite(Path(name), base64.b64decode(content))
    overwrite(key_file, journal["key"].encode())
    _journal(key_file).unlink(missing_ok=True)


def _journal(key_file: Path) -> Path:
    return key_file.with_name(key_file.name + JOURNAL)


def _encrypted_files(folders: Iterable[Path], key_file: Path) -> Iterator[Path]:
    """Yield every file below the folders that holds something encrypted, once, and never as a link."""
    seen = {key_file.resolve(), _journal(key_file).resolve()}
    for folder in folders:
        for place, inner, names in os.walk(folder, followlinks=True):
            inner[:] = [name for name in inner if name != ".git"]
            for path in sorted((Path(place) / name).resolve() for name in names):
                if path not in seen and path.is_file() and _ENVELOPE.search(path.read_bytes()):
                    yield path
                seen.add(path)


def _again(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return *content* with whatever is encrypted in it encrypted with another key, indented as before."""
    opened = VaultLib([("default", VaultSecret(old))])

    def envelope(found: re.Match[bytes]) -> bytes:
        indent = found[1]
        plain = opened.decrypt(b"\n".join(line.strip() for line in found[2].splitlines()) + b"\n")
        lines = VaultLib().encrypt(plain, VaultSecret(new)).splitlines()
        end = b"\n" if found[2].endswith(b"\n") else b""
        return b"\n".join(indent + line.strip() for line in lines) + end

    return _ENVELOPE.sub(envelope, content)
