"""The questions of a lesson, in the formats that learning platforms import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lxml import etree

from schoolstack.labs.lesson import Lesson, words

# What GIFT gives a meaning; a backslash before it takes that away (Moodle's documentation of the format).
_GIFT_SIGNS = "\\~=#{}:"


def gift(lesson: Lesson) -> str:
    """Return a lesson's questions in GIFT, in the language of this process."""
    parts = []
    for number, question in enumerate(lesson.content.get("questions", []), 1):
        # Without [plain], Moodle may take what looks like HTML as such, or what looks like a format as one.
        lines = [f"::{_gift(name_of(lesson, number))}::[plain]{_gift(words(question['text']))} {{"]
        for answer, share in shares(question["answers"]):
            # "=" makes it a question with one right answer. The weight is written at all others, since a text
            # could begin like one.
            sign = "=" if share == "100" and rights(question["answers"]) == 1 else f"~%{share}%"
            lines.append(f"\t{sign}[plain]{_gift(words(answer['text']))}")
        if "why" in question:
            lines.append(f"\t####[plain]{_gift(words(question['why']))}")
        parts.append("\n".join([*lines, "}"]) + "\n")
    # An empty line ends a question.
    return "\n".join(parts)


def moodle_xml(lesson: Lesson) -> str:
    """Return a lesson's questions in Moodle's XML, in a category with the lesson's title."""
    quiz = etree.Element("quiz")
    category = etree.SubElement(quiz, "question", type="category")
    # A slash would begin a category below; two of them are one.
    title = words(lesson.content["title"]).replace("/", "//")
    _text(category, "category", f"$course$/top/{title}")
    for number, question in enumerate(lesson.content.get("questions", []), 1):
        told = etree.SubElement(quiz, "question", type="multichoice")
        _text(told, "name", name_of(lesson, number))
        _text(told, "questiontext", words(question["text"]), format="plain_text")
        why = words(question["why"]) if "why" in question else ""
        _text(told, "generalfeedback", why, format="plain_text")
        etree.SubElement(told, "defaultgrade").text = "1"
        etree.SubElement(told, "single").text = str(rights(question["answers"]) == 1).lower()
        etree.SubElement(told, "shuffleanswers").text = "true"
        etree.SubElement(told, "answernumbering").text = "abc"
        for answer, share in shares(question["answers"]):
            _text(told, "answer", words(answer["text"]), fraction=share, format="plain_text")
    written: str = etree.tostring(quiz, encoding="unicode", pretty_print=True)
    return written


def name_of(lesson: Lesson, number: int) -> str:
    """Return what a question is called among all those of a course.

    Args:
        lesson: whose question it is.
        number: its place in the lesson, from 1.
    """
    return f"{words(lesson.content['title'])} {number:02}"


def rights(answers: Sequence[Mapping[str, Any]]) -> int:
    """Return how many answers are right."""
    return sum(answer["right"] for answer in answers)


def shares(answers: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    """Return each answer and how much of the points it gives, in percent.

    Where several are right, wrong ones cost, so that ticking all of them gives nothing. Moodle refuses other
    shares than those of up to ten equal parts, to five decimals.
    """
    many = rights(answers)
    wrongs = len(answers) - many
    right = f"{100 / many:.5f}".rstrip("0").rstrip(".")
    wrong = "0" if many == 1 else f"{-100 / max(wrongs, 1):.5f}".rstrip("0").rstrip(".")
    return [(answer, right if answer["right"] else wrong) for answer in answers]


def _gift(text: str) -> str:
    escaped = "".join(f"\\{sign}" if sign in _GIFT_SIGNS else sign for sign in text)
    return escaped.replace("\n", "\\n")


def _text(parent: etree._Element, name: str, text: str, **attributes: str) -> None:
    element = etree.SubElement(parent, name, attributes)
    etree.SubElement(element, "text").text = text
