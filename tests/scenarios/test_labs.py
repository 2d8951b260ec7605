"""Every lesson and every fault: whole, broken as told, mended by the production role. No lesson can rot."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schoolstack.deployment import ROOT
from schoolstack.labs.lesson import load, names
from schoolstack.labs.seat import PREPARED, Seat, Seen

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

LESSONS = names(ROOT)
FAULTS = [(name, fault) for name in LESSONS for fault in load(ROOT, name).faults]
# Bounds what is measured on two quiet cores: 20 s until Keycloak is up, and 5 s until it is broken.
RESET_S = 60
CHECK_S = 10


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
    """Return what the processes of a lesson's hosts take, in MB, without what the kernel caches for them."""
    return (
        sum(
            int(line.split()[1])
            for name in seat.lesson.hosts.values()
            for folder in Path("/sys/fs/cgroup").rglob(f"*{name}*/memory.stat")
            for line in folder.read_text(encoding="utf-8").splitlines()
            if line.startswith("anon ")
        )
        / 1024**2
    )


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
def test_a_reset_takes_seconds_and_gives_the_same_problem(seats: dict[str, Seat], name: str) -> None:
    seat = seats[name]
    fault = next(iter(seat.lesson.faults), "")
    seat.prepare()
    began = time.monotonic()
    seat.start(fault)
    took = time.monotonic() - began
    print(f"{name}: reset in {took:.1f} s, {memory_mb(seat):.0f} MB")
    assert failed(seat.check()) == dict(seat.lesson.faults[fault]["fails"])
    assert took < RESET_S


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_keeps_to_its_budget(seats: dict[str, Seat], name: str) -> None:
    seat = seats[name]
    seat.prepare()
    used = memory_mb(seat)
    assert 0 < used <= seat.lesson.content["memory_mb"]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_that_is_stopped_goes_on_where_it_is_prepared(seats: dict[str, Seat], name: str) -> None:
    seat = seats[name]
    seat.prepare()
    seat.stop()
    assert not seat.running
    assert all(PREPARED in seat.lab.snapshots(host) for host in seat.lesson.hosts.values())
