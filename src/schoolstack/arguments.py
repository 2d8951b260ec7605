"""Arguments that several commands of ``school`` take in the same way."""

from __future__ import annotations

import argparse
from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.messages import LANGUAGES, say


def add_inventory(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add ``-i``, any number of times; ``inventories`` are the absolute paths.

    Args:
        parser: where it is added.
        required: whether the command means nothing without one.
    """
    parser.add_argument(
        "-i",
        "--inventory",
        dest="inventories",
        action="append",
        default=None if required else [],
        required=required,
        type=_inventory,
        metavar="INVENTORY",
        help=say("arguments.inventory"),
    )


def _inventory(given: str) -> Path:
    """Return where an inventory is, in full, since playbooks run in the project's own folder.

    Raises:
        SchoolError: there is none.
    """
    path = Path(given).absolute()
    # Ansible only warns, and then knows fewer servers than it was told.
    if not path.exists():
        raise SchoolError(say("arguments.no_inventory", path=given))
    return path


def add_language(parser: argparse.ArgumentParser) -> None:
    """Add ``--language``, which the command ``school`` itself obeys."""
    parser.add_argument("--language", choices=LANGUAGES, default="", help=say("arguments.language"))


def add_html(parser: argparse.ArgumentParser) -> None:
    """Add ``--html``."""
    parser.add_argument("--html", action="store_true", help=say("arguments.html"))


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help=say("arguments.json"))
