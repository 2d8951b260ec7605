"""Every lesson and every fault: whole, broken as told, mended by the production role. No lesson can rot."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from schoolstack.deployment import ROOT
from schoolstack.hosts.state import run
from schoolstack.labs.lesson import load, names
from schoolstack.labs.seat import PREPARED, Seat, Seen

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

LESSONS = names(ROOT)
UNFINISHED = [name for name in LESSONS if not load(ROOT, name).beginning]
FAULTS = [(name, fault) for name in LESSONS for fault in load(ROOT, name).faults]
# Bounds what is measured on two cores that do other work too: a reset 43 to 85 s, most of it until
# Keycloak is up; a check 3 to 7 s.
RESET_S = 180
CHECK_S = 20


@pytest.fixture(scope="module")
def seats() -> Iterator[dict[str, Seat]]:
    """A seat per lesson, each prepared on new machines at its first use."""
    seats = {name: Seat(load(ROOT, name)) for name in LESSONS}
    for seat in seats.values():
        seat.remove()
    try:
        yield seats
    finally:
        for seat in seats.values():
            seat.remove()


def failed(seen: dict[str, Seen]) -> dict[str, str]:
    """Return what was seen at each step that does not pass."""
    return {step: found.code or found.said for step, found in seen.items() if not found.passed}


def memory_mb(seat: Seat) -> float:
    """Return what the processes of a lesson's hosts take, in MB; what they share counts once."""
    ask = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ {sum += $2} END {print sum}'"
    hosts = seat.lesson.hosts.values()
    return sum(int(run([*seat.lab.ssh_command(name), ask])) for name in hosts) / 1024


def disk_mb(seat: Seat) -> float:
    """Return what a lesson's hosts take on disk, in MB, besides the image that all test hosts share."""
    folders = [str(seat.lab.folder(name)) for name in seat.lesson.hosts.values()]
    return sum(int(line.split()[0]) for line in run(["du", "-smx", *folders]).splitlines())


@pytest.mark.parametrize("name", UNFINISHED)
def test_an_unfinished_machine_lacks_what_is_told_and_the_roles_finish_it(
    seats: dict[str, Seat], name: str
) -> None:
    seat = seats[name]
    seat.start()
    fails = seat.lesson.fails("")
    assert failed(seat.check()) == dict(fails)
    given = seat.hint()
    assert given
    assert given[0] in fails, "the hint is about a step that passes"
    assert failed(seat.solve()) == {}


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_fault_makes_the_named_steps_fail_and_the_role_mends_it(
    seats: dict[str, Seat], name: str, fault: str
) -> None:
    seat = seats[name]
    if not seat.prepared:
        seat.start(fault)
    else:
        # On the machine that the fault before was mended on: whole again, or this one fails.
        assert failed(seat.look()) == {}
        seat.break_it(fault)
    told = seat.lesson.faults[fault]
    began = time.monotonic()
    seen = seat.check()
    took = time.monotonic() - began
    assert failed(seen) == dict(told["fails"])
    assert told["symptom"]["shows"] in seen[told["symptom"]["step"]].said, "people tell something else"
    assert took < CHECK_S
    given = seat.hint()
    assert given
    assert given[0] in told["fails"], "the hint is about a step that passes"
    assert failed(seat.solve()) == {}


@pytest.mark.parametrize("name", LESSONS)
def test_a_reset_gives_the_same_problem_within_the_budget(seats: dict[str, Seat], name: str) -> None:
    seat = seats[name]
    seat.prepare()
    began = time.monotonic()
    attempt = seat.start()
    took = time.monotonic() - began
    used = memory_mb(seat), disk_mb(seat)
    print(f"{name}: reset in {took:.1f} s; {used[0]:.0f} MB of memory, {used[1]:.0f} MB of disk")
    content = seat.lesson.content
    assert failed(seat.check()) == dict(seat.lesson.fails(attempt.fault))
    assert took < RESET_S
    assert used[0] <= content["memory_mb"]
    assert used[1] <= content["disk_mb"]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_that_is_stopped_stays_prepared(seats: dict[str, Seat], name: str) -> None:
    seat = seats[name]
    seat.prepare()
    seat.stop()
    assert not seat.running
    assert all(PREPARED in seat.lab.snapshots(host) for host in seat.lesson.hosts.values())
