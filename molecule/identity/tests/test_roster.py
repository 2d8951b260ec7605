"""The class list on the real sign-in server: moves, leavers, returns, and what it must leave alone.

A list of its own name, with its own few people, so that the demo school's stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError
from schoolstack.roster import sheets

HEADER = "id;voornaam;achternaam;klas;rol\n"
NOOR = "t1;Noor;Toetsing;T1;\n"
ZOE = "t2;Zoë;Toetsing;T1;\n"
JEF = "t3;Jef;Toetsing;T2;\n"
HAND = "t4;Hand;Toetsing;T1;\n"
# Enough who stay that one leaver is no mass leave.
OTHERS = "".join(f"t{number};Kind;Toetsing;T2;\n" for number in range(10, 21))

# Asks the sign-in server on its own host, as the class list does.
ASK = """
import http.client, json, sys, urllib.parse
server = http.client.HTTPConnection("127.0.0.1", 8080)
form = {"grant_type": "client_credentials", "client_id": "schoolstack"}
form["client_secret"] = open("/etc/keycloak/automation.secret").read().strip()
kind = {"Content-Type": "application/x-www-form-urlencoded"}
server.request("POST", "/realms/master/protocol/openid-connect/token", urllib.parse.urlencode(form), kind)
token = json.load(server.getresponse())["access_token"]
headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
method, path, body = json.load(sys.stdin)
server.request(method, "/admin/realms/school" + path, body and json.dumps(body), headers)
print(server.getresponse().read().decode())
"""


class Realm:
    """The school's realm on the server, and a class list that is brought into it."""

    def __init__(self, host: Host, school: Deployment, folder: Path) -> None:
        self.host = host
        self.school = school
        self.list = folder / "list.csv"
        self.sheets = folder / "sheets"

    def sync(self, text: str, **variables: Any) -> int:
        """Bring a list in; return how many things changed."""
        self.list.write_text(HEADER + text, encoding="utf-8")
        return self.play(roster_source=str(self.list), **variables)

    def play(self, **variables: Any) -> int:
        own = {"roster_list": "test", "roster_apply": True, "roster_sheets_dir": str(self.sheets)}
        return self.school.play("roster", **(own | variables)).changed

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        question = json.dumps([method, path, body])
        answer = self.host.run("printf %s %s | python3 -c %s", "%s", question, ASK)
        assert answer.rc == 0, answer.stderr
        return json.loads(answer.stdout) if answer.stdout.strip() else None

    def user(self, username: str) -> dict[str, Any]:
        (found,) = self.ask("GET", f"/users?username={username}&exact=true")
        found["groups"] = sorted(group["path"] for group in self.ask("GET", f"/users/{found['id']}/groups"))
        return dict(found)


