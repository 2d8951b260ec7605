"""Lessons: what a lab.yml may say, and what an attempt at one is worth."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError
from schoolstack.hosts.state import State
from schoolstack.labs import seat as seats
from schoolstack.labs.lesson import Lesson, check, load, names, words
from schoolstack.labs.seat import PREPARED, Attempt, Seat, Seen, first_open, in_words
from schoolstack.labs.variants import derive
from schoolstack.roster.model import RosterRefusedError
from schoolstack.roster.reader import read

NAME = "small"
BOTH = {"en": "yes", "nl": "ja"}


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


def step(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "title": BOTH,
        "text": BOTH,
        "check": "test_it.py::test_it",
        "points": 10,
        "passed": {"en": "fine", "nl": "goed"},
        "seen": {"gone": {"en": "gone: {said}", "nl": "weg: {said}"}, "slow": BOTH},
        "hints": [
            {"text": {"en": "look", "nl": "kijk"}, "cost": 2},
            {"text": {"en": "wait", "nl": "wacht"}, "cost": 1, "when": ["slow"]},
            {"text": {"en": "find", "nl": "zoek"}, "cost": 3, "when": ["gone"]},
        ],
        **more,
    }


GOOD: dict[str, Any] = {
    "title": BOTH,
    "audience": BOTH,
    "objectives": [{"text": BOTH, "module": "ict-coordinator", "area": 1}],
    "minutes": 20,
    "memory_mb": 100,
    "disk_mb": 100,
    "hosts": {"server": BOTH},
    "steps": [step("first"), step("second", needs=["first"]), step("third")],
    "faults": [
        {
            "id": "loss",
            "title": BOTH,
            "symptom": {
                "text": {"en": "it says {shows}", "nl": "het zegt {shows}"},
                "step": "first",
                "shows": "oops",
            },
            "fails": {"first": "gone", "second": "slow"},
            "mended_by": ["host"],
        }
    ],
    "questions": [{"text": BOTH, "answers": [{"text": BOTH, "right": True}, {"text": BOTH, "right": False}]}],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one lesson."""
    folder = tmp_path / "molecule" / NAME
    for part in ("tests", "faults", "inventory"):
        (folder / part).mkdir(parents=True)
    (folder / "tests" / "test_it.py").write_text("def test_it() -> None: ...\n", encoding="utf-8")
    (folder / "faults" / "loss.yml").touch()
    (folder / "inventory" / "hosts.yml").write_text("all: {hosts: {server: }}", encoding="utf-8")
    (folder / "lab.yml").write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    return tmp_path


WRONG: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda lab: lab["title"].pop("nl"), "title.nl is missing: add it"),
    (lambda lab: lab["steps"][0]["hints"][1]["text"].pop("en"), "steps.0.hints.1.text.en is missing"),
    (lambda lab: lab["steps"][0]["text"].update(nl=" "), "steps.0.text.nl is ' '"),
    (lambda lab: lab.update(colour="red"), "colour means nothing: use one of audience"),
    (lambda lab: lab.update(minutes="20"), "minutes is '20': write a value of the type integer"),
    (lambda lab: lab.update(minutes=300), "minutes is wrong: 300 is greater than the maximum of 90"),
    (lambda lab: lab["objectives"][0].update(area=9), "objectives.0.area is 9: choose one of 1, 2"),
    (lambda lab: lab["steps"][0].pop("check"), "steps.0.check is missing"),
    (
        lambda lab: lab["steps"][0].update(check="test_it.py::test_that"),
        "the step first has no check, since test_it.py::test_that does not exist",
    ),
    (lambda lab: lab["steps"][1].update(check="test_no.py::test_it"), "the step second has no check"),
    (lambda lab: lab["steps"][1].update(needs=["zeroth"]), "second.needs names a step zeroth"),
    (lambda lab: lab["steps"][0].update(needs=["second"]), "in a circle (first → second → first)"),
    (lambda lab: lab["steps"][0].update(needs=["first"]), "in a circle (first → first)"),
    (lambda lab: lab["steps"][2].update(id="first"), "first stands there twice"),
    (lambda lab: lab["steps"][0]["hints"][1].update(when=["new"]), "first.hints names new"),
    (lambda lab: lab["steps"][0].update(points=4), "the hints of the step first cost 5 points together"),
    (lambda lab: lab.update(hosts={"other": BOTH}), "hosts are to be those of inventory/hosts.yml: server"),
    (lambda lab: lab["faults"][0].update(id="flood"), "the fault flood has no playbook"),
    (lambda lab: lab["faults"][0]["fails"].update(fourth="gone"), "loss.fails names a step fourth"),
    (lambda lab: lab["faults"][0]["fails"].update(third="new"), "loss.fails names new"),
    (lambda lab: lab["faults"][0]["symptom"].update(step="third"), "is seen at the step third"),
    (
        lambda lab: lab["faults"][0]["symptom"]["text"].update(nl="niets"),
        "the symptom of the fault loss lacks {shows} in the language nl",
    ),
    (lambda lab: told(lab, word="name"), "nothing makes the variants word so: write seat.yml"),
    (lambda lab: lab.pop("faults"), "nothing says how the lesson begins: add unfinished, or a fault"),
    (
        lambda lab: lab.update(unfinished={"text": BOTH, "fails": {"first": "new"}}),
        "unfinished.fails names new",
    ),
    (
        lambda lab: lab.update(unfinished={"text": BOTH, "fails": {"fifth": "gone"}}),
        "unfinished.fails names a step fifth",
    ),
    (lambda lab: lab["questions"][0]["answers"][0].update(right=False), "has no right answer: mark one"),
]


