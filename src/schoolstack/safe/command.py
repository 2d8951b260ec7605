"""``school rotate``: replace secrets of the school."""

from __future__ import annotations

import argparse

from schoolstack.arguments import add_inventory, add_language
from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.safe.declared import VAULT_KEY


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("rotate", help=say("rotate.help.rotate"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=say("rotate.help.names"))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help=say("rotate.help.all"))
    what.add_argument("--list", action="store_true", help=say("rotate.help.list"))
    add_inventory(parser)
    add_language(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the playbook that does it."""
    # Imported here: what only shows its help needs none of it.
    from schoolstack.deployment import run_playbook

    names = [name.replace("-", "_") for name in arguments.names]
    if arguments.list:
        run_playbook("secrets", arguments.inventories)
    elif VAULT_KEY in names:
        if arguments.all or len(names) > 1:
            raise SchoolError(say("rotate.alone"))
        run_playbook("vault-key", arguments.inventories)
    else:
        run_playbook("rotate", arguments.inventories, {"rotate": "all" if arguments.all else ",".join(names)})
    return 0
