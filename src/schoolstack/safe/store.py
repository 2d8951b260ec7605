"""The folder of secrets, one encrypted file each, and the key that opens them."""

from __future__ import annotations

import datetime
import os
import re
import secrets
import string
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret, is_encrypted

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.safe import vault_key
from schoolstack.safe.files import overwrite, publish

PLACEHOLDER = "not-generated-in-check-mode"
ALPHABET = string.ascii_letters + string.digits

VALUE = ".vault"
# The value before, for as long as it is not proven that nothing takes it any more.
PREVIOUS = ".previous"
# The value that is to take its place, where servers have to know it before.
NEXT = ".next"
# The moment since which something that servers make for themselves has to be new; no secret, so in clear.
RENEWAL = ".renewal"


class Store:
    """The school's secrets.

    Attributes:
        folder: where each has its file.
        key_file: the file with the key that encrypts them.
        read_only: whether nothing may be written, as in check mode.
    """

    def __init__(self, folder: Path, key_file: Path, read_only: bool = False) -> None:
        """Remember where things lie; nothing is read or written yet."""
        self.folder = folder
        self.key_file = key_file
        self.read_only = read_only

    def get(self, name: str, length: int | None) -> str:
        """Return a secret; make it where it does not exist.

        Args:
            name: what the secret is called.
            length: characters of a new secret; None where only the school can provide it.

        Raises:
            SchoolError: it cannot be read or may not be made.
        """
        path = self.path(name)
        if path.exists():
            return self._read(path, self._key())
        if self.read_only:
            return PLACEHOLDER
        key = self._key()
        if length is None:
            raise SchoolError(say("safe.missing", path=path, key=self.key_file))
        # A secret under another key than its neighbours could never be read together with them.
        for neighbour in sorted(self.folder.glob(f"*{VALUE}"))[:1]:
            self._read(neighbour, key)
        publish(path, _encrypted(_made(length), key))
        return self._read(path, key)  # a parallel run may have been first

    def prepare(self, name: str) -> None:
        """Have ready the value that :meth:`replace` is to give a secret; the secret stays as it is.

        What was made ready before, or is replaced already and not proven yet, is left as it is.

        Args:
            name: what the secret is called; where it has no value yet there is nothing to prepare.

        Raises:
            SchoolError: it cannot be read.
        """
        path, upcoming = self.path(name), self.path(name, NEXT)
        if not path.exists() or upcoming.exists():
            return
        value = self.get(name, None)
        if self.previous(name) in ("", value):
            publish(upcoming, _encrypted(_made(len(value)), self._key()))

    def upcoming(self, name: str) -> str:
        """Return the value made ready for a secret; empty when there is none.

        Raises:
            SchoolError: it cannot be read.
        """
        path = self.path(name, NEXT)
        return self._read(path, self._key()) if path.exists() else ""

    def replace(self, name: str, length: int) -> None:
        """Give a secret a new value; what it was is kept until :meth:`forget_previous`.

        The new one is what :meth:`prepare` has made ready, if it has. One whose replacement was cut off, or
        not proven yet, keeps the value that it has got.

        Args:
            name: what the secret is called.
            length: characters where there is no value yet; otherwise the new one is as long as the old.

        Raises:
            SchoolError: it cannot be read.
        """
        path, kept = self.path(name), self.path(name, PREVIOUS)
        known = path.exists()
        value = self.get(name, length)
        if not known:
            return
        if not kept.exists():
            os.link(path, kept)
        if self.previous(name) == value:
            made = self.upcoming(name) or _made(len(value))
            overwrite(path, _encrypted(made, self._key()))
        self.path(name, NEXT).unlink(missing_ok=True)

    def previous(self, name: str) -> str:
        """Return what a secret, or its renewal, was before its replacement; empty when none is under way.

        Raises:
            SchoolError: it cannot be read.
        """
        path = self.path(name, PREVIOUS)
        return self._read(path, self._key()) if path.exists() else ""

    def forget_previous(self, name: str) -> None:
        """Say that a secret's replacement is proven."""
        self.path(name, PREVIOUS).unlink(missing_ok=True)

    def renewal(self, name: str) -> str:
        """Return since when something has to be made anew, in ISO 8601; empty when that was never asked."""
        path = self.path(name, RENEWAL)
        return path.read_text(encoding="utf-8").strip() if path.exists() else ""

    def renew(self, name: str) -> None:
        """Ask for something that servers make for themselves to be made anew.

        As with :meth:`replace`, what was asked for before and is not proven yet is not asked for again.

        Raises:
            SchoolError: what was asked for before cannot be read.
        """
        before, kept = self.renewal(name), self.path(name, PREVIOUS)
        if not kept.exists():
            publish(kept, _encrypted(before, self._key()))
        if self.previous(name) == before:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            overwrite(self.path(name, RENEWAL), f"{now}\n".encode())

    def path(self, name: str, kind: str = VALUE) -> Path:
        """Return where a secret's file is or would be.

        Raises:
            SchoolError: *name* cannot be one.
        """
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise SchoolError(say("safe.name", name=name))
        return self.folder / f"{name}{kind}"

    def _key(self) -> bytes:
        """Return the key; make it where there is neither a key nor anything it could have encrypted."""
        vault_key.finish(self.key_file)
        # In this order: a parallel run makes the key before it makes a secret.
        used = any(self.folder.glob(f"*{VALUE}"))
        if not self.key_file.exists():
            if used:
                raise SchoolError(say("safe.no_key", key=self.key_file, folder=self.folder))
            publish(self.key_file, vault_key.made())
        return vault_key.read(self.key_file)

    def _read(self, path: Path, key: bytes) -> str:
        envelope = path.read_bytes()
        if not is_encrypted(envelope):
            raise SchoolError(say("safe.in_clear", path=path, key=self.key_file))
        try:
            plain = VaultLib([("default", VaultSecret(key))]).decrypt(envelope)
        except AnsibleError:
            raise SchoolError(say("safe.other_key", path=path, key=self.key_file)) from None
        # Editors end a file with a newline that is not part of the secret.
        return str(plain.decode()).removesuffix("\n")


def _made(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _encrypted(value: str, key: bytes) -> bytes:
    envelope: bytes = VaultLib().encrypt(value, VaultSecret(key))
    return envelope
