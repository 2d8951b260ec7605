"""First passwords: readable, hashed as Keycloak hashes, and on a sheet that only the vault key opens."""

from __future__ import annotations

import base64
import datetime
import json
import re
from pathlib import Path

import pytest
from argon2.low_level import Type, hash_secret_raw

from schoolstack.errors import SchoolError
from schoolstack.roster import passwords, sheets
from schoolstack.roster.model import Person, Place

DAY = datetime.date(2026, 9, 1)
NOW = datetime.datetime(2026, 9, 1, 8, 15)
LINES = [
    sheets.Line("1/2 <A>", "Zoë O'Brien", "zoe.obrien", "kabo-timu-47"),
    sheets.Line("1/2 <A>", "Noor & Co", "noor.co", "vido-rase-12"),
    sheets.Line("1-2 A", "Jef Bos", "jef.bos", "nuka-wepo-33"),
    sheets.Line("ict", "Els Maes", "els.maes", "nuka-wepo-dizo-33"),
]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("a vault key\n")
    return path


def test_passwords_can_be_read_and_do_not_repeat() -> None:
    made = [passwords.readable() for _ in range(2000)]
    assert all(re.fullmatch(r"([a-z]{4}-){2}[1-9][0-9]", one) for one in made)
    assert len(set(made)) == 2000
    assert re.fullmatch(r"([a-z]{4}-){3}[1-9][0-9]", passwords.readable(passwords.ADULT_SYLLABLES))


def test_a_credential_is_what_keycloak_would_have_stored() -> None:
    made = passwords.credential("wachtwoord-é", 2)
    secret, data = json.loads(made["secretData"]), json.loads(made["credentialData"])
    again = hash_secret_raw(
        "wachtwoord-é".encode(), base64.b64decode(secret["salt"]), 2, 7168, 1, 32, Type.ID, 0x13
    )
    assert base64.b64decode(secret["value"]) == again
    assert data["algorithm"] == "argon2"
    assert data["hashIterations"] == 2
    assert data["additionalParameters"] == {
        "hashLength": ["32"],
        "memory": ["7168"],
        "type": ["id"],
        "version": ["1.3"],
        "parallelism": ["1"],
    }
    assert "wachtwoord" not in json.dumps(made)


@pytest.mark.parametrize(
    ("policy", "found"), [("length(10) and hashIterations(3)", 3), ("length(10)", 5), ("", 5)]
)
def test_the_rounds_are_the_realms(policy: str, found: int) -> None:
    assert passwords.rounds(policy, temporary=False) == found
    assert passwords.rounds(policy, temporary=True) == passwords.INITIAL_ROUNDS


def test_every_password_gets_a_salt_of_its_own() -> None:
    made = passwords.credentials(dict.fromkeys("abcdef", "same"), 1)
    assert list(made) == list("abcdef")
    assert len({one["secretData"] for one in made.values()}) == 6


def test_what_is_written_is_read_again_and_encrypted(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "sheets"
    sheets.write_pending(folder, key, LINES, DAY)
    assert sheets.pending(folder, key) == {line.username: line for line in LINES}
    dated = sheets.finish(folder, NOW)
    assert dated == folder / "2026-09-01-081500"
    assert sheets.pending(folder, key) == {}
    assert sheets.finish(folder, NOW) is None
    assert sheets.read(folder, key) == {line.username: line.password for line in LINES}
    assert sorted(path.name for path in dated.iterdir()) == [
        "1%2F2 %3CA%3E.html.vault",
        "1-2 A.html.vault",
        "ict.html.vault",
    ]
    for path in dated.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.1;AES256")
    assert dated.stat().st_mode & 0o777 == 0o700


def test_a_sheet_can_be_printed_and_shown(tmp_path: Path, key: Path) -> None:
    sheets.write_pending(tmp_path / "sheets", key, LINES, DAY)
    (page,) = sheets.pages(tmp_path / "sheets", key, "1/2 <A>")
    assert [line.name for line in page.lines] == ["Noor & Co", "Zoë O'Brien"]
    assert '<td class="name">Noor &amp; Co</td>' in page.html
    assert sheets.Page.from_html(page.html) == page
    assert "zoe.obrien" in page.text


def test_a_newer_sheet_counts(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "sheets"
    for number, password in enumerate(("old", "new")):
        sheets.write_pending(folder, key, [sheets.Line("1A", "N", "noor", password)], DAY)
        sheets.finish(folder, NOW + datetime.timedelta(days=number))
    assert sheets.read(folder, key) == {"noor": "new"}


def test_what_is_no_longer_wanted_is_no_longer_pending(tmp_path: Path, key: Path) -> None:
    sheets.write_pending(tmp_path, key, LINES, DAY)
    sheets.write_pending(tmp_path, key, LINES[:2], DAY)
    assert set(sheets.pending(tmp_path, key)) == {"zoe.obrien", "noor.co"}


def test_the_demo_finds_people_by_role(tmp_path: Path) -> None:
    (tmp_path / ".vault-key").write_text("k")
    sheets.write_pending(sheets.folder(tmp_path), tmp_path / ".vault-key", LINES, DAY)
    found = sheets.read_all(tmp_path)
    assert found["ict"] == [("els.maes", "nuka-wepo-dizo-33")]
    assert len(found["pupil"]) == 3
    assert found["teacher"] == []


def test_a_missing_or_wrong_key_is_told(tmp_path: Path, key: Path) -> None:
    with pytest.raises(SchoolError, match="nokey"):
        sheets.write_pending(tmp_path, tmp_path / "nokey", LINES, DAY)
    sheets.write_pending(tmp_path / "sheets", key, LINES, DAY)
    key.write_text("another")
    with pytest.raises(SchoolError, match="vault"):
        sheets.read(tmp_path / "sheets", key)


def test_no_sheets_are_told(tmp_path: Path, key: Path) -> None:
    with pytest.raises(SchoolError, match=str(tmp_path)):
        sheets.read(tmp_path, key)


@pytest.mark.parametrize(
    ("roles", "classes", "sheet"),
    [
        ({"pupil"}, {"1B", "1A"}, "1A"),
        ({"pupil"}, set(), "pupil"),
        ({"teacher"}, {"1A"}, "teacher"),
        ({"teacher", "ict"}, set(), "ict"),
    ],
)
def test_adults_are_not_on_a_classs_sheet(roles: set[str], classes: set[str], sheet: str) -> None:
    someone = Person("1", "A", "B", frozenset(roles), frozenset(classes), Place("x"))
    assert sheets.sheet_of(someone) == sheet
