"""The program that says how a server is: each rule by itself, with a clock that stands still."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from schoolstack.messages import LANGUAGES, say

PROGRAM = Path(__file__).parents[2] / "roles/health/files/schoolstack_health.py"
spec = importlib.util.spec_from_file_location("schoolstack_health", PROGRAM)
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)

DAY = 86_400
NOW = 1_800_000_000.0  # 2027-01-15, 08:00 UTC
GB = 10**9


def judged(found):
    """Return what counts of a finding; what it says can be said, in every language."""
    for language in LANGUAGES:
        assert say(f"health.finding.{found['key']}", lang=language, **found["values"])
    return found["state"], found["key"]


APPLICATION = {
    "name": "library",
    "title": "Library",
    "units": [{"unit": "library.service", "oneshot": False, "active": "active"}],
    "answer": {"url": "http://127.0.0.1:9000/", "said": ""},
}


@pytest.mark.parametrize(
    ("change", "state", "key"),
    [
        ({}, "good", "runs"),
        (
            {"units": [{"unit": "library.service", "oneshot": False, "active": "inactive"}]},
            "wrong",
            "runs_not",
        ),
        ({"units": [{"unit": "library.service", "oneshot": False, "active": "failed"}]}, "wrong", "runs_not"),
        ({"units": [{"unit": "library.service", "oneshot": False, "active": ""}]}, "wrong", "runs_not"),
        ({"units": [{"unit": "nightly.service", "oneshot": True, "active": "inactive"}]}, "good", "runs"),
        ({"units": [{"unit": "nightly.service", "oneshot": True, "active": "failed"}]}, "wrong", "runs_not"),
        ({}, "good", "answer"),
        ({"answer": {"url": "http://127.0.0.1:9000/", "said": "refused"}}, "wrong", "answer_not"),
        ({"page": {"url": "https://library.myschool.example/", "said": ""}}, "good", "page"),
        ({"page": {"url": "https://library.myschool.example/", "said": "HTTP 502"}}, "wrong", "page_not"),
    ],
)
def test_an_application_is_judged(change, state, key):
    found = program.judge_application({**APPLICATION, **change}, {}, NOW)
    assert (state, key) in [judged(one) for one in found]


@pytest.fixture
def run():
    """A folder for sockets, whose path is short enough for one."""
    folder = Path(tempfile.mkdtemp(prefix="run"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("used", "most", "state", "key"),
    [(50, 64, "good", "cache"), (52, 64, "look", "cache_full"), (62, 64, "wrong", "cache_full")],
)
def test_what_is_kept_in_memory_says_how_full_it_is(monkeypatch, run, used, most, state, key):
    lines = ["# Memory", f"used_memory:{used * 1000}", "used_memory_human:x", f"maxmemory:{most * 1000}", ""]
    text = "\r\n".join(lines).encode()
    (run / "library-valkey").mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(run / "library-valkey/valkey.sock"))
    server.listen()

    def answers():
        with server, server.accept()[0] as connection:
            assert connection.recv(100) == b"INFO memory\r\n"
            connection.sendall(b"$%d\r\n%s\r\n" % (len(text), text))
            connection.recv(1)

    thread = threading.Thread(target=answers, daemon=True)
    thread.start()
    monkeypatch.setattr(program, "RUN", run)
    record = {"services": [{"name": "library"}], "caches": [{"engine": "valkey", "name": "library"}]}
    seen = program.caches(record)
    thread.join(10)
    found = list(program.judge_application({**APPLICATION, "caches": seen}, {}, NOW))
    assert (state, key) in [judged(one) for one in found]
    assert [one["values"]["unit"] for one in found if one["check"] == "cache"] == ["library-valkey.service"]


def test_a_cache_is_a_unit_of_its_application(monkeypatch, run):
    monkeypatch.setattr(program, "output", lambda *command: f"{command[-1].startswith('library-')}\n")
    monkeypatch.setattr(program, "RUN", run)
    record = {"services": [{"name": "library"}], "caches": [{"engine": "valkey", "name": "library"}]}
    assert {one["unit"]: one["active"] for one in program.units(record)} == {
        "library.service": "False",
        "library-valkey.service": "True",
    }
    # Its unit says that it does not run; how full it is, nobody can tell then.
    assert program.caches(record) == []


def test_what_does_not_run_is_said_once():
    stopped = [{"unit": "library.service", "oneshot": False, "active": "failed"}]
    seen = {**APPLICATION, "units": stopped, "answer": {"url": "http://127.0.0.1:9000/", "said": "refused"}}
    assert [one["key"] for one in program.judge_application(seen, {}, NOW)] == ["runs_not"]


@pytest.mark.parametrize(
    ("life", "left", "shown", "state", "key"),
    [
        (397, 300, True, "good", "certificate"),
        (397, 300, None, "good", "certificate"),
        (397, 300, False, "look", "certificate_not_shown"),
        (397, 22, True, "good", "certificate"),
        (397, 20, True, "look", "certificate_ends"),
        (397, 6, True, "wrong", "certificate_ends"),
        (397, -1, True, "wrong", "certificate_ended"),
        (397, -1, False, "wrong", "certificate_ended"),
        # One of six days is renewed with two days left.
        (6, 2, True, "good", "certificate"),
        (6, 1.2, True, "look", "certificate_ends"),
        (6, 0.5, True, "wrong", "certificate_ends"),
    ],
)
def test_a_certificate_is_judged_by_what_is_left(life, left, shown, state, key):
    ends = NOW + left * DAY
    seen = {"name": "library", "begins": ends - life * DAY, "ends": ends, "shown": shown}
    assert judged(program.judge_certificate(seen, NOW)) == (state, key)


def test_a_certificate_that_is_none_is_wrong():
    seen = {"name": "library", "begins": 0.0, "ends": 0.0, "shown": None}
    assert judged(program.judge_certificate(seen, NOW)) == ("wrong", "certificate_unreadable")


def history(*counts):
    return {"sign_ins": {program.iso(NOW - (n + 1) * DAY)[:10]: {"library": c} for n, c in enumerate(counts)}}


@pytest.mark.parametrize(
    ("count", "samples", "state", "key"),
    [
        (0, {}, "good", "sign_ins_unknown"),
        (500, history(1, 1, 1, 1), "good", "sign_ins_unknown"),
        (20, history(0, 0, 0, 0, 0), "good", "sign_ins"),
        (21, history(0, 0, 0, 0, 0), "look", "sign_ins_unusual"),
        (80, history(20, 25, 20, 0, 0), "good", "sign_ins"),
        (81, history(20, 25, 20, 0, 0), "look", "sign_ins_unusual"),
        # One bad day before does not make a bad day usual.
        (90, history(20, 2000, 20, 0, 0), "look", "sign_ins_unusual"),
    ],
)
def test_failed_sign_ins_are_compared_with_earlier_days(count, samples, state, key):
    assert judged(program.judge_sign_ins("library", count, samples, NOW)) == (state, key)


def test_today_and_other_applications_are_no_measure_for_failed_sign_ins():
    samples = history(0, 0, 0, 0)
    samples["sign_ins"][program.iso(NOW)[:10]] = {"library": 900}
    samples["sign_ins"]["2026-01-01"] = {"ssh": 900}
    assert judged(program.judge_sign_ins("library", 30, samples, NOW))[1] == "sign_ins_unknown"


def free_by_day(*free, size=100):
    """Samples of the days before today, the oldest first, in GB."""
    return {
        "disks": [
            {"time": NOW - before * DAY, "disks": {"/": {"size": size * GB, "free": gb * GB}}, "updates": 0}
            for before, gb in zip(range(len(free), 0, -1), free, strict=True)
        ]
    }


@pytest.mark.parametrize(
    ("free", "samples", "state", "key", "days"),
    [
        (60, {}, "good", "disk_unknown", None),
        (60, free_by_day(61, 60.5), "good", "disk_unknown", None),
        (60, free_by_day(63, 62, 61), "good", "disk", 60),
        (40, free_by_day(46, 44, 42), "look", "disk_fills", 20),
        (30, free_by_day(45, 40, 35), "wrong", "disk_fills", 6),
        (60, free_by_day(60, 60, 60), "good", "disk_steady", None),
        (60, free_by_day(57, 58, 59), "good", "disk_steady", None),
        # Something large came on one day: that is no trend.
        (60, free_by_day(80, 60, 60, 60, 60, 60), "good", "disk_steady", None),
        # A larger disk since yesterday says nothing yet.
        (90, free_by_day(10, 8, 6, size=50), "good", "disk_unknown", None),
        (15, {}, "look", "disk_full", None),
        (5, {}, "wrong", "disk_full", None),
        (4, free_by_day(4, 4, 4), "wrong", "disk_full", None),
    ],
)
def test_a_disk_is_judged_by_when_it_is_full(free, samples, state, key, days):
    found = program.judge_disk("/", {"size": 100 * GB, "free": free * GB}, samples, NOW)
    assert judged(found) == (state, key)
    assert found["values"].get("days") == days


GOOD_BACKUP = {
    "last_good": {"time": program.iso(NOW - 7200)},
    "last": {"sentence": ""},
    "drill": {"time": program.iso(NOW - 10 * DAY)},
    "alarm": "",
    "where": "vault",
}


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        ({}, [("good", "backup"), ("good", "drill")]),
        ({"alarm": "too old"}, [("wrong", "backup_alarm"), ("good", "drill")]),
        ({"last": {"sentence": "no room"}}, [("look", "backup_failed"), ("good", "drill")]),
        (
            {"restoring": "2027-01-14"},
            [("look", "restore_unfinished"), ("good", "backup"), ("good", "drill")],
        ),
        ({"last_good": {}}, [("look", "backup_none"), ("good", "drill")]),
        ({"drill": {}}, [("good", "backup"), ("look", "drill_none")]),
        ({"drill": {"time": "2026-01-01T10:00:00"}}, [("good", "backup"), ("look", "drill_old")]),
    ],
)
def test_backup_and_drill_are_judged(change, findings):
    assert [judged(one) for one in program.judge_backup({**GOOD_BACKUP, **change}, NOW)] == findings


def test_no_backup_at_all_is_to_be_looked_at():
    assert [judged(one) for one in program.judge_backup({}, NOW)] == [
        ("look", "backup_none"),
        ("look", "drill_none"),
    ]


@pytest.mark.parametrize(
    ("seen", "state", "key"),
    [
        ({"container": False, "synchronized": True}, "good", "clock"),
        ({"container": True, "synchronized": False}, "good", "clock_shared"),
        ({"container": False, "synchronized": False}, "look", "clock_alone"),
    ],
)
def test_the_clock_is_judged(seen, state, key):
    assert judged(program.judge_clock(seen)) == (state, key)


def waiting(*counts):
    return {"disks": [{"time": NOW - (n + 1) * DAY, "disks": {}, "updates": c} for n, c in enumerate(counts)]}


@pytest.mark.parametrize(
    ("lists", "security", "samples", "state", "key"),
    [
        (NOW - DAY, [], {}, "good", "updates"),
        (NOW - DAY, ["openssl"], {}, "look", "updates_wait"),
        (NOW - DAY, ["openssl"], waiting(1, 1, 0), "look", "updates_wait"),
        (NOW - DAY, ["openssl"], waiting(1, 1, 1), "wrong", "updates_stuck"),
        (NOW - 8 * DAY, [], {}, "look", "updates_unknown"),
        (0.0, ["openssl"], {}, "look", "updates_unknown"),
    ],
)
def test_updates_are_judged(lists, security, samples, state, key):
    assert judged(program.judge_updates({"lists": lists, "security": security}, samples, NOW)) == (state, key)


SERVER = {
    "applications": [APPLICATION],
    "disks": {},
    "database": "",
    "backup": GOOD_BACKUP,
    "clock": {"container": False, "synchronized": True},
    "updates": {"lists": NOW, "security": []},
    "failed_units": [],
    "reboot": False,
    "certificates": [],
    "failed_sign_ins": 0,
}


@pytest.mark.parametrize(
    ("change", "state", "key"),
    [
        ({}, "good", "units"),
        ({"failed_units": ["apt-daily.service"]}, "look", "units_failed"),
        ({"reboot": True}, "look", "reboot_wanted"),
        ({"database": "no response"}, "wrong", "database_not"),
        (
            {"certificates": [{"name": "old", "begins": 0.0, "ends": 1.0, "shown": None}]},
            "wrong",
            "certificate_ended",
        ),
    ],
)
def test_the_server_itself_is_judged(change, state, key):
    found = list(program.judge({**SERVER, **change}, {}, NOW))
    assert (state, key) in [judged(one) for one in found if one["application"] == ""]
    assert {one["title"] for one in found if one["application"] == "library"} == {"Library"}
    assert all(one["state"] == "good" for one in program.judge(SERVER, {}, NOW))


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("/run:5432 - accepting connections\n", ""),
        ("/run:5432 - rejecting connections\n", "/run:5432 - rejecting connections"),
        ("/run:5432 - no response\n", "/run:5432 - no response"),
        ("", "pg_isready"),
    ],
)
def test_the_database_server_is_asked_where_an_application_needs_it(monkeypatch, said, wrong):
    monkeypatch.setattr(program, "output", lambda *_: said)
    assert program.database([{"databases": [{"engine": "postgresql", "name": "library"}]}, {}]) == wrong
    assert program.database([{}]) == ""


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """What apt says, in a list so that it can be changed, and a file that it reads."""
    reads = tmp_path / "status"
    reads.touch()
    monkeypatch.setattr(program, "APT_READS", (reads, tmp_path / "nowhere"))
    monkeypatch.setattr(program, "APT_SAID", tmp_path / "run" / "updates.json")
    said = [""]
    monkeypatch.setattr(program, "output", lambda *_: said[0])
    return said, reads


def test_security_updates_are_told_from_others(apt):
    text = """\
