"""What the scenario's tests look at: three servers over SSH, and the pages two of them show."""

from __future__ import annotations

import shlex
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.hosts.lab import Lab

# Tests may share helpers that stand beside them.
sys.path.insert(0, str(Path(__file__).parent))

INVENTORY = Path(__file__).parents[1] / "inventory"


@dataclass(frozen=True)
class Server:
    """One of the scenario's servers.

    Attributes:
        deployment: the school, with this server's address.
        host: the server over SSH.
        page: the DNS name of its page; empty where it has none.
    """

    deployment: Deployment
    host: Host
    page: str = ""

    def shown(self, root: str) -> str:
        """Return the certificate that visitors who trust *root* are shown, in PEM.

        Raises:
            ssl.SSLCertVerificationError: they would be warned instead.
        """
        context = ssl.create_default_context(cadata=root)
        with (
            socket.create_connection((self.deployment.address, 443), 10) as plain,
            context.wrap_socket(plain, server_hostname=self.page) as tls,
        ):
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"")

    def comes_to_show(self, root: str) -> str:
        """Return what is shown once visitors who trust *root* are not warned, within five seconds.

        While nginx reloads, its old workers answer still.
        """
        end = time.monotonic() + 5
        while True:
            try:
                return self.shown(root)
            except ssl.SSLCertVerificationError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.2)

    @property
    def installed(self) -> str:
        """The page's certificate as it lies on the server, in PEM, without those of its authorities."""
        chain = self.host.file("/etc/schoolstack/certificates/page/fullchain.pem").content_string
        end = "-----END CERTIFICATE-----\n"
        return chain.partition(end)[0] + end

    @property
    def nginx(self) -> str:
        """Which nginx runs: another one has started when this differs."""
        return self.host.check_output("systemctl show --property=MainPID,ActiveEnterTimestamp nginx.service")


def server(name: str, page: str = "") -> Server:
    """Return a server of the scenario by its name in the inventory."""
    deployment = Deployment(INVENTORY, f"edge-{name}", Lab())
    options = shlex.join(word for word in deployment.lab.ssh_command(deployment.name)[1:-1])
    host = testinfra.get_host(f"ssh://root@{deployment.address}", ssh_extra_args=options)
    return Server(deployment, host, page)


@pytest.fixture(scope="session")
def public() -> Server:
    """The server whose certificate comes by ACME."""
    return server("public", "www.randschool.test")


@pytest.fixture(scope="session")
def inside() -> Server:
    """The server whose certificate is handed in."""
    return server("inside", "intranet.randschool.test")


@pytest.fixture(scope="session")
def authority() -> Server:
    """The server that plays the internet's authority."""
    return server("authority")
