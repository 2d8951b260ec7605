"""Rooms: what a list may say, what seats are told here and over SSH, and what becomes of those that fail."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schoolstack.errors import SchoolError
from schoolstack.hosts.state import State
from schoolstack.labs import room as rooms
from schoolstack.labs import room_command
from schoolstack.labs.lesson import Lesson
from schoolstack.labs.room import Answer, Place, Room, begin, read_list, stuck
from schoolstack.labs.seat import Attempt

BOTH = {"en": "Do it", "nl": "Doe het"}
CONTENT: dict[str, Any] = {
    "memory_mb": 100,
    "unfinished": {"text": BOTH, "fails": {"first": "gone", "second": "gone"}},
    "steps": [{"id": "first", "title": BOTH}, {"id": "second", "title": BOTH, "needs": ["first"]}],
    "faults": [{"id": "loss"}, {"id": "fire"}],
    "hosts": {"server": BOTH},
}

# Stands in for `school`: writes down what it was told, and answers as the test wants.
SCHOOL = """#!{python}
import json, os, pathlib, sys, time
told = sys.argv[1:]
seat = told[told.index("--seat") + 1] if "--seat" in told else ""
folder = pathlib.Path("{folder}")
with (folder / "told").open("a") as file:
    file.write(json.dumps([os.environ.get("AT", ""), told, sys.stdin.read()]) + "\\n")
if told[1:3] == ["room", "memory"]:
    many = told.index("--json") - 4
    print(json.dumps({{"needed": 100 * many, "free": int((folder / "free").read_text())}}))
elif (folder / f"slow-{{seat}}").exists():
    time.sleep(60)
elif (folder / f"wrong-{{seat}}").exists():
    print("first words\\nschool: the server did not come up", file=sys.stderr)
    sys.exit(1)
else:
    print(json.dumps({{"seat": seat, "verb": told[1]}}))
    sys.exit(int(told[1] == "check"))
"""
SSH = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
[ "$2" != away.internal ] || {{ echo "ssh: away.internal: No route to host" >&2; exit 255; }}
cd {folder}/home && AT=$2 && export AT && exec sh -c "$3"
"""


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return Lesson("small", tmp_path / "molecule" / "small", CONTENT)


