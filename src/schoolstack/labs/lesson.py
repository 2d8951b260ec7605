"""A lesson as data: ``molecule/<lab>/lab.yml``, read, and refused in plain sentences where it is wrong."""

from __future__ import annotations

import ast
import graphlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schoolstack.errors import SchoolError
from schoolstack.messages import language, say
from schoolstack.preflight.declaration import check_declaration

_SCHEMA = Path(__file__).with_name("lab.schema.json")
# The lists of lab.yml whose entries have names.
_NAMED = ("steps", "faults")
# What stands for a value in a text.
WORD = re.compile(r"\{([a-z_]+)\}")
# The word for where the inventory of a seat is.
INVENTORY = "inventory"


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        name: the scenario's folder.
        folder: where it lies.
        content: ``lab.yml``, which keeps to ``lab.schema.json``.
    """

    name: str
    folder: Path
    content: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]] = field(init=False)
    faults: Mapping[str, Mapping[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        """Order steps and faults by their names, as they stand in the file."""
        for kind in _NAMED:
            object.__setattr__(self, kind, {entry["id"]: entry for entry in self.content.get(kind, [])})

    @property
    def variants(self) -> Mapping[str, str]:
        """The kind of each thing that differs from seat to seat, by its name."""
        kinds: Mapping[str, str] = self.content.get("variants", {})
        return kinds

    def filled(self, values: Mapping[str, str]) -> Lesson:
        """Return the lesson with its variants written into every text."""
        return Lesson(self.name, self.folder, _filled(self.content, values))

    @property
    def beginning(self) -> str:
        """The fault that it begins with; empty when it begins on an unfinished machine."""
        return "" if "unfinished" in self.content else next(iter(self.faults))

    def fails(self, fault: str) -> Mapping[str, str]:
        """Return the steps that fail after a fault, empty for the unfinished machine, and what each sees."""
        told = self.faults[fault] if fault else self.content["unfinished"]
        fails: Mapping[str, str] = told["fails"]
        return fails


def words(text: Mapping[str, str], **values: object) -> str:
    """Return a text of a lesson in the language of this process, its placeholders filled in."""
    said = text[language()].strip()
    for name, value in values.items():
        said = said.replace(f"{{{name}}}", str(value))
    return said


def _filled(content: Any, values: Mapping[str, str]) -> Any:
    if isinstance(content, str):
        return WORD.sub(lambda found: values.get(found[1], found[0]), content)
    if isinstance(content, Mapping):
        return {key: _filled(value, values) for key, value in content.items()}
    return [_filled(value, values) for value in content] if isinstance(content, list) else content


def names(root: Path) -> list[str]:
    """Return the lessons below a project's root."""
    return sorted(path.parent.name for path in root.glob("molecule/*/lab.yml"))


