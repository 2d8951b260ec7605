"""Whose files go where, and everything that is refused before a server is asked."""

from __future__ import annotations

import datetime
import json

import pytest
import yaml

from schoolstack.errors import SchoolError
from schoolstack.migrate import decide, mapping, names
from schoolstack.migrate.journal import Journal, write
from schoolstack.migrate.rclone import NEEDED, OLDEST, Item, Rclone, RcloneError, Session
from schoolstack.migrate.settings import Limits, load
from schoolstack.migrate.sources import Google, Microsoft, source_of
from schoolstack.migrate.target import Target

HEAD = "id;voornaam;achternaam;klas;rol;email"
PEOPLE = ("1;Jan;Jansen;1A;leerling;jan@old.example", "2;Piet;Pieters;1A;leraar;piet@old.example")
TAKEOUT = {"kind": "takeout", "folder": "takeout/{account}"}
MICROSOFT = {"kind": "microsoft", "tenant": "school.example", "client_id": "id", "secret": "secret"}
GOOGLE = {"kind": "google", "key": "key.json"}


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


@pytest.fixture
def settings_of(tmp_path):
    """Return settings that are written to a file and read from it."""

    def make(people=PEOPLE, exceptions="", accounts="", source=TAKEOUT, **more):
        (tmp_path / "list.csv").write_text("\n".join([HEAD, *people]) + "\n", encoding="utf-8")
        whom = {"class_list": "list.csv"}
        if exceptions:
            (tmp_path / "exceptions.csv").write_text(f"kind;source;target\n{exceptions}", encoding="utf-8")
            whom["exceptions"] = "exceptions.csv"
        if accounts:
            (tmp_path / "accounts.csv").write_text(f"number;username\n{accounts}", encoding="utf-8")
            whom["accounts"] = "accounts.csv"
        content = {
            "from": source,
            "to": {"url": "https://files.school.example", "passwords": "passwords.csv"},
            "people": whom,
        }
        content["to"] |= more.pop("to", {})
        file = tmp_path / "migration.yml"
        file.write_text(yaml.safe_dump({**content, **more}), encoding="utf-8")
        return load(file)

    return make


def refusals(settings):
    with pytest.raises(SchoolError) as error:
        mapping.moves(settings)
    return str(error.value).splitlines()


def pairs(settings):
    return {(move.source, move.account, move.folder) for move in mapping.moves(settings)}


def test_the_class_list_is_the_mapping(settings_of):
    assert pairs(settings_of()) == {
        ("jan@old.example", "jan.jansen", ""),
        ("piet@old.example", "piet.pieters", ""),
    }
    by_username = settings_of(source={**TAKEOUT, "accounts": "{username}@old.example"})
    assert ("jan.jansen@old.example", "jan.jansen", "") in pairs(by_username)


def test_the_table_of_accounts_knows_better_than_the_rule_for_usernames(settings_of):
    """Where an older Jan Jansen has the username, the files of the new one must not go to him."""
    accounts = "1;jan.jansen2\n2;piet.pieters\n9;directeur\n"
    settings = settings_of(accounts=accounts)
    assert pairs(settings) == {
        ("jan@old.example", "jan.jansen2", ""),
        ("piet@old.example", "piet.pieters", ""),
    }
    settings = settings_of(
        accounts="1;jan.jansen2\n2;piet.pieters\n9;directeur\n", exceptions="person;d@o;directeur\n"
    )
    assert ("d@o", "directeur", "") in pairs(settings)


