"""The test host that the bench measures, and the demo school on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from schoolstack.deployment import ROOT, Deployment
from schoolstack.errors import SchoolError
from schoolstack.hosts.lab import Lab

SERVER = "bench-server"
DEPLOYED = "deployed"
# The school's dials, which only their own part of the bench measures.
DIALS = ("monitoring", "statuspage")
# What no part of it measures: a stand-in's figures would say nothing of the product.
APART = ("nextcloud",)
BOARD = "keycloak_heap_mb: 512\npostgresql_memory_gb: 4\n"

# The Python of Ansible's other programs.
PROGRAMS = Path(sys.executable).parent


class Bench:
    """What the parts share: a test host and a school's inventory of its own."""

    def __init__(self) -> None:
        """Use this machine's test hosts."""
        self.lab = Lab()
        self.folder = self.lab.state.root / "bench"
        self.inventory = self.folder / "inventory"
        if not self.inventory.exists():
            # A copy, so that secrets and sheets of the bench do not mix with the demo's.
            kept = shutil.ignore_patterns("secrets", "sheets", ".vault-key")
            shutil.copytree(ROOT / "inventories" / "demo", self.inventory, ignore=kept)
            # Sized as on a board with 4 GB, whatever this machine has.
            (self.inventory / "group_vars" / "all" / "board.yml").write_text(BOARD, encoding="utf-8")
        self.watch(on=False)
        self.deployment = Deployment(self.inventory, SERVER, self.lab)

    def watch(self, *, on: bool) -> None:
        """Have the dials in the inventory, as the demo has them, or not."""
        hosts = yaml.safe_load((ROOT / "inventories" / "demo" / "hosts.yml").read_text(encoding="utf-8"))
        kept = {
            name: group for name, group in hosts.items() if name not in APART and (on or name not in DIALS)
        }
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(kept), encoding="utf-8")

    def fresh(self) -> Deployment:
        """Return the school on a host as it comes from the image."""
        self.lab.up(SERVER)
        self.lab.reset(SERVER)
        return self.deployment

    def deployed(self) -> Deployment:
        """Return the school on a host where everything runs and nobody has an account yet."""
        self.lab.up(SERVER)
        if DEPLOYED in self.lab.snapshots(SERVER):
            self.lab.reset(SERVER, DEPLOYED)
        else:
            self.fresh().play("site")
            self.lab.snapshot(SERVER, DEPLOYED)
        self.deployment.shell(
            "for i in $(seq 120); do python3 -c 'import urllib.request as u; u.urlopen("
            '"http://127.0.0.1:9000/health/ready")\' 2>/dev/null && exit; sleep 1; done; exit 1'
        )
        return self.deployment

    def ansible(self, *words: str, bare: bool = False, settings: dict[str, str] | None = None) -> float:
        """Run one of Ansible's programs against the host and return the seconds it took.

        Args:
            words: the program and its arguments, without the inventory.
            bare: without the project's settings.
            settings: what to set otherwise, as environment variables.

        Raises:
            SchoolError: when it failed.
        """
        command = [str(PROGRAMS / words[0]), *words[1:]]
        for inventory in self.deployment.inventories:
            command += ["-i", str(inventory)]
        where = self.folder if bare else ROOT
        return seconds(lambda: _run(command, where, settings or {}))


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _run(command: list[str], where: Path, settings: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=where,
        env=os.environ | settings,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SchoolError(f"{Path(command[0]).name} failed: {done.stdout[-2000:]}")