def load(root: Path, name: str) -> Lesson:
    """Read one lesson.

    Args:
        root: the project's root.
        name: the scenario's folder.

    Raises:
        SchoolError: there is none of this name, or one sentence per thing that is wrong in it.
    """
    folder = root / "molecule" / name
    if name not in names(root):
        raise SchoolError(say("labs.unknown", name=name, known=", ".join(names(root))))
    try:
        content = yaml.safe_load((folder / "lab.yml").read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise SchoolError(say("labs.unreadable", name=name, reason=reason)) from error
    if wrong := list(check(content, name, folder)):
        raise SchoolError("\n".join(wrong))
    return Lesson(name, folder, content)


def check(content: Any, name: str, folder: Path) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong.

    Args:
        content: ``lab.yml``, parsed.
        name: the lesson's name, for the sentences.
        folder: the scenario, in which playbooks and tests are looked for.
    """
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        yield say("labs.no_mapping", name=name)
    elif wrong := check_declaration(content, schema, f"molecule/{name}/lab.yml", "labs.field"):
        yield from wrong
    else:
        for kind in _NAMED:
            listed = [entry["id"] for entry in content.get(kind, [])]
            for twice in sorted({one for one in listed if listed.count(one) > 1}):
                yield say("labs.twice", name=name, id=twice)
        steps = {step["id"]: step for step in content["steps"]}
        yield from _steps(steps, name, folder)
        yield from _hosts(content, name, folder)
        yield from _variants(content, name, folder)
        if "unfinished" in content:
            yield from _fails(content["unfinished"]["fails"], steps, name, "unfinished")
        elif not content.get("faults"):
            yield say("labs.no_beginning", name=name)
        for fault in content.get("faults", []):
            yield from _fault(fault, steps, name, folder)
        for question in content.get("questions", []):
            if not any(answer["right"] for answer in question["answers"]):
                yield say("labs.no_right_answer", name=name, question=question["text"][language()])


def _steps(steps: Mapping[str, Mapping[str, Any]], name: str, folder: Path) -> Iterator[str]:
    for step in steps.values():
        file, function = step["check"].split("::")
        if function not in _functions(folder / "tests" / file):
            yield say("labs.no_check", name=name, id=step["id"], check=step["check"])
        for needed in step.get("needs", []):
            if needed not in steps:
                yield say("labs.unknown_step", name=name, where=f"{step['id']}.needs", id=needed)
        for hint in step["hints"]:
            for code in set(hint.get("when", [])) - set(step["seen"]):
                yield say("labs.unknown_sight", name=name, where=f"{step['id']}.hints", id=code)
        cost = max(sum(hint["cost"] for hint in fitting(step, code)) for code in step["seen"])
        if cost > step["points"]:
            yield say("labs.dear", name=name, id=step["id"], cost=cost, points=step["points"])
    try:
        graphlib.TopologicalSorter({key: step.get("needs", []) for key, step in steps.items()}).prepare()
    except graphlib.CycleError as error:
        yield say("labs.cycle", name=name, steps=" → ".join(reversed(error.args[1])))


def _variants(content: Mapping[str, Any], name: str, folder: Path) -> Iterator[str]:
    variants = content.get("variants", {})
    if variants and not (folder / "seat.yml").is_file():
        yield say("labs.no_seat_playbook", name=name, variants=", ".join(variants))
    if known := sorted({"said", "shows", INVENTORY} & set(variants)):
        yield say("labs.taken_word", name=name, word=known[0])
    told = set(WORD.findall(json.dumps(content)))
    for word in sorted(set(variants) - told):
        yield say("labs.untold_variant", name=name, word=word)


def _hosts(content: Mapping[str, Any], name: str, folder: Path) -> Iterator[str]:
    inventory = yaml.safe_load((folder / "inventory" / "hosts.yml").read_text(encoding="utf-8"))
    has = set(inventory["all"]["hosts"])
    if has != set(content["hosts"]):
        yield say("labs.other_hosts", name=name, hosts=", ".join(sorted(has)))


def _fault(
    fault: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]], name: str, folder: Path
) -> Iterator[str]:
    where, symptom = fault["id"], fault["symptom"]
    if not (folder / "faults" / f"{where}.yml").is_file():
        yield say("labs.no_playbook", name=name, id=where)
    yield from _fails(fault["fails"], steps, name, where)
    if symptom["step"] not in fault["fails"]:
        yield say("labs.no_symptom", name=name, id=where, step=symptom["step"])
    for tongue, text in symptom["text"].items():
        if "{shows}" not in text:
            yield say("labs.untold", name=name, id=where, tongue=tongue)


def _fails(
    fails: Mapping[str, str], steps: Mapping[str, Mapping[str, Any]], name: str, where: str
) -> Iterator[str]:
    for step, code in fails.items():
        if step not in steps:
            yield say("labs.unknown_step", name=name, where=f"{where}.fails", id=step)
        elif code not in steps[step]["seen"]:
            yield say("labs.unknown_sight", name=name, where=f"{where}.fails", id=code)


def fitting(step: Mapping[str, Any], code: str) -> list[Mapping[str, Any]]:
    """Return the hints of a step that help when its check sees what ``code`` names."""
    return [hint for hint in step["hints"] if "when" not in hint or code in hint["when"]]


def _functions(path: Path) -> set[str]:
    """Return the functions that a file of tests defines, none where there is no such file."""
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
