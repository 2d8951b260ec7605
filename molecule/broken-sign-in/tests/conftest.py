"""What the lesson's checks look at besides the pages: the server over SSH."""

from __future__ import annotations

import shlex

import pytest
import testinfra
from testinfra.host import Host

from schoolstack.deployment import Deployment


@pytest.fixture(scope="session")
def host(school: Deployment) -> Host:
    """The server, over SSH."""
    options = shlex.join(word for word in school.lab.ssh_command(school.name)[1:-1])
    return testinfra.get_host(f"ssh://root@{school.address}", ssh_extra_args=options)
