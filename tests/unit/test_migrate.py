"""Files are brought by the real rclone, Debian's and a new one, to a WebDAV server that is not its own."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from migrating import (
    DEBIAN,
    JAN,
    LIBRARIAN,
    NEW,
    PIET,
    SECRETS,
    School,
    children_of,
    free_port,
    noise,
    runs,
    serving,
    sha256,
    snapshot,
    wait_for_port,
)

from schoolstack.migrate.mover import Mover
from schoolstack.migrate.rclone import Rclone

both = pytest.mark.parametrize("rclone", [DEBIAN, NEW], ids=["debian", "new"])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("dav")) as dav:
        yield dav


@pytest.fixture
def dav(server):
    server.reset()
    return server


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


def school_of(tmp_path, dav, rclone=NEW):
    return School(tmp_path / "school", dav, rclone)


@both
def test_everything_arrives_and_the_receipt_says_what_is_there(tmp_path, dav, rclone, capsys):
    school = school_of(tmp_path, dav, rclone)
    wanted = {
        "verslag.docx": school.put("verslag.docx", noise(1000)),
        "map/diep/ê ü – 漢字.txt": school.put("map/diep/ê ü – 漢字.txt", "ja"),
        " met spatie vooraan.txt": school.put(" met spatie vooraan.txt", "spatie"),
        "# geen commentaar.txt": school.put("# geen commentaar.txt", "hek"),
        "100% [raar] {x} ~a&b=c+d;.txt": school.put("100% [raar] {x} ~a&b=c+d;.txt", "raar"),
        "leeg.txt": school.put("leeg.txt"),
        "groot.bin": school.put("groot.bin", noise(2_500_000)),
    }
    (school.source() / "lege map").mkdir()
    os.utime(school.source() / "verslag.docx", (1_500_000_000, 1_500_000_000))
    before = snapshot(school.folder / "takeout")
    assert school.call("run") == 0
    assert dav.files(JAN) == wanted
    assert (dav.home(JAN) / "lege map").is_dir()
    receipt = school.receipt()
    assert receipt["complete"] is True
    assert receipt["hash"] == "sha256"
    assert {one["to"]: (one["bytes"], one["hash"], one["compared"]) for one in receipt["files"]} == {
        path: (len(data), sha256(data), True) for path, data in wanted.items()
    }
    assert receipt["totals"]["bytes"] == sum(map(len, wanted.values()))
    assert receipt["totals"]["folders"] == 1
    # Nothing at the source is changed, not even when a file was changed.
    assert snapshot(school.folder / "takeout") == before
    text = (school.folder / "migration" / "receipts" / f"{JAN}.txt").read_text(encoding="utf-8")
    assert "7 files" in text
    assert sha256(wanted["verslag.docx"])[:16] in text
    assert "1 of 2  jan.jansen: 7 files" in capsys.readouterr().out
    report = json.loads((school.folder / "migration" / "report.json").read_text(encoding="utf-8"))
    assert report["states"] == {"complete": 2}
    assert report["totals"]["files"] == 7
    if rclone == NEW:
        assert (dav.home(JAN) / "verslag.docx").stat().st_mtime == 1_500_000_000
        pieces = [one for one in dav.requests("PUT") if "/uploads/" in one["path"]]
        assert [one["length"] for one in pieces] == [1048576, 1048576, 2_500_000 - 2 * 1048576]


def test_what_is_written_about_people_is_for_its_owner_only(tmp_path, dav):
    school = school_of(tmp_path, dav)
    school.put("brief.txt", "x")
    assert school.call("run", "--only", JAN) == 0
    work = school.folder / "migration"
    assert (work / ".gitignore").read_text(encoding="utf-8") == "*\n"
    for path in work.rglob("*"):
        if path.name not in (".gitignore", "lock"):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(work.stat().st_mode) == 0o700


def test_a_dry_run_tells_what_there_is_and_sends_nothing(tmp_path, dav, capsys):
    school = school_of(tmp_path, dav)
    school.limit(biggest_gb=0.000001)
    school.put("gewoon.txt", "12345")
    school.put("te groot.bin", noise(3000))
    school.put("film.part", "x")
    school.put("a:b.txt", "x")
    school.put("Verslag.txt", "x")
    school.put("verslag.txt", "xy")
    school.put("leeg.txt")
    school.put(f"{'lange map/' * 22}x.txt", "x")
    (dav.home(JAN) / "gewoon.txt").write_text("iets anders", encoding="utf-8")
    before = dav.files(JAN)
    assert school.call("plan", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    jan = plan["moves"][0]
    found = {(one["kind"], one["path"].rpartition("/")[2]): one["more"] for one in jan["problems"]}
    assert found == {
        ("conflict", "gewoon.txt"): "",
        ("too_big", "te groot.bin"): "",
        ("nextcloud_name", "film.part"): "film.part_",
        ("windows_name", "a:b.txt"): "",
        ("case", "verslag.txt"): "Verslag.txt",
        ("empty", "leeg.txt"): "",
        ("windows_path", "x.txt"): "225",
    }
    assert (jan["files"], jan["bytes"]) == (8, 5 + 3000 + 1 + 1 + 1 + 2 + 0 + 1)
    assert (jan["sends"], jan["sends_bytes"]) == (6, 6)
    assert dav.files(JAN) == before
    assert {one["method"] for one in dav.requests()} == {"PROPFIND"}
    saved = json.loads((school.folder / "migration" / "plan" / f"{JAN}.json").read_text(encoding="utf-8"))
    assert len(saved["problems"]) == 7
    assert school.call("plan") == 0
    text = capsys.readouterr().out
    assert "Nextcloud does not take these names; they get another: 1\n    film.part → film.part_" in text
    assert "Nothing was sent." in text


def test_an_account_without_room_is_seen_before(tmp_path, dav, capsys):
    school = school_of(tmp_path, dav)
    with (school.source() / "reus.bin").open("wb") as file:
        file.truncate(45 * 1024**3 * 3)
    school.limit(biggest_gb=1000)
    assert school.call("plan", "--only", JAN, "--json") == 0
    problems = json.loads(capsys.readouterr().out)["moves"][0]["problems"]
    assert "no_room" in {one["kind"] for one in problems}


def test_names_that_nextcloud_refuses_get_another(tmp_path, dav):
    school = school_of(tmp_path, dav)
    long = "lang" * 60 + " verslag.docx"
    school.put("film.part", "1")
    school.put(".htaccess", "2")
    school.put("map.part/a\\b.txt", "3")
    school.put(long, "4")
    school.put("regel\neinde.txt", "5")
    assert school.call("run", "--only", JAN) == 0
    found = dav.files(JAN)
    short = next(name for name in found if name.startswith("lang"))
    assert len(short.encode()) == 250
    assert short.endswith(".docx")
    assert found == {
        "film.part_": b"1",
        ".htaccess_": b"2",
        "map.part_/a_b.txt": b"3",
        short: b"4",
        # rclone's own way to write an end of line.
        "regel\N{SYMBOL FOR LINE FEED}einde.txt": b"5",
    }
    files = {one["path"]: one["to"] for one in school.receipt()["files"]}
    assert files[long] == short
    # The same again: nothing is sent a second time under yet another name.
    assert school.call("run", "--only", JAN) == 0
    assert len(dav.requests("PUT")) == 5


@pytest.mark.parametrize(
    ("rclone", "how"),
    [(DEBIAN, signal.SIGKILL), (NEW, signal.SIGKILL), (NEW, signal.SIGINT)],
    ids=["debian-killed", "new-killed", "new-stopped"],
)
def test_a_run_killed_in_the_middle_goes_on_where_it_was(tmp_path, dav, rclone, how):
    school = school_of(tmp_path, dav, rclone)
    school.limit(bandwidth="200k", at_once=2)
    wanted = {
        f"map/{number:02}.bin": school.put(f"map/{number:02}.bin", noise(30_000, number))
        for number in range(14)
    }
    process = school.start("--only", JAN)
    while len(finished(dav)) < 4:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    rclones = children_of(process.pid)
    process.send_signal(how)
    process.communicate(timeout=20)
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    # rclone went with it: it would go on sending what the next run sends.
    assert rclones
    for _ in range(100):
        if not any(map(runs, rclones)):
            break
        time.sleep(0.02)
    assert not any(map(runs, rclones))
    sent_before = finished(dav)
    assert 4 <= len(sent_before) < 14
    school.limit(bandwidth="100M")
    assert school.call("run", "--only", JAN) == 0
    assert dav.files(JAN) == wanted
    times = Counter(one["path"] for one in dav.requests("PUT"))
    # What had arrived is not sent again; at most what was on its way is.
    assert all(times[path] == 1 for path in sent_before)
    assert sum(count > 1 for count in times.values()) <= 2
    receipt = school.receipt()
    assert receipt["complete"] is True
    assert {one["to"]: one["hash"] for one in receipt["files"]} == {
        path: sha256(data) for path, data in wanted.items()
    }
    assert {one["state"] for one in receipt["files"]} == {"sent"}


def test_rclone_goes_when_the_program_goes_also_when_it_has_nothing_to_say():
    """It dies of a broken pipe where it speaks; the kernel sees to it where it does not."""
    program = "\n".join(
        [
            "import time",
            "from schoolstack.migrate.rclone import Rclone, Remote, Session",
            "local = Remote({'type': 'local'}, '/')",
            f"with Session(Rclone({NEW!r}), local, local):",
            "    print('runs', flush=True)",
            "    time.sleep(60)",
        ]
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "runs\n"
    rclones = children_of(process.pid)
    assert len(rclones) == 1
    process.kill()
    process.communicate()
    for _ in range(100):
        if not runs(rclones[0]):
            break
        time.sleep(0.02)
    left = runs(rclones[0])
    if left:
        os.kill(rclones[0], signal.SIGKILL)
    assert not left


def finished(dav):
    return {one["path"] for one in dav.requests("PUT") if one.get("status", 500) < 300}


def test_a_second_run_sends_nothing(tmp_path, dav):
    school = school_of(tmp_path, dav)
    school.put("a.txt", "a")
    assert school.call("run", "--only", JAN) == 0
    assert len(dav.requests("PUT")) == 1
    first = school.receipt()
    assert school.call("run", "--only", JAN) == 0
    assert len(dav.requests("PUT")) == 1
    assert school.receipt()["files"] == first["files"]


def test_an_upload_that_was_cut_off_is_sent_again_and_no_other_file_is_touched(tmp_path, dav):
    school = school_of(tmp_path, dav, DEBIAN)
    ours, theirs = school.put("ours.bin", noise(5000)), b"what Jan wrote in the meantime"
    school.put("theirs.bin", noise(5000, 2))
    known = {"size": 5000, "as": "sent", "changed": ""}
    lines = [{"path": name, "to": name, "state": "sending", **known} for name in ("ours.bin", "theirs.bin")]
    journal = school.folder / "migration" / "journal" / f"{JAN}.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (dav.home(JAN) / "ours.bin").write_bytes(ours[:2000])
    (dav.home(JAN) / "theirs.bin").write_bytes(theirs)
    assert school.call("run", "--only", JAN) == 0
    assert dav.files(JAN) == {"ours.bin": ours, "theirs.bin": theirs}
    assert school.skipped() == {"theirs.bin": "conflict"}


@both
def test_another_file_at_the_target_stays_unless_the_school_says_otherwise(tmp_path, dav, rclone):
    school = school_of(tmp_path, dav, rclone)
    ours, theirs = school.put("brief.docx", "van vroeger"), b"van nu, en langer"
    same = school.put("zelfde.txt", "hetzelfde")
    school.put("even lang.txt", "aaaa")
    for name, content in (("brief.docx", theirs), ("zelfde.txt", same), ("even lang.txt", b"bbbb")):
        (dav.home(JAN) / name).write_bytes(content)
    assert school.call("run", "--only", JAN) == 0
    kept = {"brief.docx": theirs, "zelfde.txt": same, "even lang.txt": b"bbbb"}
    assert dav.files(JAN) == kept
    assert not dav.requests("PUT")
    assert school.skipped() == {"brief.docx": "conflict", "even lang.txt": "conflict"}
    assert [(one["to"], one["state"]) for one in school.receipt()["files"]] == [("zelfde.txt", "already")]

    school.settings["conflict"] = "both"
    assert school.call("run", "--only", JAN) == 0
    aside = {"brief (Takeout).docx": ours, "even lang (Takeout).txt": b"aaaa"}
    assert dav.files(JAN) == kept | aside
    assert {one["to"]: one["state"] for one in school.receipt()["files"]} == {
        "zelfde.txt": "already",
        "brief (Takeout).docx": "beside",
        "even lang (Takeout).txt": "beside",
    }


def test_a_school_that_says_so_has_files_replaced(tmp_path, dav):
    """Also one of the same size, on a server that says no more of its files."""
    school = school_of(tmp_path, dav, DEBIAN)
    wanted = {"brief.docx": school.put("brief.docx", "van vroeger"), "a.txt": school.put("a.txt", "aaaa")}
    (dav.home(JAN) / "brief.docx").write_bytes(b"van nu")
    (dav.home(JAN) / "a.txt").write_bytes(b"bbbb")
    school.settings["conflict"] = "replace"
    assert school.call("run", "--only", JAN) == 0
    assert dav.files(JAN) == wanted
    states = {one["to"]: one["state"] for one in school.receipt()["files"]}
    assert states == {"brief.docx": "replaced", "a.txt": "replaced"}


def test_what_changed_at_the_source_comes_over_ours_but_not_over_what_people_made_of_it(tmp_path, dav):
    school = school_of(tmp_path, dav)
    for name in ("a.txt", "b.txt", "weg.txt"):
        school.put(name, "eerste")
    assert school.call("run", "--only", JAN) == 0
    (dav.home(JAN) / "b.txt").write_text("van Jan", encoding="utf-8")
    (dav.home(JAN) / "weg.txt").unlink()
    new = school.put("a.txt", "tweede, langer")
    school.put("b.txt", "tweede")
    assert school.call("run", "--only", JAN) == 0
    # What its person deleted does not come back.
    assert dav.files(JAN) == {"a.txt": new, "b.txt": b"van Jan"}
    assert school.skipped() == {"b.txt": "conflict"}


def test_a_file_that_appears_at_the_target_meanwhile_is_not_written_over(tmp_path, dav, monkeypatch):
    """Between the look and the sending, which can be a day with a large drive."""
    school = school_of(tmp_path, dav)
    school.put("a.txt", "van de bron")
    send = Mover._send

    def meanwhile(self, todo):
        (dav.home(JAN) / "a.txt").write_text("van Jan", encoding="utf-8")
        return send(self, todo)

    monkeypatch.setattr(Mover, "_send", meanwhile)
    assert school.call("run", "--only", JAN) == 1
    assert dav.files(JAN) == {"a.txt": b"van Jan"}
    assert school.skipped() == {"a.txt": "differs"}
    assert school.call("run", "--only", JAN) == 0
    assert dav.files(JAN) == {"a.txt": b"van Jan"}
    assert school.skipped() == {"a.txt": "conflict"}


def test_what_is_damaged_on_the_way_is_seen(tmp_path, dav, monkeypatch):
    school = school_of(tmp_path, dav, DEBIAN)
    data = school.put("a.bin", noise(4000))
    arrived = Mover._look_whether_arrived

    def damaged(self, decided):
        (dav.home(JAN) / "a.bin").write_bytes(data[:-1] + b"?")
        return arrived(self, decided)

    monkeypatch.setattr(Mover, "_look_whether_arrived", damaged)
    assert school.call("run", "--only", JAN) == 1
    assert school.skipped() == {"a.bin": "differs"}
    assert school.receipt()["complete"] is False


def test_a_full_disk_is_told_in_one_sentence_and_ends_the_run(tmp_path, dav, capsys):
    school = school_of(tmp_path, dav)
    school.limit(at_once=1)
    wanted = {name: school.put(name, noise(40_000)) for name in ("1.bin", "2.bin", "3.bin", "4.bin")}
    school.put("van piet.bin", noise(10), "piet@old.example")
    dav.control(full=90_000)
    assert school.call("run") == 1
    said = capsys.readouterr()
    assert said.err == (
        "school: The disk of the target is full, so nothing more was sent: make room there, then give the "
        "same command again.\n"
    )
    assert school.skipped() == {"3.bin": "full", "4.bin": "full"}
    assert [one["to"] for one in school.receipt()["files"]] == ["1.bin", "2.bin"]
    # Piet's were not begun: there is no room for anybody.
    assert not (school.folder / "migration" / "receipts" / f"{PIET}.json").exists()
    assert len(dav.requests("PUT")) == 3
    dav.control()
    assert school.call("run") == 0
    assert dav.files(JAN) == wanted
    assert school.receipt()["complete"] is True


def test_a_full_account_stops_its_own_files_only(tmp_path, dav, capsys, monkeypatch):
    from schoolstack.migrate.rclone import Session

    monkeypatch.setattr(Session, "free", lambda self, side: 5)
    school = school_of(tmp_path, dav)
    school.put("groot.bin", noise(40_000))
    small = school.put("klein.bin", "x", "piet@old.example")
    dav.control(full=30_000)
    assert school.call("run") == 1
    assert "1 of 2  jan.jansen: 0 files, 0 B; the account is full" in capsys.readouterr().out
    assert dav.files(PIET) == {"klein.bin": small}


def test_a_server_that_goes_away_is_waited_for(tmp_path, capsys, monkeypatch):
    with serving(tmp_path / "dav") as dav:
        school = school_of(tmp_path, dav)
        school.limit(bandwidth="300k", at_once=1)
        wanted = {f"{number}.bin": school.put(f"{number}.bin", noise(60_000, number)) for number in range(6)}

        def away() -> None:
            while len(finished(dav)) < 2:
                time.sleep(0.02)
            dav.stop()

        # It comes back while it is being waited for.
        monkeypatch.setattr(Mover, "_sleep", lambda self, seconds: dav.start())

        thread = threading.Thread(target=away)
        thread.start()
        assert school.call("run", "--only", JAN) == 0
        thread.join()
        assert dav.files(JAN) == wanted
        assert school.receipt()["complete"] is True
        assert "A server does not answer" in capsys.readouterr().out


def test_a_server_that_stays_away_ends_the_run_and_loses_nothing(tmp_path, capsys):
    with serving(tmp_path / "dav") as dav:
        school = school_of(tmp_path, dav)
        school.limit(bandwidth="300k", at_once=1, patience=0)
        wanted = {f"{number}.bin": school.put(f"{number}.bin", noise(60_000, number)) for number in range(6)}

        def away() -> None:
            while len(finished(dav)) < 2:
                time.sleep(0.02)
            dav.stop()

        thread = threading.Thread(target=away)
        thread.start()
        assert school.call("run", "--only", JAN) == 1
        thread.join()
        assert "A server has not answered for too long" in capsys.readouterr().err
        reasons = Counter(school.skipped().values())
        assert reasons["left"] == 6
        dav.start()
        school.limit(bandwidth="100M")
        assert school.call("run", "--only", JAN) == 0
        assert dav.files(JAN) == wanted
        assert set(Counter(finished_list(dav)).values()) == {1}


def finished_list(dav):
    return [one["path"] for one in dav.requests("PUT") if one.get("status", 500) < 300]


def test_somebody_who_is_no_longer_let_in_does_not_keep_the_others_waiting(
    tmp_path, dav, monkeypatch, capsys
):
    school = school_of(tmp_path, dav)
    school.put("a.txt", "a")
    data = school.put("b.txt", "b", "piet@old.example")
    send = Mover._send

    def revoked(self, todo):
        dav.control(denied=JAN)
        return send(self, todo)

    monkeypatch.setattr(Mover, "_send", revoked)
    assert school.call("run") == 1
    said = capsys.readouterr().out
    assert "The files for jan.jansen cannot be read: " in said
    assert "1 of 2  jan.jansen: not brought, the reason stands above" in said
    assert school.skipped() == {"a.txt": "left"}
    assert dav.files(PIET) == {"b.txt": data}


def test_a_receipt_stays_when_the_next_run_cannot_even_look(tmp_path, dav, monkeypatch, capsys):
    school = school_of(tmp_path, dav)
    school.put("a.txt", "a")
    assert school.call("run", "--only", JAN) == 0
    before = school.receipt()
    monkeypatch.setattr(Mover, "_wait_for_hours", lambda self: dav.control(denied=JAN))
    assert school.call("run", "--only", JAN) == 1
    assert "The files for jan.jansen cannot be read: " in capsys.readouterr().out
    assert school.receipt() == before


def test_a_newer_file_that_was_cut_off_is_sent_over_the_older_one_of_ours(tmp_path, dav):
    school = school_of(tmp_path, dav)
    school.put("a.txt", "eerste")
    assert school.call("run", "--only", JAN) == 0
    new = school.put("a.txt", "tweede")
    # Killed just before the first byte of it.
    (last,) = [note for note in school.journal() if note["state"] == "checked"]
    cut = {"path": "a.txt", "state": "sending", "to": "a.txt", "size": 6, "changed": "", "as": "sent"}
    with (school.folder / "migration" / "journal" / f"{JAN}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({**cut, "was": last["hash"]}) + "\n")
    assert school.call("run", "--only", JAN) == 0
    assert dav.files(JAN) == {"a.txt": new}


def test_what_is_sent_over_is_noted_with_what_was_there(tmp_path, dav):
    school = school_of(tmp_path, dav)
    old = school.put("a.txt", "eerste")
    assert school.call("run", "--only", JAN) == 0
    school.put("a.txt", "tweede, langer")
    assert school.call("run", "--only", JAN) == 0
    noted = [note.get("was") for note in school.journal() if note["state"] == "sending"]
    assert noted == [None, sha256(old)]


def test_one_file_that_fails_does_not_stop_the_others(tmp_path, dav, monkeypatch):
    monkeypatch.setattr("schoolstack.migrate.mover._TRIES", 1)
    school = school_of(tmp_path, dav)
    school.put("stuk.bin", "x")
    good = school.put("goed.bin", "y")
    dav.control(broken="stuk")
    assert school.call("run", "--only", JAN) == 1
    assert dav.files(JAN) == {"goed.bin": good}
    skipped = school.receipt()["skipped"]
    assert [(one["path"], one["reason"]) for one in skipped] == [("stuk.bin", "failed")]
    assert "500" in skipped[0]["says"]


def test_it_takes_no_more_bandwidth_than_it_may(tmp_path, dav):
    school = school_of(tmp_path, dav)
    school.limit(bandwidth="500k")
    for number in range(4):
        school.put(f"{number}.bin", noise(200_000, number))
    assert school.call("run", "--only", JAN) == 0
    sending = dav.requests("PUT")
    # 800 kB at 500 kB a second, less what rclone lets through at once.
    assert max(one["ended"] for one in sending) - min(one["began"] for one in sending) > 1


def test_it_asks_no_more_often_than_it_may(tmp_path, dav):
    school = school_of(tmp_path, dav)
    school.limit(requests=8)
    for number in range(6):
        school.put(f"{number}.txt", str(number))
    assert school.call("run", "--only", JAN) == 0
    asked = dav.requests()
    sent = [place for place, one in enumerate(asked) if one["method"] == "PUT"]
    between = asked[sent[0] : sent[-1]]
    assert len(between) > 12
    assert len(between) / (asked[sent[-1]]["began"] - asked[sent[0]]["began"]) < 9


def test_files_are_sent_at_night(tmp_path, dav, capsys):
    import datetime

    from schoolstack.migrate import run
    from schoolstack.migrate.mover import Way

    school = school_of(tmp_path, dav)
    school.limit(hours="19:00-07:00")
    data = school.put("a.txt", "a")
    way, moves = run.prepare(school.file, [JAN])
    clock = [datetime.datetime(2026, 11, 27, 18, 58)]
    slept = []

    def sleep(seconds):
        assert not dav.requests("PUT")
        slept.append(seconds)
        clock[0] += datetime.timedelta(seconds=seconds)

    fields = {name: getattr(way, name) for name in ("settings", "rclone", "source", "target")}
    assert run.run(Way(**fields, sleep=sleep, now=lambda: clock[0]), moves)
    assert sum(slept) == 120
    assert dav.files(JAN) == {"a.txt": data}
    assert capsys.readouterr().out.count("Files are sent between 19:00-07:00: waiting.") == 1


def test_a_shared_library_goes_to_its_folder(tmp_path, dav):
    school = school_of(tmp_path, dav)
    data = school.put("lijst.xlsx", "rooster", "team")
    school.settings["to"]["libraries"] = LIBRARIAN
    school.except_for("person;;piet.pieters\nlibrary;team;Lerarenkamer/Van Teams\n")
    school.settings["to"]["folder"] = "Van vroeger"
    own = school.put("a.txt", "a")
    assert school.call("run") == 0
    assert dav.files(LIBRARIAN) == {"Lerarenkamer/Van Teams/lijst.xlsx": data}
    assert dav.files(JAN) == {"Van vroeger/a.txt": own}
    assert school.receipt("library-Lerarenkamer-Van-Teams")["to"] == {
        "account": LIBRARIAN,
        "folder": "Lerarenkamer/Van Teams",
    }
    assert not (school.folder / "migration" / "receipts" / f"{PIET}.json").exists()
    assert school.call("run") == 0
    assert len(dav.requests("PUT")) == 2


def test_what_cannot_be_is_refused_before_the_first_transfer(tmp_path, dav, capsys):
    school = school_of(tmp_path, dav)
    school.put("a.txt", "a")
    school.source("piet@old.example").rmdir()
    school.secret("passwords.csv", f"username;password\n{JAN};wrong\n{PIET};{SECRETS[PIET]}\n")
    assert school.call("run") == 1
    assert capsys.readouterr().err.splitlines() == [
        f"school: There is no folder {school.source('piet@old.example')}, which piet.pieters would get: "
        "unpack the archive there, or leave it out in the file of exceptions.",
        "The target does not let jan.jansen in: no such account, or another app password; check both.",
    ]
    school.secret("passwords.csv", f"username;password\n{PIET};{SECRETS[PIET]}\n")
    assert school.call("run", "--only", JAN) == 1
    assert "There is no app password of jan.jansen" in capsys.readouterr().err
    assert not dav.requests("PUT")
    assert not dav.requests("MKCOL")


def test_two_runs_at_once_are_refused(tmp_path, dav, capsys):
    from schoolstack.migrate.mover import alone

    school = school_of(tmp_path, dav)
    school.put("a.txt", "a")
    with alone(school.folder / "migration"):
        assert school.call("run", "--only", JAN) == 1
    assert "Another run is at work" in capsys.readouterr().err
    assert not dav.requests("PUT")
    assert school.call("run", "--only", JAN) == 0


def test_no_secret_is_in_a_command_line_a_file_or_what_is_said(tmp_path, dav, capfd):
    school = school_of(tmp_path, dav)
    seen = tmp_path / "seen"
    wrapper = tmp_path / "rclone"
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{seen}\nexec {NEW} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    school.settings["rclone"] = str(wrapper)
    school.put("a.txt", "x")
    school.put("b.txt", noise(5000))
    dav.control(full=3000)
    assert school.call("run", "--only", JAN) == 1
    said = capfd.readouterr()
    texts = [seen.read_text(encoding="utf-8"), said.out, said.err]
    texts += [
        path.read_text(encoding="utf-8")
        for path in (school.folder / "migration").rglob("*")
        if path.is_file()
    ]
    assert "rcd" in texts[0]
    assert "hashsum" in texts[0]
    shown = [
        subprocess.run([NEW, "reveal", word], capture_output=True, text=True, check=False).stdout.strip()
        for word in texts[0].split()
        if len(word) > 20
    ]
    for secret in SECRETS.values():
        assert secret not in "".join(texts)
        assert secret not in shown


def test_other_sources_by_the_schools_own_configuration(tmp_path, dav):
    """An encrypted remote, which knows no hash of its files: they are read to compare."""
    school = school_of(tmp_path, dav)
    obscured = subprocess.run(
        [NEW, "obscure", "-"], input="a password", capture_output=True, text=True, check=True
    ).stdout.strip()
    store = tmp_path / "store"
    config = f"[hidden]\ntype = crypt\nremote = {store}\npassword = {obscured}\n"
    school.secret("rclone.conf", config)
    wanted = {"a.txt": noise(1000), "map/b.txt": b"b"}
    for path, content in wanted.items():
        (tmp_path / "clear" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clear" / path).write_bytes(content)
    command = [NEW, "--config", str(school.folder / "rclone.conf"), "copy", str(tmp_path / "clear")]
    subprocess.run([*command, "hidden:people/jan@old.example"], check=True, capture_output=True)
    school.settings["from"] = {"kind": "remote", "config": "rclone.conf", "path": "hidden:people/{account}"}
    school.except_for("person;;piet.pieters\n")
    before = snapshot(store)
    assert school.call("run") == 0
    assert dav.files(JAN) == wanted
    assert {one["to"]: (one["hash"], one["compared"]) for one in school.receipt()["files"]} == {
        path: (sha256(content), True) for path, content in wanted.items()
    }
    assert snapshot(store) == before


def test_from_s3(tmp_path, dav, capsys):
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", free_port())
    server.start()
    try:
        host, port = server.get_host_and_port()
        wait_for_port(port)
        url = f"http://{host}:{port}"
        s3 = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )
        s3.create_bucket(Bucket="old")
        wanted = {"a.txt": noise(1000), "map/b c.txt": b"b"}
        for path, content in wanted.items():
            s3.put_object(Bucket="old", Key=f"jan@old.example/{path}", Body=content)
        school = school_of(tmp_path, dav)
        lines = [
            "[cloud]",
            "type = s3",
            "provider = Other",
            "access_key_id = key",
            "secret_access_key = secret",
        ]
        school.secret(
            "rclone.conf", "\n".join([*lines, f"endpoint = {url}", "force_path_style = true"]) + "\n"
        )
        school.settings["from"] = {"kind": "remote", "config": "rclone.conf", "path": "cloud:old/{account}"}
        assert school.call("run", "--only", JAN) == 0
        receipt = school.receipt()
        assert dav.files(JAN) == wanted
        assert receipt["hash"] == "md5"
        etags = {
            one["Key"].partition("/")[2]: one["ETag"].strip('"')
            for one in s3.list_objects_v2(Bucket="old")["Contents"]
        }
        assert {one["to"]: one["hash"] for one in receipt["files"]} == etags
        assert all(one["compared"] for one in receipt["files"])
    finally:
        server.stop()


class Converting(BaseHTTPRequestHandler):
    """Files whose size nobody knows before they are there, and which are others each time: as of Google's."""

    def do_HEAD(self):
        self.send_response(200 if self.path.endswith(("/", ".docx")) else 404)
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/zip")
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.server.count += 1
        is_list = self.path.endswith("/")
        page = '<a href="Plan.docx">Plan.docx</a>' if is_list else f"converted, time {self.server.count}"
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass


