"""Questions of lessons: what learning platforms read back is what the lesson says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from schoolstack.cli import main
from schoolstack.deployment import ROOT
from schoolstack.labs.lesson import Lesson, load, names
from schoolstack.labs.questions import gift, moodle_xml

# All that has a meaning in one of the formats.
AWKWARD = "[html] a{b} =c ~d #e ::f:: \\g //h %100%i & <b>j</b> [html] “é”\n\nline two ]]>"


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


def both(text: str) -> dict[str, str]:
    return {"en": text, "nl": f"nl {text}"}


def lesson(*answers: tuple[str, bool], text: str = "Which?") -> Lesson:
    questions: list[dict[str, Any]] = [
        {
            "text": both(text),
            "why": both(f"since {text}"),
            "answers": [{"text": both(answer), "right": right} for answer, right in answers],
        }
    ]
    content = {"title": both("A/B::C"), "hosts": {}, "steps": [], "questions": questions}
    return Lesson("small", Path("small"), content)


def read_gift(text: str) -> list[dict[str, Any]]:
    """Read GIFT as Moodle does: hide what is escaped, cut at the signs that are left, and show it again."""
    hidden = text.replace("\\\\", "\x01")
    for number, sign in enumerate("~=#{}:n"):
        hidden = hidden.replace(f"\\{sign}", chr(0x10 + number))

    def shown(part: str) -> str:
        for number, sign in enumerate("~=#{}:\n"):
            part = part.replace(chr(0x10 + number), sign)
        # What looks like a format at the beginning is one.
        part = re.sub(r"^\s*\[(html|moodle|plain|markdown)\]", "", part)
        return part.replace("\x01", "\\").strip()

    found = []
    for block in re.split(r"\n\s*\n", hidden.strip()):
        lines = "\n".join(line for line in block.splitlines() if not line.startswith("//"))
        matched = re.fullmatch(r"::((?:(?!::).)*)::\[plain\](.*?)\{(.*)\}", lines, re.DOTALL)
        assert matched, block
        name, asked, inside = matched.groups()
        answers, _, why = inside.partition("####")
        told = []
        for answer in filter(str.strip, answers.replace("=", "~=").split("~")):
            if answer[0] == "=":
                told.append((100.0, shown(answer[1:])))
            else:
                weighed = re.match(r"%(-?[0-9.]+)%", answer)
                assert weighed, answer
                told.append((float(weighed[1]), shown(answer[weighed.end() :])))
        found.append(
            {"name": shown(name), "text": shown(f"[plain]{asked}"), "why": shown(why), "answers": told}
        )
    return found


def read_moodle(text: str) -> list[dict[str, Any]]:
    """Read Moodle's XML."""
    quiz = etree.fromstring(text)
    assert quiz.tag == "quiz"
    found = []
    for question in quiz.findall("question[@type='multichoice']"):
        assert question.find("questiontext").get("format") == "plain_text"
        answers = [
            (float(answer.get("fraction")), answer.findtext("text")) for answer in question.findall("answer")
        ]
        found.append(
            {
                "name": question.findtext("name/text"),
                "text": question.findtext("questiontext/text"),
                "why": question.findtext("generalfeedback/text"),
                "answers": answers,
                "single": question.findtext("single"),
            }
        )
    return found


@pytest.mark.parametrize(("write", "read"), [(gift, read_gift), (moodle_xml, read_moodle)])
def test_every_sign_comes_through(write: Any, read: Any) -> None:
    (question,) = read(write(lesson((AWKWARD, True), (f"%50%{AWKWARD}", False), text=AWKWARD)))
    assert question["name"] == "A/B::C 01"
    assert question["text"] == AWKWARD
    assert question["why"] == f"since {AWKWARD}"
    assert question["answers"] == [(100, AWKWARD), (0, f"%50%{AWKWARD}")]


@pytest.mark.parametrize(("write", "read"), [(gift, read_gift), (moodle_xml, read_moodle)])
@pytest.mark.parametrize(
    ("rights", "wrongs", "shares"),
    [
        (1, 3, [100, 0, 0, 0]),
        (2, 2, [50, 50, -50, -50]),
        (3, 1, [33.33333, 33.33333, 33.33333, -100]),
        (2, 0, [50, 50]),
    ],
)
def test_ticking_everything_gives_nothing(
    write: Any, read: Any, rights: int, wrongs: int, shares: list[float]
) -> None:
    answers = [(f"right {one}", True) for one in range(rights)]
    answers += [(f"wrong {one}", False) for one in range(wrongs)]
    (question,) = read(write(lesson(*answers)))
    assert [share for share, _ in question["answers"]] == shares


def test_moodle_lets_one_answer_be_chosen_where_one_is_right() -> None:
    one, two = lesson(("a", True), ("b", False)), lesson(("a", True), ("b", True), ("c", False))
    assert [read_moodle(moodle_xml(each))[0]["single"] for each in (one, two)] == ["true", "false"]


def test_moodle_gets_one_category_whatever_the_title() -> None:
    quiz = etree.fromstring(moodle_xml(lesson(("a", True), ("b", False))))
    assert quiz.findtext("question[@type='category']/category/text") == "$course$/top/A//B::C"


@pytest.mark.parametrize("language", ["en", "nl"])
@pytest.mark.parametrize("name", names(ROOT))
def test_both_formats_say_what_the_lesson_says(
    name: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", language)
    told = load(ROOT, name)
    wanted = [
        (
            question["text"][language].strip(),
            [(answer["right"], answer["text"][language].strip()) for answer in question["answers"]],
        )
        for question in told.content.get("questions", [])
    ]
    for found in (read_gift(gift(told)), read_moodle(moodle_xml(told))) if wanted else ():
        assert wanted == [
            (each["text"], [(share > 0, text) for share, text in each["answers"]]) for each in found
        ]


def test_the_command_writes_them(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    assert main(["lab", "questions", "broken-sign-in", "--format", "moodle", "--language", "nl"]) == 0
    questions = read_moodle(capsys.readouterr().out)
    assert len(questions) == 6
    assert questions[0]["text"].startswith("De aanmelding toont")
