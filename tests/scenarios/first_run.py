"""The first run of the whole site on a virgin host, with all that could be seen while it went on."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.parsing.vault import VaultLib, VaultSecret
from lab_school import kill

from schoolstack.deployment import ROOT, Deployment, playbook_command


@dataclass
class Output:
    """What a run said: its tasks' names as they began, and every word."""

    begun: int
    text: str


def site(
    deployment: Deployment, *words: str, kill_after: int = 0, variables: Mapping[str, Any] | None = None
) -> Output:
    """Run site.yml, and kill it with all its children when its nth task begins."""
    command = [*playbook_command("site", deployment.inventories, variables), *words]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    environment |= {
        "PYTHONUNBUFFERED": "1",
        "SCHOOLSTACK_ARTEFACTS": str(deployment.lab.state.root / "artefacts"),
    }
    begun, lines = 0, []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            begun += line.startswith("TASK [")
            if kill_after and begun == kill_after:
                kill(process)
                break
    assert kill_after or process.returncode == 0, "".join(lines[-60:])
    return Output(begun, "".join(lines))


class ProcessList:
    """Every command line seen on this machine, test hosts' included, while it watches."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()

    def __enter__(self) -> ProcessList:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    self.seen.add((process / "cmdline").read_bytes())
                except OSError:
                    continue


@dataclass
class FirstRun:
    """A school made from nothing, with all that could be seen while it was made."""

    deployment: Deployment
    output: Output
    commands: set[bytes]

    def secrets(self) -> dict[str, str]:
        """Return every secret of the school, in clear."""
        folder = self.deployment.inventory
        key = (folder / ".vault-key").read_bytes().strip()
        vault = VaultLib([("default", VaultSecret(key))])
        files = sorted((folder / "secrets").glob("*.vault"))
        return {file.stem: vault.decrypt(file.read_bytes()).decode().strip() for file in files}


def first_run(deployment: Deployment, variables: Mapping[str, Any] | None = None) -> FirstRun:
    """Make a school, and see what can be seen: Ansible at its loudest, and every command line."""
    with ProcessList() as processes:
        output = site(deployment, "-vvv", "--diff", variables=variables)
    return FirstRun(deployment, output, processes.seen)


def shell(deployment: Deployment, script: str, given: str = "") -> str:
    """Run a script on the server; what it is given comes over standard input, not the command line."""
    command = [*deployment.lab.ssh_command(deployment.name), script]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout
