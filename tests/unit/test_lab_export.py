"""Exports of lessons: what learning platforms read back is what the lesson says."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import qti_convert
from lxml import etree, html

from schoolstack.cli import main
from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError
from schoolstack.labs.lesson import Lesson, load, names
from schoolstack.labs.records.cartridge import cartridge
from schoolstack.labs.records.export import export
from schoolstack.labs.records.qti import qti
from schoolstack.labs.records.questions import gift, moodle_xml

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


def read_qti(package: bytes) -> list[dict[str, Any]]:
    """Read QTI 3 by way of Cito's converter to QTI 2.1, and answer each question with each single choice."""
    converted = qti_convert.downgrade_package(package)
    assert not converted.warnings
    manifest = etree.fromstring(converted.files["imsmanifest.xml"].encode())
    found = []
    for resource in manifest.iterfind(".//{*}resource"):
        assert resource.get("type") == "imsqti_item_xmlv2p1"
        assert resource.find("{*}file").get("href") == resource.get("href")
        item = etree.fromstring(converted.files[resource.get("href")].encode())
        assert item.tag == "{http://www.imsglobal.org/xsd/imsqti_v2p1}assessmentItem"
        assert item.get("identifier") == resource.get("identifier")
        mapping = item.find("{*}responseDeclaration/{*}mapping")
        worth = {entry.get("mapKey"): float(entry.get("mappedValue")) for entry in mapping}
        right = {value.text for value in item.iterfind("{*}responseDeclaration/{*}correctResponse/{*}value")}
        choices = item.findall("{*}itemBody/{*}choiceInteraction/{*}simpleChoice")
        assert right == {key for key, share in worth.items() if share > 0}
        assert float(mapping.get("lowerBound")) == 0
        answers = [(round(100 * worth[each.get("identifier")], 5), each.text) for each in choices]
        found.append(
            {
                "name": item.get("title"),
                "text": item.findtext("{*}itemBody/{*}choiceInteraction/{*}prompt"),
                "why": "".join(item.find("{*}modalFeedback").itertext()).strip(),
                "answers": answers,
                "single": item.find("{*}responseDeclaration").get("cardinality") == "single",
                "most": item.find("{*}itemBody/{*}choiceInteraction").get("maxChoices"),
            }
        )
    return found


FORMATS = [(gift, read_gift), (moodle_xml, read_moodle), (qti, read_qti)]


@pytest.mark.parametrize(("write", "read"), FORMATS)
def test_every_sign_comes_through(write: Any, read: Any) -> None:
    (question,) = read(write(lesson((AWKWARD, True), (f"%50%{AWKWARD}", False), text=AWKWARD)))
    assert question["name"] == "A/B::C 01"
    assert question["text"] == AWKWARD
    assert question["why"] == f"since {AWKWARD}"
    assert question["answers"] == [(100, AWKWARD), (0, f"%50%{AWKWARD}")]


