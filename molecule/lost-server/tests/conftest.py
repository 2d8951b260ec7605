"""What the lesson's checks look at: three machines over SSH, and the school's pages as people see them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schoolstack.deployment import Deployment
from schoolstack.labs.checks import NotYetError, why_closed
from schoolstack.labs.seat import Seat
from schoolstack.signin import Browser

REPOSITORY = "/var/lib/schoolstack-backup/repositories/voorbeeldschool.localhost/server"
# Seconds that a page may take; a firewall that drops everything lets them pass.
PATIENCE = 5
# ssh(1): its own exit code when it is ssh that fails, and not the command.
SSH_FAILED = 255


class Machine(Deployment):
    """One of the lesson's machines, whether what is asked of it works or not."""

    def run(self, command: str, given: str = "") -> tuple[str, str]:
        """Run a command there, as root.

        Args:
            command: what a shell is given.
            given: a line for its standard input.

        Returns:
            What it printed; and when it failed the last line that it complained with, else nothing.

        Raises:
            ConnectionError: the machine itself does not answer, so that nothing can be judged.
        """
        words = [*self.lab.ssh_command(self.name), f"export LANG=C.UTF-8 SCHOOL_LANGUAGE=en; {command}"]
        done = subprocess.run(words, input=f"{given}\n", capture_output=True, text=True, check=False)
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        if done.returncode == SSH_FAILED:
            raise ConnectionError(said)
        return done.stdout.strip(), said if done.returncode else ""


@pytest.fixture(scope="session")
def server(seat: Seat) -> Machine:
    """The school's server, which may be empty."""
    return Machine(seat.inventory, seat.hosts["server"], seat.lab)


@pytest.fixture(scope="session")
def vault(seat: Seat) -> Machine:
    """The server that keeps its backups."""
    return Machine(seat.inventory, seat.hosts["vault"], seat.lab)


@pytest.fixture(scope="session")
def desk(seat: Seat) -> Machine:
    """The coordinator's desk."""
    return Machine(seat.inventory, seat.hosts["desk"], seat.lab)


@pytest.fixture(scope="session")
def locked(vault: Machine) -> Callable[[str], str]:
    """Try a key on the backups: what restic says when it does not open them, else nothing."""
    restic = f"restic --repo {REPOSITORY} --no-cache --no-lock --quiet cat config"
    return lambda key: vault.run(f"read -r RESTIC_PASSWORD; export RESTIC_PASSWORD; {restic}", key)[1]


@pytest.fixture(scope="session")
def witness(desk: Machine) -> dict[str, Any]:
    """What made this school this one and no other, before anything was lost."""
    found: dict[str, Any] = json.loads(desk.shell("cat /var/lib/witness.json"))
    return found


@pytest.fixture(scope="session")
def away(server: Machine) -> str:
    """Why nothing answers on the server's port 443; empty when something does."""
    return why_closed(server.address, 443, PATIENCE)


@pytest.fixture
def browser(server: Machine, witness: dict[str, Any], away: str, tmp_path: Path) -> Iterator[Browser]:
    """A browser without cookies that trusts the school's own authority, as people's devices do."""
    if away:
        raise NotYetError("away", away)
    authority = tmp_path / "authority.pem"
    authority.write_text(witness["authority"], encoding="utf-8")
    addresses = dict.fromkeys(witness["sites"].values(), server.address)
    browser = Browser(addresses, authority, timeout=PATIENCE, language="en")
    yield browser
    browser.close()
