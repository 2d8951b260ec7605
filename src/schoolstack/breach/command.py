"""``school breach``: the first thing to do when somebody may have got in."""

from __future__ import annotations

import argparse

from schoolstack.arguments import add_inventory, add_language
from schoolstack.messages import say


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school breach start``."""
    breach = subparsers.add_parser("breach", help=say("breach.help.breach"))
    verbs = breach.add_subparsers(required=True, metavar="VERB")
    start = verbs.add_parser("start", help=say("breach.help.start"))
    add_inventory(start)
    start.add_argument("--known", default="", metavar="MOMENT", help=say("breach.help.known"))
    start.add_argument("--days", type=int, default=30, help=say("breach.help.days"))
    add_language(start)
    start.set_defaults(run=_start)


def _start(arguments: argparse.Namespace) -> int:
    # Imported here: asking for help needs none of what runs playbooks.
    from schoolstack.deployment import run_playbook

    variables = {"breach_known": arguments.known, "breach_days": arguments.days}
    run_playbook("breach", arguments.inventories, variables)
    return 0
