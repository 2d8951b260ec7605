"""Another key for the repository: added beside the one in use, which is taken away when nothing needs it.

Keys come on standard input and go to restic the same way: no command line shows them, and no file keeps them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import places
from repository import Repository
from words import RefusalError, refuse

STANDARD_INPUT = Path("/dev/stdin")


def add(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Let another key open the repository as well; one that does already is not added again.

    Args:
        settings: this server's.
        given: ``new``, and of the inventory ``repository`` and ``where``.

    Raises:
        RefusalError: it failed, or the inventory wants the repository elsewhere: a key that is added here
            would be missing there.
    """
    state = places.load(places.STATE, {})
    if not state.get("repository"):  # it will be made with the new key
        return {"changed": False}
    if any(state[name] != given[name] for name in ("repository", "where")):
        refuse("moved", host=settings["host"])
    if opens(settings, given["new"]):
        return {"changed": False}
    Repository(settings).run("key", "add", f"--new-password-file={STANDARD_INPUT}", given=given["new"])
    if not opens(settings, given["new"]):
        refuse("key_not_added", where=settings["where"])
    return {"changed": True}


def remove(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Take away every key that the old value opens.

    Args:
        settings: this server's.
        given: ``new``, which has to open the repository, and ``old``.

    Raises:
        RefusalError: it failed.
    """
    new, old = given["new"], given["old"]
    changed = False
    while opens(settings, old):
        listed = json.loads(_with(settings, old, "key", "list", "--json", "--no-lock"))
        [current] = [key["id"] for key in listed if key["current"]]
        # restic refuses to take away the key it is given itself.
        _with(settings, new, "key", "remove", current)
        changed = True
    return {"changed": changed}


def work(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return of each of ``keys`` whether it opens the repository.

    Raises:
        RefusalError: the repository cannot be asked.
    """
    return {"changed": False, "work": [opens(settings, key) for key in given["keys"]]}


def opens(settings: dict[str, Any], key: str) -> bool:
    """Tell whether a key opens the repository.

    Raises:
        RefusalError: the repository cannot be asked.
    """
    try:
        _with(settings, key, "cat", "config", "--no-lock")
    except RefusalError as refusal:
        if refusal.key != "wrong_key":
            raise
        return False
    return True


def _with(settings: dict[str, Any], key: str, *words: str) -> bytes:
    """Run restic with a key other than this server's."""
    return Repository(settings, STANDARD_INPUT).run(*words, given=key)
