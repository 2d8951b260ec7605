"""What is refused before the first change, and in which words."""

from schoolstack.preflight.checks import Server, check_inventory, check_school, check_server
from schoolstack.preflight.declaration import check_declaration

__all__ = ["Server", "check_declaration", "check_inventory", "check_school", "check_server"]
