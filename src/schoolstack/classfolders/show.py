"""Write a plan for Nextcloud as a coordinator reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from schoolstack.classfolders.model import CLASS, ROLE, UNITS
from schoolstack.classfolders.plan import Plan, Provision, Work
from schoolstack.messages import say

# More than this are counted instead of named: a first import is not read name by name.
NAMED = 40


def show_plan(plan: Plan, *, asked: bool, allowed: bool) -> str:
    """Return a plan as text.

    Args:
        plan: what would change.
        asked: whether it shall be carried out now, if nothing speaks against it.
        allowed: whether more than a tenth of the accounts or classes may go.
    """
    too_many = plan.is_mass_removal and not allowed
    heading = "nothing" if plan.is_empty else "applying" if asked and not too_many else "looking"
    lines = [say(f"classfolders.{heading}")]
    lines += _people("new", [one for one in plan.accounts if one.before is None])
    lines += _people("changed", [one for one in plan.accounts if one.before is not None])
    lines += _section("enabled", [f"{one.name} ({one.id})" for one in plan.enabled])
    lines += _section("disabled", [f"{one.name} ({one.id})" for one in plan.disabled])
    lines += _section("members", list(_members(plan)))
    lines += _section(
        "archived",
        [
            say(
                "classfolders.archive_gone" if one.gone else "classfolders.archive_year",
                folder=one.folder.path,
                path=one.path,
                size=write_size(one.folder.size),
            )
            for one in plan.archives
        ],
    )
    lines += _section("folders", [_work(work) for work in plan.works])
    lines += _section(
        "noticed", [say(f"classfolders.notice.{one.key}", **one.values) for one in plan.notices]
    )
    lines.append(say("classfolders.untouched", count=plan.untouched))
    if not asked and too_many:
        lines.append(mass_removal(plan))
    elif not asked and not plan.is_empty:
        lines.append(say("roster.plan.next"))
    return "\n".join(lines)


def mass_removal(plan: Plan) -> str:
    """Return why a plan after which too much would be gone is not carried out."""
    return say(
        "classfolders.mass_removal",
        people=len(plan.disabled),
        active=plan.active,
        gone=plan.gone,
        classes=plan.class_folders,
    )


def write_size(size: int) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("TB", "GB", "MB"):
        if size >= UNITS[unit]:
            return f"{size / UNITS[unit]:.1f} {unit}"
    return f"{size / 1024:.1f} kB" if size else say("classfolders.empty")


def _section(key: str, entries: list[str]) -> Iterator[str]:
    if entries:
        yield say(f"classfolders.{key}", count=len(entries))
        yield from (f"  {entry}" for entry in entries)


def _people(key: str, accounts: list[Provision]) -> Iterator[str]:
    if len(accounts) > NAMED:
        yield say(f"classfolders.{key}", count=len(accounts))
        counts = Counter(
            ", ".join(sorted(one.person.classes if one.person.roles == {"pupil"} else one.person.roles))
            for one in accounts
        )
        yield from (f"  {place}: {count}" for place, count in sorted(counts.items()))
    else:
        names = sorted(f"{one.person.name} ({one.person.username})" for one in accounts)
        yield from _section(key, names)


def _members(plan: Plan) -> Iterable[str]:
    """Yield who enters and leaves which class or role; of a first import, only how many."""
    moves: dict[str, list[str]] = {}
    for sign, noted in (("-", plan.left), ("+", plan.joined)):
        for group, users in sorted(noted.items()):
            for user in users:
                moves.setdefault(user, []).append(f"{sign}{group.removeprefix(CLASS).removeprefix(ROLE)}")
    if len(moves) <= NAMED:
        yield from (f"{user}: {', '.join(moved)}" for user, moved in sorted(moves.items()))
        return
    for group in sorted({*plan.joined, *plan.left}):
        came, went = len(plan.joined.get(group, ())), len(plan.left.get(group, ()))
        if came or went:
            yield f"{group}: +{came} -{went}"


def _work(work: Work) -> str:
    handed_in = sum("/" in path for path in work.rules)
    key = "returned" if work.returns else "made" if work.folder is None else "matched"
    text = say(f"classfolders.work.{key}", path=work.path)
    return f"{text} {say('classfolders.work.hand_in', count=handed_in)}" if handed_in else text