Inst openssl [3.0.15-1~deb12u1] (3.0.16-1~deb12u1 Debian-Security:12/oldstable-security [amd64])
Inst bash [5.2-1] (5.2-2 Debian:12.9/oldstable [amd64])
Inst libc6 [2.39-0ubuntu8] (2.39-0ubuntu8.3 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64])
Conf openssl (3.0.16-1~deb12u1 Debian-Security:12/oldstable-security [amd64])
"""
    apt[0][0] = text
    assert program.security_updates() == ["libc6", "openssl"]


def test_apt_is_asked_again_when_what_it_reads_has_changed(apt):
    said, reads = apt
    waiting = "Inst openssl [3.0] (3.1 Debian-Security:13/stable-security [amd64])\n"
    assert program.security_updates() == [], "an apt that could not look is asked again"
    said[0] = waiting
    assert program.security_updates() == ["openssl"]
    said[0] = "Reading package lists...\n"
    assert program.security_updates() == ["openssl"]
    os.utime(reads, (0, 0))
    assert program.security_updates() == []


@pytest.mark.parametrize("kept", ["", "{}", "[]", '{"of": 1}', "\xff"])
def test_what_is_damaged_is_not_relied_on(apt, kept):
    program.APT_SAID.parent.mkdir()
    program.APT_SAID.write_text(kept)
    apt[0][0] = "Inst openssl [3.0] (3.1 Debian-Security:13/stable-security [amd64])\n"
    assert program.security_updates() == ["openssl"]


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server on which sampling can be tried: its clock, its journal, its disk."""
    monkeypatch.setattr(program, "SAMPLES", tmp_path / "health" / "samples.json")
    monkeypatch.setattr(program, "read_records", list)
    monkeypatch.setattr(program, "disks", lambda _: {"/": {"size": 100, "free": 50}})
    monkeypatch.setattr(program, "security_updates", lambda: ["openssl"])
    asked = []

    def journal(_names, _pattern, since):
        asked.append(program.iso(since)[:10])
        return program.collections.Counter({"2027-01-14": 7})

    monkeypatch.setattr(program, "failures", journal)

    def on(days):
        monkeypatch.setattr(program.time, "time", lambda: NOW + days * DAY)
        program.sample()
        return program.read_samples(), asked[-1]

    return on


