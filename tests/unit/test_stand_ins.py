"""Stand-ins: archives of the pinned names and shape, the same each time, and never in place of real ones."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from pysequoia import Cert, verify

from schoolstack import stand_ins
from schoolstack.deployment import ROOT
from schoolstack.reference.declarations import resolved
from schoolstack.stand_ins import choice, office


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


# The office


def test_the_office_comes_in_the_versions_that_the_role_installs_and_says_what_it_is(tmp_path: Path) -> None:
    office.make_office(tmp_path / "office")
    index = (tmp_path / "office" / "Packages").read_text(encoding="utf-8")
    found = dict(re.findall(r"^Package: (.*)\nVersion: (.*)$", index, re.MULTILINE))
    core = resolved(ROOT, "collabora_core_version")
    wanted = dict.fromkeys(resolved(ROOT, "collabora_core_packages"), core)
    assert found == {"coolwsd": resolved(ROOT, "collabora_version")} | wanted
    assert index.count("\nDescription: stand-in for ") == len(found)
    for name, size, digest in re.findall(r"^Filename: (.*)\nSize: (.*)\nSHA256: (.*)$", index, re.MULTILINE):
        package = (tmp_path / "office" / name).read_bytes()
        assert (len(package), hashlib.sha256(package).hexdigest()) == (int(size), digest)
    [server] = (tmp_path / "office" / "pool").glob("coolwsd_*.deb")
    listed = subprocess.run(["dpkg-deb", "--contents", server], check=True, capture_output=True, text=True)
    assert "./usr/bin/coolwsd" in listed.stdout


def test_what_leads_to_it_is_its_own_key_and_a_place_on_the_server(tmp_path: Path) -> None:
    given = office.make_office(tmp_path / "office")
    assert given["collabora_apt_url"] == f"http://127.0.0.1:{office.PORT}"
    [pin] = given["collabora_artefacts"]
    [real] = resolved(ROOT, "collabora_artefacts")
    assert pin.keys() == real.keys()
    assert pin["fingerprint"] != real["fingerprint"]
    key = tmp_path / "office" / "key.asc"
    assert pin["sources"] == [{"kind": "url", "url": key.as_uri()}]
    signer = Cert.from_file(str(key))
    assert signer.fingerprint.upper() == pin["fingerprint"]
    signed = (tmp_path / "office" / "InRelease").read_bytes()
    assert signed.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----")
    release = verify(bytes=signed, store=lambda _: [signer]).bytes.decode()
    digest = hashlib.sha256((tmp_path / "office" / "Packages").read_bytes()).hexdigest()
    assert f" {digest} " in release


def test_it_keeps_its_key_until_it_is_made_from_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "office"
    first = office.make_office(folder)
    assert office.make_office(folder) == first
    (folder / "made-from").unlink()
    second = office.make_office(folder)
    assert second != first
    other = tmp_path / "coolwsd"
    other.write_text("another program\n", encoding="utf-8")
    monkeypatch.setattr(office, "PROGRAM", other)
    assert office.make_office(folder) != second


def test_a_stand_in_is_taken_only_for_what_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = SimpleNamespace(lab=SimpleNamespace(state=SimpleNamespace(root=tmp_path)))
    brought = []
    monkeypatch.setattr(choice, "bring_office", lambda folder, _: brought.append(folder))
    reached: set[str] = set()
    monkeypatch.setattr(requests, "head", lambda url, **_: answer(any(one in url for one in reached)))
    assert set(choice.stand_ins_for(school)) == {"nextcloud", "collabora"}
    assert brought == [tmp_path / "stand-ins" / "collabora"]
    assert set(choice.stand_ins_for(school, ["nextcloud"])) == {"nextcloud"}
    assert set(choice.stand_ins_for(school, ["collabora"])) == {"collabora"}
    brought.clear()
    reached.add("collaboraoffice.com")
    assert set(choice.stand_ins_for(school)) == {"nextcloud"}
    reached.add("nextcloud")
    assert choice.stand_ins_for(school) == {}
    assert brought == []
    # What is at hand need not be within reach.
    reached.remove("nextcloud")
    monkeypatch.setattr(choice, "at_hand", lambda _, folder: folder == tmp_path / "kept")
    assert set(choice.stand_ins_for(school)) == {"nextcloud"}
    assert choice.stand_ins_for(school, artefacts=tmp_path / "kept") == {}


def answer(good: bool) -> requests.Response:
    """Return what a place answers, or one that has no such thing."""
    response = requests.Response()
    response.status_code = 200 if good else 404
    return response
