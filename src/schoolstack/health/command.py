"""``school health``: how everything is, in a line each."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.health.report import STATES, Report
from schoolstack.messages import LANGUAGES, say

# What a run that could not be made counts as, for cron.
WRONG = STATES.index("wrong")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "health", help=say("health.help.health"), description=say("health.help.exit")
    )
    parser.add_argument(
        "-i",
        dest="inventories",
        action="append",
        required=True,
        type=Path,
        metavar="INVENTORY",
        help=say("roster.help.inventory"),
    )
    parser.add_argument("--json", action="store_true", help=say("health.help.json"))
    parser.add_argument("--drift", action="store_true", help=say("health.help.drift"))
    parser.add_argument("--language", choices=LANGUAGES, default="", help=say("roster.help.language"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask all servers, print what they say, and return the exit code that stands for it."""
    if arguments.language:
        os.environ["SCHOOL_LANGUAGE"] = arguments.language
    # Imported here: what is only parsed needs none of what runs playbooks.
    from schoolstack.deployment import answers

    inventories = [path.absolute() for path in arguments.inventories]
    try:
        report = Report.from_content(answers("health", inventories))
    except SchoolError as error:
        print(f"school: {error}", file=sys.stderr)
        return WRONG
    if arguments.drift:
        from schoolstack.health import drift

        reached = [
            server
            for server, found in report.servers.items()
            if not any(one["check"] == "reached" for one in found)
        ]
        if reached:
            looked = drift.look(inventories, reached)
            for server, found in looked.items():
                report.servers[server] += found
    print(report.as_json() if arguments.json else report.as_text(colour=sys.stdout.isatty()))
    return report.exit_code
