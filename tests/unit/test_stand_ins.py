"""Stand-ins: archives of the pinned names and shape, the same each time, and never in place of real ones."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import requests

from schoolstack import stand_ins


def test_there_is_one_for_every_pinned_archive_and_it_says_what_it_is(tmp_path: Path) -> None:
    made = stand_ins.make_nextcloud(tmp_path)
    pins = stand_ins.nextcloud_pins()
    assert [(one["name"], one["version"]) for one in made] == [(pin["name"], pin["version"]) for pin in pins]
    for one, pin in zip(made, pins, strict=True):
        assert one["file"].startswith("stand-in-")
        assert one["sha256"] != pin["sha256"]
        assert one["sources"] == [{"kind": "url", "url": (tmp_path / one["file"]).as_uri()}]
        with tarfile.open(tmp_path / one["file"]) as archive:
            names = archive.getnames()
        top = pin["name"] if "within" in pin else "nextcloud"
        assert {name.split("/")[0] for name in names} == {top}
        wanted = "appinfo/info.xml" if "within" in pin else "occ"
        assert f"{top}/{wanted}" in names


def test_they_are_the_same_each_time_they_are_made(tmp_path: Path) -> None:
    first, second = (stand_ins.make_nextcloud(tmp_path / name) for name in ("one", "two"))
    assert [one["sha256"] for one in first] == [one["sha256"] for one in second]
    broken = stand_ins.make_nextcloud(tmp_path / "three", broken=["35.0.1"])
    differ = [
        one["version"] for one, other in zip(first, broken, strict=True) if one["sha256"] != other["sha256"]
    ]
    assert differ == ["35.0.1"]


def test_real_archives_are_at_hand_only_when_all_are_what_is_pinned(tmp_path: Path) -> None:
    made = stand_ins.make_nextcloud(tmp_path)
    assert stand_ins.at_hand(made, tmp_path)
    assert not stand_ins.at_hand(stand_ins.nextcloud_pins(), tmp_path)
    (tmp_path / made[-1]["file"]).write_bytes(b"half of it")
    assert not stand_ins.at_hand(made, tmp_path)
    (tmp_path / made[-1]["file"]).unlink()
    assert not stand_ins.at_hand(made, tmp_path)


def test_what_does_not_answer_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "head", refused)
    assert not stand_ins.within_reach(stand_ins.nextcloud_pins())
    answer = requests.Response()
    answer.status_code = 200
    monkeypatch.setattr(requests, "head", lambda *_, **__: answer)
    assert stand_ins.within_reach(stand_ins.nextcloud_pins())
    answer.status_code = 403
    assert not stand_ins.within_reach(stand_ins.nextcloud_pins())
