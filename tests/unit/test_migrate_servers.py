"""App passwords come from Nextcloud's own command, through Ansible itself, and go again.

The command is a stand-in that prints what Nextcloud's does (nextcloud/server, core/Command/User/AuthTokens).
"""

from __future__ import annotations

import json
import stat
import sys

import pytest
import yaml
from migrating import JAN, LIBRARIAN, PIET, School

from schoolstack.cli import main
from schoolstack.errors import SchoolError
from schoolstack.migrate import servers
from schoolstack.migrate.settings import load

OCC = """#!{python}
import fcntl, json, sys
from pathlib import Path
state = Path({state!r})
lock = state.with_name("lock").open("w")
fcntl.flock(lock, fcntl.LOCK_EX)
tokens = json.loads(state.read_text())
assert sys.argv[1] == "--no-interaction", "it would wait for somebody to type a password"
command, words = sys.argv[2], sys.argv[3:]
user = words[-1] if command != "user:auth-tokens:delete" else words[0]
if user == "an.ziek":
    print("An unhandled exception has been thrown")
    sys.exit(255)
if user not in tokens:
    print("Account does not exist")
    sys.exit(1)
if command == "user:auth-tokens:add":
    number = 1 + max([0, *(one["id"] for mine in tokens.values() for one in mine)])
    tokens[user].append({{"id": number, "name": "cli"}})
    print("No password provided. The generated app password will therefore have limited capabilities.")
    print("app password:")
    print(f"token-{{number}}-of-{{user}}")
elif command == "user:auth-tokens:list":
    print(json.dumps(tokens[user]))
elif command == "user:auth-tokens:delete":
    tokens[user] = [one for one in tokens[user] if one["id"] != int(words[1])]
state.write_text(json.dumps(tokens))
"""


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


@pytest.fixture
def nextcloud(tmp_path):
    """A server with Nextcloud's command, which is this machine."""
    state, occ = tmp_path / "tokens.json", tmp_path / "occ"
    phone = [{"id": 7, "name": "Jan's phone"}]
    state.write_text(json.dumps({JAN: phone, PIET: [], LIBRARIAN: []}), encoding="utf-8")
    occ.write_text(OCC.format(python=sys.executable, state=str(state)), encoding="utf-8")
    occ.chmod(0o755)
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become": False,
        "migrate_occ": str(occ),
    }
    inventory = tmp_path / "inventory"
    inventory.mkdir()
    hosts = {"nextcloud": {"hosts": {"server": host}}}
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    return state, inventory


def test_app_passwords_are_made_without_anybodys_password_and_taken_back(tmp_path, nextcloud, capfd):
    state, inventory = nextcloud
    school = School(tmp_path / "school", type("NoDav", (), {"port": 1})())
    file = school.folder / "passwords.csv"
    file.unlink()
    school.settings["to"]["libraries"] = LIBRARIAN
    (school.folder / "class-list.csv").write_text(
        "id;voornaam;achternaam;email\n1;Jan;Jansen;jan@old.example\n", encoding="utf-8"
    )
    words = [str(school.file), "-i", str(inventory)]
    assert main(["migrate", "passwords", *words]) == 0
    assert file.read_text(encoding="utf-8") == f"username;password;number\n{JAN};token-8-of-{JAN};8\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # Who has one gets no second.
    school.except_for("library;team;Leraren\n")
    assert main(["migrate", "passwords", str(school.file), "-i", str(inventory)]) == 0
    tokens = json.loads(state.read_text(encoding="utf-8"))
    assert {name: [one["id"] for one in mine] for name, mine in tokens.items()} == {
        JAN: [7, 8],
        PIET: [],
        LIBRARIAN: [9],
    }
    assert main(["migrate", "back", *words]) == 0
    assert not file.exists()
    # Only what was made for this goes.
    assert json.loads(state.read_text(encoding="utf-8")) == {
        JAN: [{"id": 7, "name": "Jan's phone"}],
        PIET: [],
        LIBRARIAN: [],
    }
    said = capfd.readouterr()
    assert "token-" not in said.out + said.err
    assert "App passwords taken back: 2." in said.out


def test_somebody_whom_nextcloud_does_not_know_is_told(tmp_path, nextcloud):
    state, inventory = nextcloud
    state.write_text(json.dumps({JAN: [], PIET: []}), encoding="utf-8")
    school = School(tmp_path / "school", type("NoDav", (), {"port": 1})())
    passwords = f"username;password;number\n{JAN};a;1\n"
    file = school.secret("passwords.csv", passwords)
    people = ["1;Jan;Jansen;j@old.example", "2;An;Nieuw;n@old.example", "3;An;Ziek;z@old.example"]
    people = ["id;voornaam;achternaam;email", *people, "4;Piet;Pieters;p@old.example"]
    (school.folder / "class-list.csv").write_text("\n".join(people), encoding="utf-8")
    with pytest.raises(SchoolError) as error:
        servers.make_passwords(load(school.file), [inventory])
    first, second = str(error.value).splitlines()
    assert first.startswith("Nextcloud does not know an.nieuw")
    assert second.endswith("An unhandled exception has been thrown")
    # What was made is kept, so that it can be taken back.
    assert file.read_text(encoding="utf-8") == f"{passwords}{PIET};token-1-of-{PIET};1\n"


def test_the_table_of_accounts_is_what_keycloak_has(tmp_path, monkeypatch):
    school = School(tmp_path / "school", type("NoDav", (), {"port": 1})())
    with pytest.raises(SchoolError, match="names no table of accounts"):
        servers.write_accounts(load(school.file), [])
    users = [
        {
            "username": "jan.jansen2",
            "email": "jan@school.example",
            "attributes": {"roster_id": ["1"], "roster_source": ["main"]},
        },
        {"username": "other.list", "attributes": {"roster_id": ["1"], "roster_source": ["staff"]}},
        {"username": "by.hand"},
    ]
    asked = []

    def answers(*words):
        asked.append(words)
        return {"list": "main", "users": users}

    monkeypatch.setattr(servers, "answers", answers)
    school.settings["people"]["accounts"] = "accounts.csv"
    assert servers.write_accounts(load(school.file), ["inventory"]) == 1
    assert asked == [("migrate", ["inventory"], {"migrate_do": "accounts"})]
    file = school.folder / "accounts.csv"
    assert file.read_text(encoding="utf-8") == "number;username;email\n1;jan.jansen2;jan@school.example\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
