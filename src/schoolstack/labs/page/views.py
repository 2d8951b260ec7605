"""What the pages tell of a seat, as plain values in the language that is spoken.

What a learner has to find out stays out of :class:`SeatView`: it holds no fault, no solution, and of the
hints only those that were given.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from schoolstack.labs.lesson import Lesson, fitting, words
from schoolstack.labs.page.desk import Desk, Doing, Outcome
from schoolstack.labs.seat import Attempt, Seat, Seen, first_open, in_words
from schoolstack.messages import language, say


@dataclass(frozen=True)
class Hint:
    """A hint that was given.

    Attributes:
        text: what it says.
        cost: the points it took.
    """

    text: str
    cost: int


@dataclass(frozen=True)
class StepView:
    """One step.

    Attributes:
        id: its name in ``lab.yml``.
        title: what is to be so.
        text: what to do.
        state: ``open`` nobody looked yet; ``not_yet`` it fails; ``passed`` it was earned; ``slipped`` it was
            earned and fails now; ``restart`` it passes, and is earned after a restart; ``solved`` the
            solution mended it; ``fine`` it passes and was never broken.
        current: whether it is the one to work at.
        seen: what the last check saw, in words; empty when there is nothing to tell.
        points: what was earned; None where nothing is to be earned.
        most: what is to be earned.
        hints: those that were given.
    """

    id: str
    title: str
    text: str
    state: str
    current: bool
    seen: str
    points: int | None
    most: int
    hints: tuple[Hint, ...]


@dataclass(frozen=True)
class Said:
    """A sentence, and its language."""

    text: str
    language: str


@dataclass(frozen=True)
class WayIn:
    """How one logs in to a host.

    Attributes:
        what: what the host is.
        command: what to type in a terminal of the machine that serves the page.
        address: whom to log in as, and where; empty before the host exists.
    """

    what: str
    command: str
    address: str


@dataclass(frozen=True)
class SeatView:
    """One seat.

    Attributes:
        number: the seat's; empty outside a room.
        title: the lesson's.
        phase: ``none`` its hosts were never made, ``off`` they do not run, ``idle`` nothing was begun,
            ``starting``, ``going``, ``done`` everything passes.
        doing: what is being done, as in :class:`schoolstack.labs.page.desk.Doing`; empty when nothing is.
        said: what there is to say of what was asked last.
        story: what people tell, or what the machine lacks; empty before the beginning.
        heading: what stands above that: ``symptom`` or ``unfinished``.
        ways_in: how one logs in.
        steps: all of the lesson's.
        passing: how many steps pass, as far as is known.
        points: what was earned.
        most: what is to be earned.
        hints: how many were given.
        minutes: since the beginning, until the end.
        budget: minutes that the lesson is meant to take.
        coming_up: seconds until the server's own programs have come up.
        hint_cost: what the next hint costs as things stand; None when there is none.
        restart: whether a step is right, and earned only after a restart.
    """

    number: str
    title: str
    phase: str
    doing: str
    said: Said
    story: str
    heading: str
    ways_in: tuple[WayIn, ...]
    steps: tuple[StepView, ...]
    passing: int
    points: int
    most: int
    hints: int
    minutes: int
    budget: int
    coming_up: int
    hint_cost: int | None
    restart: bool

    @property
    def current(self) -> StepView | None:
        """The step to work at."""
        return next((step for step in self.steps if step.current), None)


@dataclass(frozen=True)
class RoomLine:
    """One seat, as its trainer sees it.

    Attributes:
        seat: what the learner sees.
        learner: who sits there, as a pseudonym; may be empty.
        fault: what is broken.
        mood: ``away`` when no attempt goes on, else ``going``, ``stuck`` or ``done``.
        since: since when it is at the present step, as a clock shows it; empty before the beginning.
        minutes: since then.
        looked: when the last check was, as a clock shows it; empty before that.
        link: where the learner's page is.
    """

    seat: SeatView
    learner: str
    fault: str
    mood: str
    since: str
    minutes: int
    looked: str
    link: str


def seat_view(desk: Desk, now: float | None = None) -> SeatView:
    """Return what a learner's page tells.

    Args:
        desk: the seat.
        now: the time, in seconds since 1970.
    """
    now = now or time.time()
    seat, doing, outcome = desk.seat, desk.doing, desk.outcome
    lesson, attempt = seat.lesson, seat.attempt
    if outcome and attempt and outcome.ended < attempt.began:
        # It came of an attempt that somebody has ended in a terminal since.
        outcome = None
    phase = _phase(seat, attempt, doing)
    begun = attempt or Attempt(now, lesson.beginning)
    seen = _seen(lesson, begun)
    to_do = seat.to_do(begun)
    # Before the first look nobody is told where to begin: finding that out is the lesson.
    open_step = first_open(lesson, seen) if seen and phase == "going" else ""
    steps = tuple(_step(seat, begun, step, seen.get(step), step == open_step) for step in lesson.steps)
    passing = sum(found.passed for found in seen.values())
    return SeatView(
        number=seat.number,
        title=words(lesson.content["title"]),
        phase=phase,
        doing=doing.verb if doing else "",
        said=_going_on(doing) if doing else _said(lesson, phase, outcome, passing, bool(seen)),
        story=_story(lesson, attempt) if attempt else "",
        heading="symptom" if begun.fault else "unfinished",
        ways_in=_ways_in(seat),
        steps=steps if attempt and phase != "starting" else (),
        passing=passing,
        points=sum(seat.points(begun, step) for step in to_do),
        most=sum(lesson.steps[step]["points"] for step in to_do),
        hints=sum(map(len, begun.hints.values())),
        minutes=int(((begun.ended or now) - begun.began) // 60),
        budget=lesson.content["minutes"],
        coming_up=max(0, round(begun.began + begun.coming_up - now)) if phase == "going" else 0,
        hint_cost=_hint_cost(lesson, begun, open_step, seen) if phase == "going" else None,
        restart=phase == "going" and any(step.state == "restart" for step in steps),
    )


def room_line(desk: Desk, link: str, now: float | None = None) -> RoomLine:
    """Return what a trainer's page tells of one seat.

    Args:
        desk: the seat.
        link: where its own page is.
        now: the time, in seconds since 1970.
    """
    now = now or time.time()
    seat = desk.seat
    view, attempt = seat_view(desk, now), seat.attempt
    if not attempt:
        return RoomLine(view, "", "", "away", "", 0, "", link)
    arrived = attempt.began + max(attempt.passed.values(), default=0)
    # Whoever is longer at one step than its share of the lesson's time may be glad of a visit.
    share = view.budget * 60 / len(seat.to_do(attempt))
    going = "stuck" if now - arrived > share else "going"
    return RoomLine(
        seat=view,
        learner=attempt.learner,
        fault=words(seat.lesson.faults[attempt.fault]["title"]) if attempt.fault else "",
        mood={"going": going, "done": "done"}.get(view.phase, "away"),
        since=_clock(arrived),
        minutes=int((now - arrived) // 60),
        looked=_clock(attempt.began + attempt.checks[-1]) if attempt.checks else "",
        link=link,
    )


def _phase(seat: Seat, attempt: Attempt | None, doing: Doing | None) -> str:
    if doing:
        # Hosts go down and come up meanwhile, and that is no news.
        return "starting" if doing.verb == "start" else "going"
    if attempt and attempt.ended and (attempt.solved or not _missing(seat, attempt)):
        return "done"
    if not seat.running:
        return "off" if attempt or seat.prepared else "none"
    return "going" if attempt and not attempt.ended else "idle"


def _missing(seat: Seat, attempt: Attempt) -> list[str]:
    return [step for step in seat.to_do(attempt) if step not in attempt.passed]


def _seen(lesson: Lesson, attempt: Attempt) -> dict[str, Seen]:
    """Return what the last check saw of each step; nothing before the first one."""
    return {step: Seen(**attempt.seen[step]) for step in lesson.steps if step in attempt.seen}


def _step(seat: Seat, attempt: Attempt, name: str, found: Seen | None, current: bool) -> StepView:
    told = seat.lesson.steps[name]
    # Before it was seen to fail, nobody is told which steps are broken.
    broken = name in seat.to_do(attempt)
    if not found:
        state = "open"
    elif name in attempt.solved:
        state = "solved" if found.passed else "not_yet"
    elif name in attempt.passed:
        state = "passed" if found.passed else "slipped"
    elif not found.passed:
        state = "not_yet"
    else:
        state = "restart" if broken else "fine"
    return StepView(
        id=name,
        title=words(told["title"]),
        text=words(told["text"]),
        state=state,
        current=current,
        seen=in_words(told, found) if found else "",
        points=seat.points(attempt, name) if broken and found else None,
        most=told["points"],
        hints=tuple(
            Hint(words(told["hints"][number]["text"]), told["hints"][number]["cost"])
            for number in attempt.hints.get(name, [])
        ),
    )


def _story(lesson: Lesson, attempt: Attempt) -> str:
    if not attempt.fault:
        return words(lesson.content["unfinished"]["text"])
    symptom = lesson.faults[attempt.fault]["symptom"]
    return words(symptom["text"], shows=symptom["shows"])


def _ways_in(seat: Seat) -> tuple[WayIn, ...]:
    addresses = {host.name: f"root@{host.address}" for host in seat.lab.hosts()}
    return tuple(
        WayIn(words(seat.lesson.content["hosts"][name]), f"school host ssh {host}", addresses.get(host, ""))
        for name, host in seat.hosts.items()
    )


def _hint_cost(lesson: Lesson, attempt: Attempt, step: str, seen: Mapping[str, Seen]) -> int | None:
    """Return what the next hint costs if the machine is still as it was seen last; None when there is none.

    Before the first look, that is as the fault made it.
    """
    if step:
        code = seen[step].code
    elif seen:
        return None
    else:
        fails = lesson.fails(attempt.fault)
        step = next(name for name in lesson.steps if name in fails)
        code = fails[step]
    told = lesson.steps[step]
    given = attempt.hints.get(step, [])
    left = [hint for hint in fitting(told, code) if told["hints"].index(hint) not in given]
    return int(left[0]["cost"]) if left else None


def _going_on(doing: Doing) -> Said:
    return _spoken(f"doing.{doing.verb if doing.begun else 'turn'}")


def _said(lesson: Lesson, phase: str, outcome: Outcome | None, passing: int, looked: bool) -> Said:
    """Return what there is to say of what was asked last, and of how far it is."""
    count = say("labs.page.count", passing=passing, all=len(lesson.steps)) if looked else ""
    if outcome and outcome.refused:
        return Said(outcome.refused, outcome.language)
    if phase == "done":
        return _spoken("done")
    if not outcome:
        return Said(count, language())
    if outcome.passed:
        steps = ", ".join(words(lesson.steps[step]["title"]) for step in outcome.passed)
        news = say("labs.page.news", steps=steps)
    elif outcome.verb == "start":
        news = say("labs.page.begun")
    elif outcome.hinted:
        key = "hinted" if outcome.new else "no_other_hint"
        news = say(f"labs.page.{key}", step=words(lesson.steps[outcome.hinted]["title"]))
    else:
        news = say("labs.page.no_news")
    return Said(f"{news} {count}".strip(), language())


def _spoken(key: str) -> Said:
    return Said(say(f"labs.page.{key}"), language())


def _clock(moment: float) -> str:
    return time.strftime("%H:%M", time.localtime(moment))
