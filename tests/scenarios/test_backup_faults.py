"""Backups and restores while the power fails, disks fill, the network goes and the clock is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_school import cut, not_good, rows, start, wait_for_sign_in

from schoolstack.deployment import ROOT, Deployment
from schoolstack.hosts.lab import Lab

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
]

# Moments spread over an undisturbed run, as shares of its time.
MOMENTS = [0.1, 0.3, 0.5, 0.7, 0.9]
# What a school without a drill is told: the state, the finding, the application.
NO_DRILL = {("look", "drill_none", "")}

HOME = "/var/lib/schoolstack/backup"
KEEPER = "/var/lib/schoolstack-backup"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inventory of the scenario drill, with secrets of its own."""
    folder = tmp_path_factory.mktemp("faults") / "inventory"
    kept = shutil.ignore_patterns("secrets", "sheets", ".vault-key", "zz-*")
    shutil.copytree(ROOT / "molecule" / "drill" / "inventory", folder, ignore=kept)
    return folder


@pytest.fixture(scope="module")
def school(inventory: Path) -> Iterator[Deployment]:
    """A school with 60 MB of files, backed up once to a second server."""
    lab = Lab()
    names = ("faults-server", "faults-vault")
    try:
        for name in names:
            lab.down(name)
            lab.up(name)
            (inventory / f"zz-{name}.yml").symlink_to(lab.inventory(name))
        made = Deployment(inventory, "faults-server", lab)
        made.play("site")
        made.shell("head -c 60000000 /dev/urandom >/var/lib/portal/files")
        made.shell("schoolstack-backup backup")
        yield made
    finally:
        for name in names:
            lab.down(name)


@pytest.fixture(scope="module")
def keeper(school: Deployment) -> Deployment:
    """The server that keeps its backups."""
    return Deployment(school.inventory, "faults-vault", school.lab)


def said(school: Deployment, command: str) -> str:
    """Return what the program refused with; empty when it did what it should."""
    return school.shell(f"LANG=en schoolstack-backup {command} 2>&1 >/dev/null || true").strip()


def state(school: Deployment) -> dict:
    """Return what the program knows."""
    found: dict = json.loads(school.shell(f"cat {HOME}/state.json"))
    return found


def new_files(school: Deployment) -> None:
    """Give the next backup something to carry."""
    school.shell("head -c 60000000 /dev/urandom >/var/lib/portal/files; sync")


# What is there when the power goes, on the server or where its backups are kept: a backup is noted, its
# database is being dumped, the manifest is written, and of four packs or so one and two have come.
PACKS = f"test $(find {KEEPER}/repositories -path '*/data/*' -type f | wc -l) -ge"
BACKUP = [
    ("server", f"grep -q '\"running\": true' {HOME}/state.json"),
    ("server", f"ls {HOME}/stage/databases/*.dump"),
    ("server", f"ls {HOME}/stage/manifest.json"),
    ("keeper", f"{PACKS} $((before + 1))"),
    ("keeper", f"{PACKS} $((before + 2))"),
]


@pytest.mark.parametrize(("where", "seen"), BACKUP)
def test_a_power_cut_during_a_backup(school: Deployment, keeper: Deployment, where: str, seen: str) -> None:
    """The next backup is good, the repository sound, and nothing is left of the one that was cut."""
    new_files(school)
    packs = keeper.shell(f"find {KEEPER}/repositories -path '*/data/*' -type f | wc -l").strip()
    before = state(school)["last_good"]
    command = [*school.lab.ssh_command(school.name), "schoolstack-backup backup"]
    process = subprocess.Popen(command, start_new_session=True)
    watched = {"server": school, "keeper": keeper}[where]
    look = f"{seen} >/dev/null 2>&1 && exit; sleep 0.01"
    watched.shell(f"before={packs}; for moment in $(seq 3000); do {look}; done; exit 1")
    cut(school, process)
    assert state(school)["last_good"] == before
    assert said(school, "backup") == ""
    assert said(school, "check-all") == ""
    assert state(school)["last_good"] != before
    assert school.shell(f"ls {HOME}").split() == ["lock", "state.json"]
    wait_for_sign_in(school)
    assert not_good(school) == NO_DRILL


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_power_cut_during_a_restore(school: Deployment, moment: float) -> None:
    """Giving the command again ends it, with all that the backup holds."""
    assert said(school, "backup") == ""
    wanted, files = rows(school), school.shell("sha256sum /var/lib/portal/files")
    spoiled = "delete from credential; create table since (what text)"
    school.shell(f"psql -U postgres -d keycloak -qc '{spoiled}'; rm /var/lib/portal/files")
    process = start(school, "restore", restore_overwrite=True)
    # From where it puts back the authority until the last application runs again.
    noted = f"until [ -e {HOME}/restoring.json ]; do sleep 0.1; done"
    school.shell(f"timeout 120 sh -c '{noted}'")
    cut(school, process, 35 * moment)
    assert school.shell(f"ls {HOME}/restoring.json")
    school.play("restore", restore_overwrite=True)
    assert rows(school) == wanted
    assert school.shell("sha256sum /var/lib/portal/files") == files
    assert school.shell("find / -xdev -name '.schoolstack-re*' -o -name restoring.conf") == ""
    assert school.play("site").changed == 0
    assert said(school, "backup") == ""
    assert not_good(school) == NO_DRILL


