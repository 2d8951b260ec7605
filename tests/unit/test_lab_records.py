"""Records of lessons: what a learner did, told to stores that take it, are away, or refuse."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import ssl
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from ralph.models.xapi.base.statements import BaseXapiStatement

from schoolstack.cli import main
from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError
from schoolstack.hosts.state import State
from schoolstack.labs.lesson import Lesson, load
from schoolstack.labs.records.spool import BATCH, Spool
from schoolstack.labs.records.statements import Statements
from schoolstack.labs.records.table import table
from schoolstack.labs.seat import Attempt, Seat, Seen

HOME = "https://school.example"
ATTEMPT = "7b1c64ab-6c44-4a53-9a3b-1d2a4c2f0f11"
LEARNER = "Mila Peeters"


@pytest.fixture(autouse=True)
def dutch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "nl")


def both(text: str) -> dict[str, str]:
    return {"en": text, "nl": f"nl {text}"}


def record(**more: Any) -> dict[str, Any]:
    """One attempt: a step passed after a hint, one mended by the solution, and one never passed."""
    step = {"points": 0, "max_points": 10, "passed": None, "solved": False, "seen": None, "hints": []}
    hint = {"number": 0, "cost": 2, "after": 30.0}
    return {
        "attempt": ATTEMPT,
        "lesson": "small",
        "title": both("Small"),
        "language": "nl",
        "seat": "3",
        "learner": LEARNER,
        "fault": "loss",
        "began": 1_800_000_000.0,
        "ended": 1_800_000_600.5,
        "checks": [1_800_000_030.0, 1_800_000_090.5],
        "looked": 1_800_000_090.5,
        "points": 8,
        "max_points": 30,
        "solved": True,
        "steps": [
            {**step, "id": "first", "title": both("First"), "points": 8, "passed": 90.5, "hints": [hint]},
            {**step, "id": "second", "title": both("Second"), "passed": 500.0, "solved": True},
            {**step, "id": "third", "title": both("Third")},
        ],
        **more,
    }


def told(held: dict[str, Any], actor: str = "0a1b") -> list[dict[str, Any]]:
    return list(Statements(held, HOME, actor))


WHOLE = record(solved=False, points=8, max_points=10, steps=record()["steps"][:1])
UNNAMED = record(seat="", learner="", fault="")


@pytest.mark.parametrize("held", [record(), WHOLE, UNNAMED, record(ended=0)])
def test_another_implementation_takes_every_statement(held: dict[str, Any]) -> None:
    for statement in told(held):
        read = BaseXapiStatement.model_validate(statement, strict=False)
        assert str(read.id) == statement["id"]
        assert read.timestamp.timestamp() >= held["began"]


def test_that_implementation_refuses_what_is_wrong() -> None:
    (statement, *_) = told(record())
    for key, wrong in {"id": "1", "version": "2.0.0", "verb": {"id": "passed"}, "context": {}}.items():
        with pytest.raises(ValueError, match=key):
            BaseXapiStatement.model_validate({**statement, key: wrong})


def events(held: dict[str, Any]) -> list[tuple[str, str]]:
    base = f"{HOME}/lab/small"
    return [
        (each["verb"]["id"].rpartition("/")[2], each["object"]["id"].removeprefix(base))
        for each in told(held)
    ]


def test_verbs_say_what_happened_and_objects_at_what() -> None:
    assert events(record()) == [
        ("initialized", ""),
        ("attempted", ""),
        ("attempted", ""),
        ("interacted", "/step/first/hint/1"),
        ("passed", "/step/first"),
        ("failed", "/step/second"),
        ("failed", "/step/third"),
        ("terminated", ""),
    ]
    assert events(WHOLE)[-2:] == [("completed", ""), ("terminated", "")]


def test_where_nobody_looked_nobody_failed() -> None:
    steps = [{**step, "hints": [], "passed": None, "solved": False} for step in record()["steps"]]
    held = record(checks=[], looked=0.0, steps=steps)
    assert [verb for verb, _ in events(held)] == ["initialized", "terminated"]


def test_what_goes_on_has_no_end_yet_and_the_same_ids_later() -> None:
    going, ended = record(ended=0), record()
    assert [verb for verb, _ in events(going)] == [
        "initialized",
        "attempted",
        "attempted",
        "interacted",
        "passed",
    ]
    later = {each["id"]: each for each in told(ended)}
    assert all(later[each["id"]] == each for each in told(going))


def test_results_are_points_and_times() -> None:
    passed, solved, missed = (each["result"] for each in told(record())[4:7])
    assert passed == {
        "score": {"scaled": 0.8, "raw": 8, "min": 0, "max": 10},
        "duration": "PT90.5S",
        "success": True,
        "completion": True,
        "extensions": {f"{HOME}/xapi/hints-used": 1},
    }
    assert (solved["success"], solved["score"]["raw"]) == (False, 0)
    assert solved["extensions"][f"{HOME}/xapi/solution-taken"] is True
    assert (missed["success"], missed["duration"]) == (False, "PT600.5S")
    assert told(record())[4]["timestamp"] == "2027-01-15T08:01:30.500+00:00"


def test_a_statement_tells_its_attempt_lesson_seat_and_language() -> None:
    context = told(record())[4]["context"]
    assert (context["registration"], context["language"]) == (ATTEMPT, "nl")
    assert context["contextActivities"]["parent"][0]["id"] == f"{HOME}/lab/small"
    assert context["extensions"] == {f"{HOME}/xapi/seat": "3", f"{HOME}/xapi/fault": "loss"}


def test_ids_follow_from_attempt_and_event_alone() -> None:
    ids = [each["id"] for each in told(record())]
    assert ids == [each["id"] for each in told(record(), "another")]
    assert len(set(ids)) == len(ids)
    assert all(uuid.UUID(each).version == 5 for each in ids)
    assert not set(ids) & {each["id"] for each in told(record(attempt=str(uuid.uuid4())))}


class Store(ThreadingHTTPServer):
    """A learning record store, as far as PUT and POST of statements go in the specification.

    It gives the answers in ``answers`` first, one each; at 0 it hangs up, and at -1 it is another page.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.asked: list[tuple[str, int]] = []
        self.answers: list[int] = []
        self.word = ""
        super().__init__(("127.0.0.1", 0), _Asked)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/xapi"

    def take(self, asked: _Asked) -> int:
        told = json.loads(asked.rfile.read(int(asked.headers["Content-Length"])))
        statements = told if isinstance(told, list) else [told]
        self.asked.append((asked.command, len(statements)))
        asked.said = json.dumps([each["id"] for each in statements]).encode()
        if self.answers:
            return self.answers.pop(0)
        word = base64.b64encode(self.word.encode()).decode()
        if self.word and asked.headers["Authorization"] != f"Basic {word}":
            return 401
        parts = urlsplit(asked.path)
        named = parse_qs(parts.query).get("statementId", [])
        right = named == ([told["id"]] if asked.command == "PUT" else [])
        headers = (asked.headers["X-Experience-API-Version"], asked.headers["Content-Type"])
        if not right or parts.path != "/xapi/statements" or headers != ("1.0.3", "application/json"):
            return 400
        for statement in statements:
            BaseXapiStatement.model_validate(statement)
        # The same again is well; another of the same id is a conflict, and then all are refused.
        if any(self.kept.get(each["id"], each) != each for each in statements):
            return 409
        self.kept |= {each["id"]: each for each in statements}
        return 204 if asked.command == "PUT" else 200


