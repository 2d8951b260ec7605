"""Read a school's secret from the inventory; make it at first use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.safe.store import Store

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
    part:
        description:
            - What is wanted of it. C(previous) is the value before, empty when no replacement is under way.
            - C(upcoming) is the value that is made ready to take its place, empty when there is none.
            - C(renewal), of something that servers make for themselves, is the moment since which it has
              to be made anew, empty when that was never asked. It is no secret.
        type: str
        choices: [value, previous, upcoming, renewal]
        default: value
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

PATH_VARIABLES = ("school_secrets_dir", "school_vault_key_file")


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
        try:
            store = Store(
                folder=self._path("secrets_dir", "secrets", variables),
                key_file=self._path("vault_key_file", ".vault-key", variables),
                read_only=bool(variables.get("ansible_check_mode")),
            )
            return [self._read(store, str(name)) for name in terms]
        except SchoolError as error:
            raise AnsibleLookupError(str(error)) from None

    def _read(self, store: Store, name: str) -> str:
        match self.get_option("part"):
            case "previous":
                return store.previous(name)
            case "upcoming":
                return store.upcoming(name)
            case "renewal":
                return store.renewal(name)
            case _:
                return store.get(name, self.get_option("length") if self.get_option("generate") else None)

    def _path(self, option: str, default: str, variables: dict[str, Any]) -> Path:
        stated = self.get_option(option)
        if stated:
            return Path(stated)
        if not variables.get("inventory_dir"):
            raise SchoolError(say("safe.no_inventory", option=option))
        return Path(variables["inventory_dir"]) / default
