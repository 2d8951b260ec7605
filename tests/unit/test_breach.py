"""The folder of a suspected breach: for its owner only, frozen evidence, a deadline that is right."""

from __future__ import annotations

import datetime
import json
import stat
import subprocess

import pytest

from schoolstack.breach.dossier import Dossier
from schoolstack.errors import SchoolError
from schoolstack.messages import LANGUAGES

NOW = datetime.datetime(2026, 11, 22, 8, 15).astimezone()
SCHOOL = {"name": "My school", "contact": "ict@myschool.example"}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("known", "deadline", "authority"),
    [
        ("", "2026-11-23 08:15", "2026-11-25 08:15"),
        ("2026-11-21 20:00", "2026-11-22 20:00", "2026-11-24 20:00"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_deadline_counts_from_when_the_school_knows(
    monkeypatch, tmp_path, language, known, deadline, authority
):
    monkeypatch.setenv("SCHOOL_LANGUAGE", language)
    dossier = Dossier.open(tmp_path / "breaches", known, NOW)
    dossier.write_forms(SCHOOL, ["alpha", "beta"])
    checklist, notice = sorted(dossier.folder.glob("*.md"))
    text = checklist.read_text(encoding="utf-8")
    assert f"**{deadline}**" in text
    assert authority in text
    for path in (checklist, notice):
        assert "alpha, beta" in path.read_text(encoding="utf-8")
        assert mode(path) == 0o600
    assert deadline in dossier.text({})


@pytest.mark.parametrize("known", ["yesterday", "2026-13-01", "2026-11-22 08:16"])
def test_a_moment_that_is_none_or_has_not_come_is_refused_and_leaves_nothing(tmp_path, known):
    with pytest.raises(SchoolError):
        Dossier.open(tmp_path / "breaches", known, NOW)
    assert not list(tmp_path.iterdir())


def test_a_second_start_in_the_same_minute_does_not_write_over_the_first(tmp_path):
    Dossier.open(tmp_path, "", NOW).write_forms(SCHOOL, [])
    with pytest.raises(SchoolError):
        Dossier.open(tmp_path, "", NOW)


@pytest.fixture
def inventory(tmp_path):
    folder = tmp_path / "inventory"
    (folder / "secrets").mkdir(parents=True)
    (folder / "secrets" / "database.vault").write_text("x", encoding="utf-8")
    (folder / ".vault-key").write_text("key", encoding="utf-8")
    (folder / "hosts.yml").write_text("all:\n", encoding="utf-8")
    return folder


def test_evidence_is_frozen_and_its_sums_are_right(inventory, tmp_path):
    dossier = Dossier.open(inventory / "breaches", "", NOW)
    (dossier.evidence / "alpha.tar.gz").write_bytes(b"evidence")
    servers = {"alpha": {"sha256": "", "bytes": 8, "missing": []}, "beta": {"said": "no route"}}
    dossier.freeze(inventory, tmp_path, servers)
    assert {mode(path) for path in dossier.evidence.rglob("*") if path.is_file()} == {0o400}
    assert {mode(path) for path in dossier.evidence.rglob("*") if path.is_dir()} == {0o500}
    assert (mode(dossier.evidence), mode(dossier.folder)) == (0o500, 0o700)
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=dossier.evidence, check=False)
    assert checked.returncode == 0
    summed = {line.split("  ")[1] for line in (dossier.evidence / "SHA256SUMS").read_text().splitlines()}
    assert summed == {"about.json", "alpha.tar.gz", "inventory/hosts.yml"}
    assert json.loads((dossier.evidence / "about.json").read_text())["servers"] == servers


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_server_without_evidence_is_named(monkeypatch, tmp_path, language):
    monkeypatch.setenv("SCHOOL_LANGUAGE", language)
    dossier = Dossier.open(tmp_path, "", NOW)
    servers = {"alpha": {"bytes": 1_500_000, "missing": ["nft: not there"]}, "beta": {"said": "no route"}}
    text = dossier.text(servers)
    assert "1.5 MB" in text
    assert "nft: not there" in text
    assert "beta" in text
    assert "no route" in text
