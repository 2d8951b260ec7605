"""The program that backs a server up: what it decides, without a repository or a database."""

from __future__ import annotations

import ast
import contextlib
import datetime
import errno
import importlib.util
import io
import json
import os
import pwd
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "roles" / "backup" / "files" / "program"


def lookup() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "school_sentences", ROOT / "plugins" / "lookup" / "school_sentences.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The program's modules, with a home and sentences of their own."""
    monkeypatch.syspath_prepend(str(PROGRAM))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = (
        "words",
        "places",
        "repository",
        "databases",
        "folders",
        "keys",
        "making",
        "restoring",
        "watching",
    )
    for name in names:
        sys.modules.pop(name, None)
    modules = {name: __import__(name) for name in names}
    catalogue = tmp_path / "sentences.json"
    catalogue.write_text(json.dumps(lookup().sentences("backup")), encoding="utf-8")
    monkeypatch.setattr(modules["words"], "CATALOGUE", catalogue)
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    home = tmp_path / "home"
    for name in ("HOME", "STAGE", "STATE", "PAUSED", "RESTORING", "RECORDS", "SOURCES"):
        monkeypatch.setattr(modules["places"], name, home / name.lower())
    yield SimpleNamespace(**modules)
    for name in names:
        sys.modules.pop(name, None)


SETTINGS = {
    "school": "myschool.example",
    "host": "server",
    "repository": "/nowhere",
    "options": [],
    "where": "vault",
    "same_machine": False,
    "append_only": True,
    "keep": [],
    "check_shares": 28,
    "alarm_hours": 26,
}


def snapshot(time: str, school: str = "myschool.example", host: str = "server") -> dict:
    return {"id": time, "time": f"{time}:00.123456789Z", "hostname": host, "tags": [f"school={school}"]}


class Shelf:
    """A repository that holds just what a test says."""

    def __init__(
        self, program: SimpleNamespace, snapshots: list[dict], files: dict[str, bytes] | None = None
    ):
        self.real = program.repository.Repository(SETTINGS)
        self.found, self.files = snapshots, files or {}
        self.asked: list[tuple[str, ...]] = []
        self.real.run = self.run

    def run(self, *words: str, **_: object) -> bytes:
        self.asked.append(words)
        return json.dumps(self.found).encode() if words[0] == "snapshots" else self.files[words[-1]]


# What restic says, in our words.


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("Fatal: wrong password or no key found", "wrong_key"),
        (
            "Fatal: repository does not exist: unable to open config file: <config/> does not exist",
            "no_repository",
        ),
        ("rclone: ERROR : data/ab/cd: Post request put error: no space left on device", "repository_full"),
        (
            "rclone: ERROR : data/ab: put error: preallocate: file too big for remaining disk space",
            "repository_full",
        ),
        ("rclone: schoolstack-backup@vault: Permission denied (publickey).", "not_let_in"),
        ("rclone: Host key verification failed.", "not_let_in"),
        ("rclone: ssh: connect to host 10.0.0.9 port 22: No route to host", "unreachable"),
        ("rclone: Timeout, server 10.0.0.9 not responding.", "unreachable"),
        ("rclone: ssh: Could not resolve hostname vault: Name or service not known", "unreachable"),
        ("unable to create lock in backend: repository is already locked by PID 7", "locked"),
        (f"pack {'ab' * 32} contains 2 errors: [blob cd: ciphertext verification failed]", "damage"),
        (f"Pack ID does not match, want {'ab' * 32}, got {'cd' * 32}", "damage"),
        (f"pack {'ab' * 32}: does not exist", "damage"),
        (
            "Fatal: create repository at rclone: failed: config file already exists",
            "exists",
        ),
        (
            'Fatal: unable to open config file: Get "http://s3.example/": dial tcp: connection refused',
            "unreachable",
        ),
        ("something nobody has thought of", ""),
    ],
)
def test_what_restic_says_is_understood(program: SimpleNamespace, said: str, key: str) -> None:
    ended: list[bool] = []
    process = SimpleNamespace(stderr=io.BytesIO(f"{said}\n".encode()), terminate=lambda: ended.append(True))
    watch = program.repository.Watch(process)
    watch.join()
    assert watch.reason == key
    assert watch.last == said
    # Trying again for a quarter of an hour would cure none of these.
    assert bool(ended) == (key in ("repository_full", "not_let_in", "unreachable"))


