"""Accounts that exist for some tests only, made as the class list makes them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Evaluates an expression on the server, with ``admin``, a connection to the Admin API.
Ask = Callable[[str], Any]


@contextmanager
def newcomer(ask: Ask, role: str, password: str) -> Iterator[str]:
    """Have somebody of a role at school who may sign in; yields the username."""
    name = f"test-{secrets.token_hex(4)}"
    user = {
        "username": name,
        "enabled": True,
        "firstName": "Test",
        "lastName": "Test",
        "groups": [f"/role/{role}"],
        "credentials": [{"type": "password", "value": password}],
    }
    body = json.dumps({"ifResourceExists": "FAIL", "users": [user]})
    ask(f"admin.post('school', 'partialImport', body=json.loads({body!r}))")
    yield name
    found = f"admin.get('school', 'users', username={name!r}, exact='true')"
    ask(f"[admin.delete('school', 'users', user['id']) for user in {found}]")
