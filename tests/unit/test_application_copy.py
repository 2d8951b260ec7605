"""The copy of an application that is upgraded: whole or not there, wherever it is cut off."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path(__file__).parents[2] / "plugins/modules/application_copy.py"
spec = importlib.util.spec_from_file_location("application_copy", PLUGIN)
application_copy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(application_copy)


class PowerCutError(Exception):
    """What comes after this command never happens."""


class Server:
    """A server with one application, whose databases and services are remembered; its files are real."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.databases = {"example": "old rows", "other": "not ours"}
        # In memory only: what a cache that is started holds is nothing.
        self.running = {"example-valkey.service", "example.service"}
        self.remembered = "old rows"
        self.commands_left: int | None = None
        self.served = ""
        for name in ("HOME", "FACTS", "UNITS", "SITES"):
            folder = root / name.lower()
            folder.mkdir()
            monkeypatch.setattr(application_copy, name, str(folder))
        monkeypatch.setattr(application_copy, "run", self.run)
        monkeypatch.setattr(application_copy, "sql", self.sql)
        for folder in ("etc", "data"):
            (root / folder).mkdir()
        self.write("old")
        self.record = {
            "name": "example",
            "version": "1",
            "paths": {"config": str(root / "etc"), "data": str(root / "data")},
            "services": [{"name": "example"}],
            "databases": [{"name": "example"}],
            "caches": [{"engine": "valkey", "name": "example"}],
            "site": {},
        }
        self.copy = application_copy.Copy(self.record)

    def write(self, what: str) -> None:
        """Make everything that is the application's be of a version."""
        for place in (
            "etc/file",
            "data/file",
            "units/example.service",
            "units/example-valkey.service",
            "sites/example.conf",
            "facts/example.fact",
        ):
            (self.root / place).write_text(what)
        self.databases["example"] = f"{what} rows"

    def upgraded(self) -> None:
        """Let the new version start, and leave something of its own."""
        self.write("new")
        (self.root / "data/more").write_text("new")
        self.running |= {"example-valkey.service", "example.service"}
        self.remembered = "new rows"

    def seen(self) -> dict[str, Any]:
        """Return what there is, but for the copy."""
        files = {
            str(path.relative_to(self.root)): path.read_text()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }
        return {"files": files, "databases": dict(self.databases), "running": set(self.running)}

    def _begins(self) -> None:
        if self.commands_left is not None:
            if self.commands_left == 0:
                raise PowerCutError
            self.commands_left -= 1

    def run(self, *command: str, check: bool = True, given: str | None = None) -> str:
        self._begins()
        match command:
            case ("systemctl", "start", unit):
                self.running.add(unit)
            case ("systemctl", "stop", unit):
                self.running.discard(unit)
                if unit == "example-valkey.service":
                    assert "example.service" not in self.running, "it would have errors from then on"
                    self.remembered = ""
            case ("systemctl", *_):
                pass
            case ("dropdb", *_, name):
                self.databases.pop(name, None)
            case (application_copy.IN_FORCE, "nginx.service", *_):
                self.served = (self.root / "sites/example.conf").read_text()
            case ("cp", *_):
                assert "example.service" not in self.running, "only what stands still can be replaced"
                subprocess.run(command, check=True)
            case _:
                raise AssertionError(command)
        return ""

    def sql(self, statements: str, name: str) -> str:
        self._begins()
        copy = name + application_copy.SUFFIX
        if "CREATE DATABASE" in statements:
            assert "example.service" not in self.running, "only what stands still can be copied"
            assert copy not in self.databases
            self.databases[copy] = self.databases[name]
        elif "RENAME" in statements:
            assert name not in self.databases
            self.databases[name] = self.databases.pop(copy)
        else:
            assert "SELECT 1 FROM pg_database" in statements
            return "1" if copy in self.databases else ""
        return ""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(tmp_path, monkeypatch)


def test_what_was_copied_comes_back_whole(server: Server) -> None:
    before = server.seen()
    server.copy.take("2")
    assert server.copy.state["phase"] == "copied"
    server.upgraded()
    assert server.copy.back() is True
    assert server.seen() == before
    assert server.served == "old"
    assert server.remembered == "", "what the new version remembers is nothing to the old one"


def test_what_people_keep_is_neither_copied_nor_put_back(server: Server) -> None:
    (server.root / "files").mkdir()
    (server.root / "files/before").write_text("a pupil's")
    server.record["paths"]["files"] = str(server.root / "files")
    copy = application_copy.Copy(server.record)
    copy.take("2")
    assert not list((server.root / "home").rglob("before"))
    server.upgraded()
    (server.root / "files/after").write_text("written with the new version")
    assert copy.back() is True
    assert (server.root / "data/file").read_text() == "old"
    assert {path.name for path in (server.root / "files").iterdir()} == {"before", "after"}


