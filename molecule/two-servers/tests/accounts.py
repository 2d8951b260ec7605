"""Who signs in, and how the tests look into Keycloak."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The class of the teacher.
CLASS = f"test-{secrets.token_hex(4)}"

# Evaluates an expression with ``admin``, a connection to the Admin API, on Keycloak's server.
Ask = Callable[[str], Any]


@dataclass(frozen=True)
class Person:
    """Somebody who signs in."""

    id: str
    username: str
    password: str
