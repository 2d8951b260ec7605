"""Write a plan as a coordinator reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from schoolstack.messages import say
from schoolstack.roster.plan import CLASS, Account, Change, Plan
from schoolstack.roster.sheets import sheet_of

# More new people than this are counted per class instead of named: a first import is not read name by name.
NAMED = 40


def show_plan(plan: Plan, *, asked: bool, allowed: bool) -> str:
    """Return a plan as text.

    Args:
        plan: what would change.
        asked: whether it shall be carried out now, if nothing speaks against it.
        allowed: whether it may disable more than a tenth of the school.
    """
    too_many = plan.is_mass_leave and not allowed
    applies = asked and not plan.refused and not too_many
    lines = [_heading(plan.is_empty and not plan.refused, applies), *_new(plan)]
    for kind in ("changed", "moved", "returning", "leaving"):
        lines += _section(kind, [_change(change) for change in plan.of_kind(kind)])
    lines += _section("groups", [_group(path, own) for path, own in sorted(plan.groups.items())])
    lines += _section("refused", [str(refusal) for refusal in plan.refused])
    lines.append(say("roster.plan.untouched", count=plan.untouched))
    if not asked and too_many:
        lines.append(say("roster.mass_leave", count=plan.disabled, total=plan.active))
    elif not asked and not plan.is_empty and not plan.refused:
        lines.append(say("roster.plan.next"))
    return "\n".join(lines)


def show_deletions(due: Sequence[Account], kept: Sequence[Account], *, applies: bool) -> str:
    """Return as text which leavers are, or would be, deleted, and how many are still kept."""
    lines = [_heading(not due, applies)]
    lines += _section("deleted", [f"{one.name} ({one.username}), {one.leaving_since}" for one in due])
    lines.append(say("roster.plan.kept", count=len(kept)))
    if due and not applies:
        lines.append(say("roster.plan.next"))
    return "\n".join(lines)


def _heading(nothing: bool, applies: bool) -> str:
    if nothing:
        return say("roster.plan.nothing")
    return say("roster.plan.applying" if applies else "roster.plan.looking")


def _section(key: str, items: Iterable[str]) -> Iterator[str]:
    entries = list(items)
    if entries:
        yield say(f"roster.plan.{key}", count=len(entries))
        yield from (f"  {entry}" for entry in entries)


def _new(plan: Plan) -> Iterator[str]:
    if not plan.new:
        return
    yield say("roster.plan.new", count=len(plan.new))
    if len(plan.new) > NAMED:
        counts = Counter(sheet_of(person) for person, _ in plan.new)
        yield from (f"  {sheet}: {count}" for sheet, count in sorted(counts.items()))
    else:
        for person, username in sorted(plan.new, key=lambda one: (sheet_of(one[0]), one[0].name)):
            yield f"  {sheet_of(person)}: {person.name}, {username}"


def _change(change: Change) -> str:
    before, after = change.before, change.after
    details = []
    if before.name != after.name:
        details.append(f"{before.name} → {after.name}")
    if before.email != after.email:
        details.append(f"{before.email or '-'} → {after.email}")
    groups = [f"-{path.removeprefix(CLASS)}" for path in sorted(change.left)]
    groups += [f"+{path.removeprefix(CLASS)}" for path in sorted(change.joined)]
    numbers = {"roster_id", "school_id", "eck_id"}
    if any(before.attributes.get(name) != after.attributes.get(name) for name in numbers):
        details.append(say("roster.plan.numbers"))
    return f"{after.name} ({after.username}): " + ", ".join([*details, *groups])


def _group(path: str, attributes: dict[str, str]) -> str:
    return say("roster.plan.ended" if "ended" in attributes else "roster.plan.exists", path=path)