def test_exceptions_hold_over_the_rule(settings_of):
    settings = settings_of(exceptions="person;jan.oud@old.example;jan.jansen\nperson;piet@old.example;\n")
    assert pairs(settings) == {("jan.oud@old.example", "jan.jansen", "")}
    assert pairs(settings_of(exceptions="person;;piet.pieters\n")) == {("jan@old.example", "jan.jansen", "")}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"exceptions": "person;a@old.example;jan.jansen\nperson;b@old.example;jan.jansen\n"},
            "The files of a@old.example and of b@old.example would both go to jan.jansen",
        ),
        (
            {"accounts": "1;jan.jansen\n2;jan.jansen\n"},
            "The files of jan@old.example and of piet@old.example would both go to jan.jansen",
        ),
        (
            {"exceptions": "person;Jan@Old.example;piet.pieters\n"},
            "The files of Jan@Old.example would go to jan.jansen and to piet.pieters",
        ),
        (
            {"exceptions": "person;x@old.example;jan.janssen\n"},
            "exceptions.csv names the account jan.janssen, which nobody has",
        ),
        (
            {"accounts": "1;jan.jansen\n"},
            "Piet Pieters (number 2) is on the class list and has no account",
        ),
        (
            {"people": [PEOPLE[0], "2;Piet;Pieters;1A;leraar;"]},
            "Nothing says where the files of Piet Pieters (piet.pieters) are, because the class list has no",
        ),
        ({"exceptions": "persoon;a;jan.jansen\n"}, "exceptions.csv, line 2: write person or library"),
        ({"exceptions": "library;a;\n"}, "exceptions.csv, line 2: a library needs a source and a folder"),
        ({"exceptions": "library;a;Leraren\n"}, "Nobody is named who writes the shared folder Leraren"),
        (
            {"exceptions": "library;a;Leraren\nlibrary;b;leraren\n", "to": {"libraries": "schoolstack"}},
            "a and b would both go to the folder leraren",
        ),
        (
            {"exceptions": "library;a;L/R\nlibrary;b;L R\n", "to": {"libraries": "schoolstack"}},
            "a and b would both go to the folder L R",
        ),
        (
            {"exceptions": "library;a;Leraren\n", "to": {"libraries": "schoolstack"}, "source": GOOGLE},
            "Nobody is named who may read the shared drive for Leraren",
        ),
        (
            {"exceptions": "person;;jan.jansen\nperson;;piet.pieters\n"},
            "No files would be brought",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(settings_of, given, sentence):
    found = refusals(settings_of(**given))
    assert len(found) == 1
    assert found[0].startswith(sentence)


def test_every_reason_is_told_at_once(settings_of):
    wrong = "person;jan@old.example;piet.pieters\nperson;x;nobody\nlibrary;a;b\n"
    settings = settings_of(exceptions=wrong)
    assert len(refusals(settings)) == 3


# -- settings --


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"source": {"kind": "dropbox"}},
            "from.kind: this cannot be; what can be is microsoft, google, takeout",
        ),
        ({"source": {"kind": "google"}}, "from: key is missing"),
        ({"limits": {"bandwith": "8M"}}, "limits: this cannot be; what can be is at_once, bandwidth"),
        ({"limits": {"hours": "19-7"}}, "limits.hours: this cannot be"),
        ({"conflict": "overwrite"}, "conflict: this cannot be; what can be is keep, both, replace"),
        (
            {"to": {"url": "http://files.school.example"}},
            "would send passwords and files in the open: write https",
        ),
        ({"to": {"url": "https://jan:pw@files.school.example"}}, "to.url: this cannot be"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings_of, given, sentence):
    with pytest.raises(SchoolError) as error:
        settings_of(**given)
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "written",
    [{"client_secret": "Qx8~very-secret"}, {"secret": ["Qx8~very-secret"]}, {"tenant": "Qx8~very-secret"}],
)
def test_a_secret_written_into_the_settings_is_not_repeated(settings_of, written):
    with pytest.raises(SchoolError) as error:
        settings_of(source={**MICROSOFT, **written})
    assert "very-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("secret", lambda settings: source_of(settings, None)),
        ("passwords.csv", lambda settings: Target(settings, None).remote(mapping.moves(settings)[0])),
    ],
)
def test_a_secret_that_others_can_read_is_refused(settings_of, tmp_path, name, ask):
    settings = settings_of(source=MICROSOFT)
    with pytest.raises(SchoolError, match="There is no file"):
        ask(settings)
    (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / name).chmod(0o640)
    with pytest.raises(SchoolError, match="Others can read"):
        ask(settings)


