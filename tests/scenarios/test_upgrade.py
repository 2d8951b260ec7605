"""Keycloak is upgraded with a school in it: for real, to versions that do not work, through power cuts."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import secrets
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab_school import (
    Outage,
    add_pupil,
    can_sign_in,
    cut_at,
    not_good,
    play,
    school_on,
    start,
    wait_for_sign_in,
)

from schoolstack.deployment import ROOT, Deployment
from schoolstack.signin import sign_in

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

PINS = yaml.safe_load((ROOT / "roles/keycloak/vars/artefacts.yml").read_text(encoding="utf-8"))
PINS = {pin["version"]: pin for pin in PINS["keycloak_artefacts"]}
NEW, OLD = PINS
# Older than the stop on the way: test material only, from the same publisher.
OLDER = {
    **PINS[OLD],
    "version": "26.5.5",
    "file": "keycloak-26.5.5.tar.gz",
    "sha256": {"all": "38beab474f1d69dcbe537c9cc81d1fe49aa28d4e3b9dd99308d17910e218d734"},
    "sources": PINS[OLD]["sources"][:1],
}

SERVER = "upgrade-server"
PERSON, PASSWORD = "test-person", secrets.token_urlsafe(12)
# Bounds what is measured on two cores, where it takes about half a minute.
DOWNTIME_S = 180


def content(deployment: Deployment) -> dict[str, Any]:
    """Return what a school would miss: people with their ids, groups and credentials, keys and clients."""
    rows = {
        "people": "SELECT id, username, enabled, first_name, last_name FROM user_entity WHERE realm_id <> "
        "(SELECT id FROM realm WHERE name = 'master') ORDER BY id",
        "groups": "SELECT user_id, group_id FROM user_group_membership ORDER BY 1, 2",
        "passwords": "SELECT user_id, type, md5(secret_data) FROM credential ORDER BY 1, 2",
        "clients": "SELECT id, client_id, md5(secret) FROM client ORDER BY 1",
        "keys": "SELECT component_id, name, md5(value) FROM component_config "
        "WHERE name IN ('privateKey', 'secret', 'kid') ORDER BY 1, 2",
    }
    return {
        what: deployment.shell(f'psql -U postgres -XAt -c "{query}" keycloak').splitlines()
        for what, query in rows.items()
    }


def tables_are_of(deployment: Deployment) -> str:
    """Return the version that Keycloak's tables have."""
    newest = "SELECT version FROM migration_model ORDER BY update_time DESC LIMIT 1"
    return deployment.shell(f'psql -U postgres -XAt -c "{newest}" keycloak').strip()


def assert_runs(deployment: Deployment, version: str, before: Mapping[str, Any]) -> None:
    """Look that a version runs, that nothing of the school is missing, and that no copy is left."""
    fresh = Deployment(deployment.inventory, deployment.name, deployment.lab)
    assert fresh.records["keycloak"]["version"] == version
    assert fresh.shell("readlink /opt/keycloak/current").strip() == version
    after = content(fresh)
    assert {what: set(rows) - set(after[what]) for what, rows in before.items()} == {
        what: set() for what in before
    }
    assert after["people"] == before["people"]
    assert sign_in(fresh.browser(), fresh.url("portal"), PERSON, PASSWORD).arrived
    assert "before_upgrade" not in fresh.shell("psql -U postgres -XAt -c 'SELECT datname FROM pg_database'")
    assert fresh.shell("ls /var/lib/schoolstack/upgrade 2>/dev/null || true") == ""
    assert fresh.shell("systemctl --failed --no-legend") == ""


# Versions that do not work


