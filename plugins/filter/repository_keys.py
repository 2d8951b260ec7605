"""Which key files of a restic repository go when its password was replaced."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from schoolstack.safe.repository_keys import judge

DOCUMENTATION = r"""
name: repository_keys
short_description: The key files of a restic repository that an old password opens
description:
    - Needs nothing but the files, so that where they lie nobody learns a password.
author: Schoolstack contributors
positional: _input, value, previous
options:
    _input:
        description: By path what each key file holds, in base64.
        type: dict
        required: true
    value:
        description: The new password.
        type: str
        required: true
    previous:
        description: The old one.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Find the old key
  ansible.builtin.set_fact:
    found: "{{ files | repository_keys(value, previous) }}"
  no_log: true
"""

RETURN = r"""
_value:
    description:
        - C(old), the paths of the files that the old password opens, and C(new_works), whether the new one
          opens another that holds the same key of the repository.
    type: dict
"""


class FilterModule:
    """See DOCUMENTATION."""

    def filters(self) -> dict[str, Any]:
        """Return the filter."""
        return {"repository_keys": repository_keys}


def repository_keys(files: Mapping[str, str], value: str, previous: str) -> dict[str, Any]:
    """Decode the files and judge them."""
    decoded = {path: base64.b64decode(content) for path, content in files.items()}
    return judge(decoded, value, previous)
