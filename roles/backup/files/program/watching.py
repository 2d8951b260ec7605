"""How old the last good backup is, and whether that is an alarm."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import places
from words import RefusalError, say

# Shown to whoever signs in on the server.
NOTICE = Path("/run/motd.d/schoolstack-backup")


def status(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of this server's backups, with ``alarm``, a sentence or nothing."""
    state = places.load(places.STATE, {})
    good = state.get("last_good", {})
    since = good.get("time") or state.get("since")
    hours = _hours(since) if since else 0.0
    return {
        "changed": False,
        "host": settings["host"],
        "where": settings["where"],
        "same_machine": settings["same_machine"],
        "last_good": good,
        "last": state.get("last", {}),
        "check": state.get("check", {}),
        "drill": state.get("drill", {}),
        "restoring": places.load(places.RESTORING, {}).get("time", ""),
        "hours": round(hours, 1),
        "alarm": _alarm(settings, state, hours),
    }


def _alarm(settings: dict[str, Any], state: dict[str, Any], hours: float) -> str:
    host, why = settings["host"], state.get("last", {}).get("sentence", "")
    if hours > settings["alarm_hours"]:
        key = "alarm_old" if state.get("last_good") else "alarm_never"
        return say(key, host=host, hours=round(hours), why=why or say("alarm_unknown"))
    if damage := state.get("check", {}).get("sentence"):
        return say("alarm_damage", host=host, why=damage)
    return ""


def alarm(settings: dict[str, Any]) -> dict[str, Any]:
    """Fail when there is an alarm, and show it to whoever signs in on the server.

    Raises:
        RefusalError: there is one.
    """
    sentence = status(settings)["alarm"]
    if sentence:
        NOTICE.parent.mkdir(mode=0o755, exist_ok=True)
        NOTICE.write_text(f"{sentence}\n", encoding="utf-8")
        raise RefusalError(sentence)
    NOTICE.unlink(missing_ok=True)
    return {"changed": False}


def drilled(result: dict[str, Any]) -> dict[str, Any]:
    """Keep the result of a drill, dated."""
    drill = {"time": places.now().isoformat(), **result}
    places.remember(drill=drill)
    return {"changed": True, "drill": drill}


def _hours(since: str) -> float:
    return (places.now() - datetime.datetime.fromisoformat(since)).total_seconds() / 3600
