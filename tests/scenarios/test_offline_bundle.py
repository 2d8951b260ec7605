"""A lesson without internet: all it needs is in one folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schoolstack.deployment import ROOT
from schoolstack.hosts.image import SUITES
from schoolstack.hosts.lab import Lab
from schoolstack.hosts.state import State, run
from schoolstack.labs.bundle import machine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
    # Makes a lesson twice from nothing, image and Python environment included: 6 minutes.
    pytest.mark.slow,
]

LESSON = "own-server"
# A machine that has seen neither the project nor the internet. Only loopback is there, as with the cable out.
ROOM = f"""
ip link set lo up
! ip route get 192.0.2.1
tar xf "$1/schoolstack.tar.gz"
cd schoolstack
SCHOOLSTACK_BUNDLE=$1 .ci/bootstrap
school=.venv/bin/school
# Also where something fails: its hosts have a network that nobody outside finds again.
trap '$school lab stop {LESSON} --remove || true' EXIT
$school lab bundle use "$1"
$school lab prepare {LESSON}
$school lab start {LESSON}
! $school lab check {LESSON}
$school lab solve {LESSON}
$school lab check {LESSON}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stick") / "bundle"
    command = [sys.executable, "-m", "schoolstack.cli", "lab", "bundle", "make", str(folder), LESSON]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout)
    return folder


def test_nothing_is_left_of_what_it_was_made_with(made: Path) -> None:
    root = State.of_this_machine().root
    assert not root.with_name(f"{root.name}-bundle").exists()
    assert not list(made.parent.glob(".*"))


def test_a_lesson_is_made_and_mended_without_internet(made: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "SCHOOLSTACK_STATE": str(tmp_path / "state"), "SCHOOL_LANGUAGE": "en"}
    environment.pop("SCHOOLSTACK_ARTEFACTS", None)
    command = ["unshare", "--net", "bash", "-euxo", "pipefail", "-c", ROOM, "room", str(made)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)


@pytest.mark.skipif(machine().split("-")[0] not in SUITES, reason="there are test hosts of Debian only")
def test_a_fresh_machine_gets_what_the_project_needs_from_it(made: Path) -> None:
    lab, name = Lab(), "bundle-machine"
    try:
        lab.up(name, suite=machine().split("-")[0])
        ssh = lab.ssh_command(name)
        run([*ssh, "ip route delete default && ! command -v git && mkdir /media/bundle"])
        with subprocess.Popen(["tar", "cC", str(made), "."], stdout=subprocess.PIPE) as packed:
            subprocess.run([*ssh, "tar xC /media/bundle"], stdin=packed.stdout, check=True)
        run([*ssh, "tar xf /media/bundle/schoolstack.tar.gz"])
        run([*ssh, "cd schoolstack && SCHOOLSTACK_BUNDLE=/media/bundle .ci/bootstrap >/dev/null"])
        assert LESSON in run([*ssh, "cd schoolstack && .venv/bin/school lab list"])
    finally:
        lab.down(name)


def test_the_project_itself_is_not_touched(made: Path) -> None:
    """Making a bundle packs what is committed, and leaves nothing in the working tree."""
    listed = run(["tar", "tf", str(made / "schoolstack.tar.gz")]).splitlines()
    assert "schoolstack/.ci/bootstrap" in listed
    assert not [name for name in listed if "/.venv/" in name or name.endswith(".vault-key")]
    assert (ROOT / ".venv").exists()
