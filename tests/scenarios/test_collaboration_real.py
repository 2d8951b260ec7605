"""What only the real Nextcloud can show: its own checks, others' programs, the office.

These tests wait for its archives. ``school artefacts list`` names them; who has them puts them into the
folder ``artefacts`` below ``SCHOOLSTACK_STATE``. **Where they were written they could not be run**: the first
who runs them may find that it is they who are wrong. The office is a stand-in (src/schoolstack/stand_ins),
which speaks WOPI with its proof key as Collabora Online does.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import lab_office
import pytest
from lab_school import play, school_on

from schoolstack.deployment import Deployment
from schoolstack.hosts.lab import Lab
from schoolstack.stand_ins import at_hand, nextcloud_pins
from schoolstack.stand_ins.office import bring_office, make_office

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
PEOPLE = "id;voornaam;achternaam;klas;rol\nr1;Noor;Bestand;5A;\nr2;Els;Bestand;5A;leraar\n"
FILE_ID = """<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns">
<d:prop><oc:fileid/></d:prop></d:propfind>"""


class School(Deployment):
    """A school with files and an office, and what its inventory says beyond the demo's."""

    def __init__(self, plain: Deployment, settings: dict[str, Any]) -> None:
        """Take over a school that has nothing on its server yet."""
        super().__init__(plain.inventory, plain.name, plain.lab)
        self.settings = settings
        self.devices: dict[str, str] = {}

    def ask(self, user: str, method: str, path: str, content: str = "", **headers: str) -> tuple[int, str]:
        """Return what Nextcloud answers somebody's device, by the password of an app."""
        if user not in self.devices:
            self.devices[user] = self.shell(f"{OCC} user:auth-tokens:add {user}").split()[-1]
        answer = self.browser().session.request(
            method,
            self.url("nextcloud", path),
            data=content.encode(),
            auth=(user, self.devices[user]),
            headers=headers,
            timeout=60,
        )
        return answer.status_code, answer.text


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    # They tell something of Nextcloud itself: with the stand-in they would pass or fail for no reason.
    folder = Lab().state.root / "artefacts"
    if not at_hand(nextcloud_pins(), folder):
        pytest.skip(f"not run here: Nextcloud's pinned archives are not in {folder}")
    office = tmp_path_factory.mktemp("office") / "repository"
    applications = ("keycloak", "portal", "collabora", "nextcloud")
    with school_on(SERVER, tmp_path_factory.mktemp("school"), *applications) as plain:
        school = School(plain, make_office(office))
        bring_office(office, school)
        lab_office.bring_browser(school)
        made = play(school, "site", **school.settings)
        assert made.code == 0, made.text[-3000:]
        yield school


def test_its_programs_are_what_their_makers_signed(school: Deployment) -> None:
    assert "No errors found" in school.shell(f"{OCC} integrity:check-core -v")
    for app in sorted({pin["name"] for pin in nextcloud_pins() if "within" in pin}):
        # Without a path it looks for the signature at the top of the disk, finds none, and calls that good.
        place = f"/opt/nextcloud/current/custom_apps/{app}"
        said = school.shell(f"{OCC} integrity:check-app -v --path={place} {app}")
        assert "No errors found" in said, said


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


def test_a_document_is_opened_and_saved_by_the_office(school: School, tmp_path: Path) -> None:
    people = tmp_path / "list.csv"
    people.write_text(PEOPLE, encoding="utf-8")
    given = {
        "roster_source": str(people),
        "roster_list": "real",
        "roster_sheets_dir": str(tmp_path / "sheets"),
    }
    brought = play(school, "roster", roster_apply=True, **given, **school.settings)
    assert brought.code == 0, brought.text[-3000:]
    pupil, teacher = "noor.bestand", "els.bestand"
    paths = {who: f"/remote.php/dav/files/{who}/{quote('Klas 5A/les.odt')}" for who in (pupil, teacher)}
    # To the stand-in a document is plain text; Nextcloud goes by the name.
    assert school.ask(teacher, "PUT", paths[teacher], "Once upon a time")[0] == 201
    found = re.search(
        r"<oc:fileid>(\d+)</oc:fileid>", school.ask(pupil, "PROPFIND", paths[pupil], FILE_ID)[1]
    )
    assert found

    # As the page of files does it for who clicks on the document.
    status, told = school.ask(
        *(pupil, "POST", "/index.php/apps/richdocuments/token", json.dumps({"fileId": int(found[1])})),
        **{"OCS-APIRequest": "true", "Content-Type": "application/json"},
    )
    assert status == 200, told
    opened = json.loads(told)
    assert opened["urlSrc"].startswith(school.url("collabora"))
    instance = school.shell(f"{OCC} config:system:get instanceid").strip()
    source = school.url("nextcloud", f"/index.php/apps/richdocuments/wopi/files/{found[1]}_{instance}")
    words = ("textinput id=0 text=, in a school", "save")
    heard = lab_office.speak(school, source, opened["token"], *words)
    assert heard[0].startswith("status: type=text length=16"), heard
    assert '"success": true' in heard[1], heard
    assert school.ask(teacher, "GET", paths[teacher]) == (200, "Once upon a time, in a school")

    # Who has what lets in, but is not the office: from elsewhere, and from there without the office's key.
    address = f"{source}?access_token={opened['token']}"
    assert school.browser().session.get(address, timeout=60).status_code == 403
    assert school.shell(lab_office.status_of(address)).strip() == "500"
    # And the office itself, with what lets in to nothing, or to another document.
    assert lab_office.speak(school, source, "x" * 32) == ["error: cmd=load kind=unauthorized"]
    other = source.replace(f"/{found[1]}_", f"/{int(found[1]) + 1}_")
    assert lab_office.speak(school, other, opened["token"]) == ["error: cmd=load kind=unauthorized"]
