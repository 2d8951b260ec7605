"""The project as the rules of the house see it: files, roles, tasks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML with Ansible's tags, whose values are of no interest here."""


_Loader.add_multi_constructor("!", lambda loader, tag, node: f"{tag}")

# Keywords of a task that are not its module.
_KEYWORDS = {
    "name",
    "when",
    "vars",
    "register",
    "loop",
    "loop_control",
    "notify",
    "no_log",
    "become",
    "become_user",
}
_KEYWORDS |= {"become_method", "become_flags", "connection", "module_defaults", "remote_user"}
_KEYWORDS |= {"changed_when", "failed_when", "until", "retries", "delay", "delegate_to", "run_once", "tags"}
_KEYWORDS |= {
    "environment",
    "check_mode",
    "diff",
    "args",
    "listen",
    "throttle",
    "async",
    "poll",
    "delegate_facts",
}
_KEYWORDS |= {
    "any_errors_fatal",
    "ignore_errors",
    "ignore_unreachable",
    "block",
    "rescue",
    "always",
    "timeout",
}


def load(path: Path) -> Any:
    """Return a YAML file's content, or None where there is no such file."""
    return _Loader(path.read_text(encoding="utf-8")).get_single_data() if path.exists() else None


@dataclass(frozen=True)
class Task:
    """One task, wherever it stands.

    Attributes:
        place: where it stands, for people.
        role: the role it belongs to; empty in a playbook.
        content: the task itself.
        handler: whether it is a handler.
    """

    place: str
    role: str
    content: dict[str, Any]
    handler: bool = False

    @property
    def module(self) -> str:
        """The module's short name."""
        return next((key for key in self.content if key not in _KEYWORDS), "").rsplit(".", 1)[-1]

    @property
    def arguments(self) -> Any:
        """What the module is given."""
        return next((value for key, value in self.content.items() if key not in _KEYWORDS), None)

    @property
    def text(self) -> str:
        """The whole task as text."""
        return yaml.safe_dump(self.content, allow_unicode=True, width=10**6)


@dataclass(frozen=True)
class Role:
    """One role."""

    path: Path

    @property
    def name(self) -> str:
        """The role's name."""
        return self.path.name

    @cached_property
    def specs(self) -> dict[str, Any]:
        """Its argument specs by entry point."""
        return (load(self.path / "meta" / "argument_specs.yml") or {}).get("argument_specs") or {}

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Its variables that a school may set."""
        return load(self.path / "defaults" / "main.yml") or {}

    @cached_property
    def variables(self) -> dict[str, Any]:
        """Its variables that a school may not set."""
        return {k: v for path in sorted(self.path.glob("vars/*.yml")) for k, v in (load(path) or {}).items()}

    @property
    def is_application(self) -> bool:
        """Whether it declares an application."""
        return f"{self.name}_app" in self.variables

    @cached_property
    def tasks(self) -> list[Task]:
        """Its tasks and handlers, those in blocks included."""
        found: list[Task] = []
        for folder in ("tasks", "handlers"):
            for path in sorted(self.path.glob(f"{folder}/**/*.yml")):
                place = f"roles/{self.name}/{path.relative_to(self.path)}"
                found += [
                    Task(place, self.name, content, folder == "handlers") for content in flat(load(path))
                ]
        return found


class Project:
    """All files below a folder that belong to the project."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def files(self) -> list[Path]:
        """Its text files: those in git, or all where there is no git."""
        if (self.root / ".git").exists():
            listed = subprocess.run(
                ["git", "-C", self.root, "ls-files", "-z"], check=True, capture_output=True, text=True
            ).stdout
            paths = [self.root / name for name in listed.split("\0") if name]
        else:
            paths = sorted(self.root.rglob("*"))
        return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:1024]]

    @cached_property
    def roles(self) -> dict[str, Role]:
        """Its roles by name."""
        names = {path.relative_to(self.root).parts[1] for path in self.files if self._is_in(path, "roles")}
        return {name: Role(self.root / "roles" / name) for name in sorted(names)}

    @cached_property
    def tasks(self) -> list[Task]:
        """The tasks of every role and playbook."""
        found = [task for role in self.roles.values() for task in role.tasks]
        for path in self.files:
            if self._is_in(path, "playbooks") and path.suffix == ".yml" and path.parent.name != "tasks":
                for play in load(path) or []:
                    for part in ("pre_tasks", "tasks", "post_tasks", "handlers"):
                        found += [Task(self.name(path), "", content) for content in flat(play.get(part))]
        return found

    def name(self, path: Path) -> str:
        """Return a file's name as seen from the project's root."""
        return path.relative_to(self.root).as_posix()

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield (place, line) of every text file."""
        for path in self.files:
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                yield f"{self.name(path)}:{number}", line

    def _is_in(self, path: Path, folder: str) -> bool:
        parts = path.relative_to(self.root).parts
        return len(parts) > 1 and parts[0] == folder


def flat(tasks: list[dict[str, Any]] | None) -> Iterator[dict[str, Any]]:
    """Yield tasks, and those in their blocks; a block itself as well."""
    for task in tasks or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from flat(task.get(part))