@pytest.fixture
def room(tmp_path: Path, lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> Room:
    """A room on this machine and on others, all of which are this one."""

    def program(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    school = SCHOOL.format(python=sys.executable, folder=tmp_path)
    program(tmp_path / "school", school)
    program(tmp_path / "home" / "schoolstack" / ".venv" / "bin" / "school", school)
    program(tmp_path / "bin" / "ssh", SSH.format(folder=tmp_path))
    program(tmp_path / "bin" / "sudo", '#!/bin/sh\nshift\nexec "$@"\n')
    (tmp_path / "free").write_text("1000", encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr(rooms, "HERE", (str(tmp_path / "school"),))
    return Room(lesson, State(tmp_path / "state"))


def told(tmp_path: Path) -> list[tuple[str, list[str], str]]:
    """Return what each program was told: the machine, the words, and standard input."""
    lines = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    return [(at, words, stdin) for at, words, stdin in map(json.loads, lines)]


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_says_who_sits_where(tmp_path: Path, lesson: Lesson) -> None:
    path = listed(
        tmp_path,
        "\ufeff# a room\n\n1 kestrel\n  12   heron-2  at=pi@pi-3.school.internal fault=fire # the door\n",
    )
    assert read_list(path, lesson) == [
        Place("1", "kestrel"),
        Place("12", "heron-2", "fire", "pi@pi-3.school.internal"),
    ]
    assert [place.fault for place in read_list(path, lesson, "loss")] == ["loss", "fire"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# nobody\n", "list.txt holds no seat: write one on each line, such as 1 kestrel"),
        ("kestrel\n", "list.txt:1: 'kestrel' is no seat: write a number from 1 to 99 and a pseudonym"),
        ("1 kestrel\n0 otter\n", "list.txt:2: '0 otter' is no seat"),
        ("1 --language\n", "list.txt:1: '1 --language' is no seat"),
        ("1 kestrel pi-3\n", "list.txt:1: 'pi-3' means nothing here: write fault=NAME, or at=MACHINE"),
        ("1 kestrel at=-oProxyCommand=x\n", "'at=-oProxyCommand=x' means nothing here"),
        (
            "1 kestrel fault=flood\n",
            "list.txt:1: The lesson small has no fault 'flood': choose one of loss, fire",
        ),
        ("1 kestrel\n1 otter\n", "list.txt:2: 1 stands there twice"),
        ("1 kestrel\n2 kestrel\n", "list.txt:2: kestrel stands there twice"),
    ],
)
def test_each_wrong_line_has_one_sentence(tmp_path: Path, lesson: Lesson, text: str, sentence: str) -> None:
    with pytest.raises(SchoolError) as refused:
        read_list(listed(tmp_path, text), lesson)
    assert sentence in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path, lesson: Lesson) -> None:
    with pytest.raises(SchoolError, match="nowhere cannot be read"):
        read_list(tmp_path / "nowhere", lesson)


PLACES = [
    Place("1", "kestrel"),
    Place("2", "otter", "loss"),
    Place("3", "heron", "", "pi@pi-3.internal"),
    Place("4", "badger", "fire", "pi@pi-3.internal"),
]


def test_every_seat_is_told_the_same_here_and_over_ssh(tmp_path: Path, room: Room) -> None:
    answers = list(room.start(PLACES))
    assert {answer.place for answer in answers} == set(PLACES)
    assert all(answer.report and not answer.wrong for answer in answers)
    seen = told(tmp_path)
    asked = {at: words[4:-3] for at, words, _ in seen if words[1] == "room"}
    assert asked == {"": ["1", "2"], "pi@pi-3.internal": ["3", "4"]}
    starts = {
        words[words.index("--seat") + 1]: (at, words, stdin)
        for at, words, stdin in seen
        if words[1] == "start"
    }
    for place in PLACES:
        at, words, stdin = starts[place.number]
        fault = ["--fault", place.fault] if place.fault else []
        begins = [
            "lab",
            "start",
            "small",
            "--seat",
            place.number,
            "--learner",
            place.learner,
            "--of-room",
            *fault,
        ]
        assert (at, words) == (place.at, [*begins, "--json", "--language", "en"])
        # The seed stands in no command line, where whoever sits at the machine could read it.
        assert stdin == room.seed
        assert room.seed not in words
    assert room.places == PLACES


def test_a_room_has_one_seed_that_only_root_reads(tmp_path: Path, lesson: Lesson, room: Room) -> None:
    assert len(room.seed) == 32
    assert room.seed == Room(lesson, State(tmp_path / "state")).seed
    assert stat.S_IMODE((room.folder / "seed").stat().st_mode) == 0o600
    assert stat.S_IMODE(room.folder.stat().st_mode) == 0o700
    assert Room(lesson, State(tmp_path / "other")).seed != room.seed


def test_nothing_is_started_where_memory_is_short(tmp_path: Path, room: Room) -> None:
    (tmp_path / "free").write_text("150", encoding="utf-8")
    places = [*PLACES[:2], Place("9", "wren", "", "pi-9.internal")]
    with pytest.raises(SchoolError) as refused:
        list(room.start(places))
    assert str(refused.value).startswith(
        "Seats 1, 2 on this machine need 200 MB of memory more, and 150 MB are free"
    )
    assert len(str(refused.value).splitlines()) == 1
    assert {words[1] for _, words, _ in told(tmp_path)} == {"room"}
    with pytest.raises(SchoolError, match="There is no room for small"):
        _ = room.places


def test_a_machine_that_is_away_leaves_the_others_alone(tmp_path: Path, room: Room) -> None:
    away = Place("5", "wren", "", "away.internal")
    answers = {answer.place: answer for answer in room.start([away, *PLACES])}
    assert answers[away].sentence.startswith(
        "Seat 5 (wren, away.internal) did not do it: ssh: away.internal: No route to host"
    )
    assert all(answers[place].report for place in PLACES)
    # It is of the room, and is started with it when it is back.
    assert away in room.places


def test_a_seat_that_fails_or_hangs_leaves_the_others_alone(
    tmp_path: Path, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(room.start(PLACES))
    (tmp_path / "wrong-2").touch()
    (tmp_path / "slow-3").touch()
    monkeypatch.setattr(rooms, "ANSWER_LIMIT", 2)
    answers = {answer.place.number: answer for answer in room.each("check")}
    # A check that says "not yet" has answered, although it ends with 1.
    assert answers["1"].report == {"seat": "1", "verb": "check"}
    assert answers["4"].report == {"seat": "4", "verb": "check"}
    sentence = answers["2"].sentence
    assert sentence.startswith("Seat 2 (otter, this machine) did not do it: the server did not come up ")
    assert "first words" in (room.folder / "seat-2.log").read_text(encoding="utf-8")
    assert str(room.folder / "seat-2.log") in sentence
    assert "Seat 3 (heron, pi@pi-3.internal) did not do it: no answer within 2 s" in answers["3"].sentence


def test_what_an_interrupted_command_had_not_begun_never_begins(
    tmp_path: Path, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [Place(str(number), f"learner-{number}") for number in range(1, 11)]
    list(room.start(places))
    monkeypatch.setattr(rooms, "AT_ONCE", 1)
    checks = room.each("check")
    next(checks)
    checks.close()  # type: ignore[attr-defined]
    assert 1 <= sum(words[1] == "check" for _, words, _ in told(tmp_path)) < len(places)


def test_removed_seats_are_forgotten_and_others_are_not(room: Room) -> None:
    list(room.start(PLACES))
    seed = room.seed
    # As the command gives them: one after the other, once.
    room.forget(iter(PLACES[:3]))
    assert room.places == PLACES[3:]
    assert room.seed == seed
    room.forget(PLACES[3:])
    assert not room.folder.exists()


def test_seats_that_a_new_list_lacks_or_has_elsewhere_are_named(room: Room) -> None:
    list(room.start(PLACES))
    moved = Place("2", "otter", "loss", "pi@pi-3.internal")
    assert room.left([PLACES[0], moved, PLACES[2]]) == [PLACES[1], PLACES[3]]
    assert room.left(PLACES) == []


class Chair:
    """A seat that writes down what was done with it."""

    def __init__(self, attempt: Attempt | None, *, running: bool = True, hosts: bool = True) -> None:
        self.attempt, self.running, self.hosts = attempt, running, hosts
        self.seed, self.address = "seed", "small --seat 1"
        self.lesson = SimpleNamespace(beginning="loss")
        self.did: list[object] = []

    def to_do(self, _: Attempt) -> list[str]:
        return ["first", "second"]

    def resume(self) -> bool:
        if self.hosts:
            self.did.append("resume")
        return self.hosts

    def forget(self) -> None:
        self.did.append("forget")

    def start(self, *words: str) -> Attempt:
        self.did.append(words)
        return Attempt(0)


ANEW = ["forget", ("loss", "kestrel", "seed")]
DONE = {"first": 1.0, "second": 2.0}


@pytest.mark.parametrize(
    ("chair", "did"),
    [
        (Chair(None), ANEW),
        (Chair(Attempt(0, "loss", "kestrel")), ["resume"]),
        # After a power cut, what the learner did is there.
        (Chair(Attempt(0, "loss", "kestrel"), running=False), ["resume"]),
        (Chair(Attempt(0, "loss", "kestrel"), running=False, hosts=False), ANEW),
        # Who is done keeps the result until the room is stopped.
        (Chair(Attempt(0, "loss", "kestrel", passed=DONE, ended=9)), ["resume"]),
        (Chair(Attempt(0, "loss", "kestrel", passed=DONE, ended=9), running=False), ANEW),
        # Of a stop that was cut off, or a start after it.
        (Chair(Attempt(0, "loss", "kestrel", ended=9)), ANEW),
        (Chair(Attempt(0, "fire", "otter", ended=9)), ANEW),
    ],
)
def test_a_seat_goes_on_or_begins(chair: Any, did: list[object]) -> None:
    begin(chair, "", "kestrel", "seed")
    assert chair.did == did


@pytest.mark.parametrize(
    "other", [("fire", "kestrel", "seed"), ("", "otter", "seed"), ("", "kestrel", "leaf")]
)
def test_an_attempt_that_goes_on_is_not_lost(other: tuple[str, str, str]) -> None:
    chair: Any = Chair(Attempt(0, "loss", "kestrel"))
    with pytest.raises(SchoolError, match="An attempt by kestrel goes on at small --seat 1: end it"):
        begin(chair, *other)
    assert chair.did == []


def report(**more: Any) -> dict[str, Any]:
    steps = [
        {"id": "first", "passed": 60.0, "solved": False},
        {"id": "second", "passed": None, "solved": False},
    ]
    told = {"steps": steps, "began": 1000.0, "ended": 0.0, "now": 1300.0, "solved": False}
    return {**told, "points": 10, "max_points": 20, **more}


def test_stuck_is_the_next_step_since_the_last_one_passed(lesson: Lesson) -> None:
    both = report()["steps"]
    assert stuck(lesson, report()) == ("second", 240)
    # By the clock of the machine that tells it, and no longer than the attempt.
    assert stuck(lesson, report(ended=1100.0)) == ("second", 40)
    assert stuck(lesson, report(steps=[both[0] | {"passed": None}, both[1]])) == ("first", 300)
    assert stuck(lesson, report(steps=[both[0], both[1] | {"passed": 80.0}])) is None
    assert stuck(lesson, report(steps=[both[0], both[1] | {"solved": True}])) is None


def test_a_table_has_a_line_for_every_seat(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    done = [step | {"passed": 60.0} for step in report()["steps"]]
    answers = [
        Answer(Place("10", "wren"), report(steps=done)),
        Answer(Place("2", "otter", "", "pi-3"), wrong="no route"),
        Answer(Place("1", "kestrel"), report()),
    ]
    show: Callable[..., int] = room_command._end
    assert show(room, answers, SimpleNamespace(json=False)) == 1
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["1", "kestrel", "-", "10/20", "1/2", "Do", "it", "4", "min"],
        ["2", "otter", "pi-3", "-", "-", "-", "-"],
        ["10", "wren", "-", "10/20", "2/2", "everything", "passes", "-"],
    ]
    assert err == "school: Seat 2 (otter, pi-3) did not do it: no route\n"
    assert show(room, answers[::2], SimpleNamespace(json=True)) == 0
    assert json.loads(capsys.readouterr().out) == [answers[2].report, answers[0].report]
