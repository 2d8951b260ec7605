"""A school on a test host, as the scenarios here treat it: made, asked, cut off in the middle of a run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from schoolstack.deployment import ROOT, Deployment, playbook_command
from schoolstack.hosts.lab import Lab

# Tables that Keycloak writes by itself while nobody does anything.
OWN = "offline_user_session|offline_client_session|revoked_token|server_config|jgroups_ping|event_entity"
# Seconds after which a server that has booted has its sign-in.
BOOTED_S = 300
# With what `school health` ends.
CODES = {"good": 0, "look": 1, "wrong": 2}
# Seconds between two questions whether something works.
BEAT = 0.1


def inventory(folder: Path, *applications: str) -> Path:
    """Write an inventory of the demo's school with these applications."""
    for part in ("group_vars", "class-list"):
        (folder / part).symlink_to(ROOT / "inventories" / "demo" / part)
    groups = ["host", "firewall", "backup", "certificates", "postgresql", "nginx", *applications]
    members = {group: {"hosts": {"server": None}} for group in groups}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"server": {}}, "children": members}}))
    return folder


@contextlib.contextmanager
def school_on(name: str, folder: Path, *applications: str, suite: str = "") -> Iterator[Deployment]:
    """Have a school with these applications, and nothing of it yet, on a new test host.

    Args:
        name: the host's.
        folder: where its inventory is written.
        applications: groups of the inventory, beside those that every school has.
        suite: Debian's name of the release; the newest when not given.
    """
    lab = Lab()
    lab.down(name)
    lab.up(name, suite)
    try:
        yield Deployment(inventory(folder, *applications), name, lab)
    finally:
        lab.down(name)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Ended:
    """How a playbook ended, and what it said."""

    code: int
    text: str


def start(
    deployment: Deployment, playbook: str, root: Path = ROOT, **variables: Any
) -> subprocess.Popen[str]:
    """Start a playbook, of this release or another, that says which task begins."""
    command = playbook_command(playbook, deployment.inventories, variables)
    artefacts = str(deployment.lab.state.root / "artefacts")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "SCHOOLSTACK_ARTEFACTS": artefacts}
    environment |= {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "SCHOOL_LANGUAGE": "en"}
    return subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def play(deployment: Deployment, playbook: str, root: Path = ROOT, **variables: Any) -> Ended:
    """Run a playbook to its end, good or bad."""
    process = start(deployment, playbook, root, **variables)
    text, _ = process.communicate()
    print(text)
    return Ended(process.returncode, " ".join(text.split()))


def add_pupil(deployment: Deployment, username: str, password: str) -> None:
    """Make an account whose password is known, as the class list makes them."""
    credentials = [{"type": "password", "value": password}]
    person = {"username": username, "enabled": True, "groups": ["/role/pupil"], "credentials": credentials}
    person |= {"firstName": "Test", "lastName": "Test"}
    deployment.ask_keycloak(f"admin.post('school', 'partialImport', body={{'users': [{person!r}]}})")


def rows(deployment: Deployment) -> str:
    """Return a digest of everything in Keycloak's database that people and playbooks have written."""
    inserts = "pg_dump -U postgres --data-only --inserts keycloak | grep ^INSERT"
    return deployment.shell(f"{inserts} | grep -vE 'public.({OWN}) ' | sort | sha256sum")


def not_good(deployment: Deployment) -> set[tuple[str, str, str]]:
    """Return what ``school health`` says of the server that is not good: state, finding, application."""
    words = [word for inventory in deployment.inventories for word in ("-i", str(inventory))]
    command = [str(Path(sys.executable).with_name("school")), "health", "--json", *words]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    report = json.loads(done.stdout)
    states = {one["state"] for server in report["servers"].values() for one in server["findings"]}
    worst = max(states, key=list(CODES).index)
    assert (report["state"], done.returncode) == (worst, CODES[worst])
    findings = report["servers"]["server"]["findings"]
    return {(one["state"], one["key"], one["application"]) for one in findings if one["state"] != "good"}


def can_sign_in(deployment: Deployment) -> bool:
    """Return whether the sign-in answers at its public address."""
    url = deployment.url("keycloak", "/realms/school/.well-known/openid-configuration")
    try:
        return bool(deployment.browser().session.get(url, timeout=5).status_code == 200)
    except requests.RequestException:
        return False


def wait_for_sign_in(deployment: Deployment) -> None:
    """Wait until a server that was started has its sign-in."""
    deadline = time.monotonic() + BOOTED_S
    while not can_sign_in(deployment):
        assert time.monotonic() < deadline
        time.sleep(0.5)


@dataclass
class Outage:
    """Asks every tenth of a second whether something works, in a thread of its own.

    Attributes:
        works: what is asked.
        asked: how often it was.
        gaps: how long it did not, in seconds, each time.
    """

    works: Callable[[], bool]
    asked: int = 0
    gaps: list[float] = field(default_factory=list)

    def __enter__(self) -> Outage:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        last_good = time.monotonic()
        was_good = True
        while not self._over.wait(BEAT):
            moment = time.monotonic()
            good = self.works()
            self.asked += 1
            if good:
                if not was_good:
                    self.gaps.append(moment - last_good)
                last_good = moment
            was_good = good
        if not was_good:
            self.gaps.append(time.monotonic() - last_good)


def until(process: subprocess.Popen[str], moment: str) -> None:
    """Wait until a playbook's task begins.

    Args:
        process: the playbook, from :func:`start`.
        moment: words of the task's name.
    """
    said = []
    for line in process.stdout or ():
        said.append(line)
        if line.startswith("TASK [") and moment in line:
            return
    pytest.fail(f"the run has no task {moment!r}:\n{''.join(said[-40:])}")


def listen(process: subprocess.Popen[Any], seconds: float) -> None:
    """Let a playbook go on for so long; it may have more to say than a pipe holds."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=seconds)


def kill(process: subprocess.Popen[Any]) -> None:
    """End a playbook at once, with Ansible's own children, which are groups of their own."""
    for pid in (process.pid, *_descendants(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process began, and those that they began."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    ).stdout
    parents = {int(child): int(parent) for child, parent in map(str.split, listed.splitlines())}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def cut(deployment: Deployment, process: subprocess.Popen[Any], after_s: float = 0.0) -> None:
    """Cut the server's power so long from now, end what worked on it, and give the power back."""
    listen(process, after_s)
    deployment.lab.power_cut(deployment.name)
    kill(process)
    deployment.lab.up(deployment.name)


def cut_at(deployment: Deployment, process: subprocess.Popen[str], moment: str, after_s: float) -> None:
    """Cut the server's power so many seconds after a playbook's task has begun, and give it back."""
    until(process, moment)
    cut(deployment, process, after_s)