def test_a_sample_remembers_yesterdays_sign_ins_and_todays_disk(server):
    samples, since = server(0)
    assert since == "2027-01-14"
    assert samples["sign_ins"] == {"2027-01-14": {"ssh": 7}}
    assert samples["disks"] == [{"time": NOW, "disks": {"/": {"size": 100, "free": 50}}, "updates": 1}]


def test_days_without_a_sample_are_caught_up(server):
    server(0)
    samples, since = server(3)
    assert since == "2027-01-14"
    assert sorted(samples["sign_ins"]) == ["2027-01-14", "2027-01-15", "2027-01-16", "2027-01-17"]
    assert len(samples["disks"]) == 2


def test_old_samples_are_forgotten_and_damaged_ones_replaced(server):
    server(0)
    samples, _ = server(100)
    assert len(samples["disks"]) == 1
    assert "2027-01-14" not in samples["sign_ins"]
    program.SAMPLES.write_text("{half", encoding="utf-8")
    samples, _ = server(101)
    assert len(samples["disks"]) == 1
    assert json.loads(program.SAMPLES.read_text(encoding="utf-8")) == samples


@pytest.mark.parametrize(
    ("script", "seen"),
    [('echo \'{"alarm": "", "hours": 3}\'', {"alarm": "", "hours": 3}), ("echo trouble >&2; exit 1", {})],
)
def test_what_the_backup_says_of_itself_is_taken_as_it_says_it(tmp_path, monkeypatch, script, seen):
    monkeypatch.setattr(program, "BACKUP", tmp_path / "schoolstack-backup")
    assert program.backup() == {}
    program.BACKUP.write_text(f'#!/bin/sh\n[ "$1" = status ] || exit 2\n{script}\n', encoding="utf-8")
    program.BACKUP.chmod(0o755)
    assert program.backup() == seen


