"""What the lesson's checks look at: the server over SSH as root, as its person and as a stranger."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.labs.seat import Seat

# Seconds that a port may take to answer; a firewall that drops everything lets them pass.
PATIENCE = 3


class Server(Deployment):
    """The lesson's server, as one reaches it from the network."""

    def ssh(self, user: str, *options: str) -> list[str]:
        """Return the command that opens a shell as somebody, with the key that opens root."""
        *command, last = self.lab.ssh_command(self.name)
        return [*command, *options, last.replace("root@", f"{user}@", 1)]

    def with_password(self, user: str, password: str, ask: Path) -> subprocess.CompletedProcess[str]:
        """Try to sign in over SSH with a password and nothing else, and ask who one is.

        Args:
            user: the account.
            password: what is typed when the server asks.
            ask: where the program that types it may be written.
        """
        ask.write_text(f"#!/bin/sh\necho {shlex.quote(password)}\n", encoding="ascii")
        ask.chmod(0o700)
        methods = "PreferredAuthentications=password,keyboard-interactive"
        options = ("-o", methods, "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1")
        return subprocess.run(
            [*self.ssh(user, *options), "whoami"],
            env={**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def refuses(self, port: int) -> str:
        """Return why a connection to a port does not get through; empty when it does.

        Where nothing listens yet, the answer is a refusal of the server itself: the firewall let it through.
        """
        try:
            socket.create_connection((self.address, port), PATIENCE).close()
        except ConnectionRefusedError:
            return ""
        except OSError as error:
            return str(error)
        return ""


@pytest.fixture(scope="session")
def server(seat: Seat) -> Server:
    """The lesson's server on the seat's test host."""
    return Server(seat.inventory, seat.hosts["server"], seat.lab)


@pytest.fixture(scope="session")
def host(server: Server) -> Host:
    """The server, over SSH as root."""
    options = shlex.join(word for word in server.lab.ssh_command(server.name)[1:-1])
    return testinfra.get_host(f"ssh://root@{server.address}", ssh_extra_args=options)