@both
def test_what_is_converted_on_the_way_has_no_size_and_no_hash_before(tmp_path, dav, rclone, capsys):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Converting)
    server.count = 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        school = school_of(tmp_path, dav, rclone)
        school.secret("rclone.conf", f"[web]\ntype = http\nurl = http://127.0.0.1:{server.server_port}/\n")
        school.settings["from"] = {"kind": "remote", "config": "rclone.conf", "path": "web:{account}"}
        assert school.call("plan", "--only", JAN, "--json") == 0
        jan = json.loads(capsys.readouterr().out)["moves"][0]
        assert (jan["files"], jan["bytes"], jan["converts"]) == (1, 0, 1)
        assert school.call("run", "--only", JAN) == 0
        sent = dav.files(JAN)["Plan.docx"]
        assert sent.startswith(b"converted, time ")
        (one,) = school.receipt()["files"]
        assert (one["bytes"], one["hash"], one["compared"]) == (len(sent), sha256(sent), False)
        # Never again, although it would be another file each time.
        assert school.call("run", "--only", JAN) == 0
        assert dav.files(JAN) == {"Plan.docx": sent}
        assert school.receipt()["files"] == [one]
    finally:
        server.shutdown()


def test_everything_there_is_said_before_anything_is_sent(tmp_path, dav, capsys):
    school = school_of(tmp_path, dav)
    assert school.call("check") == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "Everything is there: the files of 2 people and 0 shared libraries, from Takeout to http"
    )
    assert {one["method"] for one in dav.requests()} == {"PROPFIND"}


