"""Arguments that several commands of ``school`` take in the same way."""

from __future__ import annotations

import argparse
from pathlib import Path

from schoolstack.messages import LANGUAGES, say


def add_inventory(parser: argparse.ArgumentParser) -> None:
    """Add ``-i``, any number of times; ``inventories`` are the absolute paths."""
    parser.add_argument(
        "-i",
        dest="inventories",
        action="append",
        required=True,
        # Playbooks run in the project's own folder.
        type=lambda given: Path(given).absolute(),
        metavar="INVENTORY",
        help=say("arguments.inventory"),
    )


def add_language(parser: argparse.ArgumentParser) -> None:
    """Add ``--language``, which the command ``school`` itself obeys."""
    parser.add_argument("--language", choices=LANGUAGES, default="", help=say("arguments.language"))


def add_html(parser: argparse.ArgumentParser) -> None:
    """Add ``--html``."""
    parser.add_argument("--html", action="store_true", help=say("arguments.html"))


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help=say("arguments.json"))
