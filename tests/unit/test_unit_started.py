"""The module unit_started: when a unit is started or restarted."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "plugins/modules/unit_started.py"
spec = importlib.util.spec_from_file_location("unit_started", PLUGIN)
unit_started = importlib.util.module_from_spec(spec)
spec.loader.exec_module(unit_started)

LONG_AGO = "Sat 2001-09-09 01:46:40.500000 UTC"
LATER = "Sun 2286-11-20 17:46:40.000000 UTC"
RUNNING = {
    "ActiveState": "active",
    "SubState": "running",
    "FragmentPath": "/etc/systemd/system/example.service",
    "DropInPaths": "",
    "NeedDaemonReload": "no",
    "UnitFileState": "enabled",
    "InactiveExitTimestamp": LATER,
    "StateChangeTimestamp": LATER,
}
STOPPED = {**RUNNING, "ActiveState": "inactive", "SubState": "dead", "InactiveExitTimestamp": ""}


def test_reads_systemds_clock():
    assert unit_started.seconds(LONG_AGO) == 1_000_000_000.5
    assert unit_started.seconds("") == 0


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (RUNNING, []),
        ({**RUNNING, "ActiveState": "activating"}, []),
        ({**RUNNING, "UnitFileState": "static"}, []),
        ({**RUNNING, "UnitFileState": "disabled"}, ["enable"]),
        ({**RUNNING, "NeedDaemonReload": "yes"}, ["daemon-reload", "restart"]),
        ({**RUNNING, "ActiveState": "activating", "SubState": "auto-restart"}, ["restart"]),
        (STOPPED, ["start"]),
        ({**STOPPED, "ActiveState": "failed"}, ["start"]),
        ({**STOPPED, "NeedDaemonReload": "yes"}, ["daemon-reload", "start"]),
        ({**STOPPED, "FragmentPath": "", "UnitFileState": ""}, ["daemon-reload", "enable", "start"]),
    ],
)
def test_does_what_is_needed_and_no_more(state, verbs):
    assert unit_started.needed(state, []) == (verbs, [])


def test_a_first_drop_in_is_read_where_systemd_does_not_notice_it():
    drop_in = "/etc/systemd/system/example.service.d/school.conf"
    known = {**RUNNING, "DropInPaths": drop_in}
    assert unit_started.needed(RUNNING, [], drop_ins=[drop_in]) == (["daemon-reload", "restart"], [])
    assert unit_started.needed(STOPPED, [], drop_ins=[drop_in]) == (["daemon-reload", "start"], [])
    assert unit_started.needed(known, [], drop_ins=[drop_in]) == ([], [])


def test_a_newer_file_wants_a_restart(tmp_path):
    file = tmp_path / "example.conf"
    file.touch()
    assert unit_started.needed(RUNNING, [str(file), "/nowhere"]) == ([], [])
    started_before = {**RUNNING, "InactiveExitTimestamp": LONG_AGO}
    assert unit_started.needed(started_before, [str(file), "/nowhere"]) == (["restart"], [str(file)])
    assert unit_started.needed({**STOPPED, "InactiveExitTimestamp": LONG_AGO}, [str(file)]) == (["start"], [])


def test_old_dates_do_not_hide_a_change(tmp_path):
    file = tmp_path / "restored.conf"
    file.touch()
    os.utime(file, (0, 0))
    assert unit_started.changed_since(time.time() - 60, [str(file)]) == [str(file)]


def test_a_folder_counts_with_what_it_holds(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.conf").touch()
    changed = unit_started.changed_since(0, [str(tmp_path)])
    assert changed == [str(tmp_path), f"{tmp_path}/conf.d", f"{tmp_path}/conf.d/a.conf"]


def test_a_link_to_a_folder_counts_for_itself_only(tmp_path):
    (tmp_path / "1.0").mkdir()
    (tmp_path / "1.0/written-while-running").touch()
    (tmp_path / "current").symlink_to("1.0")
    assert unit_started.changed_since(0, [f"{tmp_path}/current"]) == [f"{tmp_path}/current"]


def test_a_link_to_a_file_counts_for_both(tmp_path):
    (tmp_path / "real.pem").touch()
    (tmp_path / "used.pem").symlink_to("real.pem")
    assert len(unit_started.changed_since(0, [f"{tmp_path}/used.pem"])) == 2


def test_a_newer_file_that_is_read_again_wants_a_reload(tmp_path):
    file, other = tmp_path / "secrets.conf", tmp_path / "example.conf"
    file.touch()
    other.touch()
    assert unit_started.needed(RUNNING, [], [str(file)]) == ([], [])
    reloaded_before = {**RUNNING, "StateChangeTimestamp": LONG_AGO}
    assert unit_started.needed(reloaded_before, [], [str(file)]) == (["reload"], [str(file)])
    # A restart reads it too.
    started_before = {**reloaded_before, "InactiveExitTimestamp": LONG_AGO}
    assert unit_started.needed(started_before, [str(other)], [str(file)]) == (["restart"], [str(other)])
    assert unit_started.needed({**STOPPED, "StateChangeTimestamp": LONG_AGO}, [], [str(file)]) == (
        ["start"],
        [],
    )


def test_a_timer_is_read_anew_with_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"jobs.service": "yes"}
    monkeypatch.setattr(
        unit_started.subprocess, "run", lambda command, **_: type("Ran", (), {"stdout": said[command[-1]]})
    )
    assert unit_started.outdated("jobs.service")
    said["jobs.service"] = "no"
    assert not unit_started.outdated("jobs.service")
