"""``school lab``: lessons on a server that is broken on purpose."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from schoolstack.arguments import add_json, add_language
from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError
from schoolstack.hosts.state import State
from schoolstack.labs import bundle_command, room_command
from schoolstack.labs.lesson import load, names, words
from schoolstack.labs.page.desk import seats_of
from schoolstack.labs.page.links import TRAINER
from schoolstack.labs.page.server import Site
from schoolstack.labs.records.export import FORMATS, export
from schoolstack.labs.records.spool import Spool
from schoolstack.labs.records.table import table
from schoolstack.labs.room import begin
from schoolstack.labs.seat import Attempt, Seat, Seen, first_open, in_words
from schoolstack.labs.table import print_table
from schoolstack.messages import say

# Where the page stands: not where a school's pages are usually tried, 80, 443 and 8080.
PORT = 8420


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school lab`` and its verbs."""
    parser = subparsers.add_parser("lab", help=say("labs.help.lab"))
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=say(f"labs.help.{name}"))
        if name not in ("list", "send"):
            added.add_argument("name", metavar="LESSON", help=say("labs.help.name"))
        if name not in ("list", "send", "serve"):
            added.add_argument("--seat", default="", metavar="NUMBER", help=say("labs.help.seat"))
        add_language(added)
        added.set_defaults(run=run)
        return added

    verb("list", _list)
    verb("show", _show)
    start = verb("start", _start)
    start.add_argument("--fault", default="", help=say("labs.help.fault"))
    start.add_argument("--learner", default="", metavar="PSEUDONYM", help=say("labs.help.learner"))
    start.add_argument("--of-room", action="store_true", help=say("labs.help.of_room"))
    prepare = verb("prepare", _prepare)
    which = prepare.add_mutually_exclusive_group()
    which.add_argument("--fault", default="", help=say("labs.help.fault"))
    which.add_argument("--all", action="store_true", help=say("labs.help.all"))
    check = verb("check", _check)
    check.add_argument("--restart", action="store_true", help=say("labs.help.restart"))
    verb("hint", _hint)
    verb("break", _break).add_argument("fault", metavar="FAULT", help=say("labs.help.fault"))
    verb("reset", _reset)
    verb("solve", _solve)
    stop = verb("stop", _stop)
    stop.add_argument("--remove", action="store_true", help=say("labs.help.remove"))
    report = verb("report", _report)
    _register_report(report)
    for told in (start, check, stop, report):
        add_json(told)
    room_command.register(verbs)
    bundle_command.register(verbs)
    _register_send(verb("send", _send))
    _register_serve(verb("serve", _serve))
    export = verb("export", _export)
    export.add_argument("--format", choices=FORMATS, required=True, help=say("labs.help.format"))
    export.add_argument("--to", type=Path, required=True, metavar="FILE", help=say("labs.help.to"))
    export.add_argument("--link", default="", metavar="URL", help=say("labs.help.link"))


