"""``school lab bundle``: what lessons need, for a room without internet."""

from __future__ import annotations

import argparse
from pathlib import Path

from schoolstack.arguments import add_language
from schoolstack.deployment import ROOT
from schoolstack.hosts.state import State, require_root_and_programs
from schoolstack.labs import bundle
from schoolstack.labs.lesson import load
from schoolstack.messages import say


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``bundle`` and its verbs to ``school lab``."""
    parser = verbs.add_parser("bundle", help=say("bundle.help.bundle"))
    added = parser.add_subparsers(required=True, metavar="VERB")
    make = added.add_parser("make", help=say("bundle.help.make"))
    make.add_argument("folder", type=Path, metavar="FOLDER", help=say("bundle.help.to"))
    make.add_argument("names", nargs="+", metavar="LESSON", help=say("labs.help.name"))
    make.set_defaults(run=_make)
    use = added.add_parser("use", help=say("bundle.help.use"))
    use.add_argument("folder", type=Path, metavar="FOLDER", help=say("bundle.help.from"))
    use.set_defaults(run=_use)
    drop = added.add_parser("drop", help=say("bundle.help.drop"))
    drop.set_defaults(run=_drop)
    for verb in (make, use, drop):
        add_language(verb)


def _make(arguments: argparse.Namespace) -> int:
    require_root_and_programs()
    lessons = [load(ROOT, name) for name in dict.fromkeys(arguments.names)]
    folder = arguments.folder.absolute()
    record = bundle.make(folder, lessons, State.of_this_machine())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1_000_000
    print(say("bundle.made", folder=folder, mb=size, machine=record["machine"]))
    return 0


def _use(arguments: argparse.Namespace) -> int:
    require_root_and_programs()
    record = bundle.use(arguments.folder.absolute(), State.of_this_machine())
    print(say("bundle.used", folder=arguments.folder, lessons=", ".join(record["lessons"])))
    print(say("bundle.next", name=record["lessons"][0]))
    return 0


def _drop(_: argparse.Namespace) -> int:
    require_root_and_programs()
    print(say("bundle.dropped" if bundle.drop(State.of_this_machine()) else "bundle.not_used"))
    return 0
