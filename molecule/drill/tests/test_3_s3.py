"""Backups go to an S3 bucket instead: made, checked, read back, and under a new key. Then all is put back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from schoolstack.deployment import Deployment
from schoolstack.hosts import network
from schoolstack.safe import Store

FOLDER = "/etc/schoolstack/backup"
STATE = "/var/lib/schoolstack/backup/state.json"
PAGE = "/etc/portal/pages/nl.shtml"

# All is tried with the repository over SSH; this is the other kind again.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own_store(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The school's secrets, copied, and an account at S3."""
    folder = tmp_path_factory.mktemp("s3") / "secrets"
    shutil.copytree(store.folder, folder)
    copy = Store(folder, store.key_file)
    for name in ("backup_s3_key_id", "backup_s3_secret"):
        copy.get(name, 20)  # whatever they are: the storage of these tests takes any
    return copy


@pytest.fixture(scope="module")
def settings(school: Deployment, own_store: Store) -> Iterator[dict[str, Any]]:
    """The settings with which the school's server keeps its backups in a bucket that is not there yet."""
    storage = ThreadedMotoServer(str(network.ensure(school.lab.state).gateway), 0, verbose=False)
    storage.start()
    host, port = storage.get_host_and_port()
    found = {
        "backup_repository": f"s3:http://{host}:{port}/school",
        "school_secrets_dir": str(own_store.folder),
    }
    school.shell(f"cp -a {FOLDER} /root/kept; cp -p {STATE} /root/state.json")
    try:
        school.play("site", **found)
        yield found
    finally:
        school.shell(f"rm -r {FOLDER}; mv /root/kept {FOLDER}; mv /root/state.json {STATE}")
        storage.stop()


@pytest.mark.usefixtures("settings")
def test_what_has_not_changed_is_not_stored_again(school: Deployment, program: Callable) -> None:
    size = 4_000_000  # some times a database's dump, which carries its time and so is always new
    school.shell(f"head -c {size} /dev/urandom >/var/lib/portal/large")
    try:
        first, second = (program("backup").result for _ in range(2))
    finally:
        school.shell("rm /var/lib/portal/large")
    assert second["bytes"] > size
    assert first["added"] > size
    assert second["added"] < size / 2
    assert len(program("list").result["backups"]) == 2
    assert program("check-all").code == 0


@pytest.mark.usefixtures("settings")
def test_one_file_comes_back(school: Deployment, program: Callable) -> None:
    try:
        assert program("extract", to="/root/look", file=PAGE).code == 0
        assert school.shell(f"cat /root/look{PAGE}") == school.shell(f"cat {PAGE}")
    finally:
        school.shell("rm -rf /root/look")


def test_a_wrong_key_is_refused(school: Deployment, program: Callable, settings: dict[str, Any]) -> None:
    school.shell(f"cp -p {FOLDER}/key /root/key; echo wrong >{FOLDER}/key")
    try:
        said = program("list").sentence
    finally:
        school.shell(f"mv /root/key {FOLDER}/key")
    assert said.startswith(f"The key does not open the repository at {settings['backup_repository']}/server")


def test_a_new_key_although_the_run_was_cut_off(
    school: Deployment, program: Callable, settings: dict[str, Any], own_store: Store
) -> None:
    """After the inventory has the new value and before the server has it: at no point one opens nothing."""
    old, place = own_store.get("backup_key", None), f"{settings['backup_repository']}/server"
    own_store.prepare("backup_key")
    assert program("key-add", new=own_store.upcoming("backup_key"), repository=place, where=place).code == 0
    own_store.replace("backup_key", 32)
    new = own_store.get("backup_key", None)
    assert program("key-work", keys=[new, old]).result["work"] == [True, True]
    assert program("backup").code == 0  # with what the server has, the old one
    school.play("rotate", rotate="backup_key", **settings)
    assert own_store.get("backup_key", None) == new
    assert own_store.previous("backup_key") == ""
    assert program("key-work", keys=[new, old]).result["work"] == [True, False]
    assert program("backup").code == 0
    assert len(program("list").result["backups"]) == 4