def _register_report(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--csv", type=Path, metavar="FILE", help=say("labs.help.csv"))
    which.add_argument("--xapi", metavar="URL", help=say("labs.help.xapi"))
    parser.add_argument("--names", action="store_true", help=say("labs.help.names"))


def _register_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lrs", required=True, metavar="URL", help=say("labs.help.lrs"))
    parser.add_argument("--home", required=True, metavar="URL", help=say("labs.help.home"))
    parser.add_argument("--credentials", type=Path, metavar="FILE", help=say("labs.help.credentials"))
    parser.add_argument("--names", action="store_true", help=say("labs.help.names"))


def _register_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--address", default="127.0.0.1", help=say("labs.help.address"))
    parser.add_argument("--port", type=int, default=PORT, help=say("labs.help.port"))


def _seat(arguments: argparse.Namespace) -> Seat:
    return Seat(load(ROOT, arguments.name), arguments.seat)


def _list(_: argparse.Namespace) -> int:
    rows = [[say(f"labs.head.{head}") for head in ("name", "title", "minutes", "state")]]
    for name in names(ROOT):
        lesson = load(ROOT, name)
        seat = Seat(lesson)
        state = "none" if not seat.prepared else "running" if seat.running else "prepared"
        minutes = str(lesson.content["minutes"])
        rows.append([name, words(lesson.content["title"]), minutes, say(f"labs.state.{state}")])
    print_table(rows)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    lesson = _seat(arguments).lesson
    content = lesson.content
    print(words(content["title"]))
    print(say("labs.for_whom", audience=words(content["audience"])))
    budget = {"minutes": content["minutes"], "memory": content["memory_mb"], "disk": content["disk_mb"]}
    print(say("labs.needs", **budget))
    print("\n" + say("labs.objectives"))
    print(*(f"  - {words(objective['text'])}" for objective in content["objectives"]), sep="\n")
    print("\n" + say("labs.steps"))
    for step in lesson.steps.values():
        print(f"  - {words(step['title'])}: {words(step['text'])}")
    if lesson.faults:
        print("\n" + say("labs.faults"))
        print(*(f"  {name}: {words(fault['title'])}" for name, fault in lesson.faults.items()), sep="\n")
    return 0


def _start(arguments: argparse.Namespace) -> int:
    seat = _seat(arguments)
    started = time.monotonic()
    if arguments.of_room:
        attempt = begin(seat, arguments.fault, arguments.learner, sys.stdin.read().strip())
    else:
        attempt = seat.start(arguments.fault, arguments.learner)
    if arguments.json:
        return _as_json(seat)
    return _begun(seat, attempt, started)


def _prepare(arguments: argparse.Namespace) -> int:
    seat = _seat(arguments)
    beginning = seat.lesson.beginning
    every = dict.fromkeys([beginning, *seat.lesson.faults])
    for fault in every if arguments.all else [arguments.fault or beginning]:
        started = time.monotonic()
        seat.prepare(fault)
        print(
            say(
                "labs.is_prepared",
                name=seat.address,
                fault=fault,
                seconds=f"{time.monotonic() - started:.0f}",
            )
        )
    seat.switch_off()
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    seat = _seat(arguments)
    started = time.monotonic()
    before = seat.attempt
    attempt = seat.start(before.fault, before.learner) if before else seat.start()
    return _begun(seat, attempt, started)


def _break(arguments: argparse.Namespace) -> int:
    seat = _seat(arguments)
    started = time.monotonic()
    return _begun(seat, seat.break_it(arguments.fault), started)


def _begun(seat: Seat, attempt: Attempt, started: float) -> int:
    """Say where to log in, what is wrong, and what to do first."""
    lesson = seat.lesson
    print(say("labs.ready", seconds=f"{time.monotonic() - started:.0f}"))
    for name, host in seat.hosts.items():
        print(say("labs.log_in", host=host, what=words(lesson.content["hosts"][name])))
    if attempt.fault:
        symptom = lesson.faults[attempt.fault]["symptom"]
        print(say("labs.symptom", text=words(symptom["text"], shows=symptom["shows"])))
    else:
        print(say("labs.unfinished", text=words(lesson.content["unfinished"]["text"])))
    step = next(iter(lesson.steps.values()))
    print(say("labs.first", title=words(step["title"]), text=words(step["text"])))
    if attempt.coming_up:
        print(say("labs.coming_up", seconds=f"{attempt.coming_up:.0f}"))
    print(say("labs.after", name=seat.address))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    seat = _seat(arguments)
    seen = seat.check(restart=arguments.restart)
    if arguments.json:
        _as_json(seat)
    else:
        _tell(seat, seen)
    attempt = seat.attempt
    return int(
        any(not found.passed for found in seen.values()) or bool(attempt and seat.unconfirmed(attempt))
    )


def _tell(seat: Seat, seen: Mapping[str, Seen]) -> None:
    """Print what every check saw, and what comes next."""
    lesson, attempt = seat.lesson, seat.attempt
    for name, found in seen.items():
        step = lesson.steps[name]
        print(f"{'✓' if found.passed else '✗'} {words(step['title'])}: {in_words(step, found)}")
    passed = sum(found.passed for found in seen.values())
    if passed == len(seen):
        _all_pass(seat)
        return
    if attempt and (left := attempt.coming_up - attempt.after()) > 0:
        print(say("labs.still_coming_up", seconds=f"{left:.0f}"))
    print(say("labs.some_pass", passed=passed, all=len(seen)))
    step = lesson.steps[first_open(lesson, seen)]
    print(say("labs.next", title=words(step["title"]), text=words(step["text"])))


def _all_pass(seat: Seat) -> None:
    """Print that everything passes, and what is earned by a restart only."""
    print(say("labs.all_pass"))
    if (attempt := seat.attempt) and (steps := seat.unconfirmed(attempt)):
        titles = ", ".join(words(seat.lesson.steps[step]["title"]) for step in steps)
        print(say("labs.unconfirmed", titles=titles, name=seat.address))


def _hint(arguments: argparse.Namespace) -> int:
    seat = _seat(arguments)
    given = seat.hint()
    if not given:
        _all_pass(seat)
        return 0
    step, text = given
    print(say("labs.hint", title=words(seat.lesson.steps[step]["title"]), text=text))
    return 0


def _solve(arguments: argparse.Namespace) -> int:
    seat = _seat(arguments)
    _tell(seat, seat.solve())
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    seat = _seat(arguments)
    seat.stop()
    if arguments.json:
        _as_json(seat)
    if arguments.remove:
        seat.remove()
    if arguments.json:
        return 0
    print(say("labs.removed" if arguments.remove else "labs.stopped", name=seat.address))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    seat = _seat(arguments)
    if arguments.csv:
        return _write(arguments.csv, table(seats_of(load(ROOT, arguments.name))))
    if arguments.xapi:
        spool = Spool(seat.lab.state)
        statements = spool.statements(seat.report(), arguments.xapi, names=arguments.names)
        print(json.dumps(statements, indent=2, ensure_ascii=False))
        return 0
    attempt = seat.require_attempt()
    if arguments.json:
        return _as_json(seat)
    rows = [[say(f"labs.head.{head}") for head in ("step", "points", "hints", "after")]]
    to_do = seat.to_do(attempt)
    for step in to_do:
        told = seat.lesson.steps[step]
        after = f"{attempt.passed[step]:.0f} s" if step in attempt.passed else "-"
        points = f"{seat.points(attempt, step)}/{told['points']}"
        rows.append([words(told["title"]), points, str(len(attempt.hints.get(step, []))), after])
    print_table(rows)
    minutes = ((attempt.ended or time.time()) - attempt.began) / 60
    total = {
        "points": sum(seat.points(attempt, step) for step in to_do),
        "all": sum(seat.lesson.steps[step]["points"] for step in to_do),
        "hints": sum(map(len, attempt.hints.values())),
        "minutes": f"{minutes:.0f}",
    }
    print(say("labs.total", **total))
    if attempt.solved:
        print(say("labs.solved"))
    return 0


def _as_json(seat: Seat) -> int:
    """Print the report for programs, with the time by this machine's clock; ``null`` without an attempt."""
    print(json.dumps({**seat.report(), "now": time.time()} if seat.attempt else None))
    return 0


def _send(arguments: argparse.Namespace) -> int:
    spool = Spool(State.of_this_machine())
    sent = spool.send(arguments.lrs, arguments.home, arguments.credentials, names=arguments.names)
    print(say("records.sent" if sent else "records.none", sent=sent))
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    lesson = load(ROOT, arguments.name)
    site = Site(lambda: seats_of(lesson), arguments.address, arguments.port)
    for number in site.desks:
        key = "for_seat" if number else "for_learner"
        print(say(f"labs.page.{key}", number=number, url=site.url(number)))
    print(say("labs.page.for_trainer", url=site.url(TRAINER)))
    print(say("labs.page.until"), flush=True)
    try:
        site.serve_forever()
    finally:
        site.server_close()
    return 0


def _export(arguments: argparse.Namespace) -> int:
    content = export(_seat(arguments).lesson, arguments.format, arguments.link)
    return _write(arguments.to, content)


def _write(path: Path, content: bytes) -> int:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise SchoolError(say("records.no_file", path=path, reason=error.strerror)) from error
    print(say("records.written", path=path))
    return 0