def test_backups_of_another_school_are_not_taken_for_ours(program: SimpleNamespace) -> None:
    others = [
        snapshot("2026-11-20T02:30", school="other.example"),
        snapshot("2026-11-20T02:30", host="files"),
    ]
    with pytest.raises(program.words.RefusalError, match=r"files .*other\.example.* none of server"):
        Shelf(program, others).real.snapshots()
    assert len(Shelf(program, [*others, snapshot("2026-11-21T02:30")]).real.snapshots()) == 1


# Which backup.


@pytest.mark.parametrize(
    ("at", "chosen"),
    [
        ("", "2026-11-20T22:30"),
        ("2026-11-20", "2026-11-20T22:30"),
        ("2026-11-20 14:30:00+00:00", "2026-11-20T12:00"),
        ("2026-11-19", "2026-11-19T12:00"),
    ],
)
def test_the_last_backup_at_a_moment(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, at: str, chosen: str
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    made = [snapshot(f"2026-11-{day}") for day in ("19T12:00", "20T12:00", "20T22:30")]
    assert program.restoring.choose(SETTINGS, Shelf(program, made).real, at)["id"] == chosen


@pytest.mark.parametrize(
    ("at", "sentence"), [("2026-11-18", "the oldest is of 2026-11-19"), ("yesterday", "which is no moment")]
)
def test_a_moment_without_a_backup(program: SimpleNamespace, at: str, sentence: str) -> None:
    shelf = Shelf(program, [snapshot("2026-11-19T12:00")])
    with pytest.raises(program.words.RefusalError, match=sentence):
        program.restoring.choose(SETTINGS, shelf.real, at)


def test_no_backup_at_all(program: SimpleNamespace) -> None:
    with pytest.raises(program.words.RefusalError, match="holds no backup of server yet"):
        program.restoring.choose(SETTINGS, Shelf(program, []).real, "")


# What is refused before anything is changed.


def manifest(**changes: object) -> dict:
    application = {
        "title": "Sign-in",
        "version": "26.6.4",
        "places": [],
        "configuration": [],
        "databases": [],
    }
    return {
        "time": "2026-11-20T12:00:00+00:00",
        "sources": {},
        "owners": {"users": {}, "groups": {}},
        "applications": {"keycloak": {**application, "postgresql": 0, **changes}},
    }


def begin(program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, held: dict, **request: object) -> dict:
    shelf = Shelf(
        program,
        [snapshot("2026-11-20T12:00")],
        {str(program.places.MANIFEST): json.dumps(held).encode()},
    )
    monkeypatch.setattr(program.restoring, "Repository", lambda _: shelf.real)
    result: dict = program.restoring.begin(SETTINGS, {"versions": {"keycloak": "26.7.4"}, **request})
    return result


@pytest.mark.parametrize(
    ("held", "request_", "sentence"),
    [
        ({}, {"application": "nextcloud"}, "no application 'nextcloud': it holds keycloak"),
        ({}, {"application": "keycloak", "versions": {}}, "add it to the group keycloak first"),
        ({"version": "26.10.0"}, {}, "made by Sign-in 26.10.0, and this project would install 26.7.4"),
        ({"postgresql": 99}, {}, "PostgreSQL 99, and this server has 15"),
        (
            {"databases": [{"name": "keycloak", "bytes": 10**15}]},
            {},
            "Not enough room at /var/lib/postgresql",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_noted(
    program: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    held: dict,
    request_: dict,
    sentence: str,
) -> None:
    monkeypatch.setattr(program.restoring, "_postgresql_here", lambda: 15)
    with pytest.raises(program.words.RefusalError, match=sentence):
        begin(program, monkeypatch, manifest(**held), **request_)
    assert not program.places.RESTORING.exists()


def test_newer_data_is_overwritten_only_when_asked(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.places.RECORDS.mkdir(parents=True)
    record = {"name": "keycloak", "title": "Sign-in", "services": []}
    (program.places.RECORDS / "keycloak.fact").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(program.words.RefusalError, match=r"newer than the backup.*restore_overwrite=true"):
        begin(program, monkeypatch, manifest())
    assert not program.places.RESTORING.exists()
    assert begin(program, monkeypatch, manifest(), overwrite=True)["left"] == ["keycloak"]


def test_what_is_under_way_is_continued_and_nothing_else_begun(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert begin(program, monkeypatch, manifest())["changed"]
    assert not begin(program, monkeypatch, manifest())["changed"]
    with pytest.raises(program.words.RefusalError, match="by another command"):
        begin(program, monkeypatch, manifest(), at="2026-11-20")
    with pytest.raises(program.words.RefusalError, match="is being put back"):
        program.making.back_up(SETTINGS)
    with pytest.raises(program.words.RefusalError, match="Not put back yet: keycloak"):
        program.restoring.finish()


def test_only_looking_notes_nothing(program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(program, monkeypatch, manifest(), look_only=True)
    assert not program.places.RESTORING.exists()


def test_all_folders_that_an_application_declares_are_backed_up(
    program: SimpleNamespace, tmp_path: Path
) -> None:
    own, further, passing = tmp_path / "own", tmp_path / "further", tmp_path / "passing"
    for folder in (own, further, passing):
        folder.mkdir()
    paths = {"paths": {"data": str(own), "passing": str(passing)}, "backup": {"paths": [str(further)]}}
    described = program.making._described({"title": "Alpha", "version": "1", **paths}, {})
    manifest = {"sources": {}, "applications": {"alpha": described}}
    assert program.making.paths_of(manifest) == [str(own), str(further)]


# What is sent ahead of the first backup.


@pytest.fixture
def pausing(program: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A server with an application that stands still for backups, and what happens there, in order."""
    shelf, happened = Shelf(program, []), []
    ours = ["schoolstack", "school=myschool.example", "installation=this"]

    def run(*words: str, **_: object) -> bytes:
        if words[0] != "backup":
            return shelf.run(*words)
        tags = [word.removeprefix("--tag=") for word in words if word.startswith("--tag=")]
        assert tags[:3] == ours
        happened.append(("ahead" if tags[3:] == ["ahead"] else "backup", words))
        number = len(happened)
        if fails := done.fails.pop(happened[-1][0], ""):
            program.words.refuse(fails, where="vault", said="a file went", host="server")
        made = {**snapshot(f"2026-11-20T12:{number:02}"), "id": f"n{number}", "tags": tags}
        shelf.found.append(made)
        numbers = ("total_files_processed", "total_bytes_processed", "data_added")
        return json.dumps({"snapshot_id": made["id"], **dict.fromkeys(numbers, 1)}).encode()

    shelf.real.run = run
    monkeypatch.setattr(program.making, "Repository", lambda _: shelf.real)
    monkeypatch.setattr(program.making, "as_user", lambda _, command: happened.append((command, ())))
    monkeypatch.setattr(program.places, "DUMPS", program.places.STAGE / "databases")
    monkeypatch.setattr(program.places, "MANIFEST", program.places.STAGE / "manifest.json")
    for name in ("data", "files", "other"):
        (tmp_path / name).mkdir()
    program.places.RECORDS.mkdir(parents=True)
    common = {"title": "Alpha", "version": "1", "user": "alpha", "services": []}
    hooks = {"before": ["close"], "after": ["open"]}
    paths = {"data": str(tmp_path / "data"), "files": str(tmp_path / "files")}
    # One that stands still has its files sent ahead; who goes on during a backup need not.
    for name, given in {
        "alpha": {"paths": paths, "backup": hooks},
        "beta": {"paths": {"files": str(tmp_path / "other")}, "backup": {}},
    }.items():
        record = json.dumps({"name": name, **common, **given})
        (program.places.RECORDS / f"{name}.fact").write_text(record, encoding="utf-8")
    program.places.remember(installation="this")
    done = SimpleNamespace(shelf=shelf, happened=happened, files=str(tmp_path / "files"), fails={})
    return done


def test_files_are_sent_while_people_work_before_the_first_backup_and_never_again(
    program: SimpleNamespace, pausing: SimpleNamespace
) -> None:
    first, second = (program.making.back_up(SETTINGS)["snapshot"] for _ in range(2))
    assert [what for what, _ in pausing.happened] == [
        *("ahead", "close", "backup", "open"),
        *("close", "backup", "open"),
    ]
    ahead, backup, later = (words for what, words in pausing.happened if what in ("ahead", "backup"))
    assert ahead[ahead.index("--") + 1 :] == (pausing.files,)
    # Nothing that was sent is read again while people wait, whatever else is backed up with it.
    assert [word for word in backup if word.startswith("--parent")] == ["--parent=n1"]
    assert [word for word in later if word.startswith("--parent")] == [f"--parent={first}"]
    assert [one["id"] for one in pausing.shelf.real.snapshots()] == [first, second]


def test_what_was_sent_ahead_is_no_backup(program: SimpleNamespace, pausing: SimpleNamespace) -> None:
    pausing.fails["backup"] = "repository_full"
    with pytest.raises(program.words.RefusalError):
        program.making.back_up(SETTINGS)
    assert [what for what, _ in pausing.happened] == ["ahead", "close", "backup", "open"]
    assert "last_good" not in program.places.load(program.places.STATE, {})
    with pytest.raises(program.words.RefusalError, match="holds no backup of server yet"):
        program.restoring.choose(SETTINGS, pausing.shelf.real, "")
    # The next one is the first still, and goes on.
    program.making.back_up(SETTINGS)
    assert [what for what, _ in pausing.happened][4:] == ["ahead", "close", "backup", "open"]


def test_a_file_that_goes_meanwhile_is_no_matter_and_a_full_repository_is_said_with_the_door_open(
    program: SimpleNamespace, pausing: SimpleNamespace
) -> None:
    pausing.fails["ahead"] = "repository_full"
    with pytest.raises(program.words.RefusalError):
        program.making.back_up(SETTINGS)
    assert [what for what, _ in pausing.happened] == ["ahead"]
    pausing.fails["ahead"] = "restic"
    program.making.back_up(SETTINGS)
    assert [what for what, _ in pausing.happened][1:] == ["ahead", "close", "backup", "open"]


def test_a_server_installed_anew_does_not_back_up_its_emptiness(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {**snapshot("2026-11-20T12:00"), "tags": ["school=myschool.example", "installation=before"]}
    shelf = Shelf(program, [made])
    monkeypatch.setattr(program.making, "Repository", lambda _: shelf.real)
    program.places.remember(installation="another")
    with pytest.raises(
        program.words.RefusalError, match=r"has not made: put it back with playbooks/restore\.yml"
    ):
        program.making.back_up(SETTINGS)
    assert [words[0] for words in shelf.asked] == ["snapshots"]
    assert "has not made" in program.places.load(program.places.STATE, {})["last"]["sentence"]


def test_a_new_repository_is_begun_when_asked_for_and_remembers_nothing_of_the_one_before(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder was put away: `start` asks nothing of a repository that it has had."""
    shelf = Shelf(program, [], {"init": b""})
    monkeypatch.setattr(program.making, "Repository", lambda _: shelf.real)
    known = {"repository": SETTINGS["repository"], "where": SETTINGS["where"], "installation": "this"}
    program.places.remember(
        **known, since="2020", drill={"days": 1}, last_good={"time": "2020"}, check={"damaged": 3}
    )
    assert program.making.start(SETTINGS) == {"changed": False}
    assert shelf.asked == []
    assert program.making.adopt(SETTINGS) == {"changed": True, "made": True}
    state = program.places.load(program.places.STATE, {})
    assert {name: state[name] for name in known} == known
    assert (state["last_good"], state["check"], state["drill"]) == ({}, {}, {"days": 1})
    assert state["since"] > "2020"


def test_a_repository_that_is_there_is_gone_on_with(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {**snapshot("2026-11-20T12:00"), "tags": ["school=myschool.example", "installation=before"]}
    shelf = Shelf(program, [made])

    def run(*words: str, **_: object) -> bytes:
        if words[0] == "init":
            program.words.refuse("exists", where="vault")
        return shelf.run(*words)

    shelf.real.run = run
    monkeypatch.setattr(program.making, "Repository", lambda _: shelf.real)
    program.places.remember(installation="another", last_good={"time": "2026-11-20"})
    assert [program.making.adopt(SETTINGS)["changed"] for _ in range(2)] == [True, False]
    state = program.places.load(program.places.STATE, {})
    assert (state["installation"], state["last_good"]) == ("before", {"time": "2026-11-20"})


# Folders.


@pytest.fixture
def fetched(program: SimpleNamespace, tmp_path: Path) -> object:
    """A folder with something old in it, and beside it what has been fetched for it."""
    (tmp_path / "data" / "folder").mkdir(parents=True)
    (tmp_path / "data" / "old").write_text("old")
    (tmp_path / "data" / "folder" / "both").write_text("old")
    place = program.folders.Place.of(str(tmp_path / "data"))
    new = place.fetched
    (new / "folder").mkdir(parents=True)
    (new / "folder" / "both").write_text("new")
    (new / "new").write_text("new")
    new.chmod(0o751)
    return place


def holds(place: object) -> dict[str, str]:
    return {
        str(path.relative_to(place.here)): path.read_text()
        for path in place.here.rglob("*")
        if path.is_file()
    }


NEW = {"folder/both": "new", "new": "new"}


def test_what_was_fetched_takes_the_place_of_what_was_there(fetched: object) -> None:
    fetched.make_room()
    assert holds(fetched) == {}
    fetched.move_in()
    assert holds(fetched) == NEW
    assert fetched.here.stat().st_mode & 0o777 == 0o751
    fetched.forget_replaced()
    assert [path.name for path in fetched.here.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("step", ["make_room", "move_in"])
@pytest.mark.parametrize("moves", [0, 1])
def test_a_power_cut_between_two_moves_is_made_good(
    fetched: object, monkeypatch: pytest.MonkeyPatch, step: str, moves: int
) -> None:
    if step == "move_in":
        fetched.make_room()
    real, done = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        if len(done) == moves:
            raise KeyboardInterrupt
        done.append(self)
        return real(self, target)

    with monkeypatch.context() as cut:
        cut.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            getattr(fetched, step)()
    if step == "make_room":
        fetched.make_room()
    fetched.move_in()
    assert holds(fetched) == NEW


@pytest.mark.parametrize("cut", ["", "cp", "part", "rmtree"])
def test_a_folder_that_a_disk_in_layers_does_not_rename_is_copied(
    program: SimpleNamespace, fetched: object, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """As on a Raspberry Pi with a protected card; a power cut on the way loses nothing."""
    real, lower = Path.replace, fetched.here / "folder"

    def replace(self: Path, target: Path) -> Path:
        if self == lower:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    def stop(*_words: object, **_more: object) -> None:
        raise KeyboardInterrupt

    def stop_at_part(self: Path, target: Path) -> Path:
        return stop() if self.suffix == ".part" else replace(self, target)

    def remove_half(folder: Path, **_more: object) -> None:
        if folder == lower:
            (folder / "both").unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", replace)
    (lower / "second").write_text("old")
    lower.chmod(0o750)
    if cut:
        with monkeypatch.context() as power:
            power.setattr(*{
                "cp": (program.folders.subprocess, "run", stop),
                "part": (Path, "replace", stop_at_part),
                "rmtree": (program.folders.shutil, "rmtree", remove_half),
            }[cut])  # fmt: skip
            with pytest.raises(KeyboardInterrupt):
                fetched.make_room()
    fetched.make_room()
    assert holds(fetched) == {}
    kept = fetched._aside(program.folders.REPLACED)
    assert sorted(path.name for path in kept.iterdir()) == ["folder", "old"]
    assert sorted(path.name for path in (kept / "folder").iterdir()) == ["both", "second"]
    assert (kept / "folder").stat().st_mode & 0o777 == 0o750
    fetched.move_in()
    assert holds(fetched) == NEW


def test_a_folder_that_cannot_be_copied_stays_and_is_said(
    program: SimpleNamespace, fetched: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real cp, which is given a name too long for a disk: quicker than a disk without room."""
    real, lower = Path.replace, fetched.here / "folder"
    before = holds(fetched)

    def replace(self: Path, target: Path) -> Path:
        if self == lower:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(program.words.RefusalError, match=r"folder could not be set aside \(cp: .*again"):
        program.folders._move(lower, fetched.here.parent / ("x" * 252))
    assert holds(fetched) == before


def test_a_file_takes_its_place_too(program: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "other").write_text("stays")
    place = program.folders.Place.of(str(tmp_path / "file"))
    place.fetched.parent.mkdir(parents=True)
    place.fetched.write_text("new")
    place.make_room()
    place.move_in()
    place.forget_replaced()
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} | {
        "sentences.json": ""
    } == {"file": "new", "other": "stays", "sentences.json": ""}


class Restic:
    """Restores what it is asked for, and counts how often it is started."""

    def __init__(self, holds: dict[str, str]) -> None:
        self.holds, self.started = holds, 0

    def run(self, *words: str) -> str:
        self.started += 1
        [target] = [word.removeprefix("--target=") for word in words if word.startswith("--target=")]
        for stored in (word.removeprefix("--include=") for word in words if word.startswith("--include=")):
            for path, text in self.holds.items():
                if f"{path}/".startswith(f"{stored}/"):
                    file = Path(target) / path.lstrip("/")
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text)
        return ""


def test_places_on_one_disk_are_fetched_in_one_go(
    program: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(program.folders, "give", lambda tree, _owners: given.append(tree))
    (tmp_path / "config").mkdir()
    (tmp_path / "list").write_text("old")
    places = [program.folders.Place.of(str(tmp_path / name)) for name in ("data", "config", "list")]
    places[0] = program.folders.Place(places[0].path, places[0].stored, is_folder=True)
    restic = Restic({str(tmp_path / name): name for name in ("data/a", "config/b/c", "list", "other")})
    for _ in range(2):  # a power cut has it begun again
        program.folders.fetch(places, restic, "latest", {"users": {}, "groups": {}})
    assert restic.started == 2
    assert given == [place.fetched for place in places] * 2
    for place in places:
        place.make_room()
        place.move_in()
        place.forget_replaced()
    assert (tmp_path / "data" / "a").read_text() == "data/a"
    assert (tmp_path / "config" / "b" / "c").read_text() == "config/b/c"
    assert (tmp_path / "list").read_text() == "list"
    assert not list(tmp_path.glob(".schoolstack*"))


def test_what_a_backup_does_not_hold_is_said(program: SimpleNamespace, tmp_path: Path) -> None:
    places = [program.folders.Place(str(tmp_path / name), str(tmp_path / name), True) for name in ("a", "b")]
    with pytest.raises(program.words.RefusalError, match="b"):
        program.folders.fetch(places, Restic({f"{tmp_path}/a/x": "x"}), "latest", {"users": {}, "groups": {}})


def test_what_a_link_leads_to_is_backed_up(program: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    place = program.folders.Place.of(str(tmp_path / "data"))
    assert (place.stored, place.is_folder) == (str(tmp_path / "disk"), True)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_files_go_to_the_user_of_the_same_name(program: SimpleNamespace, tmp_path: Path) -> None:
    """System users have other numbers on another server."""
    file = tmp_path / "tree" / "file"
    file.parent.mkdir()
    file.touch(mode=0o640)
    os.chown(file, 54321, 0)
    program.folders.give(tmp_path / "tree", {"users": {"54321": "nobody", "0": "root"}, "groups": {}})
    assert file.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert file.parent.stat().st_uid == 0


# Databases.


def test_a_database_that_a_playbook_has_made_meanwhile_does_not_push_out_the_real_one(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power went between two renames, and the next run has made an empty database of the name."""
    there = {"school_restored", "school_replaced", "school"}
    said: list[str] = []

    def ask(statement: str, **names: str) -> list[str]:
        said.append(statement)
        if "rename" in statement:
            old, new = (
                (names[key] for key in ("name", "before") if key in names)
                if "before" in names
                else (
                    names["beside"],
                    names["name"],
                )
            )
            assert new not in there
            there.remove(old)
            there.add(new)
        elif statement.startswith("drop"):
            there.discard(names["name"])
        return ["1"] if "pg_database where" in statement and names["name"] in there else []

    monkeypatch.setattr(program.databases, "ask", ask)
    program.databases.switch("school")
    assert there == {"school", "school_replaced"}
    said.clear()
    program.databases.switch("school")
    assert not any("alter" in statement for statement in said)


# Checks.


def test_found_damage_stays_an_alarm_until_just_that_is_sound(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []

    def run(self: object, *words: str) -> bytes:
        if key := answers.pop(0):
            program.words.refuse(key, where="vault", what="abababab", host="server")
        return b""

    monkeypatch.setattr(program.repository.Repository, "run", run)

    def checked(answer: str, whole: bool = False) -> bool:
        """Tell whether a damage is known after a check that ends so."""
        answers.append(answer)
        with contextlib.suppress(program.words.RefusalError):
            program.making.check({**SETTINGS, "check_shares": 3}, whole=whole)
        return bool(program.watching.status(SETTINGS)["alarm"])

    assert [checked("") for _ in range(3)] == [False] * 3
    assert checked("damage")
    assert [checked(answer) for answer in ("", "", "unreachable")] == [True] * 3
    assert not checked("")
    assert checked("damage", whole=True)
    assert [checked("") for _ in range(4)] == [True] * 4
    assert not checked("", whole=True)


# Alarms.


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"last_good": {"time": 1}}, ""),
        ({"last_good": {"time": 27}, "last": {"sentence": "No room."}}, "is 27 hours old: No room."),
        ({"since": 27}, "never been backed up"),
        ({"since": 1}, ""),
        ({"last_good": {"time": 1}, "check": {"sentence": "Damaged."}}, "found damage: Damaged."),
    ],
)
def test_an_alarm_when_the_last_good_backup_is_older_than_a_day(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: dict, sentence: str
) -> None:
    def ago(hours: int) -> str:
        return (program.places.now() - datetime.timedelta(hours=hours)).isoformat()

    if "since" in state:
        state = {**state, "since": ago(state["since"])}
    if "last_good" in state:
        state = {**state, "last_good": {"time": ago(state["last_good"]["time"])}}
    program.places.remember(**state)
    notice = tmp_path / "motd.d" / "notice"
    monkeypatch.setattr(program.watching, "NOTICE", notice)
    if sentence:
        with pytest.raises(program.words.RefusalError, match=sentence):
            program.watching.alarm(SETTINGS)
        assert sentence in notice.read_text()
    program.places.remember(last_good={"time": ago(0)}, check={})
    program.watching.alarm(SETTINGS)
    assert not notice.exists()


def test_its_last_words_in_json_are_said_without_the_trace(program: SimpleNamespace) -> None:
    watch = program.repository.Watch(SimpleNamespace(stderr=[], terminate=lambda: None))
    watch.hear(
        '{"message_type":"exit_error","code":1,"message":"config is empty\\nmain.open\\n\\tglobal.go:691"}'
    )
    assert watch.last == "config is empty"


def test_what_is_damaged_is_named(program: SimpleNamespace) -> None:
    process = SimpleNamespace(stderr=[f"pack {'ab' * 32}: does not exist".encode()], terminate=lambda: None)
    watch = program.repository.Watch(process)
    watch.join()
    shelf = program.repository.Repository(SETTINGS)
    with pytest.raises(program.words.RefusalError, match=r"vault is damaged \(abababab\)"):
        shelf.refuse(watch)


def test_every_sentence_is_given_what_it_wants(program: SimpleNamespace) -> None:
    """Those that restic leads to are all given the same."""
    sentences = program.words.catalogue()["en"]
    for path in PROGRAM.glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("say", "refuse")
            if named and isinstance(call.args[0], ast.Constant):
                given = {word.arg for word in call.keywords}
                wanted = set(re.findall(r"{(\w+)", sentences[call.args[0].value]))
                assert wanted <= given, (path.name, call.args[0].value)
    for key in program.repository.REASONS.values():
        assert set(re.findall(r"{(\w+)", sentences[key])) <= {"where", "host", "what"}


def test_every_sentence_is_used_and_every_used_one_exists(program: SimpleNamespace) -> None:
    said = "".join(path.read_text(encoding="utf-8") for path in PROGRAM.glob("*.py"))
    said += "".join(path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").glob("*.yml"))
    for key in program.words.catalogue()["en"]:
        assert f'"{key}"' in said or f"backup.{key}'" in said, key


def test_what_an_application_kept_in_memory_goes_before_its_data_comes_back(
    program: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(program.restoring, "hold", lambda units: done.append(("hold", *units)))
    monkeypatch.setattr(program.restoring, "release", lambda units: done.append(("release", *units)))
    monkeypatch.setattr(program.restoring, "_carry_out", lambda *_: done.append("data") or {"changed": True})
    monkeypatch.setattr(program.restoring.subprocess, "run", lambda command, **_: done.append(tuple(command)))
    manifest = {"applications": {"notes": {"databases": [], "places": []}}}
    program.places.HOME.mkdir(parents=True, exist_ok=True)
    program.places.save(program.places.RESTORING, {"left": ["notes"], "manifest": manifest})
    declared = {"name": "notes", "services": [{"name": "notes"}]}
    cache = {"engine": "valkey", "name": "notes", "memory_mb": 64}
    program.restoring.application(SETTINGS, {**declared, "caches": [cache]})
    assert done == [
        ("hold", "notes.service"),
        ("systemctl", "try-restart", "notes-valkey.service"),
        "data",
        ("release", "notes.service"),
    ]
    done.clear()
    program.restoring.application(SETTINGS, declared)
    assert done == [("hold", "notes.service"), "data", ("release", "notes.service")]
