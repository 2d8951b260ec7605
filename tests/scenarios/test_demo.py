"""``make demo``: what the README's first command shows, shows again, and does not hide."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schoolstack.demo.command import INVENTORY, SERVER
from schoolstack.deployment import ROOT, Deployment
from schoolstack.hosts.lab import Lab
from schoolstack.messages import say

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
]


def demo() -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("school")), "demo"]
    environment = {**os.environ, "SCHOOL_LANGUAGE": "en"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    return done


@pytest.fixture(scope="module")
def school() -> Iterator[Deployment]:
    lab = Lab()
    lab.down(SERVER)
    yield Deployment(INVENTORY, SERVER, lab)
    lab.down(SERVER)
    for left in ("secrets", "sheets"):
        shutil.rmtree(INVENTORY / left, ignore_errors=True)
    (INVENTORY / ".vault-key").unlink(missing_ok=True)


def test_everything_that_it_shows_was_checked(school: Deployment) -> None:
    done = demo()
    assert done.returncode == 0
    assert done.stdout.count("✓") == 5 + 3 * 3 + 1
    assert "✗" not in done.stdout
    assert say("demo.dials") in done.stdout
    assert school.url("statuspage") in done.stdout
    assert say("demo.office_opens", kinds="odt, ods, odp") in done.stdout


@pytest.mark.usefixtures("school")
def test_a_second_time_nothing_has_to_change() -> None:
    done = demo()
    assert done.returncode == 0
    assert say("demo.unchanged") in done.stdout


def test_what_is_not_as_it_should_be_is_said(school: Deployment) -> None:
    """The teacher changed the password meanwhile, of which the demo knows nothing."""
    [account] = school.ask_keycloak("admin.get('school', 'users', username='bjork.muller', exact='true')")
    changed = {"type": "password", "value": secrets.token_urlsafe(16)}
    school.ask_keycloak(
        f"admin.put('school', 'users', {account['id']!r}, 'reset-password', body={changed!r})"
    )
    done = demo()
    assert done.returncode == 1
    assert "✗ teacher bjork.muller signs in" in done.stdout
    assert "✓ pupil daan.michiels signs in" in done.stdout
