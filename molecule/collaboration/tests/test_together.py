"""Files and office on one server: they know each other, people are there, an outage costs nothing."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from testinfra.host import Host

from schoolstack.demo.people import People
from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.roster import sheets

OCC = "/usr/local/lib/schoolstack/nextcloud/occ"
# Of 10, in systemd-analyze security; the house's bound for a unit of its own.
MAX_EXPOSURE = 4.0
# What a browser says to the office when it opens a document: prints what it hears first.
BROWSER = """
import asyncio, sys
from aiohttp import ClientSession

async def main():
    async with ClientSession() as session, session.ws_connect(sys.argv[1]) as ws:
        await ws.send_str("load url=x")
        print((await ws.receive(timeout=10)).data)

asyncio.run(main())
"""
# Asks Nextcloud for all class folders, as its own administrator may on its own server.
FOLDERS = """
import base64, sys, urllib.request
password = open("/etc/nextcloud/secrets/admin").read()
asked = urllib.request.Request(sys.argv[1] + "/index.php/apps/groupfolders/folders?format=json")
asked.add_header("OCS-APIRequest", "true")
asked.add_header("Authorization", "Basic " + base64.b64encode(f"schoolstack:{password}".encode()).decode())
print(urllib.request.urlopen(asked).read().decode())
"""


def office(school: Deployment) -> str:
    """Return the office's address."""
    return school.url("collabora", "")


def files(school: Deployment) -> str:
    """Return the files' address."""
    return school.url("nextcloud", "")


def occ(host: Host, words: str) -> Any:
    """Return what Nextcloud's command says, as JSON."""
    return json.loads(host.check_output(f"{OCC} {words} --output=json"))


def known(host: Host) -> dict[str, Any]:
    """Return what Nextcloud keeps of its apps."""
    apps: dict[str, Any] = occ(host, "config:list --private")["apps"]
    return apps


def test_the_files_have_the_offices_address_and_asked_it(
    school: Deployment, host: Host, products: dict[str, Any]
) -> None:
    kept = known(host)["richdocuments"]
    assert kept["enabled"] == "yes"
    assert kept["wopi_url"] == office(school)
    assert kept["wopi_callback_url"] == files(school)
    # The office comes from this server itself.
    assert set(kept["wopi_allowlist"].split()) >= {"127.0.0.1", "::1"}
    if "nextcloud" not in products["stand_ins"]:
        return  # What the real one keeps of an address that does not answer is not known.
    # Where there is no office to ask, it is not connected: what it has kept, it asked for.
    activate = f"{OCC} richdocuments:activate-config --wopi-url=%s --callback-url=%s"
    nowhere = office(school).replace("office.", "files.")
    assert host.run(activate, nowhere, files(school)).failed
    assert known(host)["richdocuments"]["wopi_url"] == office(school)


def test_browsers_are_led_to_the_office_at_its_own_address(school: Deployment) -> None:
    told = school.browser().get(school.url("collabora", "/hosting/discovery"))
    addresses = told.tree.xpath("//action/@urlsrc")
    assert {"odt", "ods", "odp"} <= set(told.tree.xpath("//action/@ext"))
    assert {f"https://{urlsplit(address).netloc}" for address in addresses} == {office(school)}


def test_the_office_is_told_of_these_files_and_nobody_else(school: Deployment, host: Host) -> None:
    command = host.check_output("systemctl cat coolwsd.service")
    hosts = dict(re.findall(r'"--o:storage\.wopi\.alias_groups\.group\[(\d+)\]\.host=([^"]*)"', command))
    assert hosts == {"0": f"{files(school)}:443"}
    assert '"--o:storage.wopi.alias_groups[@mode]=groups"' in command


def test_the_office_lets_in_these_files_and_nobody_else(
    school: Deployment, host: Host, products: dict[str, Any]
) -> None:
    if "collabora" not in products["stand_ins"]:
        pytest.skip("asked in the stand-in's own words for browsers, which the real office does not speak")
    # Of the files it asks for the document, which the files let nobody have without a key of theirs.
    assert heard(school, host, files(school)) == "error: cmd=load kind=unauthorized"
    for other in (office(school), "https://files.elsewhere.test"):
        assert heard(school, host, other) == "error: cmd=internal kind=unauthorized", other


