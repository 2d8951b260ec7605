"""What the lesson's checks look at: the server over SSH, and Prometheus on it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
import testinfra
from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.labs.checks import NotYetError

# A question to Prometheus, and what it answers.
Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def host(school: Deployment) -> Host:
    """The server, over SSH."""
    options = shlex.join(word for word in school.lab.ssh_command(school.name)[1:-1])
    return testinfra.get_host(f"ssh://root@{school.address}", ssh_extra_args=options)


@pytest.fixture(scope="session")
def ask(host: Host) -> Ask:
    """Ask Prometheus, on the server, where alone it answers."""

    def ask(path: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:9090/api/v1/{path}?{urlencode(parameters)}"
        answer = host.run(f"curl --silent --show-error --max-time 5 {shlex.quote(url)}")
        if answer.rc:
            raise NotYetError("away", answer.stderr)
        return json.loads(answer.stdout)["data"]

    return ask
