"""What a learner did, as statements of xAPI 1.0.3 (ADL, 2016), which any learning record store takes.

A record is what :meth:`schoolstack.labs.seat.Seat.report` returns. The same record gives the same
statements, with the same ids, each time.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

# Verbs and kinds of activities in ADL's vocabulary. What a verb is about stands in the object only.
VERBS = "http://adlnet.gov/expapi/verbs/"
KINDS = "http://adlnet.gov/expapi/activities/"
WORDS = {
    "initialized": {"en": "initialized", "nl": "begonnen"},
    "attempted": {"en": "attempted", "nl": "geprobeerd"},
    "interacted": {"en": "interacted", "nl": "gebruikt"},
    "passed": {"en": "passed", "nl": "geslaagd"},
    "failed": {"en": "failed", "nl": "niet geslaagd"},
    "completed": {"en": "completed", "nl": "afgewerkt"},
    "terminated": {"en": "terminated", "nl": "beëindigd"},
}


def pseudonym(learner: str, key: bytes) -> str:
    """Return a name that stands for a learner, the same each time; only who has the key can tell for whom.

    Args:
        learner: who it is.
        key: what only this machine has.
    """
    return hmac.digest(key, learner.encode(), hashlib.sha256).hex()[:16]


class Statements:
    """The statements of one attempt.

    Attributes:
        record: what is told, see above.
        home: the school's address, which ids of lessons and accounts begin with, without a slash at its end.
        actor: the name of the learner's account.
    """

    def __init__(self, record: Mapping[str, Any], home: str, actor: str) -> None:
        """Tell a record; its attempt stands for a learner whom nobody named."""
        self.record = record
        self.home = home
        self.actor = actor or record["attempt"]
        self._lesson = f"{home}/lab/{record['lesson']}"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each statement, in order of the events; what ends the attempt only when it has ended."""
        record = self.record
        yield self._told("initialized", record["began"], "lesson")
        for number, moment in enumerate(record["checks"], 1):
            yield self._told("attempted", moment, "lesson", str(number))
        for step in record["steps"]:
            yield from self._step(step)
        if record["ended"]:
            total = self._result(record["points"], record["max_points"], record["ended"] - record["began"])
            if all(step["passed"] is not None for step in record["steps"]):
                done = {**total, "success": not record["solved"], "completion": True}
                yield self._told("completed", record["ended"], "lesson", result=done)
            yield self._told("terminated", record["ended"], "lesson", result={"duration": total["duration"]})

    def _step(self, step: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        record, place = self.record, f"step/{step['id']}"
        for hint in step["hints"]:
            number = hint["number"] + 1
            name = {tongue: f"{title} ({number})" for tongue, title in step["title"].items()}
            moment = record["began"] + hint["after"]
            yield self._told("interacted", moment, "interaction", f"{place}/hint/{number}", name)
        passed = step["passed"] is not None and not step["solved"]
        # Where nobody looked, nobody has failed.
        if passed or (record["ended"] and record["checks"]):
            after = step["passed"] if passed else record["ended"] - record["began"]
            result = self._result(step["points"], step["max_points"], after)
            result |= {"success": passed, "completion": passed}
            result["extensions"] = {f"{self.home}/xapi/hints-used": len(step["hints"])}
            if step["solved"]:
                result["extensions"][f"{self.home}/xapi/solution-taken"] = True
            moment = record["began"] + after
            verb = "passed" if passed else "failed"
            yield self._told(verb, moment, "assessment", place, step["title"], result)

    def _told(
        self,
        verb: str,
        moment: float,
        kind: str,
        what: str = "",
        name: Mapping[str, str] | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return one statement.

        Args:
            verb: its name in :data:`WORDS`.
            moment: when it was, in seconds since 1970.
            kind: that of the activity it is about, in ADL's vocabulary.
            what: the activity's place in the lesson, or what tells one event at the lesson from another.
            name: the activity's; without one, it is the lesson.
            result: what came of it.
        """
        record = self.record
        about = f"{self._lesson}/{what}" if name else self._lesson
        context = {
            "registration": record["attempt"],
            "language": record["language"],
            "platform": "Schoolstack",
            "extensions": {
                f"{self.home}/xapi/{key}": record[key] for key in ("seat", "fault") if record[key]
            },
        }
        if name:
            context["contextActivities"] = {"parent": [{"objectType": "Activity", "id": self._lesson}]}
        if not context["extensions"]:
            del context["extensions"]
        return {
            "id": str(uuid.uuid5(uuid.UUID(record["attempt"]), f"{verb}/{what}")),
            "actor": {"objectType": "Agent", "account": {"homePage": self.home, "name": self.actor}},
            "verb": {"id": f"{VERBS}{verb}", "display": WORDS[verb]},
            "object": {
                "objectType": "Activity",
                "id": about,
                "definition": {"type": f"{KINDS}{kind}", "name": dict(name or record["title"])},
            },
            **({"result": dict(result)} if result else {}),
            "context": context,
            "timestamp": datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds"),
            # What the specification has writers of 1.0.x put here.
            "version": "1.0.0",
        }

    @staticmethod
    def _result(points: int, most: int, seconds: float) -> dict[str, Any]:
        return {
            "score": {"scaled": round(points / most, 4), "raw": points, "min": 0, "max": most},
            "duration": f"PT{seconds:.1f}S",
        }
