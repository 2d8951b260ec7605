"""One server loses its power in the middle of a run: the other serves on, and the next run goes on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus import series, wait_until

from schoolstack.deployment import ROOT, Deployment, playbook_command
from schoolstack.messages import say
from schoolstack.signin import Browser

# A role in which the run has something left to do on both servers.
MOMENT = say("progress.role", role="nginx", host="sso")


@dataclass(frozen=True)
class Run:
    """How a run of site.yml ended, and what it said."""

    status: int
    text: str


def site(school: Deployment, *words: str, power_cut: str = "") -> Run:
    """Run site.yml, and cut a test host's power when the moment has come."""
    command = [*playbook_command("site", [school.inventory]), *words]
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if power_cut and line.rstrip().endswith(MOMENT):
                school.lab.power_cut(power_cut)
    return Run(process.returncode, "".join(lines))


@pytest.fixture(scope="module")
def cut(sso: Deployment, web: Deployment, pages: dict[str, str]) -> Iterator[Run]:
    """A run in which the server with the pages loses its power."""
    yield site(sso, power_cut=web.name)
    web.lab.up(web.name)


def test_the_run_ends_and_says_plainly_what_to_do(cut: Run) -> None:
    assert cut.status != 0
    assert say("progress.away", host="web") in cut.text
    assert say("progress.held", host="sso", others="web") in cut.text
    assert "Traceback" not in cut.text


def test_the_other_server_serves_on_and_can_be_gone_on_with(
    cut: Run, sso: Deployment, browser: Browser
) -> None:
    assert browser.get(sso.url("keycloak", "/realms/school/.well-known/openid-configuration")).status == 200
    alone = site(sso, "--limit", "sso")
    assert alone.status == 0, alone.text
    assert "changed=0" in alone.text


def test_the_server_that_watches_tells_that_the_other_is_gone_and_only_that(
    cut: Run, sso: Deployment
) -> None:
    gone = 'ALERTS{alertname="ServerSilent",alertstate="firing"}'
    wait_until(lambda: [one["metric"]["server"] for one in series(sso, gone)] == ["web"])
    # Its pages are closed too, but that follows from it.
    told = json.loads(sso.shell("amtool --alertmanager.url=http://127.0.0.1:9093 alert query -o json"))
    assert {one["labels"]["alertname"] for one in told if one["labels"].get("server") == "web"} == {
        "ServerSilent"
    }


def test_with_the_power_back_there_is_nothing_to_mend(
    cut: Run, sso: Deployment, web: Deployment, browser: Browser
) -> None:
    web.lab.up(web.name)
    both = site(sso)
    assert both.status == 0, both.text
    assert both.text.count("changed=0") == 2, both.text
    assert browser.get(web.url("portal")).element("kc-form-login") is not None
