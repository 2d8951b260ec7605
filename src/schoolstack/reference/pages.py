"""Write the reference's pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from schoolstack.labs.lesson import INVENTORY, Lesson, load, names
from schoolstack.preflight import unit
from schoolstack.reference.declarations import applications, resolve, resolved
from schoolstack.safe import of_school

FOLDER = Path("docs/reference")
_WRITTEN = "<!-- Written by `school reference` from the roles; change those instead. -->"


def pages(root: Path) -> dict[str, str]:
    """Return the reference's pages by file name.

    Args:
        root: the project's root.
    """
    specs = {path.parts[-3]: _specs(path) for path in sorted(root.glob("roles/*/meta/argument_specs.yml"))}
    declared = {name: resolve(root, name) for name in applications(root)}
    found = {f"{role}.md": _role(role, spec, declared.get(role)) for role, spec in specs.items()}
    found["README.md"] = _index(specs, declared)
    found["ports.md"] = _ports(declared)
    found["privacy-register.md"] = _privacy_register(declared)
    found["secrets.md"] = _secrets(root, specs)
    if lessons := [load(root, name) for name in names(root)]:
        found["labs.md"] = _labs(lessons)
    return found


def _specs(path: Path) -> dict[str, Any]:
    entries: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
    return entries


def _index(specs: dict[str, dict[str, Any]], declared: dict[str, dict[str, Any]]) -> str:
    def rows(names: Iterable[str]) -> list[list[str]]:
        return [
            [f"[{name}]({name}.md)", _summary(specs[name]), ", ".join(_doors(specs[name]))] for name in names
        ]

    return _page(
        "Reference",
        "What every role does, which variables a school may set, and which doors it has for other roles.",
        "## Applications",
        _table(["role", "what", "doors"], rows(declared)),
        "## Platform",
        _table(["role", "what", "doors"], rows(name for name in specs if name not in declared)),
        "## Over all applications",
        "- [Lessons](labs.md): what there is to practise, and what it takes\n"
        "- [Privacy register](privacy-register.md): which personal data is kept where, and how long\n"
        "- [Ports](ports.md): who listens where\n"
        "- [Secrets](secrets.md): which there are, and who makes a new one",
    )


def _role(role: str, specs: dict[str, Any], declaration: dict[str, Any] | None) -> str:
    parts: list[str] = []
    if "main" in specs:
        parts += [_sentence(specs["main"]["short_description"]), _bullets(specs["main"].get("description"))]
        options = specs["main"].get("options") or {}
        parts += ["## Variables", _options(options) if options else "None."]
    if declaration:
        parts += ["## What it declares", *_declared(declaration)]
    for door in _doors(specs):
        spec = specs[door]
        parts += [
            f"## Door `{door}`",
            _sentence(spec["short_description"]),
            _bullets(spec.get("description")),
        ]
        parts += [_options(spec.get("options") or {})]
    return _page(f"Role {role}", *parts)


def _declared(declaration: dict[str, Any]) -> Iterator[str]:
    memory = declaration["memory_mb"]
    whole = f", on a server with {memory['server']['least']} MB or more" if "server" in memory else ""
    databases = declaration.get("databases", [])
    facts = [
        ["version", declaration["version"]],
        ["processors", ", ".join(declaration["arch"])],
        ["memory", f"{memory['min']} MB at least, {memory['typical']} MB as a rule{whole}"],
        ["disk", f"{declaration['disk_mb']} MB"],
        ["runs as", f"`{declaration['user']}`"],
        *([f"{what} in", f"`{path}`"] for what, path in sorted(declaration["paths"].items())),
        [
            "databases",
            ", ".join(f"{entry['name']} ({entry['engine']})" for entry in databases),
        ],
        [
            "caches",
            ", ".join(
                f"{entry['name']} ({entry['engine']}, {entry['memory_mb']} MB)"
                for entry in declaration.get("caches", [])
            ),
        ],
        ["services", ", ".join(f"`{unit(entry)}`" for entry in declaration["services"])],
        ["address", f"`https://{declaration['site']['host']}/`" if "site" in declaration else ""],
        ["sign-in", declaration.get("sign_in", {}).get("protocol", "").upper()],
        ["health", f"`{declaration['health']['url']}`"],
    ]
    yield "For a school at `myschool.example`, on a server with 4 GB of memory:"
    yield _table(["", ""], [row for row in facts if row[1]])
    if exceptions := [
        [f"`{service['name']}`", f"`{entry['directive']}={entry['value']}`", entry["reason"]]
        for service in declaration["services"]
        for entry in service.get("exceptions", [])
    ]:
        yield "Its services are hardened like all others, except for:"
        yield _table(["service", "directive", "why"], exceptions)
    if roles := declaration.get("sign_in", {}).get("roles"):
        yield "Who may sign in, and what they are called in it:"
        yield _table(
            ["at school", f"in {declaration['title']}"], [[ours, theirs] for ours, theirs in roles.items()]
        )
    yield "Ports: see [ports](ports.md). Personal data: see the [privacy register](privacy-register.md)."


def _ports(declared: dict[str, dict[str, Any]]) -> str:
    rows = [
        [str(entry["port"]), f"`{entry['address']}`", entry["what"], f"[{name}]({name}.md)"]
        for name, declaration in declared.items()
        for entry in declaration.get("ports", [])
    ]
    return _page(
        "Ports",
        "Ports that applications listen on. From outside, a server answers only on 22 (SSH), 80 and 443; "
        "what listens on `127.0.0.1` is reached through nginx, or not at all.",
        _table(["port", "address", "what", "role"], sorted(rows, key=lambda row: int(row[0]))),
    )


def _privacy_register(declared: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            declaration["title"],
            entry["what"]["en"],
            entry["purpose"]["en"],
            ", ".join(entry["whose"]),
            entry["where"]["en"],
            entry["kept"]["en"],
        ]
        for declaration in declared.values()
        for entry in declaration["personal_data"]
    ]
    return _page(
        "Privacy register",
        "Which personal data applications keep, of whom, where and how long: a start for the school's own "
        "register of processing activities (GDPR, article 30), which `school privacy register` writes. "
        "Periods are those of the defaults.",
        _table(["application", "what", "what for", "whose", "where", "kept"], rows),
    )


def _secrets(root: Path, roles: Iterable[str]) -> str:
    secrets = of_school(roles, lambda _, name: resolved(root, name), lang="en")
    return _page(
        "Secrets",
        "What is kept encrypted in a school's inventory, or made by its servers for themselves. "
        "`school rotate` replaces what is generated or renewed, never what is fixed; see the "
        "[how-to](../how-to/rotate.md).",
        _table(
            ["secret", "what it is for", "a new one is"],
            [[f"`{secret.name}`", secret.what, secret.kind] for secret in secrets],
        ),
    )


def _labs(lessons: Iterable[Lesson]) -> str:
    parts = []
    for lesson in lessons:
        # Another value at each seat.
        lesson = lesson.filled({name: f"*{name}*" for name in (*lesson.variants, INVENTORY)})
        told = lesson.content
        parts += [
            f"## {told['title']['en']} (`{lesson.name}`)",
            f"For {told['audience']['en']}. In Dutch: *{told['title']['nl']}*. {told['minutes']} minutes; "
            f"{told['memory_mb']} MB of memory and {told['disk_mb']} MB of disk at most.",
            _table(
                ["you learn to", "training", "DigCompEdu area"],
                [[goal["text"]["en"], goal["module"], str(goal["area"])] for goal in told["objectives"]],
            ),
            _table(
                ["step", "what to do", "points", "hints"],
                [
                    [step["title"]["en"], step["text"]["en"], str(step["points"]), str(len(step["hints"]))]
                    for step in lesson.steps.values()
                ],
            ),
            f"It begins unfinished. {told['unfinished']['text']['en']}" if "unfinished" in told else "",
            _table(
                ["fault", "what is broken", "what people tell", "steps that fail"],
                [
                    [
                        f"`{name}`",
                        fault["title"]["en"],
                        fault["symptom"]["text"]["en"].replace("{shows}", fault["symptom"]["shows"]),
                        ", ".join(lesson.steps[step]["title"]["en"] for step in fault["fails"]),
                    ]
                    for name, fault in lesson.faults.items()
                ],
            )
            if lesson.faults
            else "",
        ]
    return _page(
        "Lessons",
        "What there is to practise; see the [how-to](../how-to/labs.md). `tests/scenarios/test_labs.py` "
        "breaks each as told here, looks that just these steps fail, and lets the production roles mend it; "
        "what begins unfinished it looks at in the same way, and lets them finish it.",
        *parts,
    )


def _doors(specs: dict[str, Any]) -> list[str]:
    return [entry for entry in specs if entry != "main"]


def _summary(specs: dict[str, Any]) -> str:
    first = specs.get("main") or next(iter(specs.values()))
    return _text(first["short_description"]) if "main" in specs else "only doors, for other roles"


def _options(options: dict[str, Any]) -> str:
    return _table(["variable", "type", "default", "what it is"], list(_option_rows(options, "")))


def _option_rows(options: dict[str, Any], within: str) -> Iterator[list[str]]:
    for name, spec in options.items():
        kind = f"{spec['type']} of {spec['elements']}" if "elements" in spec else spec["type"]
        description = spec["description"]
        what = _text(" ".join(description) if isinstance(description, list) else description)
        if choices := spec.get("choices"):
            what += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
        default = "required" if spec.get("required") else _value(spec.get("default"))
        yield [f"`{within}{name}`", kind, default, what]
        yield from _option_rows(
            spec.get("options") or {}, f"{within}{name}{'[]' if 'elements' in spec else ''}."
        )


def _value(default: object) -> str:
    if default is None:
        return ""
    text = default if isinstance(default, str) and default else json.dumps(default, ensure_ascii=False)
    return f"`{' '.join(text.split())}`"


def _text(markup: str) -> str:
    """Turn Ansible's markup, such as C(code), into Markdown."""
    markup = re.sub(r"\b[COV]\(([^()]*(?:\([^()]*\)[^()]*)*)\)", r"`\1`", markup)
    markup = re.sub(r"\bI\(([^)]*)\)", r"*\1*", markup)
    return re.sub(r"\bB\(([^)]*)\)", r"**\1**", markup).strip()


def _sentence(text: str) -> str:
    return _text(text).rstrip(".") + "."


def _bullets(description: object) -> str:
    lines = description if isinstance(description, list) else [description] if description else []
    return "\n".join(f"- {_text(str(line))}" for line in lines)


def _table(head: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", _WRITTEN, *filter(None, parts)]) + "\n"
