"""``school rotate``: replace secrets of the school."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.messages import LANGUAGES, say
from schoolstack.safe.declared import VAULT_KEY


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("rotate", help=say("rotate.help.rotate"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=say("rotate.help.names"))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help=say("rotate.help.all"))
    what.add_argument("--list", action="store_true", help=say("rotate.help.list"))
    parser.add_argument(
        "-i",
        dest="inventories",
        action="append",
        required=True,
        type=Path,
        metavar="INVENTORY",
        help=say("roster.help.inventory"),
    )
    parser.add_argument("--language", choices=LANGUAGES, default="", help=say("roster.help.language"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the playbook that does it."""
    # Imported here: what only shows its help needs none of it.
    from schoolstack.deployment import run_playbook

    if arguments.language:
        os.environ["SCHOOL_LANGUAGE"] = arguments.language
    inventories = [path.absolute() for path in arguments.inventories]
    names = [name.replace("-", "_") for name in arguments.names]
    if arguments.list:
        run_playbook("secrets", inventories)
    elif VAULT_KEY in names:
        if arguments.all or len(names) > 1:
            raise SchoolError(say("rotate.alone"))
        run_playbook("vault-key", inventories)
    else:
        run_playbook("rotate", inventories, {"rotate": "all" if arguments.all else ",".join(names)})
    return 0
