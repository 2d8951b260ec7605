"""``school roster``: the class list from the command line."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from schoolstack.arguments import add_html, add_inventory, add_language
from schoolstack.messages import say
from schoolstack.roster.reader import read


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school roster`` and its verbs."""
    roster = subparsers.add_parser("roster", help=say("roster.help.roster"))
    verbs = roster.add_subparsers(required=True, metavar="VERB")

    for name in ("plan", "apply", "check"):
        verb = verbs.add_parser(name, help=say(f"roster.help.{name}"))
        needed: dict[str, Any] = {} if name == "check" else {"nargs": "?", "default": ""}
        verb.add_argument("source", metavar="LIST", help=say("roster.help.source"), **needed)
        verb.add_argument("--map", default="", help=say("roster.help.map"))
        verb.add_argument("--own-usernames", action="store_true", help=say("roster.help.usernames"))
        verb.add_argument("--guardians", action="store_true", help=say("roster.help.guardians"))
        if name == "check":
            verb.set_defaults(run=_check)
        else:
            add_inventory(verb)
            verb.add_argument("--list", default="", help=say("roster.help.list"))
            verb.add_argument("--allow-mass-leave", action="store_true", help=say("roster.help.mass"))
            verb.set_defaults(run=_play, apply=name == "apply")
        add_language(verb)

    delete = verbs.add_parser("delete-leavers", help=say("roster.help.delete"))
    add_inventory(delete)
    delete.add_argument("--list", default="", help=say("roster.help.list"))
    delete.add_argument("--apply", action="store_true", help=say("roster.help.really"))
    delete.set_defaults(run=_play, delete_leavers=True)
    add_language(delete)

    shown = verbs.add_parser("sheets", help=say("roster.help.sheets"))
    add_inventory(shown)
    shown.add_argument("sheet", nargs="?", default="", help=say("roster.help.sheet"))
    add_html(shown)
    shown.set_defaults(run=_sheets)
    add_language(shown)

    sample = verbs.add_parser("sample", help=say("roster.help.sample"))
    sample.add_argument("folder", type=Path, help=say("roster.help.folder"))
    for name, default in (
        ("pupils", 60),
        ("classes", 3),
        ("teachers", 6),
        ("staff", 2),
        ("ict", 1),
        ("seed", 1),
    ):
        sample.add_argument(f"--{name}", type=int, default=default)
    sample.set_defaults(run=_sample)


def _check(arguments: argparse.Namespace) -> int:
    school = read(
        arguments.source,
        map_name=arguments.map,
        own_usernames=arguments.own_usernames,
        guardians=arguments.guardians,
    )
    counts = Counter(role for person in school.people for role in person.roles)
    roles = ", ".join(f"{role} {count}" for role, count in sorted(counts.items()))
    people, classes = len(school.people), len(school.classes)
    print(say("roster.checked", file=arguments.source, people=people, classes=classes, roles=roles))
    return 0


def _play(arguments: argparse.Namespace) -> int:
    # Imported here: reading a file or writing a sample needs none of what runs playbooks.
    from schoolstack.deployment import run_playbook

    given = vars(arguments)
    variables = {
        f"roster_{name}": given[name]
        for name in (
            "list",
            "map",
            "apply",
            "delete_leavers",
            "allow_mass_leave",
            "own_usernames",
            "guardians",
        )
        if given.get(name)
    }
    if given.get("source"):
        variables["roster_source"] = str(Path(given["source"]).expanduser().absolute())
    run_playbook("roster", arguments.inventories, variables)
    return 0


def _sheets(arguments: argparse.Namespace) -> int:
    from schoolstack.roster import sheets

    first = arguments.inventories[0]
    inventory = first if first.is_dir() else first.parent
    pages = sheets.pages(sheets.folder(inventory), inventory / ".vault-key", arguments.sheet)
    for page in pages:
        print(page.html if arguments.html else page.text)
    return 0


def _sample(arguments: argparse.Namespace) -> int:
    from schoolstack.roster import sample

    sample.write(
        arguments.folder,
        pupils=arguments.pupils,
        classes=arguments.classes,
        teachers=arguments.teachers,
        staff=arguments.staff,
        ict=arguments.ict,
        seed=arguments.seed,
    )
    return 0