def test_an_empty_secret_is_refused(settings_of, tmp_path):
    (tmp_path / "secret").touch(0o600)
    with pytest.raises(SchoolError, match="is empty"):
        source_of(settings_of(source=MICROSOFT), None)


@pytest.mark.parametrize(
    ("hours", "now", "seconds"),
    [
        ("", "12:00", 0),
        ("19:00-07:00", "18:59", 60),
        ("19:00-07:00", "19:00", 0),
        ("19:00-07:00", "03:00", 0),
        ("19:00-07:00", "07:00", 12 * 3600),
        ("12:00-13:00", "13:30", 22.5 * 3600),
        ("12:00-13:00", "12:59", 0),
    ],
)
def test_the_hours_in_which_files_are_sent(hours, now, seconds):
    moment = datetime.datetime.combine(datetime.date(2026, 11, 27), datetime.time.fromisoformat(now))
    assert Limits(hours=hours).until_open(moment) == seconds


# -- rclone --


def program(tmp_path, text):
    path = tmp_path / "rclone"
    path.write_text(f"#!/bin/sh\necho '{text}'\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_an_rclone_that_is_too_old_or_none_is_told(tmp_path):
    debian = Rclone(program(tmp_path, "rclone v1.60.1-DEV"))
    assert debian.version == (1, 60)
    debian.require(OLDEST, "school migrate")
    with pytest.raises(SchoolError, match=r"is version 1\.60, and Microsoft 365 needs 1\.69 or newer"):
        debian.require(NEEDED, "Microsoft 365")
    Rclone(program(tmp_path, "rclone v1.100.0")).require(NEEDED, "Microsoft 365")
    for wrong in (str(tmp_path / "none"), program(tmp_path, "something else")):
        with pytest.raises(SchoolError, match="There is no rclone"):
            Rclone(wrong)


def test_what_needs_a_new_rclone_says_so(settings_of, tmp_path):
    assert Target(settings_of(), None).needed == NEEDED
    assert (
        Target(settings_of(to={"kind": "webdav", "url": "https://dav.school.example"}), None).needed == OLDEST
    )
    assert Microsoft.needed == Google.needed == NEEDED


def test_rclone_is_asked_for_nothing_that_changes_a_source():
    session = Session.__new__(Session)
    for method in ("sync/sync", "operations/movefile", "operations/deletefile", "operations/purge"):
        with pytest.raises(ValueError, match="not one of what this program asks"):
            session.call(method)


def test_addresses_are_told_without_their_keys():
    said = str(RcloneError('Get "https://x.sharepoint.example/a?tempauth=eyJ0&b=c": EOF'))
    assert said == 'Get "https://x.sharepoint.example/a": EOF'


@pytest.mark.parametrize(
    ("said", "which"),
    [
        ("unchunked simple update failed: Insufficient Storage: 507 Insufficient Storage", "is_full"),
        ("couldn't list files: 401 Unauthorized", "is_denied"),
        ('oauth2: cannot fetch token: 401 Response: {"error":"unauthorized_client"}', "is_denied"),
        ("directory not found", "is_missing"),
    ],
)
def test_what_rclone_says_is_understood(said, which):
    found = {name for name in ("is_full", "is_denied", "is_missing") if getattr(RcloneError(said), name)}
    assert found == {which}


# -- names, steps, journal --


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("verslag.docx", "verslag.docx"),
        ("film.PART", "film.PART_"),
        (".HTAccess", ".HTAccess_"),
        ("a\\b", "a_b"),
        ("a\x01b", "a_b"),
        (" ", "_"),
        (". ", "_."),
        ("con.txt", "con.txt"),
    ],
)
def test_names_that_nextcloud_refuses(name, better):
    assert names.acceptable(name) == better
    assert names.nextcloud_refuses(name) is (name != better)
    assert not names.nextcloud_refuses(better)


