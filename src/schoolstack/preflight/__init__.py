"""What is refused before the first change, and in which words."""

from schoolstack.preflight.checks import (
    Page,
    Server,
    check_inventory,
    check_pages,
    check_school,
    check_server,
    check_watched,
)
from schoolstack.preflight.declaration import check_declaration, unit
from schoolstack.preflight.removal import Holder, check_removal

__all__ = [
    "Holder",
    "Page",
    "Server",
    "check_declaration",
    "check_inventory",
    "check_pages",
    "check_removal",
    "check_school",
    "check_server",
    "check_watched",
    "unit",
]