def changed_archive(folder: Path, version: str, change: Callable[[str, bytes], bytes]) -> dict[str, Any]:
    """Make an archive of Keycloak in which something is otherwise; return how it is pinned."""
    path = folder / f"keycloak-{version}.tar.gz"
    with (
        tarfile.open(folder / PINS[NEW]["file"]) as source,
        gzip.open(path, "wb", compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w") as target,
    ):
        for member in source:
            data = source.extractfile(member)
            if data is None:
                target.addfile(member)
                continue
            new = change(member.name.partition("/")[2], data.read())
            member.size = len(new)
            target.addfile(member, io.BytesIO(new))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {**PINS[NEW], "version": version, "file": path.name, "sha256": {"all": digest}, "sources": []}


def does_not_build(name: str, data: bytes) -> bytes:
    return b"#!/bin/sh\necho broken on purpose >&2\nexit 1\n" if name == "bin/kc.sh" else data


def does_not_start(name: str, data: bytes) -> bytes:
    if name != "bin/kc.sh":
        return data
    refusal = b'case " $* " in *" start "*) echo broken on purpose >&2; exit 1;; esac\n'
    first, _, rest = data.partition(b"\n")
    return first + b"\n" + refusal + rest


def shows_no_sign_in_page(name: str, data: bytes) -> bytes:
    """Break the page only: the server starts, changes the tables, and says that it is well."""
    if "keycloak-themes-" not in name or not name.endswith(".jar"):
        return data
    new = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            page = entry.filename.endswith("/login/login.ftl")
            target.writestr(entry, b'<#stop "broken on purpose">' if page else source.read(entry))
    return new.getvalue()


# The school


# What the older versions do not know of a realm.
UNKNOWN_THEN = ("webAuthnPolicyPasswordlessResidentKey",)


def earlier_release(folder: Path, pin: Mapping[str, Any]) -> Path:
    """Make of this project the release that it was when an older Keycloak was the newest."""
    for part in ("playbooks", "plugins", "roles"):
        shutil.copytree(ROOT / part, folder / part)
    shutil.copy(ROOT / "ansible.cfg", folder)
    pins = folder / "roles/keycloak/vars/artefacts.yml"
    pins.write_text(yaml.safe_dump({"keycloak_artefacts": [dict(pin)]}), encoding="utf-8")
    realms = folder / "roles/keycloak/templates/realms.yml.j2"
    lines = realms.read_text(encoding="utf-8").splitlines(keepends=True)
    known = [line for line in lines if not line.strip().startswith(UNKNOWN_THEN)]
    realms.write_text("".join(known), encoding="utf-8")
    return folder


def fill(school: Deployment, release: Path) -> None:
    """Make the school with an earlier release; bring in its people, and one whose password is known."""
    made = play(school, "site", root=release)
    assert made.code == 0, made.text[-3000:]
    school.play("roster", roster_apply=True)
    add_pupil(school, PERSON, PASSWORD)
    assert len(content(school)["people"]) > 60


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release of this project with which the school was made."""
    return earlier_release(tmp_path_factory.mktemp("release"), PINS[OLD])


@dataclass
class Kept:
    """A school, and whether it is still as its snapshot "old" keeps it."""

    school: Deployment
    untouched: bool = True


@pytest.fixture(scope="module")
def kept(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A school that runs the old Keycloak, with its class list in it."""
    with school_on(SERVER, tmp_path_factory.mktemp("school"), "keycloak", "portal") as school:
        fill(school, release)
        school.lab.snapshot(SERVER, "old")
        yield Kept(school)


@pytest.fixture
def school(kept: Kept) -> Deployment:
    """The school as it was kept, answering."""
    if not kept.untouched:
        kept.school.lab.reset(SERVER, "old")
    kept.untouched = False
    wait_for_sign_in(kept.school)
    return kept.school


@pytest.fixture
def broken(school: Deployment) -> Iterator[Callable[[str, Callable[[str, bytes], bytes]], list[Any]]]:
    """Make the pins of a version that does not work; its archive goes with the test."""
    folder = school.lab.state.root / "artefacts"
    made: list[Path] = []

    def make(version: str, change: Callable[[str, bytes], bytes]) -> list[Any]:
        pin = changed_archive(folder, version, change)
        made.append(folder / pin["file"])
        return [pin]

    yield make
    for path in made:
        path.unlink(missing_ok=True)


def test_a_real_step_with_a_school_in_it(school: Deployment, capfd: pytest.CaptureFixture[str]) -> None:
    before = content(school)

    refused = play(school, "site")
    assert refused.code != 0
    assert f"Sign-in {OLD} runs on server, and this release brings {NEW}" in refused.text
    assert "changed=0" in refused.text

    told = play(school, "upgrade")
    assert told.code == 0
    assert f"Sign-in on server goes {OLD} → {NEW}." in told.text
    assert "Start page on server is up to date." in told.text
    assert "changed=0" in told.text

    unknown = play(school, "upgrade", app="keyclok")
    assert "No server runs an application 'keyclok' (did you mean keycloak?)" in unknown.text
    assert "changed=0" in unknown.text

    with Outage(lambda: can_sign_in(school)) as outage:
        upgraded = play(school, "upgrade", app="keycloak")
    assert upgraded.code == 0
    assert f"Sign-in {NEW} runs on server, and people can sign in." in upgraded.text
    assert_runs(school, NEW, before)
    assert tables_are_of(school).startswith(NEW.rpartition(".")[0])
    listed = json.loads(school.shell("schoolstack-backup list"))
    assert len(listed["backups"]) == 1, "it was backed up first, and nothing before"
    (downtime,) = outage.gaps
    with capfd.disabled():
        print(f"\nNobody could sign in for {downtime:.1f} s while Keycloak went {OLD} -> {NEW}")
    assert downtime < DOWNTIME_S
    assert school.play("site").changed == 0
    assert play(school, "upgrade", app="keycloak").code == 0

    for playbook, variables in (("site", {}), ("upgrade", {"app": "keycloak"})):
        back = play(school, playbook, keycloak_artefacts=[PINS[OLD]], **variables)
        assert back.code != 0
        assert f"is {NEW}, and this release brings only {OLD}, which cannot read its data" in back.text
        assert "changed=0" in back.text


@pytest.mark.slow
def test_what_cannot_even_be_built_changes_nothing(school: Deployment, broken: Any) -> None:
    before = content(school)
    with Outage(lambda: can_sign_in(school)) as outage:
        ended = play(school, "upgrade", app="keycloak", keycloak_artefacts=broken("26.7.97", does_not_build))
    assert ended.code != 0
    assert f"Sign-in {OLD} was left as it was on server" in ended.text
    assert outage.gaps == []
    assert_runs(school, OLD, before)


@pytest.mark.parametrize(
    "change", [pytest.param(does_not_start, marks=pytest.mark.slow), shows_no_sign_in_page]
)
def test_a_version_that_does_not_work_goes_back_by_itself(
    school: Deployment, release: Path, broken: Any, change: Callable[[str, bytes], bytes]
) -> None:
    before, tables = content(school), tables_are_of(school)
    ended = play(school, "upgrade", app="keycloak", keycloak_artefacts=broken("26.7.98", change))
    assert ended.code != 0
    assert f"Sign-in {OLD} runs on server again, with the data it had before" in ended.text
    assert_runs(school, OLD, before)
    assert tables_are_of(school) == tables
    site = play(school, "site", root=release)
    assert "changed=0" in site.text


# The last words of the task that begins, and how many seconds later the power goes.
MOMENTS = [
    ("Build Keycloak for its options", 2.0),
    ("Stop and copy keycloak", 0.4),
    ("Write Keycloak's configuration", 0.0),
    ("Wait until it answers", 5.0),
    ("Sign in through the pages that people see", 0.2),
]


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "after_s"), MOMENTS)
def test_a_power_cut_loses_nothing_and_the_next_run_finishes(
    school: Deployment, moment: str, after_s: float
) -> None:
    before = content(school)
    cut_at(school, start(school, "upgrade", app="keycloak"), moment, after_s)
    assert play(school, "upgrade", app="keycloak").code == 0
    assert_runs(school, NEW, before)
    assert school.play("site").changed == 0
    assert not_good(school) == {("look", "drill_none", "")}


