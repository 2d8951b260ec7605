"""A lesson in a format that a learning platform imports."""

from __future__ import annotations

import json

from schoolstack.errors import SchoolError
from schoolstack.labs.lesson import WORD, Lesson
from schoolstack.labs.records.cartridge import cartridge
from schoolstack.labs.records.qti import qti
from schoolstack.labs.records.questions import gift, moodle_xml
from schoolstack.messages import say

FORMATS = ("gift", "moodle", "qti", "cartridge")


def export(lesson: Lesson, form: str, link: str = "") -> bytes:
    """Return a lesson's questions, or its page in a cartridge, in the language of this process.

    Args:
        lesson: the lesson as it is told at a seat.
        form: one of :data:`FORMATS`.
        link: where the page leads to; only for a cartridge.

    Raises:
        SchoolError: it has no questions, or a text has a placeholder that nothing stands for.
    """
    if form == "cartridge":
        told = [lesson.content[name] for name in ("title", "audience", "objectives")]
        told += [step["title"] for step in lesson.steps.values()]
    else:
        told = lesson.content.get("questions", [])
        if not told:
            raise SchoolError(say("records.no_questions", name=lesson.name))
    if unfilled := WORD.search(json.dumps(told)):
        raise SchoolError(say("records.unfilled", name=lesson.name, word=unfilled[1]))
    match form:
        case "gift":
            return gift(lesson).encode()
        case "moodle":
            return moodle_xml(lesson).encode()
        case "qti":
            return qti(lesson)
        case _:
            return cartridge(lesson, link)
