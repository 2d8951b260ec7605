"""Every lesson and every fault: whole, broken as told, mended by the production role. No lesson can rot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError
from schoolstack.hosts.state import remove_tree, run
from schoolstack.labs.lesson import load, names
from schoolstack.labs.seat import PREPARED, SETTLE_LIMIT, Seat, Seen

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

LESSONS = names(ROOT)
# Tried in every run: the one that has no sign-in server to wait for. The others take minutes each and are
# left to make test-all.
EVERY_RUN = ("own-server",)
CASES = [pytest.param(name, marks=[] if name in EVERY_RUN else [pytest.mark.slow]) for name in LESSONS]
UNFINISHED = [case for case in CASES if not load(ROOT, str(case.values[0])).beginning]
# And of these the first fault.
FAULTS = [
    pytest.param(name, fault, marks=[] if name in EVERY_RUN and number == 0 else [pytest.mark.slow])
    for name in LESSONS
    for number, fault in enumerate(load(ROOT, name).faults)
]
# Of the seat that is tried beside the one without a number.
NUMBER = "3"
# Seconds that are wanted of a prepared lesson on two cores, until one can log in: of a start, and of a reset
# for each of its hosts, which all boot at once.
START_S, RESET_S = 15, 5
# Bounds a check, which takes 3 to 7 s on two cores that do other work too.
CHECK_S = 20


@pytest.fixture(scope="module")
def seats() -> Iterator[dict[str, Seat]]:
    """A seat per lesson, each prepared on new machines at its first use."""
    seats = {name: Seat(load(ROOT, name)) for name in LESSONS}
    # Those that share a disk go first.
    all_seats = [*(Seat(load(ROOT, name), NUMBER) for name in LESSONS), *seats.values()]
    for seat in all_seats:
        seat.remove()
    try:
        yield seats
    finally:
        for seat in all_seats:
            seat.remove()


def failed(seen: dict[str, Seen]) -> dict[str, str]:
    """Return what was seen at each step that does not pass."""
    return {step: found.code or found.said for step, found in seen.items() if not found.passed}


def memory_mb(seat: Seat) -> float:
    """Return what the processes of a lesson's hosts take, in MB; what they share counts once."""
    ask = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ {sum += $2} END {print sum}'"
    hosts = seat.hosts.values()
    return sum(int(run([*seat.lab.ssh_command(name), ask])) for name in hosts) / 1024


def disk_mb(seat: Seat) -> float:
    """Return what a lesson's hosts take on disk, in MB, besides the image and packages that all share."""
    folders = [str(seat.lab.folder(name)) for name in seat.hosts.values()]
    return sum(
        int(line.split()[0]) for line in run(["du", "-smx", "--exclude=archives", *folders]).splitlines()
    )


def machine_id(seat: Seat, host: str) -> str:
    """Return what a host's systemd calls the machine."""
    return run([*seat.lab.ssh_command(host), "cat /etc/machine-id"])


def wait_until_failed(seat: Seat, fails: Mapping[str, str]) -> None:
    """Wait until the hosts' programs have come up, and just these steps fail."""
    deadline = time.monotonic() + SETTLE_LIMIT
    while failed(seen := seat.look()) != dict(fails):
        assert time.monotonic() < deadline, failed(seen)
        time.sleep(1)


@pytest.mark.parametrize("name", UNFINISHED)
def test_an_unfinished_machine_lacks_what_is_told_and_the_roles_finish_it(
    seats: dict[str, Seat], name: str
) -> None:
    seat = seats[name]
    seat.start()
    fails = seat.lesson.fails("")
    wait_until_failed(seat, fails)
    given = seat.hint()
    assert given
    assert given[0] in fails, "the hint is about a step that passes"
    assert failed(seat.solve()) == {}


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_fault_makes_the_named_steps_fail_and_the_role_mends_it(
    seats: dict[str, Seat], name: str, fault: str
) -> None:
    seat = seats[name]
    # This waits until just the named steps fail, on a machine that was whole before.
    seat.prepare(fault)
    began = time.monotonic()
    seat.start(fault)
    took = time.monotonic() - began
    print(f"{name}, {fault}: started in {took:.1f} s")
    assert took < START_S
    told = seat.lesson.faults[fault]
    wait_until_failed(seat, told["fails"])
    began = time.monotonic()
    seen = seat.check()
    took = time.monotonic() - began
    assert failed(seen) == dict(told["fails"])
    assert told["symptom"]["shows"] in seen[told["symptom"]["step"]].said, "people tell something else"
    assert took < CHECK_S
    given = seat.hint()
    assert given
    assert given[0] in told["fails"], "the hint is about a step that passes"
    # Where a step has to survive a restart, the solution is looked at after one.
    assert failed(seat.solve()) == {}
    attempt = seat.require_attempt()
    assert attempt.ended
    assert seat.unconfirmed(attempt) == []


