"""The key of the backups is replaced: the new one opens all there is, the old one nothing; backups go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from schoolstack.deployment import Deployment
from schoolstack.safe import Store

REPOSITORY = "/var/lib/schoolstack-backup/repositories/voorbeeldschool.localhost/server"
SETTINGS = "/etc/schoolstack/backup/settings.json"
STATE = "/var/lib/schoolstack/backup/state.json"
ELSEWHERE = {"repository": "/root/other", "where": "the disk"}


@pytest.fixture
def _elsewhere(school: Deployment) -> Iterator[None]:
    """Let the program keep its backups in a folder of the server for now."""
    settings = json.loads(school.shell(f"cat {SETTINGS}"))
    changed = json.dumps({**settings, **ELSEWHERE, "options": [], "append_only": False})
    school.shell(f"cp -p {SETTINGS} {STATE} /root; cat >{SETTINGS} <<'END'\n{changed}\nEND")
    yield
    school.shell(f"cd /root; mv settings.json {SETTINGS}; mv state.json {STATE}; rm -rf other")


def test_a_new_key_takes_the_old_ones_place(
    school: Deployment, vault: Deployment, store: Store, program: Callable
) -> None:
    old, keys = store.get("backup_key", None), set(vault.shell(f"ls {REPOSITORY}/keys").split())
    backups = program("list").result["backups"]
    said = school.play("rotate", rotate="backup_key").said
    new = store.get("backup_key", None)
    assert new != old
    assert store.upcoming("backup_key") == store.previous("backup_key") == ""
    assert program("key-work", keys=[new, old]).result["work"] == [True, False]
    left = set(vault.shell(f"ls {REPOSITORY}/keys").split())
    # One key came and one went; what has another value stays.
    assert len(left - keys) == len(keys - left) == 1
    assert "Print the recovery sheet anew" in said
    assert old not in said
    assert new not in said
    # What was there before is read with the new key, and the next one is added to it.
    assert program("list").result["backups"] == backups
    assert program("backup").code == 0
    assert program("check-all").code == 0


def test_the_server_that_keeps_the_backups_learns_no_key(vault: Deployment, store: Store) -> None:
    said = vault.shell("journalctl --no-pager --boot | cat; cat /root/.ansible/tmp/* 2>/dev/null || true")
    assert store.get("backup_key", None) not in said


@pytest.mark.usefixtures("_elsewhere")
def test_in_a_folder_a_key_is_added_once_and_taken_away(school: Deployment, program: Callable) -> None:
    """The steps of a rotation, each given twice as by a run that was cut off."""
    assert program("start").result["made"]
    old = school.shell("cat /etc/schoolstack/backup/key").strip()
    assert [program("key-add", new="new", **ELSEWHERE).result["changed"] for _ in range(2)] == [True, False]
    assert program("key-work", keys=["new", old]).result["work"] == [True, True]
    assert [program("key-remove", new="new", old=old).result["changed"] for _ in range(2)] == [True, False]
    assert program("key-work", keys=["new", old]).result["work"] == [True, False]
    assert len(school.shell("ls /root/other/keys").split()) == 1
    moved = program("key-add", new="newer", repository="/root/third", where="the disk")
    assert "have moved to another place" in moved.sentence
