"""What cannot or should not be restored is refused in one sentence, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError

SETTINGS = "/etc/schoolstack/backup/settings.json"
KEY = "/etc/schoolstack/backup/key"
VERSIONS = {"keycloak": "99", "portal": "99"}


@pytest.fixture(autouse=True)
def _nothing_changes(school: Deployment) -> Iterator[None]:
    """Keep the program's settings, and see that no restore was begun and nothing was restarted."""
    look = "ls /var/lib/schoolstack/backup/; systemctl show -p ActiveEnterTimestamp keycloak portal nginx"
    school.shell(f"cp -p {SETTINGS} /root/settings.json; cp -p {KEY} /root/key")
    before = school.shell(look)
    yield
    school.shell(f"mv /root/settings.json {SETTINGS}; mv /root/key {KEY}")
    assert school.shell(look) == before


def elsewhere(school: Deployment, repository: str) -> None:
    """Let the program look for the repository in a folder of the server."""
    settings = json.loads(school.shell(f"cat {SETTINGS}"))
    changed = json.dumps({**settings, "repository": repository, "where": "the disk"})
    school.shell(f"cat >{SETTINGS} <<'END'\n{changed}\nEND")


def test_a_wrong_key(school: Deployment, program: Callable) -> None:
    school.shell(f"echo wrong >{KEY}")
    said = program("restore-begin", versions=VERSIONS, overwrite=True)
    assert said.sentence.startswith("The key does not open the repository at vault")


def test_a_wrong_place(school: Deployment, program: Callable) -> None:
    elsewhere(school, "/nonexistent")
    said = program("restore-begin", versions=VERSIONS, overwrite=True)
    assert said.sentence.startswith("There is no repository at the disk")


def test_a_repository_that_the_server_is_not_let_in_to(school: Deployment, program: Callable) -> None:
    own = "/etc/schoolstack/backup/ssh_key"
    school.shell(f"mkdir /root/own; mv {own} {own}.pub /root/own; ssh-keygen -q -N '' -t ed25519 -f {own}")
    try:
        said = program("restore-begin", versions=VERSIONS, overwrite=True)
    finally:
        school.shell(f"mv /root/own/* $(dirname {own}); rmdir /root/own")
    assert "does not let server in" in said.sentence


def test_the_repository_of_another_school(school: Deployment, program: Callable) -> None:
    """With the same key, as when two schools share a coordinator who copied the inventory."""
    restic = f"restic -r /root/other --password-file {KEY} --quiet"
    school.shell(f"{restic} init; {restic} backup --host server --tag school=other.example /etc/hosts")
    elsewhere(school, "/root/other")
    try:
        said = program("restore-begin", versions=VERSIONS, overwrite=True)
    finally:
        school.shell("rm -rf /root/other")
    assert (
        "holds backups of server (other.example), and none of server (voorbeeldschool.localhost)"
        in said.sentence
    )


def test_newer_data_while_the_application_runs(program: Callable) -> None:
    said = program("restore-begin", versions=VERSIONS)
    assert "holds data newer than the backup" in said.sentence
    assert "restore_overwrite=true" in said.sentence


def test_an_application_that_is_not_there(program: Callable) -> None:
    said = program("restore-begin", versions=VERSIONS, application="nextcloud", overwrite=True)
    assert said.sentence == "The backup holds no application 'nextcloud': it holds keycloak, portal."


def test_a_version_that_cannot_read_it(program: Callable) -> None:
    said = program("restore-begin", versions={"keycloak": "26.0", "portal": "1.0"}, overwrite=True)
    assert "cannot read newer data" in said.sentence


def test_a_moment_before_all_backups(program: Callable) -> None:
    said = program("restore-begin", versions=VERSIONS, at="2020-01-01", overwrite=True)
    assert said.sentence.startswith("There is no backup of server from 2020-01-01 or before")


def test_not_enough_room(school: Deployment, program: Callable) -> None:
    school.shell(
        "head -c 6000000 /dev/urandom >/var/lib/portal/large; systemctl start schoolstack-backup.service"
    )
    school.shell("mkdir -p /root/kept; mv /var/lib/portal/large /root/kept")
    school.shell("mount -t tmpfs -o size=3m none /var/lib/portal")
    try:
        said = program("restore-begin", versions=VERSIONS, overwrite=True)
    finally:
        school.shell("umount /var/lib/portal; rm -r /root/kept")
        school.shell("systemctl start schoolstack-backup.service")
    assert said.sentence.startswith("Not enough room at /var/lib/portal: what is put back needs 6 MB")


def test_a_playbook_says_it_as_well(school: Deployment, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SchoolError):
        school.play("restore")
    assert "restore_overwrite=true" in capfd.readouterr().out