class _Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store
    said: bytes

    def do_PUT(self) -> None:
        answer = self.server.take(self)
        if not answer:
            self.close_connection = True
            return
        if answer < 0:
            answer, self.said = 200, b"<html>Welcome!</html>"
        self.send_response(answer)
        if answer == 302:
            self.send_header("Location", "/elsewhere")
        said = self.said if answer == 200 else b""
        if answer != 204:
            self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def do_POST(self) -> None:
        self.do_PUT()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """Two records that wait."""
    monkeypatch.setenv("SCHOOLSTACK_STATE", str(tmp_path))
    found = Spool(State(tmp_path))
    found.add(record())
    found.add({**WHOLE, "attempt": str(uuid.UUID(int=2**128 - 1))})
    return found


def test_a_store_has_everything_once_and_nothing_waits(spool: Spool, store: Store) -> None:
    held = [json.loads(file.read_text()) for file in spool.waiting()]
    assert spool.send(store.url, f"{HOME}/") == 2
    assert spool.waiting() == []
    # All of an attempt goes in one request.
    assert sorted(store.asked) == [("POST", 7), ("POST", 8)]
    assert {each["id"] for attempt in held for each in told(attempt)} == set(store.kept)
    # The same again, as from a copy of this machine's disk.
    before = dict(store.kept)
    for each in held:
        spool.add(each)
    assert spool.send(store.url, HOME) == 2
    assert store.kept == before
    assert len(store.asked) == 4


