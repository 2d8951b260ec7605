"""``school lab room``: all seats of a lesson at once."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from schoolstack.arguments import add_json, add_language
from schoolstack.deployment import ROOT
from schoolstack.hosts.state import State, require_root_and_programs
from schoolstack.labs.lesson import load, words
from schoolstack.labs.room import Answer, Room, memory, metrics, read_list, stuck
from schoolstack.labs.seat import Seat
from schoolstack.labs.table import print_table
from schoolstack.messages import say


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``room`` and its verbs to ``school lab``."""
    parser = verbs.add_parser("room", help=say("room.help.room"))
    added = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        one = added.add_parser(name, help=say(f"room.help.{name}"))
        one.add_argument("name", metavar="LESSON", help=say("labs.help.name"))
        add_language(one)
        add_json(one)
        one.set_defaults(run=run)
        return one

    start = verb("start", _start)
    start.add_argument("--list", required=True, type=Path, metavar="FILE", help=say("room.help.list"))
    start.add_argument("--fault", default="", help=say("labs.help.fault"))
    verb("check", _check)
    report = verb("report", _report)
    report.add_argument("--metrics", type=Path, metavar="FILE", help=say("room.help.metrics"))
    verb("stop", _stop).add_argument("--remove", action="store_true", help=say("room.help.remove"))
    verb("memory", _memory).add_argument("numbers", nargs="+", metavar="NUMBER", help=say("labs.help.seat"))


def _room(arguments: argparse.Namespace) -> Room:
    require_root_and_programs()
    return Room(load(ROOT, arguments.name), State.of_this_machine())


def _start(arguments: argparse.Namespace) -> int:
    room = _room(arguments)
    places = read_list(arguments.list, room.lesson, arguments.fault)
    left = room.left(places)
    began = time.monotonic()
    answers = []
    for answer in room.start(places):
        answers.append(answer)
        if not answer.wrong and not arguments.json:
            place, seconds = answer.place, f"{time.monotonic() - began:.0f}"
            host = next(iter(Seat(room.lesson, place.number).hosts.values()))
            at = place.at or say("room.here")
            told = {"number": place.number, "learner": place.learner, "seconds": seconds}
            print(say("room.ready", **told, at=at, host=host), flush=True)
    for place in left:
        seat = Seat(room.lesson, place.number).address
        print(
            say("room.left", number=place.number, at=place.at or say("room.here"), seat=seat), file=sys.stderr
        )
    return _end(room, answers, arguments)


def _check(arguments: argparse.Namespace) -> int:
    room = _room(arguments)
    return _end(room, list(room.each("check")), arguments)


def _report(arguments: argparse.Namespace) -> int:
    room = _room(arguments)
    answers = list(room.each("report"))
    if arguments.metrics:
        # Not *.prom, which would be read before it is whole.
        new = arguments.metrics.with_suffix(".new")
        new.write_text(metrics(answer.report for answer in answers), encoding="utf-8")
        new.replace(arguments.metrics)
    return _end(room, answers, arguments)


def _stop(arguments: argparse.Namespace) -> int:
    room = _room(arguments)
    answers = list(room.each("stop", *(["--remove"] if arguments.remove else [])))
    code = _end(room, answers, arguments)
    if arguments.remove:
        room.forget(answer.place for answer in answers if not answer.wrong)
    if not arguments.json and not code:
        print(say("room.removed" if arguments.remove else "room.stopped", name=room.lesson.name))
    return code


def _memory(arguments: argparse.Namespace) -> int:
    found = memory(load(ROOT, arguments.name), arguments.numbers)
    print(
        json.dumps(found)
        if arguments.json
        else say("room.memory", needed=found["needed"], free=found["free"])
    )
    return 0


def _end(room: Room, answers: Iterable[Answer], arguments: argparse.Namespace) -> int:
    """Print what is known of each seat, in the order of their numbers, and why others did not do it."""
    answers = sorted(answers, key=lambda answer: int(answer.place.number))
    if arguments.json:
        print(json.dumps([answer.report for answer in answers if answer.report]))
    elif any(answer.report for answer in answers):
        _table(room, answers)
    sys.stdout.flush()
    wrong = [answer.sentence for answer in answers if answer.wrong]
    for sentence in wrong:
        print(f"school: {sentence}", file=sys.stderr)
    return int(bool(wrong))


def _table(room: Room, answers: Iterable[Answer]) -> None:
    heads = ("seat", "learner", "at", "points", "passed", "stuck", "since")
    rows = [[say(f"room.head.{head}") for head in heads]]
    for place, report in ((answer.place, answer.report) for answer in answers):
        row = [place.number, place.learner, place.at or "-"]
        if not report:
            rows.append([*row, "-", "-", "-", "-"])
            continue
        passed = sum(step["passed"] is not None for step in report["steps"])
        row += [f"{report['points']}/{report['max_points']}", f"{passed}/{len(report['steps'])}"]
        if at := stuck(room.lesson, report):
            step, seconds = at
            title, since = (
                words(room.lesson.steps[step]["title"]),
                say("room.minutes", minutes=int(seconds // 60)),
            )
        else:
            title, since = say("room.solved" if report["solved"] else "room.done"), "-"
        rows.append([*row, title, since])
    print_table(rows)
