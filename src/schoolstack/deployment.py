"""One school on its servers, seen from the machine that runs Ansible: run playbooks, open its pages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from schoolstack.errors import SchoolError
from schoolstack.hosts.lab import Lab
from schoolstack.hosts.state import run
from schoolstack.signin import Browser

ROOT = Path(__file__).parents[2]

# Where the role certificates puts the school's CA on every server.
CA_ON_SERVER = "/usr/local/share/ca-certificates/schoolstack.crt"

# What speaks with Keycloak on its own server, and the account that the role keycloak makes for it there.
_ADMIN_API = ROOT / "plugins" / "module_utils" / "keycloak_admin.py"
_ADMIN_SIGN_IN = 'admin = KeycloakAdmin.with_secret_from("/etc/keycloak/automation.secret", "schoolstack")'


@dataclass(frozen=True)
class Run:
    """How a playbook ended.

    Attributes:
        changed: number of things it changed, over all servers.
        seconds: how long it took.
        said: what it printed.
    """

    changed: int
    seconds: float
    said: str = ""


def playbook_command(
    name: str,
    inventories: Sequence[Path],
    variables: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
) -> list[str]:
    """Return the command that runs one of the project's playbooks, in the project's folder.

    Args:
        name: the playbook without its ending, such as ``site``.
        inventories: what ``-i`` is given, the school's own first.
        variables: extra variables.
        tags: the roles that alone are looked at; all when empty.
    """
    command = [str(Path(sys.executable).with_name("ansible-playbook")), f"playbooks/{name}.yml"]
    for inventory in inventories:
        command += ["-i", str(inventory)]
    if variables:
        command += ["-e", json.dumps(variables)]
    if tags:
        command += ["--tags", ",".join(tags)]
    return command


def run_playbook(
    name: str,
    inventories: Sequence[Path],
    variables: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
) -> Run:
    """Run one of the project's playbooks, its progress on standard output.

    Args:
        name: the playbook without its ending, such as ``site``.
        inventories: what ``-i`` is given, the school's own first.
        variables: extra variables.
        tags: the roles that alone are looked at; all when empty.

    Raises:
        SchoolError: when it failed; the reason stands above.
    """
    command = playbook_command(name, inventories, variables, tags)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    started = time.monotonic()
    changed = 0
    lines = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
            changed += sum(map(int, re.findall(r"\bchanged=(\d+)", line)))
    if process.returncode:
        raise SchoolError(f"playbooks/{name}.yml did not come to its end: the reason stands above")
    return Run(changed, time.monotonic() - started, "".join(lines))


def answers(playbook: str, inventories: Sequence[Path], variables: Mapping[str, Any] | None = None) -> Any:
    """Run a playbook that asks the servers something, without showing its progress.

    Args:
        playbook: its name without ending; it writes what was answered, as JSON, to ``answers_file``.
        inventories: what ``-i`` is given, the school's own first.
        variables: extra variables.

    Returns:
        What it wrote.

    Raises:
        SchoolError: when it wrote nothing; why stands on standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answers.json"
        command = playbook_command(playbook, inventories, {**(variables or {}), "answers_file": str(file)})
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if file.exists():
            return json.loads(file.read_text(encoding="utf-8"))
    print(done.stdout, done.stderr, sep="", file=sys.stderr)
    raise SchoolError(f"playbooks/{playbook}.yml did not come to its end: the reason stands above")


class Deployment:
    """A school of the inventories on one test host."""

    def __init__(self, inventory: Path, name: str, lab: Lab | None = None) -> None:
        """Look at the school that ``inventory`` describes, on the test host ``name``."""
        self.inventory = inventory
        self.name = name
        self.lab = lab or Lab()

    @property
    def inventories(self) -> list[Path]:
        """What ``-i`` is given: what the school is, and where its server is reached."""
        return [self.inventory, self.lab.inventory(self.name)]

    @property
    def address(self) -> str:
        """The server's IP address."""
        return self.lab.host(self.name).address

    def play(self, playbook: str, tags: Sequence[str] = (), **variables: Any) -> Run:
        """Run a playbook on it; see :func:`run_playbook`."""
        # What is fetched for a test host goes when the test hosts go.
        os.environ.setdefault("SCHOOLSTACK_ARTEFACTS", str(self.lab.state.root / "artefacts"))
        return run_playbook(playbook, self.inventories, variables, tags)

    def shell(self, command: str) -> str:
        """Run a command on the server, as root.

        Returns:
            Its standard output.

        Raises:
            SchoolError: when it fails.
        """
        return run([*self.lab.ssh_command(self.name), command])

    def ask_keycloak(self, expression: str) -> Any:
        """Evaluate an expression with ``admin``, a connection to Keycloak's Admin API, on the server itself.

        Raises:
            SchoolError: when Keycloak does not answer.
        """
        program = (
            f"{_ADMIN_API.read_text(encoding='utf-8')}\n{_ADMIN_SIGN_IN}\nprint(json.dumps({expression}))"
        )
        return json.loads(run([*self.lab.ssh_command(self.name), "python3 -"], stdin=program))

    def ask_prometheus(self, path: str, **parameters: str) -> Any:
        """Return what Prometheus answers, asked on the server that watches, where alone it answers.

        Args:
            path: of its HTTP API, such as ``query`` (prometheus.io, "HTTP API").
            parameters: of the question, such as ``query="up"``.

        Raises:
            SchoolError: when it does not answer, or not with what was asked for.
        """
        url = f"http://127.0.0.1:9090/api/v1/{path}?{urlencode(parameters)}"
        program = f"import urllib.request as r; print(r.urlopen({url!r}).read().decode())"
        return json.loads(run([*self.lab.ssh_command(self.name), "python3 -"], stdin=program))["data"]

    @cached_property
    def records(self) -> dict[str, dict[str, Any]]:
        """The records of the applications that run there, by name."""
        text = self.shell("cat /etc/ansible/facts.d/*.fact").strip()
        decoder = json.JSONDecoder()
        found: dict[str, dict[str, Any]] = {}
        while text:
            record, end = decoder.raw_decode(text)
            found[record["name"]] = record
            text = text[end:].strip()
        return found

    @cached_property
    def ca(self) -> Path:
        """The certificate of the school's CA, copied from the server."""
        copy = self.lab.folder(self.name) / "ca.pem"
        copy.write_text(self.shell(f"cat {CA_ON_SERVER}"), encoding="utf-8")
        return copy

    def browser(self, through: str = "", language: str = "nl") -> Browser:
        """Open a browser that trusts the school's CA and finds its pages.

        Args:
            through: the address where the pages are looked for; the server's own when not given.
            language: what its person prefers to read.
        """
        sites = [record["site"]["host"] for record in self.records.values() if "site" in record]
        return Browser(dict.fromkeys(sites, through or self.address), self.ca, language=language)

    def url(self, application: str, path: str = "/") -> str:
        """Return the address of an application's page."""
        return f"https://{self.records[application]['site']['host']}{path}"
