"""A run's progress as a coordinator reads it: what changes, what failed and why, and what it came to."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible import constants, context
from ansible.plugins.callback import CallbackBase

from schoolstack.messages import say

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.inventory.host import Host
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task

DOCUMENTATION = """
    name: school
    type: stdout
    short_description: progress in plain words
    description:
        - One line for what changed, with the time since the start; failures in full, plain message first.
        - Unchanged tasks are a status line on a terminal, one line per role elsewhere. C(-v) shows them.
        - The last lines say what it came to, then Ansible's usual count per host, which Molecule reads.
    author: Schoolstack contributors
    options:
        result_format:
            description: How a result's details are written.
            type: str
            default: yaml
            choices: [json, yaml]
            env: [{name: ANSIBLE_CALLBACK_RESULT_FORMAT}]
            ini: [{section: defaults, key: callback_result_format}]
"""

# Fields of a result that are text to read as it is, in the order a reader wants them.
_TEXTS = ("stderr", "stdout", "module_stderr", "module_stdout")
# Fields that say again what the lines above them said.
_SAID = {"msg", "exception", "changed", "failed", "failed_when_result", "results", "diff", "item", "warnings"}
_SAID |= {"deprecations", "unreachable", "skip_reason", "ansible_loop_var", "start", "end", "delta"}
_SAID |= {"argument_errors", "argument_spec_data", "validate_args_context"}
_SAID |= {*_TEXTS, *(f"{text}_lines" for text in _TEXTS)}
# A summary names this many changes; the longest ones, for these are what a run is about.
_NAMED = 6
# A step that took less time is not worth a remark, in seconds.
_REMARKABLE_S = 2


@dataclass
class _Outcome:
    """What a run came to on one host."""

    changed: list[tuple[float, str]] = field(default_factory=list)
    stopped_at: str = ""


class CallbackModule(CallbackBase):
    """Write the progress to standard output."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "school"

    def __init__(self) -> None:
        """Start the clock."""
        super().__init__()
        self._start = self._task_start = time.monotonic()
        self._names: dict[str, str] = {}
        self._all_stop = False
        self._for_nobody = False
        self._roles_seen: set[tuple[str, str]] = set()
        self._outcomes: defaultdict[str, _Outcome] = defaultdict(_Outcome)
        self._live = sys.stdout.isatty()
        self._status_shown = False
        self._diffs: defaultdict[str, list[str]] = defaultdict(list)

    # What Ansible calls.

    def v2_playbook_on_play_start(self, play: Play) -> None:
        """Write the play's heading."""
        name = play.get_name().strip()
        self._all_stop = bool(play.any_errors_fatal)
        self._roles_seen.clear()
        # A play that names no server at all, as one for an application that this school does not have.
        self._for_nobody = not play.hosts
        if self._for_nobody:
            return
        self._say(
            "\n" + (say("progress.check", play=name) if play.check_mode else name), constants.COLOR_HIGHLIGHT
        )

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        """Remember a task's name while its variables are known, and show it as the current one."""
        self._names[task._uuid] = task.get_name().strip().rsplit(" : ", 1)[-1]
        self._task_start = time.monotonic()
        self._status(self._name(task))

    def v2_playbook_on_handler_task_start(self, task: Task) -> None:
        """Treat a handler as any other task."""
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_start(self, host: Host, task: Task) -> None:
        """Show life where no status line can: the first task of each role on a host."""
        role = task._role.get_name() if task._role else ""
        if role and (host.name, role) not in self._roles_seen:
            self._roles_seen.add((host.name, role))
            if not self._live:
                self._line(say("progress.role", role=role, host=host.name))

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """Write what changed; unchanged tasks only when asked."""
        content = result.result
        self._warn(content)
        task, host, lasted = (
            self._name(result.task),
            self.host_label(result),
            time.monotonic() - self._task_start,
        )
        if content.get("changed"):
            self._outcomes[result.host.name].changed.append((lasted, task))
            key = "would_change" if result.task.check_mode else "changed"
            took = say("progress.took", time=_duration(lasted)) if lasted >= _REMARKABLE_S else ""
            self._line(
                say(f"progress.{key}", host=host, task=task) + _items(content) + took, constants.COLOR_CHANGED
            )
            for diff in self._diffs.pop(result.host.name, []):
                self._detail(diff)
        elif self._display.verbosity:
            self._line(say("progress.unchanged", host=host, task=task), constants.COLOR_OK)
        if result.task.action in constants._ACTION_DEBUG:
            self._clean_results(content, result.task.action)
            self._detail(str(content["msg"]) if "msg" in content else self._dump(content))
        elif self._run_is_verbose(result, verbosity=1):
            self._detail(self._dump(content))

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        """Write a failure in full: the plain message, the detail, and the place."""
        content, task = result.result, self._name(result.task)
        self._outcomes[result.host.name].stopped_at = task
        self._line(say("progress.failed", host=self.host_label(result), task=task), constants.COLOR_ERROR)
        if "censored" in content:
            self._detail(say("progress.secret"), constants.COLOR_ERROR)
        else:
            failures = [item for item in content.get("results", []) if item.get("failed")] or [content]
            for failure in failures:
                self._failure(failure)
            if self._display.verbosity > 2:
                self._handle_exception(content)
        self._warn(content)
        if place := result.task.get_path():
            self._detail(say("progress.at", place=_relative(place)))

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        """Write that a host could not be reached, and what SSH said."""
        line = say("progress.unreachable", host=self.host_label(result), task=self._name(result.task))
        self._line(line, constants.COLOR_UNREACHABLE)
        self._detail(str(result.result.get("msg", "")).strip(), constants.COLOR_UNREACHABLE)

    def v2_runner_on_skipped(self, result: CallbackTaskResult) -> None:
        """Keep quiet: what does not apply is no news."""

    def v2_runner_retry(self, result: CallbackTaskResult) -> None:
        """Show that something is waited for."""
        attempt = result.result.get("attempts", 0) + 1
        self._status(say("progress.retry", task=self._name(result.task), attempt=attempt))

    def v2_on_file_diff(self, result: CallbackTaskResult) -> None:
        """Keep differences for the line on their task, which follows.

        Ansible hands them over only with ``--diff``, and never those of tasks with secrets.
        """
        content = result.result
        if content.get("changed") and content.get("diff") and (diff := self._get_diff(content["diff"])):
            self._diffs[result.host.name].append(diff.strip())

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say it, since an empty run looks like a good one."""
        if not self._for_nobody:
            self._line(say("progress.no_hosts"), constants.COLOR_WARN)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """Write what it came to, in words, and then Ansible's count."""
        self._clear()
        self._display.display("")
        lasted = _duration(time.monotonic() - self._start)
        broken = {host for host in stats.processed if stats.dark.get(host) or stats.failures.get(host)}
        for host in sorted(stats.processed):
            count, outcome = stats.summarize(host), self._outcomes[host]
            if count["unreachable"]:
                self._display.display(say("progress.away", host=host), constants.COLOR_UNREACHABLE)
            if count["failures"]:
                self._display.display(
                    say("progress.stopped", host=host, task=outcome.stopped_at), constants.COLOR_ERROR
                )
            held = self._all_stop and broken and host not in broken
            if held:
                others = ", ".join(sorted(broken))
                self._display.display(say("progress.held", host=host, others=others), constants.COLOR_WARN)
            if outcome.changed or not (held or host in broken):
                color = constants.COLOR_CHANGED if outcome.changed else constants.COLOR_OK
                self._display.display(_summary(host, outcome.changed, lasted), color)
        for host in sorted(stats.processed):
            count = stats.summarize(host) | {"failed": stats.summarize(host)["failures"]}
            names = ("ok", "changed", "unreachable", "failed", "skipped", "rescued", "ignored")
            self._display.display(
                f"{host} : " + " ".join(f"{name}={count[name]:<4}" for name in names).rstrip()
            )

    # How it is written.

    def _name(self, task: Task) -> str:
        return self._names.get(task._uuid) or str(task.get_name()).strip().rsplit(" : ", 1)[-1]

    def _say(self, text: str, color: str | None = None) -> None:
        self._clear()
        self._display.display(text, color)

    def _line(self, text: str, color: str | None = None) -> None:
        self._say(f"{self._clock()}  {text}", color)

    def _detail(self, text: str, color: str | None = None) -> None:
        self._say(textwrap.indent(text, " " * 9), color)

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        return f"{minutes:4}:{seconds:02}"

    def _status(self, text: str) -> None:
        """Rewrite the terminal's last line."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._clear()
            sys.stdout.write(f"{self._clock()}  {text}"[:width])
            sys.stdout.flush()
            self._status_shown = True

    def _clear(self) -> None:
        if self._status_shown:
            # Carriage return, and ECMA-48 "erase in line".
            sys.stdout.write("\r\033[2K")
            sys.stdout.flush()
            self._status_shown = False

    def _failure(self, content: dict[str, Any]) -> None:
        label = self._get_item_label(content)
        said = str(content.get("msg", "")).strip() or str(content.get("reason", ""))
        self._detail(f"{label}: {said}" if isinstance(label, str) else said, constants.COLOR_ERROR)
        for name in _TEXTS:
            if text := str(content.get(name) or "").strip():
                self._detail(f"{name}:\n{textwrap.indent(text, '  ')}")
        rest = {
            key: value
            for key, value in content.items()
            if key not in _SAID and not key.startswith("_ansible")
        }
        if rest and (text := self._dump(rest)) != "{}":
            self._detail(text)

    def _dump(self, content: dict[str, Any]) -> str:
        return textwrap.dedent(self._dump_results(content).strip("\n")).strip()

    def _warn(self, content: dict[str, Any]) -> None:
        if content.get("warnings"):
            self._clear()
        self._handle_warnings(content)


def _items(content: dict[str, Any]) -> str:
    """Say how many of a loop's rounds changed something."""
    rounds = content.get("results")
    if not isinstance(rounds, list) or len(rounds) < 2:
        return ""
    changed = sum(1 for item in rounds if isinstance(item, dict) and item.get("changed"))
    return say("progress.items", count=changed, total=len(rounds)) if changed else ""


def _summary(host: str, changed: list[tuple[float, str]], lasted: str) -> str:
    would = "_would" if context.CLIARGS.get("check") else ""
    if not changed:
        return say(f"progress.nothing{would}", host=host, time=lasted)
    longest = set(sorted(changed, reverse=True)[:_NAMED])
    listed = "; ".join(dict.fromkeys(task for lasting, task in changed if (lasting, task) in longest))
    if len(changed) > _NAMED:
        listed = say("progress.more", list=listed, count=len(changed) - _NAMED)
    key = "one" if len(changed) == 1 else "many"
    return say(f"progress.{key}{would}", count=len(changed), host=host, time=lasted, list=listed)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return say("progress.minutes", m=minutes, s=rest) if minutes else say("progress.seconds", s=rest)


def _relative(place: str) -> str:
    """Return a task's file and line as seen from the current folder."""
    path = Path(place)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else place