@pytest.mark.slow
def test_a_power_cut_on_the_way_back_is_gone_to_its_end(school: Deployment, broken: Any) -> None:
    before, tables = content(school), tables_are_of(school)
    pins = broken("26.7.99", shows_no_sign_in_page)
    process = start(school, "upgrade", app="keycloak", keycloak_artefacts=pins)
    cut_at(school, process, f"Put back with the data it had keycloak {OLD}", 0.3)
    ended = play(school, "upgrade", app="keycloak", keycloak_artefacts=pins)
    assert f"Sign-in {OLD} runs on server again, with the data it had before" in ended.text
    assert_runs(school, OLD, before)
    assert tables_are_of(school) == tables


@pytest.mark.slow
def test_an_old_version_goes_by_way_of_another(tmp_path: Path) -> None:
    """From before 26.6.2 the new version does not start with two realms; by way of the stop it does."""
    folder, release = tmp_path / "school", tmp_path / "release"
    folder.mkdir()
    release.mkdir()
    earlier_release(release, OLDER)
    with school_on("upgradehop-server", folder, "keycloak", "portal") as school:
        fill(school, release)
        before = content(school)

        skipped = play(school, "upgrade", app="keycloak", keycloak_artefacts=[PINS[NEW]])
        assert f"cannot go from {OLDER['version']} to {NEW} at once, and {OLD}" in skipped.text
        assert "changed=0" in skipped.text

        ended = play(school, "upgrade", app="keycloak")
        assert ended.code == 0
        assert f"Sign-in {OLD} runs on server" in ended.text
        assert f"Sign-in {NEW} runs on server" in ended.text
        assert_runs(school, NEW, before)