def test_what_runs_by_a_timer_is_stopped_with_it_and_started_by_it(server: Server) -> None:
    server.record["services"].append({"name": "example-jobs", "every_s": 300})
    server.running |= {"example-jobs.timer", "example-jobs.service"}
    copy = application_copy.Copy(server.record)
    copy.take("2")
    assert server.running == set()
    copy.back()
    assert server.running == {"example-valkey.service", "example.service", "example-jobs.timer"}


def test_what_succeeded_leaves_no_copy(server: Server) -> None:
    server.copy.take("2")
    server.upgraded()
    after = server.seen()
    server.copy.drop()
    assert set(server.databases) == {"example", "other"}
    assert server.seen()["databases"] == {
        k: v for k, v in after["databases"].items() if k in server.databases
    }
    assert not list((server.root / "home").iterdir())
    assert server.copy.drop() is False


def test_without_a_copy_there_is_no_way_back_and_no_need_of_one(server: Server) -> None:
    before = server.seen()
    assert server.copy.back() is False
    assert server.seen() == before


@pytest.mark.parametrize("commands", range(12))
def test_a_copy_that_was_cut_off_is_never_put_back(server: Server, commands: int) -> None:
    before = server.seen()
    server.commands_left = commands
    try:
        server.copy.take("2")
    except PowerCutError:
        server.commands_left = None
        assert server.copy.back() is False
        assert server.seen() == before
    else:
        assert commands >= 8, "the copy takes fewer commands than this test cuts"


@pytest.mark.parametrize("commands", range(14))
def test_a_way_back_that_was_cut_off_is_gone_to_its_end(server: Server, commands: int) -> None:
    before = server.seen()
    server.copy.take("2")
    server.upgraded()
    server.commands_left = commands
    try:
        server.copy.back()
    except PowerCutError:
        server.commands_left = None
        assert server.copy.state["phase"] in ("back", "done"), "the next run has to know"
        server.running.add("example.service")  # as after a boot
        server.copy.back()
    assert server.seen() == before


@pytest.mark.parametrize("commands", range(2))
def test_a_copy_whose_deletion_was_cut_off_is_never_put_back(server: Server, commands: int) -> None:
    server.copy.take("2")
    server.upgraded()
    server.commands_left = commands
    try:
        server.copy.drop()
    except PowerCutError:
        server.commands_left = None
    assert server.copy.back() is False
    assert server.databases["example"] == "new rows"
    assert (server.root / "data/more").exists()


def test_what_a_copy_holds_is_written_down(server: Server) -> None:
    server.copy.take("2")
    state = json.loads((server.root / "home/example/state.json").read_text())
    assert state == {"phase": "copied", "to": "2", "record": server.record}


class Packages:
    """A vendor's packages on a server, as they came, and what is installed of them."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installed = {"vendor": "2:1.0", "helper": "3"}
        self.folder = server.root / "packages" / "example"
        self.preferences = server.root / "preferences"
        self.folder.mkdir(parents=True)
        self.preferences.mkdir()
        (self.preferences / "example.pref").write_text("Pin: version 2:1.0\n")
        for name in ("vendor_2%3a1.0_amd64.deb", "vendor_2%3a1.1_amd64.deb", "helper_3_all.deb"):
            (self.folder / name).touch()
        monkeypatch.setattr(application_copy, "PACKAGES", str(self.folder.parent))
        monkeypatch.setattr(application_copy, "PREFERENCES", str(self.preferences))
        monkeypatch.setattr(application_copy, "installed", lambda name: self.installed.get(name, ""))
        monkeypatch.setattr(application_copy, "run", self.run)
        self.server = server
        server.record["apt"] = {"source": "vendor", "packages": dict(self.installed)}
        self.copy = application_copy.Copy(server.record)

    def run(self, *command: str, **options: Any) -> str:
        if command[0] != "dpkg":
            return self.server.run(*command, **options)
        for path in map(Path, command[command.index("--install") + 1 :]):
            name, version, _ = path.name.split("_")
            self.installed[name] = version.replace("%3a", ":")
            # What a package's own scripts do to the application's folders.
            (self.server.root / "etc/file").write_text("the package's")
            # Some start their program, too.
            self.server.running.add("example.service")
        return ""


def test_a_vendors_packages_go_back_with_their_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(tmp_path, monkeypatch)
    packages = Packages(server, monkeypatch)
    packages.copy.take("2:1.1")
    packages.installed["vendor"] = "2:1.1"
    (packages.preferences / "example.pref").write_text("Pin: version 2:1.1\n")
    server.upgraded()
    assert packages.copy.back()
    assert packages.installed == {"vendor": "2:1.0", "helper": "3"}
    assert (packages.preferences / "example.pref").read_text() == "Pin: version 2:1.0\n"
    assert (tmp_path / "etc/file").read_text() == "old"


def test_a_version_that_is_not_kept_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(tmp_path, monkeypatch)
    packages = Packages(server, monkeypatch)
    packages.copy.take("2:1.1")
    packages.installed["vendor"] = "2:1.1"
    (packages.folder / "vendor_2%3a1.0_amd64.deb").unlink()
    with pytest.raises(OSError, match="is not kept on this server"):
        packages.copy.back()