def test_no_room_for_the_dumps(school: Deployment) -> None:
    school.shell(f"cp -a {HOME} /root/home; mount -t tmpfs -o size=2m none {HOME}; cp -a /root/home/. {HOME}")
    try:
        assert said(school, "backup").startswith("There is no room to dump the databases (keycloak)")
        assert "no room" in state(school)["last"]["sentence"]
        assert school.shell(f"ls {HOME}").split() == ["lock", "state.json"]
    finally:
        school.shell(f"umount {HOME}; rm -r /root/home")
    assert said(school, "backup") == ""


def test_no_room_where_backups_are_kept(school: Deployment, keeper: Deployment) -> None:
    """It is said at once, not after a quarter of an hour; what was there before can be read and is sound."""
    folder, kept = f"{KEEPER}/repositories", "/root/kept"
    mount = "mount -t tmpfs -o size=1g,mode=0700,uid=schoolstack-backup none"
    keeper.shell(f"mv {folder} {kept}; mkdir {folder}; {mount} {folder}; cp -a {kept}/. {folder}")
    # Counted here: a file that was cut off takes more room than its content does, and is copied without it.
    used = int(keeper.shell(f"df -m --output=used {folder} | tail -1"))
    keeper.shell(f"mount -o remount,size={used + 20}m {folder}")
    try:
        new_files(school)
        before = state(school)["last_good"]
        started = time.monotonic()
        assert said(school, "backup").startswith("There is no room left at vault")
        assert time.monotonic() - started < 60
        assert state(school)["last_good"] == before
        keeper.shell(f"mount -o remount,size={used + 500}m {folder}")
        assert said(school, "check-all") == ""
        assert said(school, "backup") == ""
    finally:
        keeper.shell(f"umount {folder}; rmdir {folder}; mv {kept} {folder}")
    assert said(school, "backup") == ""


@pytest.mark.parametrize("when", ["before", "during"])
def test_the_network_to_the_keeper_is_gone(school: Deployment, keeper: Deployment, when: str) -> None:
    """Packets vanish, as with a switch that lost its power: nobody says no."""
    gone = (
        "nft add table inet gone; nft add chain inet gone out '{ type filter hook output priority -10; }'"
        f"; nft add rule inet gone out ip daddr {keeper.address} drop"
    )
    new_files(school)
    before = state(school)["last_good"]
    later = threading.Timer(0.0 if when == "before" else 1.5, school.shell, [gone])
    later.start()
    if when == "before":
        later.join()
    started = time.monotonic()
    try:
        assert said(school, "backup").startswith("vault")
        assert time.monotonic() - started < 180
        assert "cannot be reached" in state(school)["last"]["sentence"]
        assert state(school)["last_good"] == before
    finally:
        later.join()
        school.shell("nft delete table inet gone")
    assert said(school, "backup") == ""
    assert said(school, "check-all") == ""


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_clock_is_an_hour_off(school: Deployment, hours: int) -> None:
    """The program's own clock, since a container's cannot be set: backups go on, then and afterwards."""
    folder = "/usr/local/lib/schoolstack/backup"
    script = f"""
import datetime, runpy, sys
sys.path.insert(0, '{folder}')
import places
right = places.now
places.now = lambda: right() + datetime.timedelta(hours={hours})
sys.argv = ['schoolstack-backup', 'run']
runpy.run_path('{folder}', run_name='__main__')
"""
    made = json.loads(school.shell(f'python3 -B -c "{script}" 2>/dev/null || true') or "{}")
    assert made["changed"]
    assert said(school, "run") == ""
    times = [one["time"] for one in json.loads(school.shell("schoolstack-backup list"))["backups"]]
    assert made["time"][:19] in times
    assert said(school, "alarm") == ""