def test_findings_are_told_to_prometheus() -> None:
    """With the sentence that people would read, and a number that is the higher the worse it is."""
    told = {
        "disk_full": "{mount} is {percent} % full",
        "runs_not": 'say "{unit}" \\ and\nmore',
        "clock": "right",
    }
    server, library = {"application": "", "title": ""}, {"application": "library", "title": "Library"}
    found = [
        program.finding("disk", "look", "disk_full", mount="/srv", percent=90) | server,
        program.finding("service", "wrong", "runs_not", unit="library.service", found="failed") | library,
        program.finding("clock", "good", "clock") | server,
    ]
    lines = program.metrics(found, told).splitlines()
    assert lines[0].startswith("# HELP schoolstack_finding ")
    assert lines[2:] == [
        'schoolstack_finding{application="",title="",check="disk",about="/srv",'
        'sentence="/srv is 90 % full"} 1',
        'schoolstack_finding{application="library",title="Library",check="service",about="library.service",'
        'sentence="say \\"library.service\\" \\\\ and more"} 2',
        'schoolstack_finding{application="",title="",check="clock",about="",sentence="right"} 0',
    ]


def test_what_prometheus_reads_is_replaced_at_once(tmp_path, monkeypatch) -> None:
    """In a file that everybody may read, and never half of it."""
    found = [{**program.finding("clock", "good", "clock"), "application": "", "title": ""}]
    monkeypatch.setattr(program, "findings", lambda: {"now": NOW, "findings": found})
    (tmp_path / "sentences.json").write_text(json.dumps({"clock": "right"}))
    (tmp_path / "school.prom").write_text("old")
    program.publish(tmp_path / "school.prom", tmp_path / "sentences.json")
    assert (tmp_path / "school.prom").read_text().endswith('sentence="right"} 0\n')
    assert (tmp_path / "school.prom").stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["school.prom", "sentences.json"]


@pytest.mark.parametrize(
    ("service", "timer", "told"),
    [
        ("inactive", "active", ("jobs.timer", "active")),
        ("activating", "active", ("jobs.timer", "active")),
        ("failed", "active", ("jobs.service", "failed")),
        ("inactive", "inactive", ("jobs.timer", "inactive")),
    ],
)
def test_what_runs_again_and_again_is_its_timer_until_it_fails(monkeypatch, service, timer, told):
    states = {"jobs.service": service, "jobs.timer": timer}
    monkeypatch.setattr(program, "output", lambda *command: states[command[-1]] + "\n")
    (unit,) = program.units({"services": [{"name": "jobs", "every_s": 300}]})
    assert (unit["unit"], unit["active"]) == told