def test_rclones_own_webdav_server(tmp_path, dav):
    """Another server than WsgiDAV, with what people have in it."""
    school = school_of(tmp_path, dav, DEBIAN)
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    command = [NEW, "serve", "webdav", str(home), "--addr", f"127.0.0.1:{port}", "--config", ""]
    environment = {**os.environ, "RCLONE_USER": JAN, "RCLONE_PASS": SECRETS[JAN]}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        school.settings["to"] = {
            "kind": "webdav",
            "url": f"http://127.0.0.1:{port}/",
            "passwords": "passwords.csv",
        }
        wanted = {"a.txt": school.put("a.txt", noise(1000)), "map/é.txt": school.put("map/é.txt", "b")}
        assert school.call("run", "--only", JAN) == 0
        assert {
            str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()
        } == wanted
        assert all(one["compared"] for one in school.receipt()["files"])
    finally:
        process.kill()
        process.wait()


def test_a_certificate_of_the_schools_own_is_trusted_besides_the_worlds(tmp_path, dav, monkeypatch):
    """The school's for the target, and still those of the system for the cloud."""
    school = school_of(tmp_path, dav)
    homes = {"cloud": tmp_path / "cloud", "target": tmp_path / "target"}
    processes, ports = [], {}
    try:
        for name, home in homes.items():
            home.mkdir()
            (tmp_path / f"{name}-ca").mkdir()
            certificate, key = tmp_path / f"{name}-ca" / "ca.pem", tmp_path / f"{name}.key"
            command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", f"/CN={name}"]
            command += [
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-keyout",
                str(key),
                "-out",
                str(certificate),
            ]
            subprocess.run(command, check=True, capture_output=True)
            ports[name] = free_port()
            command = [
                NEW,
                "serve",
                "webdav",
                str(home),
                "--addr",
                f"127.0.0.1:{ports[name]}",
                "--config",
                "",
            ]
            environment = {**os.environ, "RCLONE_USER": JAN, "RCLONE_PASS": SECRETS[JAN]}
            command += ["--cert", str(certificate), "--key", str(key)]
            processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
            wait_for_port(ports[name])
        (homes["cloud"] / "a.txt").write_text("a", encoding="utf-8")
        obscured = Rclone(NEW).obscure(SECRETS[JAN])
        lines = ["[cloud]", "type = webdav", f"url = https://127.0.0.1:{ports['cloud']}", "vendor = other"]
        school.secret("rclone.conf", "\n".join([*lines, f"user = {JAN}", f"pass = {obscured}"]) + "\n")
        school.settings["from"] = {
            "kind": "remote",
            "config": "rclone.conf",
            "path": "cloud:{account}",
            "accounts": "/",
        }
        school.settings["to"] = {
            "kind": "webdav",
            "url": f"https://127.0.0.1:{ports['target']}/",
            "passwords": "passwords.csv",
        }
        school.except_for("person;;piet.pieters\n")
        # What the system trusts, in a test.
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "cloud-ca"))
        assert school.call("run") == 1
        school.settings["to"]["ca"] = str(tmp_path / "target-ca" / "ca.pem")
        assert school.call("run") == 0
        assert (homes["target"] / "a.txt").read_text(encoding="utf-8") == "a"
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_the_report_for_the_school(tmp_path, dav, capsys):
    school = school_of(tmp_path, dav)
    assert school.call("report") == 1
    assert "Nothing has been brought yet" in capsys.readouterr().err
    school.put("a.txt", "abc")
    school.limit(biggest_gb=0.0000001)
    school.put("groot.bin", noise(1000))
    assert school.call("run", "--only", JAN) == 0
    capsys.readouterr()
    assert school.call("report") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["jan.jansen", "complete", "1", "3", "B", "too", "large", "1"]
    assert lines[2].split() == ["piet.pieters", "not", "begun"]
    assert lines[-1] == "2 in all: 1 complete, 0 to be continued, 1 not begun. 1 files, 3 B; 1 skipped."
    assert school.call("report", "--json") == 0
    assert json.loads(capsys.readouterr().out)["states"] == {"complete": 1, "waiting": 1}


def test_plain_sentences_exist_for_whatever_is_skipped(tmp_path):
    """Every reason and problem that the code names has its sentence in both languages."""
    import re

    from schoolstack.messages import LANGUAGES, catalogue
    from schoolstack.migrate import receipt

    code = "".join(path.read_text(encoding="utf-8") for path in Path(receipt.__file__).parent.glob("*.py"))
    reasons = set(re.findall(r'(?:skipped\(|_skip\(step, )"(\w+)"', code)) | {"full", "left", "failed"}
    problems = set(re.findall(r'(?:Problem\(|skipped\()"(\w+)"', code)) | {"windows_name", "windows_path"}
    assert {"native", "onenote", "conflict", "differs"} <= reasons
    for language in LANGUAGES:
        for reason in reasons:
            assert f"migrate.reason.{reason}" in catalogue(language)
            assert f"migrate.short.{reason}" in catalogue(language)
        for problem in problems:
            assert f"migrate.problem.{problem}" in catalogue(language)
