"""Sentences of the project's catalogue, for playbooks."""

from __future__ import annotations

from typing import Any

from schoolstack.messages import say

DOCUMENTATION = r"""
name: say
short_description: A sentence of the project's catalogue, its values filled in
description:
    - In the language of whoever runs the playbook.
author: Schoolstack contributors
positional: _input
options:
    _input:
        description: The sentence's dotted key.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Say it
  ansible.builtin.debug:
    msg: "{{ 'backup.extracted' | say(path='/root/look', host='server', time='2026-11-20') }}"
"""

RETURN = r"""
_value:
    description: The sentence.
    type: str
"""


class FilterModule:
    """See DOCUMENTATION."""

    def filters(self) -> dict[str, Any]:
        """Return the filter."""
        return {"say": lambda key, **values: say(key, **values)}
