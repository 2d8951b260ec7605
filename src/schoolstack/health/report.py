"""What all servers said of themselves, as people read it and as programs do."""

from __future__ import annotations

import datetime
import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schoolstack.messages import say

# From best to worst; the place of a state is the exit code that stands for it.
STATES = ("good", "look", "wrong")
# ECMA-48: green, yellow, red. The words say the same.
_COLOURS = {"good": "32", "look": "33", "wrong": "1;31"}
# What is said of something that is good, in this order; the rest of what is good goes without saying.
_TOLD = ("answer", "certificate", "disk", "backup", "drill", "clock", "updates", "sign_ins", "drift")

# check, state, key of the sentence, its values, the application's name and title (empty: the server).
Finding = Mapping[str, Any]


def finding(check: str, state: str, key: str, **values: Any) -> dict[str, Any]:
    """Return one finding about a server, as servers themselves write them."""
    return {"check": check, "state": state, "key": key, "values": values, "application": "", "title": ""}


def sentence(one: Finding) -> str:
    """Return what a finding says."""
    return say(f"health.finding.{one['key']}", **one["values"])


def server_entry(
    answer: Mapping[str, Any], asked: float, answered: float, tolerance_s: float
) -> list[dict[str, Any]]:
    """Return the findings about a server that answered.

    Args:
        answer: what its program printed, ``now`` and ``findings``.
        asked: when it was asked, by our clock, in seconds since 1970.
        answered: when the answer was here.
        tolerance_s: how far its clock may be off, in seconds.
    """
    found = [dict(one) for one in answer["findings"]]
    # It looked at its clock at some moment in between.
    off = max(answer["now"] - answered, asked - answer["now"], 0.0)
    if off > tolerance_s:
        direction = say("preflight.ahead" if answer["now"] > answered else "preflight.behind")
        found.append(finding("clock", "wrong", "clock_off", seconds=round(off), direction=direction))
    return found


@dataclass
class Report:
    """How the servers are.

    Attributes:
        servers: findings by server, in the inventory's order.
        checked_at: when, as ISO 8601.
    """

    servers: dict[str, list[dict[str, Any]]]
    checked_at: str = field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    )

    @property
    def state(self) -> str:
        """The worst state of all."""
        return _worst([one for found in self.servers.values() for one in found])

    @property
    def exit_code(self) -> int:
        """0 all is good, 1 somebody should look, 2 something is wrong."""
        return STATES.index(self.state)

    def as_json(self) -> str:
        """Return it for programs; sentences are in the language of this process."""
        content = {
            "state": self.state,
            "checked_at": self.checked_at,
            "servers": {
                server: {
                    "state": _worst(found),
                    "findings": [{**one, "sentence": sentence(one)} for one in found],
                }
                for server, found in self.servers.items()
            },
        }
        return json.dumps(content, ensure_ascii=False, indent=2)

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Report:
        """Return the report that :meth:`as_json` wrote, parsed."""
        servers = {
            server: [
                {name: value for name, value in one.items() if name != "sentence"}
                for one in entry["findings"]
            ]
            for server, entry in content["servers"].items()
        }
        return cls(servers, content["checked_at"])

    def as_text(self, *, colour: bool = False, width: int = 0) -> str:
        """Return it for people: a line per server and application, after one for each thing that is not good.

        Args:
            colour: whether the words are coloured as well.
            width: columns of the screen; that of the terminal when not given.
        """
        rows = [row for server, found in self.servers.items() for row in _rows(server, found)]
        words = {state: say(f"health.state.{state}") for state in STATES}
        columns = [max(map(len, words.values()), default=0)]
        columns += [max((len(row[place]) for row in rows), default=0) for place in (1, 2)]
        indent = sum(columns) + 6
        room = max(40, (width or shutil.get_terminal_size((160, 24)).columns) - indent)
        lines = []
        for state, server, title, text in rows:
            word = words[state].ljust(columns[0])
            if colour:
                word = f"\033[{_COLOURS[state]}m{word}\033[0m"
            first, *rest = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
            lines.append(f"{word}  {server.ljust(columns[1])}  {title.ljust(columns[2])}  {first}")
            lines += [" " * indent + line for line in rest]
        return "\n".join([*lines, "", self._closing()])

    def _closing(self) -> str:
        counts = {
            state: sum(one["state"] == state for found in self.servers.values() for one in found)
            for state in STATES
        }
        return say(f"health.closing.{self.state}", **counts)


def _worst(found: Sequence[Finding]) -> str:
    return max((one["state"] for one in found), key=STATES.index, default="good")


def _rows(server: str, found: Sequence[Finding]) -> Iterator[tuple[str, str, str, str]]:
    """Yield state, server, what it is about, and what is said."""
    # The server itself comes first: what is wrong there often explains the rest.
    for name in dict.fromkeys(["", *(one["application"] for one in found)]):
        own = [one for one in found if one["application"] == name]
        title = next((one["title"] for one in own if one["title"]), say("health.server"))
        bad = [one for one in own if one["state"] != "good"]
        for one in sorted(bad, key=lambda one: -STATES.index(one["state"])):
            yield one["state"], server, title, sentence(one)
        if told := [one for check in _TOLD for one in own if one["check"] == check and one not in bad]:
            yield "good", server, title, "; ".join(map(sentence, told))
