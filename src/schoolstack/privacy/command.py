"""``school privacy``: the register, where anything leads outside, and that nothing reports home."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from schoolstack.arguments import add_html, add_inventory, add_json, add_language
from schoolstack.deployment import answers
from schoolstack.health.report import STATES
from schoolstack.messages import language, say
from schoolstack.privacy.endpoints import Endpoint, locate, sentence
from schoolstack.privacy.register import Register


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school privacy`` and its verbs."""
    privacy = subparsers.add_parser("privacy", help=say("privacy.help.privacy"))
    verbs = privacy.add_subparsers(required=True, metavar="VERB")
    runs: dict[str, Callable[[argparse.Namespace, dict[str, Any]], int]] = {
        "register": _register,
        "endpoints": _endpoints,
        "telemetry": _telemetry,
    }
    for name, show in runs.items():
        verb = verbs.add_parser(name, help=say(f"privacy.help.{name}"))
        add_inventory(verb)
        if name == "register":
            add_html(verb)
        else:
            add_json(verb)
        add_language(verb)
        verb.set_defaults(run=_run, show=show)


def _run(arguments: argparse.Namespace) -> int:
    found = answers("privacy", arguments.inventories)
    return int(arguments.show(arguments, found))


def _register(arguments: argparse.Namespace, found: dict[str, Any]) -> int:
    outside = [one for one in _located(found) if one.people]
    records = {server: entry["records"] for server, entry in found["servers"].items()}
    page = Register(found["school"], records, outside)
    print(page.as_html() if arguments.html else page.as_markdown(), end="")
    return 0


def _endpoints(arguments: argparse.Namespace, found: dict[str, Any]) -> int:
    located = _located(found)
    worst = max((one.state for one in located), key=STATES.index, default="good")
    if arguments.json:
        rows = [{**asdict(one), "state": one.state, "sentence": sentence(one)} for one in located]
        print(json.dumps({"state": worst, "endpoints": rows}, ensure_ascii=False, indent=2))
    else:
        _print_table(
            [[say(f"health.state.{one.state}"), one.server, one.address, sentence(one)] for one in located]
        )
        print("\n" + say(f"privacy.endpoints.{worst}"))
    return STATES.index(worst)


def _telemetry(arguments: argparse.Namespace, found: dict[str, Any]) -> int:
    entries = [
        {"server": server, **one} for server, entry in found["servers"].items() for one in entry["telemetry"]
    ]
    is_on = any(one["state"] == "on" for one in entries)
    if arguments.json:
        print(
            json.dumps(
                {"state": "wrong" if is_on else "good", "telemetry": entries}, ensure_ascii=False, indent=2
            )
        )
    else:
        states = {state: say(f"privacy.telemetry.{state}") for state in ("on", "off", "none")}
        _print_table(
            [[states[one["state"]], one["server"], one["product"], one["how"][language()]] for one in entries]
        )
        print("\n" + say("privacy.telemetry.some_on" if is_on else "privacy.telemetry.all_off"))
    return STATES.index("wrong") if is_on else 0


def _located(found: dict[str, Any]) -> list[Endpoint]:
    pairs = [(server, one) for server, entry in found["servers"].items() for one in entry["endpoints"]]
    return locate(pairs, found["school"]["places"])


def _print_table(rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
