"""Compare what a source has with what its target has, and with what was sent before."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from schoolstack.migrate import names
from schoolstack.migrate.rclone import Item

# What Google's own documents are called as long as nothing converts them (Google, "Google Workspace & Google
# Drive supported MIME types"). What rclone converts has the type of the result.
_NATIVE = "application/vnd.google-apps."


@dataclass(frozen=True)
class Step:
    """What is to be done with one file.

    Attributes:
        item: the file at the source.
        to: where it goes, below the move's folder.
        do: ``send``; ``over``: send it over a file of ours that is there; ``compare`` with what is there;
            ``renew``: over what is there if that is what was sent before; ``done``; ``skip``.
        reason: why it is skipped, a key below ``migrate.reason``.
        ours: whether what is there may be what was being sent when a run was cut off.
    """

    item: Item
    to: str
    do: str
    reason: str = ""
    ours: bool = False

    def skipped(self, reason: str) -> Step:
        """Return this step, not to be done."""
        return replace(self, do="skip", reason=reason)


@dataclass(frozen=True)
class Problem:
    """Something that a person should know of before files are brought.

    Attributes:
        kind: a key below ``migrate.problem``.
        path: of the file or folder.
        more: what the sentence says besides.
    """

    kind: str
    path: str
    more: str = ""


def key(path: str) -> str:
    """Return a path as Nextcloud keeps it: one way to write each letter (Unicode's form C)."""
    return unicodedata.normalize("NFC", path)


def steps(
    source: Iterable[Item],
    target: Iterable[Item],
    notes: Mapping[str, Mapping[str, Any]],
    biggest: int,
) -> list[Step]:
    """Return what is to be done with each file, in the order of their paths.

    Args:
        source: what the source has.
        target: what the move's folder at the target has.
        notes: the journal.
        biggest: bytes; what is larger is not brought.
    """
    there = {key(item.path): item for item in target}
    taken: set[str] = set()
    found = []
    for item in sorted((one for one in source if not one.folder), key=lambda one: one.path):
        note = notes.get(item.path)
        to = note["to"] if note else names.acceptable(item.path)
        step = _step(Step(item, to, "send"), there.get(key(to)), note)
        if key(to) in taken:
            step = step.skipped("duplicate")
        elif item.kind.startswith(_NATIVE):
            step = step.skipped("native")
        elif item.size > biggest:
            step = step.skipped("too_big")
        elif len(to.encode("utf-8", "surrogateescape")) > names.MAX_PATH_BYTES:
            step = step.skipped("long_path")
        taken.add(key(to))
        found.append(step)
    return found


def _step(step: Step, there: Item | None, note: Mapping[str, Any] | None) -> Step:
    """Return the step for a file that nothing speaks against."""
    item = step.item
    if note and note["state"] == "checked":
        if (note["size"], note["changed"]) == (item.size, item.changed):
            # Also where people have moved or deleted it since: it is theirs now.
            return replace(step, do="done")
        return replace(step, do="send" if there is None else "renew")
    if there is None:
        return step
    if there.folder:
        return step.skipped("conflict")
    if note:
        return replace(step, do="compare", ours=True)
    if item.size != there.size:
        return step.skipped("conflict")
    return replace(step, do="compare")


def problems(source: Collection[Item], decided: Iterable[Step]) -> Iterator[Problem]:
    """Yield what a coordinator should know of before the files are brought.

    Args:
        source: what the source has.
        decided: the steps for it.
    """
    seen: dict[tuple[str, str], str] = {}
    for item in sorted(source, key=lambda one: one.path):
        folder, _, name = item.path.rpartition("/")
        if names.nextcloud_refuses(name):
            yield Problem("nextcloud_name", item.path, names.acceptable(name))
        elif reason := names.windows_refuses(name):
            yield Problem(reason, item.path)
        elif not item.folder and names.windows_refuses(item.path) == "windows_path":
            yield Problem("windows_path", item.path, str(len(item.path)))
        first = seen.setdefault((folder, key(name).casefold()), name)
        if first != name:
            yield Problem("case", item.path, first)
        if item.size == 0:
            yield Problem("empty", item.path)
    for step in decided:
        if step.do == "skip":
            yield Problem(step.reason, step.item.path)
        elif step.item.size < 0:
            yield Problem("converts", step.item.path, step.item.path.rpartition(".")[2])


def stated(source: Iterable[Item]) -> dict[str, str]:
    """Return what a source says its files hold, by path, where a path means one file.

    Where it means two, as it can with Google, only asking again for the path tells of the one that is sent.
    """
    listed = [item for item in source if not item.folder]
    count = Counter(item.path for item in listed)
    return {item.path: item.hash for item in listed if item.hash and count[item.path] == 1}


def empty_folders(source: Iterable[Item]) -> list[str]:
    """Return the folders that hold nothing, which no file would make."""
    listed = list(source)
    used = {item.path.rpartition("/")[0] for item in listed}
    return sorted(names.acceptable(item.path) for item in listed if item.folder and item.path not in used)
