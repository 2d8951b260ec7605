"""The one exception type that reaches people."""

from __future__ import annotations


class SchoolError(Exception):
    """A refusal in one plain sentence that names the place and the cure."""
