"""``school breach``: the first thing to do when somebody may have got in."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from schoolstack.messages import LANGUAGES, say


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school breach start``."""
    breach = subparsers.add_parser("breach", help=say("breach.help.breach"))
    verbs = breach.add_subparsers(required=True, metavar="VERB")
    start = verbs.add_parser("start", help=say("breach.help.start"))
    start.add_argument(
        "-i",
        dest="inventories",
        action="append",
        required=True,
        type=Path,
        metavar="INVENTORY",
        help=say("roster.help.inventory"),
    )
    start.add_argument("--known", default="", metavar="MOMENT", help=say("breach.help.known"))
    start.add_argument("--days", type=int, default=30, help=say("breach.help.days"))
    start.add_argument("--language", choices=LANGUAGES, default="", help=say("roster.help.language"))
    start.set_defaults(run=_start)


def _start(arguments: argparse.Namespace) -> int:
    # Imported here: asking for help needs none of what runs playbooks.
    from schoolstack.deployment import run_playbook

    if arguments.language:
        os.environ["SCHOOL_LANGUAGE"] = arguments.language
    variables = {"breach_known": arguments.known, "breach_days": arguments.days}
    run_playbook("breach", [path.absolute() for path in arguments.inventories], variables)
    return 0