def test_what_a_store_has_in_other_words_stays_and_what_it_lacks_is_added(spool: Spool, store: Store) -> None:
    held = [json.loads(file.read_text()) for file in spool.waiting()]
    spool.send(store.url, HOME)
    lost = told(record())[4]["id"]
    before = dict(store.kept)
    del store.kept[lost]
    for each in held:
        spool.add(each)
    assert spool.send(store.url, HOME, names=True) == 2
    assert spool.waiting() == []
    assert store.kept.pop(lost)["actor"]["account"]["name"] == LEARNER
    assert before.pop(lost)["actor"]["account"]["name"] != LEARNER
    assert store.kept == before


def test_what_is_much_goes_in_several_requests(spool: Spool, store: Store) -> None:
    for file in spool.waiting():
        file.unlink()
    checks = [1_800_000_030.0 + second for second in range(2 * BATCH)]
    spool.add(record(checks=checks))
    assert spool.send(store.url, HOME) == 1
    assert store.asked == [("POST", 100), ("POST", 100), ("POST", 6)]
    assert len(store.kept) == 206


def test_names_are_pseudonyms_unless_the_school_says_otherwise(spool: Spool, store: Store) -> None:
    spool.send(store.url, HOME)
    assert LEARNER not in json.dumps(list(store.kept.values()))
    (actor,) = {each["actor"]["account"]["name"] for each in store.kept.values()}
    assert re.fullmatch("[0-9a-f]{16}", actor)
    assert actor == spool.account(LEARNER) != spool.account("Noor Aerts")
    assert spool.account(LEARNER, names=True) == LEARNER
    assert {each["actor"]["account"]["name"] for each in Statements(UNNAMED, HOME, "")} == {ATTEMPT}


def test_only_this_machine_can_tell_whose_pseudonym_it_is(spool: Spool, tmp_path: Path) -> None:
    actor = spool.account(LEARNER)
    assert oct((spool.folder / "key").stat().st_mode) == oct(0o100600)
    assert oct(spool.folder.stat().st_mode) == oct(0o40700)
    assert Spool(State(tmp_path)).account(LEARNER) == actor
    assert Spool(State(tmp_path / "elsewhere")).account(LEARNER) != actor


AWAY = [(0, "antwoordt niet"), (-1, ", is geen record store")]
REFUSED = [
    (401, "aanvaardt deze naam en dit wachtwoord niet"),
    (403, "aanvaardt deze naam en dit wachtwoord niet"),
    (302, "weigert, met de HTTP-status 302"),
    (400, "weigert, met de HTTP-status 400"),
    (413, "weigert, met de HTTP-status 413"),
    (503, "weigert, met de HTTP-status 503"),
]


