"""``school migrate``: people's files from Microsoft 365 or Google Workspace, into Nextcloud."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from schoolstack.arguments import add_inventory, add_json, add_language
from schoolstack.errors import SchoolError
from schoolstack.messages import say


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school migrate`` and its verbs."""
    migrate = subparsers.add_parser("migrate", help=say("migrate.help.migrate"))
    verbs = migrate.add_subparsers(required=True, metavar="VERB")
    runs: dict[str, Callable[[argparse.Namespace], int]] = {
        "accounts": _servers,
        "passwords": _servers,
        "check": _check,
        "plan": _plan,
        "run": _run,
        "report": _report,
        "back": _servers,
    }
    for name, run in runs.items():
        verb = verbs.add_parser(name, help=say(f"migrate.help.{name}"))
        verb.add_argument("settings", type=Path, metavar="SETTINGS", help=say("migrate.help.settings"))
        if run is _servers:
            add_inventory(verb)
        elif name != "report":
            verb.add_argument(
                "--only", action="append", default=[], metavar="NAME", help=say("migrate.help.only")
            )
        if name == "run":
            verb.add_argument("--now", action="store_true", help=say("migrate.help.now"))
        if name in ("plan", "report"):
            add_json(verb)
        add_language(verb)
        verb.set_defaults(run=run, verb=name)


def _servers(arguments: argparse.Namespace) -> int:
    from schoolstack.migrate import servers, settings

    asked = {
        "accounts": servers.write_accounts,
        "passwords": servers.make_passwords,
        "back": servers.take_passwords_back,
    }
    count = asked[arguments.verb](settings.load(arguments.settings), arguments.inventories)
    print(say(f"migrate.{arguments.verb}.done", count=count))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from schoolstack.migrate import run

    way, moves = run.prepare(arguments.settings, arguments.only)
    people = sum(move.kind == "person" for move in moves)
    print(
        say(
            "migrate.checked",
            people=people,
            libraries=len(moves) - people,
            system=way.source.title,
            url=way.settings.target["url"],
            version=".".join(map(str, way.rclone.version)),
        )
    )
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    from schoolstack.migrate import look, run
    from schoolstack.migrate.mover import alone

    way, moves = run.prepare(arguments.settings, arguments.only)
    looks = []
    with alone(way.settings.work):
        for move in moves:
            looks.append(look.look(way, move))
            looks[-1].save(way.settings.work)
    if arguments.json:
        print(json.dumps(look.as_data(looks), ensure_ascii=False, indent=2))
    else:
        print(look.as_text(looks))
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from schoolstack.migrate import run

    way, moves = run.prepare(arguments.settings, arguments.only, ignores_hours=arguments.now)
    return 0 if run.run(way, moves) else 1


def _report(arguments: argparse.Namespace) -> int:
    from schoolstack.migrate import mapping, receipt, settings

    chosen = settings.load(arguments.settings)
    if not (chosen.work / "receipts").is_dir():
        raise SchoolError(say("migrate.report.none", path=chosen.work))
    data, text = receipt.school_report(chosen.work, mapping.moves(chosen))
    print(json.dumps(data, ensure_ascii=False, indent=2) if arguments.json else text, end="")
    return 0