@pytest.fixture(scope="module")
def realm(host: Host, school: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    realm = Realm(host, school, tmp_path_factory.mktemp("roster"))
    realm.ask("POST", "/users", {"username": "hand.toetsing", "enabled": True, "firstName": "Hand"})
    realm.sync(NOOR + ZOE + JEF + OTHERS)
    yield realm
    for user in realm.ask("GET", "/users?search=toetsing&max=100"):
        realm.ask("DELETE", f"/users/{user['id']}")
    for group in realm.ask("GET", "/groups?search=T&populateHierarchy=true"):
        for child in group.get("subGroups", []):
            if child["name"] in ("T1", "T2"):
                realm.ask("DELETE", f"/groups/{child['id']}")


def test_a_second_run_changes_nothing(realm: Realm) -> None:
    assert realm.sync(NOOR + ZOE + JEF + OTHERS) == 0


def test_people_get_their_class_their_role_and_their_number_as_attribute(realm: Realm) -> None:
    noor = realm.user("noor.toetsing")
    assert noor["groups"] == ["/class/T1", "/role/pupil"]
    assert noor["attributes"]["roster_id"] == ["t1"]
    assert noor["requiredActions"] == ["UPDATE_PASSWORD"]


def test_applications_are_told_classes_and_roles_in_one_claim(realm: Realm) -> None:
    (client,) = realm.ask("GET", "/clients?clientId=portal")
    user = realm.user("noor.toetsing")["id"]
    for token in ("id-token", "access-token", "userinfo"):
        path = f"/clients/{client['id']}/evaluate-scopes/generate-example-{token}?scope=openid&userId={user}"
        assert sorted(realm.ask("GET", path)["school_groups"]) == ["class-T1", "role-pupil"], token


def test_everyone_is_on_an_encrypted_sheet(realm: Realm, school: Deployment) -> None:
    passwords = sheets.read(realm.sheets, school.inventory / ".vault-key")
    assert set(passwords) >= {"noor.toetsing", "zoe.toetsing", "jef.toetsing", "kind.toetsing11"}
    for path in realm.sheets.rglob("*.vault"):
        assert path.read_bytes().startswith(b"$ANSIBLE_VAULT")


def test_doubles_are_numbered_by_their_number_in_the_administration(realm: Realm) -> None:
    assert realm.user("kind.toetsing")["attributes"]["roster_id"] == ["t10"]
    assert realm.user("kind.toetsing11")["attributes"]["roster_id"] == ["t20"]


def test_a_plan_changes_nothing(realm: Realm) -> None:
    assert realm.sync(NOOR.replace("T1", "T2") + ZOE + JEF + OTHERS, roster_apply=False) == 0
    assert realm.user("noor.toetsing")["groups"] == ["/class/T1", "/role/pupil"]


def test_a_move_to_another_class(realm: Realm) -> None:
    assert realm.sync(NOOR.replace("T1", "T2") + ZOE + JEF + OTHERS) == 1
    assert realm.user("noor.toetsing")["groups"] == ["/class/T2", "/role/pupil"]


def test_a_leaver_is_disabled_and_comes_back_as_the_same(realm: Realm) -> None:
    before = realm.user("jef.toetsing")
    realm.sync(NOOR + ZOE + OTHERS)
    left = realm.user("jef.toetsing")
    assert not left["enabled"]
    assert left["attributes"]["leaving_since"]
    assert left["groups"] == ["/role/pupil"]
    realm.sync(NOOR + ZOE + JEF + OTHERS)
    assert realm.user("jef.toetsing") == before


def test_half_a_file_is_not_believed(realm: Realm) -> None:
    with pytest.raises(SchoolError):
        realm.sync(NOOR + ZOE + JEF)
    assert realm.user("kind.toetsing")["enabled"]


def test_a_bad_list_changes_nothing(realm: Realm) -> None:
    with pytest.raises(SchoolError):
        realm.sync(NOOR.replace("T1", "T2") + NOOR)
    assert realm.user("noor.toetsing")["groups"] == ["/class/T1", "/role/pupil"]


def test_accounts_made_by_hand_and_other_lists_are_left_alone(realm: Realm) -> None:
    by_hand = realm.user("hand.toetsing")
    others = realm.ask("GET", "/users?q=roster_source:school&max=1000&briefRepresentation=false")
    assert others
    realm.sync(NOOR + ZOE + JEF + OTHERS + HAND)
    assert realm.user("hand.toetsing") == by_hand
    assert realm.user("hand.toetsing2")["attributes"]["roster_id"] == ["t4"]
    assert realm.ask("GET", "/users?q=roster_source:school&max=1000&briefRepresentation=false") == others


def test_leavers_are_deleted_only_in_a_step_of_its_own(realm: Realm) -> None:
    realm.sync(NOOR + ZOE + OTHERS + HAND)
    assert realm.play(roster_delete_leavers=True) == 0
    assert realm.user("jef.toetsing")
    assert realm.play(roster_delete_leavers=True, roster_keep_days=0, roster_apply=False) == 0
    assert realm.user("jef.toetsing")
    assert realm.play(roster_delete_leavers=True, roster_keep_days=0) == 1
    assert not realm.ask("GET", "/users?username=jef.toetsing&exact=true")


def test_no_name_and_no_password_stays_in_the_servers_journal(
    realm: Realm, host: Host, school: Deployment
) -> None:
    journal = host.run("journalctl --no-pager -o cat").stdout
    assert "toetsing" not in journal.lower()
    for password in sheets.read(realm.sheets, school.inventory / ".vault-key").values():
        assert password not in journal
