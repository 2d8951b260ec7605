"""Which removal of an application is refused: plain values in, sentences out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schoolstack.messages import say
from schoolstack.preflight.checks import Declaration, near

# A part of the declaration that another application makes true -> that application.
PROVIDERS = {"sign_in": "keycloak"}


@dataclass(frozen=True)
class Holder:
    """What one server holds, and is to hold.

    Attributes:
        groups: the inventory groups it is in.
        records: the records of the applications that run there, by name.
        removed: the last records of those that were removed and left data, by name.
    """

    groups: Collection[str]
    records: Mapping[str, Declaration]
    removed: Mapping[str, Declaration]

    def is_to_lose(self, app: str) -> bool:
        """Return whether an application runs there that the inventory does not put there."""
        return app in self.records and app not in self.groups


def check_removal(app: Any, purge: Any, holders: Mapping[str, Holder]) -> Iterator[str]:
    """Yield a sentence for each reason not to remove an application.

    Args:
        app: the application's name, as somebody typed it.
        purge: the same name, typed once more to have its data deleted; empty to keep it.
        holders: every server of the inventory by name.
    """
    known = sorted({name for holder in holders.values() for name in (*holder.records, *holder.removed)})
    names = ", ".join(known) or say("removal.none")
    if not app:
        yield say("removal.unnamed", known=names)
        return
    if app not in known:
        yield say("removal.unknown", app=app, near=near(app, known), known=names)
        return
    if purge and purge != app:
        yield say("removal.other_purge", app=app, purge=purge)
    running = {server: holder for server, holder in holders.items() if app in holder.records}
    staying = [server for server, holder in running.items() if not holder.is_to_lose(app)]
    if running and len(staying) == len(running):
        title = running[staying[0]].records[app]["title"]
        yield say("removal.in_group", title=title, app=app, servers=", ".join(staying))
    elif not running and not purge:
        yield say("removal.gone", app=app)
    if running and not staying:
        yield from _needed(app, holders)


def _needed(app: str, holders: Mapping[str, Holder]) -> Iterator[str]:
    """Yield a sentence when other applications cannot do without the last one of its kind."""
    parts = [part for part, provider in PROVIDERS.items() if provider == app]
    records = [record for holder in holders.values() for record in holder.records.values()]
    title = next(record["title"] for record in records if record["name"] == app)
    for part in parts:
        others = {record["name"]: record["title"] for record in records if part in record}
        if others:
            yield say(
                "removal.needed",
                title=title,
                others=", ".join(f"{other} ({name})" for name, other in sorted(others.items())),
            )


def idle_packages(app: str, holder: Holder) -> list[str]:
    """Return the Debian packages that no other application of a server asks for, once this one is gone."""
    record = holder.records.get(app) or holder.removed.get(app, {})
    others = [other for name, other in holder.records.items() if name != app]
    wanted = {package for other in others for package in other.get("packages", ())}
    return [package for package in record.get("packages", ()) if package not in wanted]


def tell(title: str, server: str, places: Collection[Mapping[str, Any]], fate: str) -> str:
    """Return what became of an application's data.

    Args:
        title: what people call the application.
        server: where it ran.
        places: what the module ``application_data`` measured.
        fate: what became of it: ``kept``, ``purged``, or what would: ``would_keep``, ``would_purge``.
    """
    if not places:
        fate = "would_leave_none" if fate.startswith("would") else "none_left"
    listed = ", ".join(
        say(f"removal.{place['what']}", name=place["name"], size=size(place["bytes"])) for place in places
    )
    return say(f"removal.{fate}", title=title, server=server, places=listed)


def size(count: int) -> str:
    """Return a number of bytes as people write it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1000:.1f} kB"