@pytest.mark.parametrize("name", CASES)
def test_a_reset_gives_the_same_problem_within_the_budget(seats: dict[str, Seat], name: str) -> None:
    seat = seats[name]
    seat.prepare(seat.lesson.beginning)
    began = time.monotonic()
    attempt = seat.start()
    took = time.monotonic() - began
    wait_until_failed(seat, seat.lesson.fails(attempt.fault))
    used = memory_mb(seat), disk_mb(seat)
    print(f"{name}: reset in {took:.1f} s; {used[0]:.0f} MB of memory, {used[1]:.0f} MB of disk")
    content = seat.lesson.content
    assert took < RESET_S * len(seat.hosts)
    assert used[0] <= content["memory_mb"]
    assert used[1] <= content["disk_mb"]


@pytest.mark.parametrize("name", CASES)
def test_a_lesson_that_is_stopped_stays_prepared(seats: dict[str, Seat], name: str) -> None:
    seat = seats[name]
    seat.prepare()
    seat.stop()
    assert not seat.running
    assert all(PREPARED in seat.lab.snapshots(host) for host in seat.hosts.values())


@pytest.mark.parametrize("name", CASES)
def test_a_seat_of_a_room_shares_the_disk_and_nothing_else(seats: dict[str, Seat], name: str) -> None:
    first = seats[name]
    first.prepare(first.lesson.beginning)
    seat = Seat(load(ROOT, name), NUMBER)
    try:
        attempt = seat.start(learner="learner-1", seed="a room's seed")
        # With the names and passwords of this seat, which its checks use.
        wait_until_failed(seat, seat.lesson.fails(attempt.fault))
        assert all(seat.variants[word] != value for word, value in first.variants.items())
        assert disk_mb(seat) < disk_mb(first) / 2
        # Its solution begins with no preparation, which would break again what the learner has mended.
        assert "prepared: true" in (seat.folder / "molecule" / "state.yml").read_text(encoding="utf-8")
        for host, own in zip(first.hosts.values(), seat.hosts.values(), strict=True):
            with pytest.raises(SchoolError, match="share its disk"):
                first.lab.down(host)
            first.lab.up(host)
            assert machine_id(first, host) != machine_id(seat, own)
    finally:
        seat.remove()
    assert not seat.folder.exists()
    assert not {host.name for host in seat.lab.hosts()} & set(seat.hosts.values())


# Stands in for the SSH client: the Raspberry Pi that it reaches is this machine, with the project in a home
# folder; test hosts are reached with the real one.
SSH = """#!/bin/sh
case "$*" in *" -- pi-6.school.internal "*) ;; *) exec {ssh} "$@" ;; esac
while [ "$1" != -- ]; do shift; done
cd {home} && exec sh -c "$3"
"""


def test_a_room_is_started_looked_at_taken_up_again_and_removed(
    seats: dict[str, Seat], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "own-server"
    seats[name].lend("")
    (tmp_path / "schoolstack").symlink_to(ROOT)
    (tmp_path / "ssh").write_text(SSH.format(home=tmp_path, ssh=shutil.which("ssh")), encoding="utf-8")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    text = "4 kestrel\n5 otter\n6 heron at=pi-6.school.internal\n"
    (tmp_path / "list").write_text(text, encoding="utf-8")
    room = [Seat(load(ROOT, name), number) for number in ("4", "5", "6")]
    host = room[1].hosts["server"]

    def school(*words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "schoolstack.cli", "lab", "room", *words, "--json"]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"room {words[0]}: {time.monotonic() - began:.1f} s")
        assert (done.returncode, done.stderr) == (0, "")
        return {report["seat"]: report for report in json.loads(done.stdout)}

    try:
        begun = school("start", name, "--list", str(tmp_path / "list"))
        assert {seat: report["learner"] for seat, report in begun.items()} == {
            "4": "kestrel",
            "5": "otter",
            "6": "heron",
        }
        assert all(seat.running for seat in room)
        run([*room[1].lab.ssh_command(host), "systemctl disable --now supplier-trace && sync"])
        room[1].lab.power_cut(host)
        # The seat that lost its power comes back with the learner's work, and no attempt begins again.
        again = school("start", name, "--list", str(tmp_path / "list"))
        assert {seat: report["attempt"] for seat, report in again.items()} == {
            seat: report["attempt"] for seat, report in begun.items()
        }
        looked = school("check", name)
        passed = {
            seat: [step["id"] for step in report["steps"] if step["passed"]]
            for seat, report in looked.items()
        }
        assert passed == {"4": [], "5": ["disk"], "6": []}
        assert {s: r["points"] for s, r in school("report", name).items()} == {
            s: r["points"] for s, r in looked.items()
        }
        ended = school("stop", name, "--remove")
        assert all(report["ended"] for report in ended.values())
        assert not any(seat.folder.exists() for seat in room)
        assert not {host.name for host in room[0].lab.hosts()} & {seat.hosts["server"] for seat in room}
        assert not (room[0].lab.state.root / "rooms" / name).exists()
    finally:
        for seat in room:
            seat.remove()
        remove_tree(room[0].lab.state.root / "rooms" / name)