def heard(school: Deployment, host: Host, where: str) -> str:
    """Return what a browser hears that opens a document of some files."""
    source = f"{where}/index.php/apps/richdocuments/wopi/files/1"
    address = f"{office(school)}/cool/{quote(source + '?access_token=none', safe='')}/ws?compat=/ws"
    return host.check_output("python3 -c %s %s", BROWSER, address.replace("https://", "wss://")).strip()


def test_people_find_their_accounts_groups_and_class_folders(school: Deployment, host: Host) -> None:
    people = People(school.lab.folder(school.name) / "people.json")
    pupils = dict(sheets.read_all(school.inventory)["pupil"])
    assert set(pupils) == {"noor.peeters", "zoe.claes", "jef.maes"}
    assert set(occ(host, "user:info noor.peeters")["groups"]) == {"class-3A", "role-pupil"}
    person = people.find("pupil", "noor.peeters", pupils["noor.peeters"])
    arrived = people.sign_in(school.browser(), person, school.url("nextcloud"))
    assert "/apps/files" in arrived.page.url
    assert set(occ(host, "user:info noor.peeters")["groups"]) == {"class-3A", "role-pupil"}
    told = json.loads(host.check_output("python3 -c %s %s", FOLDERS, files(school)))["ocs"]["data"]
    folders = told.values() if isinstance(told, dict) else told
    groups = {one["mount_point"]: set(one["groups"]) for one in folders}
    assert set(groups) == {"Klas 3A", "Klas 3B", "Lerarenkamer"}
    assert "class-3A" in groups["Klas 3A"]
    assert "class-3B" not in groups["Klas 3A"]
    assert "role-pupil" not in groups["Lerarenkamer"]


def test_nothing_more_listens_and_every_service_is_shut_in(school: Deployment, host: Host) -> None:
    listening = host.check_output("ss -Hltn | awk '{print $4}'").split()
    outside = {one.rpartition(":")[2] for one in listening if not one.startswith(("127.", "[::1]"))}
    assert outside == {"22", "80", "443"}
    for service in school.records["nextcloud"]["services"]:
        said = host.check_output(f"systemd-analyze security --no-pager {service['name']}.service | tail -1")
        assert float(said.split(": ")[1].split()[0]) < MAX_EXPOSURE, said
        assert host.check_output(f"systemctl show -P User {service['name']}") == "nextcloud"
    # The office shuts away each document itself, and says why it needs what it has; this much is left.
    assert host.check_output("systemctl show -P User coolwsd") == "cool"
    assert host.check_output("systemctl show -P ProtectSystem coolwsd") == "strict"
    allowed = host.check_output("systemctl show -P CapabilityBoundingSet coolwsd").split()
    assert sorted(allowed) == ["cap_chown", "cap_fowner", "cap_sys_admin", "cap_sys_chroot"]
    # Neither reads what the other keeps.
    for user, path in (
        ("cool", "/srv/nextcloud"),
        ("cool", "/etc/nextcloud"),
        ("nextcloud", "/etc/coolwsd/school.env"),
    ):
        assert host.run(
            f"runuser -u {user} -- ls {path} >/dev/null && runuser -u {user} -- cat {path}"
        ).failed


def test_an_office_out_of_reach_is_said_and_costs_nothing(
    school: Deployment, host: Host, products: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    kept, digest = known(host), everything(host)
    host.check_output("systemctl stop coolwsd.service")
    try:
        # The part for files alone: the office's own part would start it again.
        with pytest.raises(SchoolError):
            school.play("site", tags=["nextcloud"], **products["variables"])
        out = " ".join(capfd.readouterr().out.split())
        sentence = say("nextcloud.office", url=office(school), said="")
        assert out.count(" ".join(sentence.partition(". ")[0].split())) == 1, out[-2000:]
        assert "502" in out
        assert everything(host) == digest
        assert known(host) == kept
        # The files themselves go on.
        assert school.browser().get(school.url("nextcloud", "/status.php")).status == 200
    finally:
        # The next whole run sees that it runs again.
        back = school.play("site", **products["variables"])
    assert host.service("coolwsd").is_running
    assert back.changed == 1
    assert known(host) == kept


def everything(host: Host) -> str:
    """Return a digest of all that a run for files could have changed."""
    paths = "/etc/nextcloud /etc/nginx /etc/systemd/system /var/lib/nextcloud/config /etc/ansible/facts.d"
    stamp = shlex.quote("%p %T@ %s\n")
    return host.check_output(
        f"(find {paths} -type f -printf {stamp} | sort; readlink -f /opt/nextcloud/current) | sha256sum"
    )
