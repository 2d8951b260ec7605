"""The whole site on virgin hosts: no secret shows, and a killed run is made good by the next."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from lab_school import inventory, kill

from schoolstack.deployment import ROOT, Deployment, playbook_command
from schoolstack.hosts.lab import Lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

FINGERPRINT = (Path(__file__).parent / "fingerprint.sh").read_text(encoding="utf-8")

# Moments spread over the run, as the share of the tasks of an undisturbed one that have begun.
MOMENTS = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]


@dataclass
class Output:
    """What a run said: its tasks' names as they began, and every word."""

    begun: int
    text: str


def site(deployment: Deployment, *words: str, kill_after: int = 0) -> Output:
    """Run site.yml, and kill it with all its children when its nth task begins."""
    command = [*playbook_command("site", deployment.inventories), *words]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    environment["PYTHONUNBUFFERED"] = "1"
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


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstRun]:
    school = inventory(tmp_path_factory.mktemp("school"), "keycloak", "portal")
    lab = Lab()
    lab.down("undisturbed-server")
    lab.up("undisturbed-server")
    try:
        deployment = Deployment(school, "undisturbed-server", lab)
        with ProcessList() as processes:
            output = site(deployment, "-vvv", "--diff")
        yield FirstRun(deployment, output, processes.seen)
    finally:
        lab.down("undisturbed-server")
        shutil.rmtree(school)


@pytest.fixture(scope="module")
def secrets(first: FirstRun) -> dict[str, str]:
    """Every secret of the school, in clear."""
    folder = first.deployment.inventory
    key = (folder / ".vault-key").read_bytes().strip()
    vault = VaultLib([("default", VaultSecret(key))])
    files = sorted((folder / "secrets").glob("*.vault"))
    found = {file.stem: vault.decrypt(file.read_bytes()).decode().strip() for file in files}
    assert "keycloak_database" in found
    assert all(len(secret) >= 24 for secret in found.values())
    return found


def shell(deployment: Deployment, script: str, given: str = "") -> str:
    """Run a script on the server; what it is given comes over standard input, not the command line."""
    command = [*deployment.lab.ssh_command(deployment.name), script]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout


def fingerprint(deployment: Deployment) -> list[str]:
    return shell(deployment, "bash -s", FINGERPRINT).splitlines()


def test_a_school_has_no_secret_of_what_it_does_not_have(secrets: dict[str, str]) -> None:
    """A task that is skipped still evaluates what it would loop over."""
    assert {name.split("_")[0] for name in secrets} <= {"backup", "certificates", "keycloak", "portal"}


def test_no_secret_stands_in_a_process_list(first: FirstRun, secrets: dict[str, str]) -> None:
    assert len(first.commands) > 100
    assert [
        name for name, value in secrets.items() for seen in first.commands if value.encode() in seen
    ] == []


def test_no_secret_stands_in_what_ansible_says_at_its_loudest(
    first: FirstRun, secrets: dict[str, str]
) -> None:
    assert len(first.output.text) > 100_000
    assert [name for name, value in secrets.items() if value in first.output.text] == []


def test_no_secret_stands_in_the_journal(first: FirstRun, secrets: dict[str, str]) -> None:
    journal = shell(first.deployment, "journalctl --output=cat --no-pager")
    assert len(journal) > 10_000
    assert [name for name, value in secrets.items() if value in journal] == []


def test_no_secret_stands_in_a_file_that_others_may_read(first: FirstRun, secrets: dict[str, str]) -> None:
    found = shell(
        first.deployment,
        "cat >/run/secrets-to-find; chmod 600 /run/secrets-to-find; "
        "find / -xdev -type f -perm -o=r -print0 | "
        "xargs -0 grep --files-with-matches --fixed-strings --file=/run/secrets-to-find || true; "
        "rm /run/secrets-to-find",
        "\n".join(secrets.values()) + "\n",
    )
    assert found == ""


@pytest.mark.slow
def test_a_run_killed_at_ten_moments_ends_like_an_undisturbed_one(first: FirstRun) -> None:
    lab = first.deployment.lab
    lab.down("killed-server")
    lab.up("killed-server")
    try:
        killed = Deployment(first.deployment.inventory, "killed-server", lab)
        for moment in MOMENTS:
            site(killed, kill_after=max(1, int(first.output.begun * moment)))
        site(killed)
        ends = [fingerprint(first.deployment), fingerprint(killed)]
        difference = list(difflib.unified_diff(*ends, "undisturbed", "killed", n=0))
        assert difference == []
        assert killed.play("site").changed == 0
    finally:
        lab.down("killed-server")