def test_long_names_that_begin_alike_stay_two():
    one, two = (names.acceptable("é" * 200 + end + ".docx") for end in ("a", "b"))
    assert one != two
    for name in (one, two):
        assert len(name.encode()) <= 250
        assert name.endswith(".docx")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a/b.txt", ""),
        ("a:b/c.txt", "windows_name"),
        ("map /c.txt", "windows_name"),
        ("punt./c.txt", "windows_name"),
        ("a/NUL.txt", "windows_name"),
        ("a/lpt1", "windows_name"),
        ("a/console.txt", ""),
        ("x" * 201, "windows_path"),
    ],
)
def test_names_that_windows_refuses(path, reason):
    assert names.windows_refuses(path) == reason


def item(path, size=1, **more):
    return Item(path, size, **more)


def todo(source, target=(), notes=None, biggest=100):
    return {one.item.path: (one.do, one.reason) for one in decide.steps(source, target, notes or {}, biggest)}


def test_what_is_done_with_a_file():
    native = item("f", -1, kind="application/vnd.google-apps.form")
    assert todo([item("a"), item("big", 101), native, item("doc.docx", -1)]) == {
        "a": ("send", ""),
        "big": ("skip", "too_big"),
        "f": ("skip", "native"),
        "doc.docx": ("send", ""),
    }
    assert todo(
        [item("a"), item("b"), item("doc.docx", -1)], [item("a", 2), item("b"), item("doc.docx", 9)]
    ) == {
        "a": ("skip", "conflict"),
        "b": ("compare", ""),
        "doc.docx": ("skip", "conflict"),
    }
    # A folder at the target where the source has a file.
    assert todo([item("a")], [item("a", -1, folder=True)]) == {"a": ("skip", "conflict")}


def test_two_files_on_one_path_are_told():
    """Google has files of one name in one folder; and letters can be written in two ways."""
    source = [item("a"), item("a"), item("caf\u00e9"), item("cafe\u0301"), item("x\\y"), item("x_y")]
    found = [(one.item.path, one.do, one.reason) for one in decide.steps(source, [], {}, 100)]
    assert [(path, do) for path, do, reason in found if reason == "duplicate"] == [
        ("a", "skip"),
        ("caf\u00e9", "skip"),
        ("x_y", "skip"),
    ]


def test_a_hash_is_believed_where_a_path_means_one_file():
    source = [
        item("a", hash="1"),
        item("a", hash="2"),
        item("b", hash="3"),
        item("c"),
        item("d", -1, folder=True),
    ]
    assert decide.stated(source) == {"b": "3"}


def test_a_path_longer_than_nextcloud_keeps_is_told():
    path = "/".join(["m" * 240] * 17)
    assert todo([item(path)]) == {path: ("skip", "long_path")}


def test_letters_written_in_two_ways_are_the_same_file():
    assert todo([item("cafe\u0301.txt")], [item("caf\u00e9.txt", 2)]) == {
        "cafe\u0301.txt": ("skip", "conflict")
    }


def test_the_journal_loses_at_most_the_line_that_was_being_written(tmp_path):
    path = tmp_path / "journal" / "jan.jsonl"
    with Journal(path) as journal:
        journal.note("a", "sending", to="a", size=1)
        journal.note("a", "sent", to="a", size=1)
        journal.note("b", "sending", to="b", size=2)
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with Journal(path) as journal:
            lines = whole[:cut].count(b"\n")
            assert [len(journal.notes), journal.notes.get("a", {}).get("state")] == [
                [0, None],
                [1, "sending"],
                [1, "sent"],
                [2, "sent"],
            ][lines]
            journal.note("c", "sent", to="c", size=3)
        assert Journal(path).notes["c"]["size"] == 3
        assert all(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def test_a_file_is_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "receipts" / "jan.json"
    write(path, "old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("no space left on device")))
    with pytest.raises(OSError, match="no space"):
        write(path, "new, and longer")
    assert path.read_text(encoding="utf-8") == "old"
