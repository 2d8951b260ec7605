"""``school person``: what is kept of one person, for whoever asks for it or wants to be forgotten."""

from __future__ import annotations

import argparse
import sys

from schoolstack.arguments import add_inventory, add_language
from schoolstack.errors import SchoolError
from schoolstack.messages import say


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school person`` and its verbs."""
    person = subparsers.add_parser("person", help=say("person.help.person"))
    verbs = person.add_subparsers(required=True, metavar="VERB")
    for name in ("show", "export", "erase"):
        verb = verbs.add_parser(name, help=say(f"person.help.{name}"))
        verb.add_argument("username", metavar="USERNAME", help=say("person.help.username"))
        add_inventory(verb)
        add_language(verb)
        verb.set_defaults(run=_run, do=name)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: asking for help needs none of what runs playbooks.
    from schoolstack.deployment import run_playbook

    variables = {"person": arguments.username, "person_do": arguments.do}
    if arguments.do == "erase":
        run_playbook("person", arguments.inventories, {**variables, "person_do": "ask"})
        print("\n" + say("person.ask", username=arguments.username), end=" ", flush=True)
        variables["person_typed"] = sys.stdin.readline().strip()
        # Said here, before the servers are asked again.
        if variables["person_typed"] != arguments.username:
            raise SchoolError(say("person.typed", username=arguments.username))
    run_playbook("person", arguments.inventories, variables)
    return 0
