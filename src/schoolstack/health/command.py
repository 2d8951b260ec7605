"""``school health``: how everything is, in a line each."""

from __future__ import annotations

import argparse
import sys

from schoolstack.arguments import add_inventory, add_json, add_language
from schoolstack.errors import SchoolError
from schoolstack.health.report import STATES, Report
from schoolstack.messages import say

# What a run that could not be made counts as, for cron.
WRONG = STATES.index("wrong")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "health", help=say("health.help.health"), description=say("health.help.exit")
    )
    add_inventory(parser)
    add_json(parser)
    parser.add_argument("--drift", action="store_true", help=say("health.help.drift"))
    add_language(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask all servers, print what they say, and return the exit code that stands for it."""
    # Imported here: what is only parsed needs none of what runs playbooks.
    from schoolstack.deployment import answers

    try:
        report = Report.from_content(answers("health", arguments.inventories))
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
            looked = drift.look(arguments.inventories, reached)
            for server, found in looked.items():
                report.servers[server] += found
    print(report.as_json() if arguments.json else report.as_text(colour=sys.stdout.isatty()))
    return report.exit_code