@pytest.mark.parametrize(("answer", "sentence"), AWAY + REFUSED)
def test_a_store_that_refuses_or_goes_away_loses_nothing(
    spool: Spool, store: Store, answer: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # The first that waits takes three requests.
    checks = [1_800_000_030.0 + second for second in range(2 * BATCH)]
    spool.add(record(attempt=str(uuid.UUID(int=1)), checks=checks))
    files = {file: file.read_bytes() for file in spool.waiting()}
    send = ["lab", "send", "--lrs", store.url, "--home", HOME]

    # In the midst of a record, of which nothing is forgotten; and between two, of which the first is.
    for answers, left in ([200, answer], files), ([200, 200, 200, answer], dict([*files.items()][1:])):
        store.answers = list(answers)
        assert main(send) == 1
        said = capsys.readouterr().err
        assert f"{sentence}. Er is niets verloren (pogingen die hier wachten: {len(left)})" in said
        assert len(said.splitlines()) == 1
        assert {file: file.read_bytes() for file in spool.waiting()} == left

    assert main(send) == 0
    assert capsys.readouterr().out == "Verstuurde pogingen: 2. Er wacht er geen meer.\n"
    assert set(store.kept) == {each["id"] for held in left.values() for each in told(json.loads(held))}
    assert main(send) == 0
    assert capsys.readouterr().out.startswith("Er wacht geen poging om verstuurd te worden.")


def test_a_store_that_is_down_loses_nothing(
    spool: Spool, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nobody listens on the port of a server that went.
    store.server_close()
    assert main(["lab", "send", "--lrs", store.url, "--home", HOME, "--language", "en"]) == 1
    assert capsys.readouterr().err == (
        f"school: The record store at {store.url} does not answer. "
        "Nothing is lost (attempts that wait here: 2): give the same command again later.\n"
    )
    assert len(spool.waiting()) == 2


def vouched_by_itself(file: Path) -> ssl.SSLContext:
    """Write a certificate of 127.0.0.1 and its key into a file, and return what a server needs of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    held = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + held)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_a_store_of_whom_nobody_vouches_is_told_nothing(
    spool: Spool, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "store.pem"
    context = vouched_by_itself(file)
    store.socket = context.wrap_socket(store.socket, server_side=True)
    url = store.url.replace("http:", "https:")
    with pytest.raises(SchoolError, match="vertrouwt het certificaat van de record store") as refused:
        spool.send(url, HOME)
    assert "Er is niets verloren (pogingen die hier wachten: 2)" in str(refused.value)
    assert store.asked == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    assert spool.send(url, HOME) == 2


def test_the_password_comes_out_of_a_file_of_ones_own(spool: Spool, store: Store, tmp_path: Path) -> None:
    store.word = "school:se:cret"
    file = tmp_path / "lrs"
    with pytest.raises(SchoolError, match="vertelt geen naam en wachtwoord"):
        spool.send(store.url, HOME, file)
    file.write_text("school\n")
    file.chmod(0o600)
    with pytest.raises(SchoolError, match="vertelt geen naam en wachtwoord"):
        spool.send(store.url, HOME, file)
    file.write_text("school:se:cret\n")
    file.chmod(0o640)
    with pytest.raises(SchoolError, match=f"chmod 600 {file}"):
        spool.send(store.url, HOME, file)
    assert store.asked == []
    with pytest.raises(SchoolError, match="aanvaardt deze naam"):
        spool.send(store.url, HOME)
    file.chmod(0o600)
    assert spool.send(store.url, HOME, file) == 2


@pytest.mark.parametrize(
    ("url", "home", "sentence"),
    [
        ("http://lrs.example/xapi", HOME, "is niet versleuteld"),
        ("lrs.example/xapi", HOME, "'lrs.example/xapi' is geen adres"),
        ("https://lrs.example:x/xapi", HOME, "is geen adres"),
        ("https://lrs.example/xapi?a=b", HOME, "is geen adres"),
        (
            "https://school:se@lrs.example/xapi",
            HOME,
            "Laat de naam en het wachtwoord weg uit het adres van lrs",
        ),
        ("https://lrs.example/xapi", "school", "'school' is geen adres"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(spool: Spool, url: str, home: str, sentence: str) -> None:
    with pytest.raises(SchoolError, match=sentence) as refused:
        spool.send(url, home)
    assert ":se" not in str(refused.value)
    assert len(spool.waiting()) == 2


class Practice(Seat):
    """A seat whose machine sees what the test says."""

    sees: dict[str, Seen]
    prepared = True
    running = True

    def look(self, *, restarted: bool = False) -> dict[str, Seen]:
        return dict(self.sees)

    def molecule(self, verb: str, *further: str, **environment: str) -> None:
        if verb == "converge":
            self.sees = dict.fromkeys(self.sees, Seen(True))

    def _prepare(self, fault: str, seed: str) -> None:
        pass

    def _write_inventory(self, source: Path, without: Collection[str] = ()) -> None:
        pass


def small(folder: Path, *faults: str, hints: int = 1) -> Lesson:
    step: dict[str, Any] = {
        "passed": both("fine"),
        "hints": [{"text": both("look"), "cost": 2}] * hints,
        "points": 10,
        "seen": {"gone": {"en": "gone: {said}", "nl": "weg: {said}"}},
    }
    fails = {"first": "gone", "second": "gone"}
    content = {
        "title": both("Small"),
        "hosts": {},
        "memory_mb": 1,
        "steps": [{**step, "id": name, "title": both(name.title())} for name in fails],
        "faults": [{"id": fault, "fails": fails, "mended_by": ["host"]} for fault in faults],
    }
    return Lesson("small", folder / "small", content)


def practice(folder: Path, lesson: Lesson) -> Practice:
    lab = SimpleNamespace(state=State(folder), hosts=list, power_cut=str)
    found = Practice(lesson, "4", lab)  # type: ignore[arg-type]
    found.sees = {"first": Seen(True), "second": Seen(False, "gone", "no\n\tdisk; één")}
    return found


@pytest.fixture
def seat(tmp_path: Path) -> Practice:
    return practice(tmp_path, small(tmp_path, "loss"))


def waiting(seat: Seat) -> list[str]:
    return [file.stem for file in Spool(seat.lab.state).waiting()]


def end(seat: Practice, how: str) -> None:
    match how:
        case "all pass":
            seat.sees = dict.fromkeys(seat.sees, Seen(True))
            seat.check()
        case "solve":
            seat.solve()
        case "stop":
            seat.stop()
        case "remove":
            seat.remove()
        case "start":
            seat.start("loss", LEARNER)
        case "break":
            seat.break_it("loss")


@pytest.mark.parametrize("how", ["all pass", "solve", "stop", "remove", "start", "break"])
def test_every_attempt_waits_once_it_has_ended_however_that_is(seat: Practice, how: str) -> None:
    attempt = seat.start("loss", LEARNER).id
    seat.hint()
    seat.check()
    assert waiting(seat) == []
    end(seat, how)
    assert waiting(seat) == [attempt]
    file = Spool(seat.lab.state).folder / f"{attempt}.json"
    held = json.loads(file.read_text())
    assert (held["title"], held["language"], held["learner"]) == (both("Small"), "nl", LEARNER)
    assert held["ended"] >= held["checks"][-1]
    assert [step["passed"] is not None for step in held["steps"]] == [True, how in ("all pass", "solve")]
    assert [step["solved"] for step in held["steps"]] == [False, how == "solve"]
    assert all(BaseXapiStatement.model_validate(each) for each in told(held))
    # What has been sent does not wait again.
    file.unlink()
    seat.check()
    seat.stop()
    assert attempt not in waiting(seat)


@pytest.mark.parametrize("how", ["all pass", "solve", "stop", "remove", "start", "break"])
def test_an_attempt_without_a_name_stays_here(seat: Practice, how: str) -> None:
    seat.start("loss")
    end(seat, how)
    assert waiting(seat) == []


def changed(folder: Path) -> list[Lesson]:
    return [small(folder, "other"), small(folder, "loss", hints=0)]


@pytest.mark.parametrize("which", [0, 1])
def test_a_lesson_that_lost_what_an_attempt_names_goes_on_without_it(tmp_path: Path, which: int) -> None:
    before = practice(tmp_path, small(tmp_path, "loss"))
    first = before.start("loss", LEARNER).id
    before.hint()
    before.stop()
    before.start("loss", LEARNER)
    before.hint()
    seat = practice(tmp_path, changed(tmp_path)[which])
    assert seat.attempt is None
    with pytest.raises(SchoolError, match="school lab start small"):
        seat.report()
    assert table([seat]).count(b"\n") == 1
    assert seat.check()["first"].passed
    seat.stop()
    seat.start()
    assert seat.report()["fault"] == seat.lesson.beginning
    # What had ended before is told as it was.
    (file,) = Spool(seat.lab.state).waiting()
    assert (file.stem, json.loads(file.read_text())["fault"]) == (first, "loss")


@pytest.mark.parametrize(("language", "separator"), [("nl", ";"), ("en", ",")])
def test_a_trainer_gets_a_row_for_each_seat_and_step(
    seat: Practice, language: str, separator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", language)
    seat.start("loss", LEARNER)
    seat.hint()
    seat.check()
    written = table([practice(seat.folder, seat.lesson), seat, seat])
    # What Excel knows UTF-8 by.
    assert written.startswith(b"\xef\xbb\xbf")
    head, first, second, *again = csv.reader(io.StringIO(written.decode("utf-8-sig")), delimiter=separator)
    assert again == [first, second]
    english = language == "en"
    assert head[:6] == (
        ["Lesson", "Seat", "Learner", "Fault", "Began", "Step"]
        if english
        else ["Les", "Plaats", "Cursist", "Fout", "Begonnen", "Stap"]
    )
    assert len(head) == len(first) == 13
    assert first[:4] == ["small", "4", LEARNER, "loss"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", first[4])
    yes, no = ("yes", "no") if english else ("ja", "nee")
    fine = "fine" if english else "nl fine"
    assert first[5:] == ["First" if english else "nl First", yes, "0", "10", "10", "0", no, fine]
    # One line for each row, whatever a machine says.
    gone = "gone" if english else "weg"
    assert second[6:] == [no, "", "0", "10", "1", no, f"{gone}: no disk; één"]


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r\n=", " =", "＝", ";=", ",=", ';"=', "a,@"])
def test_no_cell_is_a_formula_wherever_a_spreadsheet_cuts(
    seat: Practice, sign: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", language)
    seat.start("loss", f"{sign}HYPERLINK(1)")
    seat.sees["first"] = Seen(False, "gone", f"x{sign}1+1")
    seat.check()
    written = table([seat]).decode("utf-8-sig")
    for separator in ",;":
        cells = [cell for row in csv.reader(io.StringIO(written), delimiter=separator) for cell in row]
        assert [cell for cell in cells if cell.lstrip('"').startswith(tuple("=+-@＝"))] == []
    (learner,) = {
        row[2] for row in list(csv.reader(io.StringIO(written), delimiter=";,"[language == "en"]))[1:]
    }
    assert "HYPERLINK(1)" in learner


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seat:
    """Somebody's attempt at a real lesson, of which no machine is needed to tell."""
    monkeypatch.setenv("SCHOOLSTACK_STATE", str(tmp_path))
    seat = Seat(load(ROOT, "own-server"), "7")
    seat._keep(Attempt(time.time(), learner=LEARNER, checks=[12.5]))
    return seat


def test_the_command_writes_all_seats_into_a_file(
    own_server: Seat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.csv"
    assert main(["lab", "report", "own-server", "--csv", str(file)]) == 0
    assert capsys.readouterr().out == f"{file} is geschreven.\n"
    _, *rows = csv.reader(io.StringIO(file.read_text(encoding="utf-8-sig")), delimiter=";")
    steps = own_server.lesson.fails("")
    assert [row[:4] for row in rows] == [["own-server", "7", LEARNER, ""]] * len(steps)
    assert main(["lab", "report", "own-server", "--csv", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"school: {tmp_path} ")


def test_the_command_tells_statements_before_anything_is_sent(
    own_server: Seat, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lab", "report", "own-server", "--seat", "7", "--xapi", f"{HOME}/"]
    assert main(words) == 0
    statements = json.loads(capsys.readouterr().out)
    assert [each["verb"]["display"]["en"] for each in statements] == ["initialized", "attempted"]
    account = {"homePage": HOME, "name": Spool(own_server.lab.state).account(LEARNER)}
    for statement in statements:
        read = BaseXapiStatement.model_validate(statement)
        assert read.actor.account.model_dump(mode="json") == account
    assert main([*words, "--names"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["actor"]["account"]["name"] == LEARNER
    assert main([*words[:-1], "school"]) == 1
    assert "'school' is geen adres" in capsys.readouterr().err
