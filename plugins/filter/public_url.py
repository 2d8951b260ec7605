"""The address at which browsers reach a host of the school."""

from __future__ import annotations

from collections.abc import Callable

DOCUMENTATION = """
name: public_url
short_description: The address at which browsers reach a host of the school
author: Schoolstack contributors
positional: port
options:
    _input:
        description: The host's name.
        type: str
        required: true
    port:
        description: The port at which the school's pages answer, C(school_public_port).
        type: int
        required: true
"""

EXAMPLES = """
url: "{{ 'login.school.example' | public_url(school_public_port) }}"
"""

RETURN = """
_value:
    description: The address, without a slash at its end.
    type: str
"""

HTTPS = 443  # RFC 9110, section 4.2.2: the port that an https address need not name


def public_authority(host: str, port: int) -> str:
    """Return a host's name, with the port where browsers need it (RFC 3986, section 3.2).

    Args:
        host: the host's name.
        port: the port at which the school's pages answer.
    """
    return host if int(port) == HTTPS else f"{host}:{port}"


def public_url(host: str, port: int) -> str:
    """Return a host's address, without a slash at its end; see :func:`public_authority`."""
    return f"https://{public_authority(host, port)}"


class FilterModule:
    """What Jinja2 gets from this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"public_authority": public_authority, "public_url": public_url}