@pytest.mark.parametrize(("write", "read"), FORMATS)
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
def test_all_formats_say_what_the_lesson_says(
    name: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", language)
    told = load(ROOT, name)
    wanted = [
        (
            question["text"][language].strip(),
            [(answer["right"], answer["text"][language].strip()) for answer in question["answers"]],
        )
        for question in told.content["questions"]
    ]
    assert len(wanted) >= 5
    for write, read in FORMATS:
        assert wanted == [
            (each["text"], [(share > 0, text) for share, text in each["answers"]])
            for each in read(write(told))
        ]


@pytest.mark.parametrize("name", names(ROOT))
def test_every_question_tells_why(name: str) -> None:
    assert all("why" in question for question in load(ROOT, name).content["questions"])


def test_qti_lets_one_answer_be_chosen_where_one_is_right() -> None:
    one, two = lesson(("a", True), ("b", False)), lesson(("a", True), ("b", True), ("c", False))
    assert [(found["single"], found["most"]) for each in (one, two) for found in read_qti(qti(each))] == [
        (True, "1"),
        (False, "0"),
    ]


def test_a_package_is_the_same_each_time() -> None:
    told = load(ROOT, "own-server")
    assert qti(told) == qti(told)
    assert cartridge(told) == cartridge(told)


CARTRIDGE = {
    "cc": "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1",
    "wl": "http://www.imsglobal.org/xsd/imsccv1p1/imswl_v1p1",
}


def test_a_cartridge_is_one_that_moodle_knows_and_leads_to_its_page_and_link() -> None:
    archive = zipfile.ZipFile(
        io.BytesIO(cartridge(load(ROOT, "own-server"), "http://seats.example/?a=1&b=2"))
    )
    written = archive.read("imsmanifest.xml")
    # By these words, in the first 500 bytes, Moodle tells a cartridge of this version.
    assert b'xmlns="http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1"' in written[:500]
    manifest = etree.fromstring(written)
    assert manifest.findtext("cc:metadata/cc:schemaversion", namespaces=CARTRIDGE) == "1.1.0"
    # The specification wants one item without a title around everything.
    (root,) = manifest.findall("cc:organizations/cc:organization/cc:item", CARTRIDGE)
    assert root.find("cc:title", CARTRIDGE) is None
    items = root.findall("cc:item/cc:item", CARTRIDGE)
    resources = {one.get("identifier"): one for one in manifest.iterfind(".//cc:resource", CARTRIDGE)}
    page, link = (resources[item.get("identifierref")] for item in items)
    assert [one.get("type") for one in (page, link)] == ["webcontent", "imswl_xmlv1p1"]
    files = [one.find("cc:file", CARTRIDGE).get("href") for one in (page, link)]
    assert sorted(["imsmanifest.xml", *files]) == sorted(archive.namelist())
    read = html.fromstring(archive.read(files[0]))
    assert read.findtext(".//h1") == "A server of your own"
    assert read.findtext(".//pre") == "school lab start own-server"
    objectives = load(ROOT, "own-server").content["objectives"]
    assert [each.text for each in read.iterfind(".//ul/li")] == [each["text"]["en"] for each in objectives]
    url = etree.fromstring(archive.read(files[1])).find("wl:url", CARTRIDGE)
    assert url.get("href") == "http://seats.example/?a=1&b=2"


def test_a_cartridge_without_a_link_is_a_page() -> None:
    archive = zipfile.ZipFile(io.BytesIO(cartridge(load(ROOT, "own-server"))))
    assert archive.namelist() == ["imsmanifest.xml", "lesson.html"]


@pytest.mark.parametrize("form", ["gift", "moodle", "qti"])
def test_a_lesson_without_questions_is_refused(form: str) -> None:
    told = lesson()
    without = Lesson("small", Path("small"), {**told.content, "questions": []})
    with pytest.raises(SchoolError, match="The lesson small has no questions: write some"):
        export(without, form)


@pytest.mark.parametrize("form", ["gift", "moodle", "qti"])
def test_a_placeholder_that_nothing_stands_for_is_refused(form: str) -> None:
    told = lesson(("of {person}", True), ("b", False))
    with pytest.raises(SchoolError, match=r"nothing stands for \{person\}"):
        export(told, form)
    assert b"of bo.maes" in export(told.filled({"person": "bo.maes"}), "moodle")


@pytest.mark.parametrize("name", names(ROOT))
def test_the_command_writes_a_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    monkeypatch.setenv("SCHOOLSTACK_STATE", str(tmp_path / "state"))
    file = tmp_path / "questions.xml"
    words = ["lab", "export", name, "--format", "moodle", "--language", "nl"]
    assert main([*words, "--to", str(file)]) == 0
    assert capsys.readouterr().out == f"{file} is geschreven.\n"
    written = [question["text"] for question in read_moodle(file.read_text(encoding="utf-8"))]
    told = load(ROOT, name).content["questions"]
    assert written == [question["text"]["nl"].strip() for question in told]
    assert main([*words, "--to", str(tmp_path / "no" / "folder")]) == 1
    assert "kan niet geschreven worden: No such file" in capsys.readouterr().err
