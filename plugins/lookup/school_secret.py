"""Read a school's secret from the inventory; make it at first use."""

from __future__ import annotations

import os
import re
import secrets
import string
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.parsing.vault import VaultLib, VaultSecret, is_encrypted
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = r"""
name: school_secret
short_description: A secret of the school, made at first use and kept encrypted in the inventory
description:
    - Each secret is a file of its own, C(<name>.vault), which C(ansible-vault view) can read too.
    - Reading one costs about 5 ms, in every task and every template that mentions it.
    - In check mode nothing is written; a missing secret reads as C(not-generated-in-check-mode).
author: Schoolstack contributors
options:
    _terms:
        description: Names of secrets, of lower-case letters, digits and underscores.
        required: true
    length:
        description: How many characters a new secret has.
        type: int
        default: 32
    generate:
        description: Whether a missing secret is made. Set to false for what only the school can provide.
        type: bool
        default: true
    secrets_dir:
        description: Where the secrets lie; the folder C(secrets) beside the inventory when not set.
        type: path
        vars:
            - name: school_secrets_dir
    vault_key_file:
        description: File with the key that encrypts them; C(.vault-key) beside the inventory when not set.
        type: path
        vars:
            - name: school_vault_key_file
"""

EXAMPLES = r"""
- name: Write the password file
  ansible.builtin.copy:
    content: "{{ lookup('school_secret', 'keycloak_database') }}"
    dest: /etc/example/password
    mode: "0600"
  no_log: true
"""

RETURN = r"""
_list:
    description: The secrets.
    type: list
    elements: str
"""

PLACEHOLDER = "not-generated-in-check-mode"
ALPHABET = string.ascii_letters + string.digits
PATH_VARIABLES = ("school_secrets_dir", "school_vault_key_file")
KEY_BYTES = 32  # 256 bits, the strength of the AES-256 that Ansible Vault uses


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the secrets named by *terms*.

        Raises:
            AnsibleLookupError: in one sentence, when a secret cannot be read or may not be made.
        """
        variables = variables or {}
        # Variables come as they were written, and both may say "{{ inventory_dir }}/...".
        written = {name: variables[name] for name in PATH_VARIABLES if name in variables}
        known = self._templar.template(written) if self._templar else written
        self.set_options(var_options=known, direct=kwargs)
        store = Store(
            folder=self._path("secrets_dir", "secrets", variables),
            key_file=self._path("vault_key_file", ".vault-key", variables),
            read_only=bool(variables.get("ansible_check_mode")),
        )
        length = self.get_option("length") if self.get_option("generate") else None
        return [store.get(str(name), length) for name in terms]

    def _path(self, option: str, default: str, variables: dict[str, Any]) -> Path:
        stated = self.get_option(option)
        if stated:
            return Path(stated)
        if not variables.get("inventory_dir"):
            raise AnsibleLookupError(
                f"The school's secrets lie beside its inventory, but this host has none: set school_{option}."
            )
        return Path(variables["inventory_dir"]) / default


class Store:
    """The folder of secrets and the key that opens it."""

    def __init__(self, folder: Path, key_file: Path, read_only: bool) -> None:
        """Remember where things lie; nothing is read or written yet."""
        self.folder = folder
        self.key_file = key_file
        self.read_only = read_only

    def get(self, name: str, length: int | None) -> str:
        """Return the secret *name*.

        Args:
            name: what the secret is called.
            length: characters of a new secret; None where only the school can provide it.
        """
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise AnsibleLookupError(
                f"{name!r} cannot name a secret: write lower-case letters, digits and underscores."
            )
        path = self.folder / f"{name}.vault"
        if path.exists():
            return self._read(path, self._key())
        if self.read_only:
            return PLACEHOLDER
        key = self._key()
        if length is None:
            raise AnsibleLookupError(
                f"The secret {path} is missing and only the school can provide it: write it with "
                f"`ansible-vault create --vault-password-file {self.key_file} {path}`."
            )
        # A secret under another key than its neighbours could never be read together with them.
        for neighbour in sorted(self.folder.glob("*.vault"))[:1]:
            self._read(neighbour, key)
        value = "".join(secrets.choice(ALPHABET) for _ in range(length))
        publish(path, VaultLib().encrypt(value, VaultSecret(key)))
        return self._read(path, key)  # a parallel run may have been first

    def _key(self) -> bytes:
        """Return the key; make it where there is neither a key nor anything it could have encrypted."""
        # In this order: a parallel run makes the key before it makes a secret.
        used = any(self.folder.glob("*.vault"))
        if not self.key_file.exists():
            if used:
                raise AnsibleLookupError(
                    f"The key {self.key_file} is missing, without which nothing in {self.folder} "
                    "can be read: put it back from your copy."
                )
            publish(self.key_file, secrets.token_urlsafe(KEY_BYTES).encode() + b"\n")
        key = self.key_file.read_bytes().strip()
        if not key:
            raise AnsibleLookupError(f"The key {self.key_file} is empty: put it back from your copy.")
        return key

    def _read(self, path: Path, key: bytes) -> str:
        envelope = path.read_bytes()
        if not is_encrypted(envelope):
            raise AnsibleLookupError(
                f"{path} is not encrypted: run "
                f"`ansible-vault encrypt --vault-password-file {self.key_file} {path}`."
            )
        try:
            plain = VaultLib([("default", VaultSecret(key))]).decrypt(envelope)
        except AnsibleError:
            raise AnsibleLookupError(
                f"The key {self.key_file} does not open {path}: put back the one with which it was encrypted."
            ) from None
        # Editors end a file with a newline that is not part of the secret.
        return str(plain.decode()).removesuffix("\n")


def publish(path: Path, content: bytes) -> None:
    """Write *path* for its owner only, whole or not at all, unless it exists: the first of two runs wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