def told(lab: dict[str, Any], **variants: str) -> None:
    """Add variants that a text tells."""
    lab["variants"] = variants
    lab["title"] = dict.fromkeys(("en", "nl"), " ".join(f"{{{name}}}" for name in variants))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("said", "{said}", "the variant said has a name that stands for"),
        ("word", "-", "no text tells the variant word"),
    ],
)
def test_a_variant_has_a_name_of_its_own_and_is_told(root: Path, name: str, text: str, sentence: str) -> None:
    folder = root / "molecule" / NAME
    (folder / "seat.yml").touch()
    lab = {**GOOD, "variants": {name: "name"}, "title": {"en": text, "nl": text}}
    (told,) = check(lab, NAME, folder)
    assert sentence in told


def test_what_is_right_is_taken(root: Path) -> None:
    assert list(check(GOOD, NAME, root / "molecule" / NAME)) == []
    assert list(load(root, NAME).steps) == ["first", "second", "third"]


@pytest.mark.parametrize(("spoil", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_each_wrong_thing_has_one_sentence(
    root: Path, spoil: Callable[[dict[str, Any]], Any], sentence: str
) -> None:
    lab = copy.deepcopy(GOOD)
    # Texts are shared above, and each is to be spoilt for itself.
    lab = yaml.safe_load(yaml.dump(lab, Dumper=NoAliases))
    spoil(lab)
    (said,) = check(lab, NAME, root / "molecule" / NAME)
    assert sentence in said
    assert said.startswith(f"molecule/{NAME}/lab.yml: ")


class NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a: [", "cannot be read"), ("", "holds no fields"), ("- a", "holds no fields")],
)
def test_what_is_no_lesson_at_all_is_refused(root: Path, text: str, sentence: str) -> None:
    (root / "molecule" / NAME / "lab.yml").write_text(text, encoding="utf-8")
    with pytest.raises(SchoolError, match=sentence):
        load(root, NAME)


def test_an_unknown_lesson_is_refused_with_those_there_are(root: Path) -> None:
    with pytest.raises(SchoolError, match="'large': choose one of small"):
        load(root, "large")


@pytest.mark.parametrize("name", names(ROOT))
def test_the_projects_own_lessons_are_right(name: str) -> None:
    assert load(ROOT, name).faults


def test_the_class_list_that_is_handed_out_has_the_two_mistakes_that_are_told() -> None:
    lesson = ROOT / "molecule" / "who-may-come-in"
    with pytest.raises(RosterRefusedError) as refused:
        read(lesson / "inventory" / "class-list" / "people.csv")
    (reason,) = refused.value.refusals
    assert (reason.key, reason.place.line, reason.values["found"]) == ("role", 24, "leerkacht")
    given, september, october = (
        (lesson / path).read_text(encoding="utf-8").splitlines()
        for path in ("inventory/class-list/people.csv", "lists/september.csv", "lists/october.csv")
    )
    wrong = [line for line in given if line not in september]
    assert wrong == ["9001;Noor;;Verbeke;1A;leerling", "9003;Fatima;;Benali;1B;leerkacht"]
    assert len(given) == len(september)
    # What changes until October is told too.
    assert [line for line in september if line not in october] == [
        "2602;Jef;;Claes;1A;leerling",
        "2504;Lotte;;Hens;2A;leerling",
    ]
    assert [line for line in october if line not in september] == ["2602;Jef;;Claes;1B;leerling"]


def test_a_text_is_told_in_the_language_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    text = {"en": "it says {said}", "nl": "het zegt {said}"}
    # What a machine says may hold braces.
    assert words(text, said="{}") == "it says {}"
    monkeypatch.setenv("SCHOOL_LANGUAGE", "nl")
    assert words(text, said="x") == "het zegt x"


class Practice(Seat):
    """A seat whose machine sees what the test says, and that writes down what Molecule is to do."""

    sees: dict[str, Seen]
    sees_then: list[dict[str, Seen]]
    did: list[tuple[str, ...]]

    @property
    def prepared(self) -> bool:
        return True

    @property
    def running(self) -> bool:
        return True

    def look(self, *, restarted: bool = False) -> dict[str, Seen]:
        if self.sees_then:
            self.sees = self.sees_then.pop(0)
        return dict(self.sees)

    def molecule(self, verb: str, *further: str, **environment: str) -> None:
        self.did.append((verb, *further, *environment.values()))


WHOLE = {"first": Seen(True), "second": Seen(True), "third": Seen(True)}
BROKEN = WHOLE | {"first": Seen(False, "gone", "oops"), "second": Seen(False, "slow")}


@pytest.fixture
def seat(root: Path) -> Practice:
    did: list[tuple[str, ...]] = []
    kept: list[str] = []

    def keep(_: str, name: str) -> None:
        did.append(("snapshot", name))
        kept.append(name)

    lab = SimpleNamespace(
        state=State(root / "state"),
        hosts=list,
        snapshots=lambda _: kept,
        reset=lambda _, name: did.append(("reset", name)),
        forget=lambda _, name: name in kept and kept.remove(name),
        snapshot=keep,
    )
    found = Practice(load(root, NAME), lab=lab)  # type: ignore[arg-type]
    found.sees, found.sees_then, found.did = BROKEN, [], did
    keep_inventory(found, PREPARED, "")
    return found


def keep_inventory(seat: Seat, snapshot: str, secret: str) -> None:
    """Have an inventory that goes with a snapshot."""
    kept = seat.folder / "kept" / snapshot
    (kept / "secrets").mkdir(parents=True)
    (kept / "secrets" / "one").write_text(secret, encoding="ascii")
    (kept / "list").write_text("as given", encoding="ascii")


def test_a_fault_is_molecules_side_effect(seat: Practice) -> None:
    assert seat.break_it("loss").fault == "loss"
    assert seat.did == [("side-effect", "loss")]
    with pytest.raises(SchoolError, match="no fault 'fire': choose one of loss"):
        seat.break_it("fire")


def test_hints_fit_what_the_machine_shows_and_cost_points(seat: Practice) -> None:
    seat.break_it("loss")
    assert [seat.hint() for _ in range(3)] == [("first", "look"), ("first", "find"), ("first", "find")]
    seat.sees = BROKEN | {"first": Seen(True)}
    assert [seat.hint() for _ in range(2)] == [("second", "look"), ("second", "wait")]
    seat.sees = WHOLE
    assert seat.hint() is None
    attempt = seat.require_attempt()
    assert [seat.points(attempt, name) for name in seat.to_do(attempt)] == [10 - 2 - 3, 10 - 2 - 1]
    assert attempt.ended


def test_what_the_solution_mended_earns_nothing_and_what_passed_before_does(seat: Practice) -> None:
    seat.break_it("loss")
    seat.sees = BROKEN | {"first": Seen(True)}
    seat.check()
    seat.sees = WHOLE
    seat.solve()
    assert seat.did[-1] == ("converge", "--", "--tags", "host")
    attempt = seat.require_attempt()
    assert [seat.points(attempt, name) for name in seat.to_do(attempt)] == [10, 0]


def test_a_step_that_passed_once_keeps_its_time(seat: Practice) -> None:
    seat.break_it("loss")
    seat.sees = BROKEN | {"first": Seen(True)}
    seat.check()
    first = seat.require_attempt().passed["first"]
    seat.sees = BROKEN
    seat.check()
    assert seat.require_attempt().passed == {"first": first}


def test_what_has_to_survive_a_restart_is_earned_by_one(
    root: Path, seat: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = yaml.safe_load(yaml.dump(GOOD, Dumper=NoAliases))
    lab["steps"][1]["after_restart"] = True
    seat.lesson = Lesson(NAME, root / "molecule" / NAME, lab)
    seat.break_it("loss")
    seat.sees = WHOLE
    seat.check()
    attempt = seat.require_attempt()
    assert list(attempt.passed) == ["first"]
    assert seat.unconfirmed(attempt) == ["second"]
    assert not attempt.ended
    monkeypatch.setattr(Practice, "_after_restart", lambda seat: WHOLE | {"second": Seen(False, "gone")})
    seat.check(restart=True)
    assert not seat.require_attempt().ended
    monkeypatch.setattr(Practice, "_after_restart", lambda seat: dict(WHOLE))
    seat.check(restart=True)
    attempt = seat.require_attempt()
    assert seat.unconfirmed(attempt) == []
    assert attempt.ended


def test_a_report_holds_what_was_earned_and_seen(seat: Practice) -> None:
    seat.break_it("loss")
    seat.hint()
    seat.sees = BROKEN | {"first": Seen(True)}
    seat.check()
    report = seat.report()
    first, second = report["steps"]
    assert report | {"attempt": "", "began": 0, "checks": 0, "looked": 0, "steps": 0} == {
        "attempt": "",
        "lesson": NAME,
        "title": BOTH,
        "language": "en",
        "seat": "",
        "learner": "",
        "fault": "loss",
        "began": 0,
        "ended": 0,
        "checks": 0,
        "looked": 0,
        "points": 8,
        "max_points": 20,
        "solved": False,
        "steps": 0,
    }
    assert len(report["checks"]) == 2
    assert report["looked"] == report["checks"][-1] >= report["began"]
    assert (first["id"], first["points"], first["max_points"], first["solved"]) == ("first", 8, 10, False)
    assert first["passed"] >= first["hints"][0]["after"] >= 0
    assert (first["hints"][0]["number"], first["hints"][0]["cost"]) == (0, 2)
    assert second["passed"] is None
    assert second["seen"] == {"passed": False, "code": "slow", "said": ""}
    assert json.loads(json.dumps(report)) == report


UNFINISHED = {"text": BOTH, "fails": {"first": "gone", "third": "slow"}}


def test_an_unfinished_machine_is_finished_before_it_is_broken(
    seat: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(seat.lesson.content, "unfinished", UNFINISHED)  # type: ignore[arg-type]
    attempt = seat.start()
    assert seat.did == [("reset", PREPARED)]
    assert seat.to_do(attempt) == ["first", "third"]
    seat.did.clear()
    seat.sees_then = [WHOLE, BROKEN]
    assert seat.to_do(seat.start("loss")) == ["first", "second"]
    whole = [("reset", PREPARED), ("converge",), ("snapshot", "whole"), ("reset", "whole")]
    broken = [("side-effect", "loss"), ("snapshot", "fault-loss"), ("reset", "fault-loss")]
    assert seat.did == [*whole, *broken]
    seat.did.clear()
    # From then on it is only returned to.
    seat.start("loss")
    assert seat.did == [("reset", "fault-loss")]
    seat.did.clear()
    # Another fault finds it whole.
    (seat.folder / "coming-up.json").unlink()
    seat.sees_then = [WHOLE, BROKEN]
    seat.start("loss")
    assert seat.did == [("reset", "whole"), *broken]
    seat.did.clear()
    seat.start()
    seat.sees = WHOLE
    seat.solve()
    assert seat.did == [("reset", PREPARED), ("converge",)]


def test_a_fault_is_kept_once_just_the_told_steps_fail(
    seat: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seats, "SETTLE_LIMIT", 0)
    seat.sees_then = [WHOLE, WHOLE]
    with pytest.raises(SchoolError, match=r"not as they should be after 0 s \(Everything passes"):
        seat.prepare("loss")
    seat.did.clear()
    # The next one begins anew.
    seat.sees_then = [WHOLE, BROKEN]
    seat.prepare("loss")
    assert [what for what in seat.did if what[0] != "reset"] == [
        ("side-effect", "loss"),
        ("snapshot", "fault-loss"),
    ]


def test_an_inventory_goes_with_the_disks(seat: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(seat.lesson.content, "unfinished", UNFINISHED)  # type: ignore[arg-type]
    secret, given = seat.inventory / "secrets" / "one", seat.inventory / "list"
    seat.start()
    # Whoever practises changes it, and begins again.
    for file in (secret, given, seat.inventory / "hosts.yml"):
        file.write_text("theirs", encoding="ascii")
    seat.start()
    assert (secret.read_text(), given.read_text()) == ("", "as given")
    assert not (seat.inventory / "hosts.yml").exists()
    # What a playbook writes into it stays with what it did to the disks.
    monkeypatch.setattr(Practice, "molecule", lambda seat, verb, **_: secret.write_text(verb))
    seat.sees_then = [WHOLE, BROKEN]
    seat.start("loss")
    assert secret.read_text() == "side-effect"
    seat.start()
    assert secret.read_text() == ""
    seat.start("loss")
    assert secret.read_text() == "side-effect"
    # A seat of a room begins with that of the disks it shares.
    monkeypatch.setattr(Seat, "lend", lambda *_: None)
    monkeypatch.setattr(Practice, "_return_to", lambda *_: None)
    room = Practice(seat.lesson, "2", seat.lab)
    room.start("loss")
    assert (room.inventory / "secrets" / "one").read_text() == "side-effect"
    assert json.loads((room.inventory / "zz-seat.yml").read_text())["all"]["vars"]["lab_seat"] == "2"
    assert room.inventory.stat().st_mode & 0o777 == 0o700


def test_a_new_inventory_holds_what_the_lesson_wrote_and_nothing_that_was_generated(
    root: Path, seat: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = root / "molecule" / NAME / "inventory"
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "school.yml").touch()
    (written / "group_vars").symlink_to(root / "elsewhere")
    (written / "lists" / "people").mkdir(parents=True)
    # What a run of Molecule alone leaves there.
    (written / "people").mkdir()
    for name in (".vault-key", "zz-small-server.yml"):
        (written / name).touch()
    monkeypatch.setattr(Practice, "prepared", False)
    seat.prepare()
    listed = sorted(str(path.relative_to(seat.inventory)) for path in seat.inventory.rglob("*"))
    wanted = ["group_vars", "group_vars/school.yml", "hosts.yml", "lists", "lists/people", "zz-seat.yml"]
    assert listed == wanted
    assert not (seat.inventory / "group_vars").is_symlink()


def test_a_text_names_the_inventory_of_its_seat(seat: Practice) -> None:
    lesson = Lesson(NAME, seat.lesson.folder, {**GOOD, "title": {"en": "edit {inventory}/list", "nl": "-"}})
    for number in ("", "4"):
        one = Practice(lesson, number, seat.lab)
        assert words(one.lesson.content["title"]) == f"edit {one.inventory}/list"


def test_a_seat_is_made_anew_for_another_seed(seat: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Seat, "lend", lambda *_: None)
    monkeypatch.setattr(Practice, "_return_to", lambda *_: None)
    keep_inventory(seat, "fault-loss", "")
    room = Practice(seat.lesson, "2", seat.lab)
    room.start("loss", "kestrel", "one")
    assert room.require_attempt().learner == "kestrel"
    assert room.seed == "one"
    room.prepare("loss", "one")
    assert room.attempt
    room.prepare("loss", "two")
    assert room.seed == "two"
    assert not room.attempt


def test_only_steps_that_the_fault_broke_are_to_be_earned(seat: Practice) -> None:
    assert seat.to_do(Attempt(0, "loss")) == ["first", "second"]


def test_next_is_the_first_step_whose_needs_pass(seat: Practice) -> None:
    assert first_open(seat.lesson, BROKEN) == "first"
    assert first_open(seat.lesson, BROKEN | {"first": Seen(True)}) == "second"
    assert first_open(seat.lesson, WHOLE) == ""


def test_what_was_seen_is_told_in_words(seat: Practice) -> None:
    step = seat.lesson.steps["first"]
    assert in_words(step, Seen(True)) == "fine"
    assert in_words(step, Seen(False, "gone", "oops")) == "gone: oops"
    assert in_words(step, Seen(False, "", "no route")) == "The check came to no judgement: no route"


def test_nothing_is_started_without_room(root: Path, seat: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Practice, "running", False)
    monkeypatch.setattr(seats, "free_memory_mb", lambda: 99)
    with pytest.raises(SchoolError, match="needs 100 MB of memory, and 99 MB are free"):
        seat.start("loss")
    monkeypatch.setattr(Practice, "prepared", False)
    (root / "state").mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 * 1024**2))
    with pytest.raises(SchoolError, match="needs 100 MB of disk, and 5 MB are free"):
        seat.prepare()
    assert seat.did == []


def test_seats_of_a_room_have_hosts_and_texts_of_their_own(root: Path, seat: Practice) -> None:
    folder = root / "molecule" / NAME
    lab = {**GOOD, "variants": {"person": "name"}, "title": {"en": "Help {person}", "nl": "Help {person}"}}
    lesson = Lesson(NAME, folder, lab)
    both = [Seat(lesson, number, seat.lab) for number in ("", "7")]
    assert [one.hosts["server"] for one in both] == ["small-server", "small7-server"]
    assert both[0].inventory != both[1].inventory
    titles = [words(one.lesson.content["title"]) for one in both]
    assert titles == [f"Help {one.variants['person']}" for one in both]
    assert titles[0] != titles[1]


@pytest.mark.parametrize("number", ["0", "100", "a", "01", "-1", " 1"])
def test_a_seat_without_a_number_of_a_room_is_refused(seat: Practice, number: str) -> None:
    with pytest.raises(SchoolError, match="is no seat: write a number from 1 to 99"):
        Seat(seat.lesson, number, seat.lab)


def test_variants_follow_from_seed_and_number_and_differ_within_a_room() -> None:
    kinds = {"who": "name", "word": "password", "gate": "port"}
    room = [derive(kinds, "seed", NAME, str(number)) for number in range(1, 100)]
    assert room[4] == derive(kinds, "seed", NAME, "5")
    for name in kinds:
        assert len({values[name] for values in room}) == len(room)
    other = derive(kinds, "other", NAME, "5")
    assert all(other[name] != room[4][name] for name in kinds)
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+", values["who"]) for values in room)
    assert all(re.fullmatch(r"([a-z]{4}-){3}\d\d", values["word"]) for values in room)
    assert all(20_000 <= int(values["gate"]) < 30_000 for values in room)


def test_what_was_never_started_has_no_attempt(seat: Practice) -> None:
    with pytest.raises(SchoolError, match="give `school lab start small` first"):
        seat.hint()


def test_checks_tell_what_they_saw_and_whether_they_could_not_begin(root: Path) -> None:
    (root / "molecule" / NAME / "tests" / "test_it.py").write_text(
        """
import pytest
from schoolstack.labs.checks import NotYetError

@pytest.fixture
def away():
    raise OSError("no route")

def test_it(): pass
def test_gone(): raise NotYetError("gone", "two\\nlines")
def test_away(away): pass
""",
        encoding="utf-8",
    )
    lab = copy.deepcopy(GOOD)
    for told, function in zip(lab["steps"], ("it", "gone", "away"), strict=True):
        told["check"] = f"test_it.py::test_{function}"
    seat = Seat(Lesson(NAME, root / "molecule" / NAME, lab), lab=SimpleNamespace(state=State(root)))  # type: ignore[arg-type]
    seat._require_running = lambda: None  # type: ignore[method-assign]
    assert seat.look() == {
        "first": Seen(True),
        "second": Seen(False, "gone", "two lines"),
        "third": Seen(False, "", "no route"),
    }
