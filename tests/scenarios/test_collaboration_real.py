"""What only the real Nextcloud can show: its own checks, WebDAV by an independent suite, the desktop program.

These tests wait for its archives. ``school artefacts list`` names them; who has them puts them into the
folder ``artefacts`` below ``SCHOOLSTACK_STATE``. **Where they were written they could not be run**: the first
who runs them may find that it is they who are wrong.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from lab_school import play, school_on

from schoolstack.deployment import Deployment
from schoolstack.hosts.lab import Lab
from schoolstack.stand_ins import at_hand, nextcloud_pins

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
    # A school with all that its files need.
    pytest.mark.slow,
]

SERVER = "realfiles-server"
OCC = "/usr/local/lib/schoolstack/nextcloud/occ"
PASSWORD = "/etc/nextcloud/secrets/admin"
# Of litmus' suites, those whose subject Nextcloud's WebDAV offers (docs of litmus: TESTS).
SUITES = "basic copymove props"


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    # They tell something of Nextcloud itself: with the stand-in they would pass or fail for no reason.
    folder = Lab().state.root / "artefacts"
    if not at_hand(nextcloud_pins(), folder):
        pytest.skip(f"not run here: Nextcloud's pinned archives are not in {folder}")
    with school_on(SERVER, tmp_path_factory.mktemp("school"), "keycloak", "portal", "nextcloud") as school:
        made = play(school, "site")
        assert made.code == 0, made.text[-3000:]
        yield school


def test_its_programs_are_what_their_makers_signed(school: Deployment) -> None:
    school.shell(f"{OCC} integrity:check-core")
    for app in {pin["name"] for pin in nextcloud_pins() if "within" in pin}:
        school.shell(f"[ ! -d /opt/nextcloud/current/custom_apps/{app} ] || {OCC} integrity:check-app {app}")


def test_its_own_checks_find_nothing_wrong(school: Deployment) -> None:
    found = json.loads(school.shell(f"{OCC} setupchecks --output=json || true"))
    wrong = {
        name: check
        for group in found.values()
        for name, check in group.items()
        if check["severity"] == "error"
    }
    assert not wrong


def test_devices_are_told_of_changes(school: Deployment) -> None:
    school.shell(f"{OCC} notify_push:self-test")


def test_an_independent_suite_finds_its_webdav_sound(school: Deployment) -> None:
    school.shell("apt-get install -qq litmus >/dev/null")
    address = school.url("nextcloud", "/remote.php/dav/files/schoolstack/")
    said = school.shell(
        f'cd /tmp && TESTS="{SUITES}" litmus --keep-going {address} schoolstack "$(cat {PASSWORD})" 2>&1'
    )
    assert "FAIL" not in said, said


def test_two_devices_have_the_same_and_keep_both_sides_of_a_conflict(school: Deployment) -> None:
    school.shell("apt-get install -qq nextcloud-desktop-cmd >/dev/null; mkdir -p /root/one /root/two")

    def sync(device: str) -> None:
        school.shell(
            f'nextcloudcmd --silent --non-interactive --user schoolstack --password "$(cat {PASSWORD})" '
            f"/root/{device} {school.url('nextcloud')}"
        )

    school.shell("echo first >/root/one/essay.txt")
    sync("one")
    sync("two")
    assert school.shell("cat /root/two/essay.txt") == "first\n"
    school.shell("echo here >/root/one/essay.txt; echo there >/root/two/essay.txt")
    sync("one")
    sync("two")
    kept = school.shell("cat /root/two/essay*.txt").split()
    assert sorted(kept) == ["here", "there"]
    sync("one")
    assert school.shell("cat /root/one/essay.txt") == school.shell("cat /root/two/essay.txt")
