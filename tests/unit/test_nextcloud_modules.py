"""How modules speak with Nextcloud: on a server that remembers it, and on the stand-in where there is PHP."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from ansible.module_utils.nextcloud_api import Connections, Nextcloud, NextcloudError, parse
from plugin import load

from schoolstack.classfolders.model import Person, State, Wishes
from schoolstack.classfolders.plan import make_plan

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "src/schoolstack/stand_ins/nextcloud"
PHP = next((found for name in ("php8.4", "php8.3", "php8.2", "php") if (found := shutil.which(name))), "")


class Answers(http.server.BaseHTTPRequestHandler):
    """Knows one account, keeps sessions, and answers as it is told to."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str, bool]]] = []
    answers: ClassVar[dict[str, tuple[int, str]]] = {}
    ended: ClassVar[set[str]] = set()

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        path = self.path.partition("?")[0]
        session = (self.headers.get("Cookie") or "").removeprefix("session=")
        self.asked.append((self.command, path, bool(session)))
        proof = b64encode(b"schoolstack:right").decode()
        if session in self.ended or self.headers["Authorization"] != f"Basic {proof}":
            self.say(401, json.dumps({"ocs": {"meta": {"statuscode": 997, "message": "no"}, "data": []}}))
            return
        self.say(*self.answers[path])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def say(self, status: int, content: str) -> None:
        data = content.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Set-Cookie", f"session=s{len(self.asked)}; path=/; HttpOnly")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def good(data: Any, code: int = 200) -> tuple[int, str]:
    return 200, json.dumps({"ocs": {"meta": {"statuscode": code, "message": "says"}, "data": data}})


@pytest.fixture
def nextcloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Nextcloud]:
    for name, empty in (("asked", []), ("answers", {}), ("ended", set())):
        monkeypatch.setattr(Answers, name, empty)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "admin").write_text("right\n", encoding="utf-8")
    url = f"http://127.0.0.1:{server.server_port}"
    yield Nextcloud.from_options(
        {"url": url, "account": "schoolstack", "password_file": str(tmp_path / "admin")}
    )
    server.shutdown()


def test_the_session_of_the_first_answer_is_kept(nextcloud: Nextcloud) -> None:
    Answers.answers["/ocs/v2.php/cloud/user"] = good({"id": "schoolstack"})
    assert nextcloud.ocs("GET", "/cloud/user") == {"id": "schoolstack"}
    nextcloud.ocs("GET", "/cloud/user")
    assert [session for _, _, session in Answers.asked] == [False, True]


def test_a_session_that_ended_is_begun_anew_once(nextcloud: Nextcloud) -> None:
    Answers.answers["/ocs/v2.php/cloud/user"] = good({})
    nextcloud.ocs("GET", "/cloud/user")
    Answers.ended.add("s1")
    nextcloud.ocs("GET", "/cloud/user")
    assert [session for _, _, session in Answers.asked] == [False, True, False]
    nextcloud._proof = "wrong"
    with pytest.raises(NextcloudError) as refused:
        nextcloud.ocs("GET", "/cloud/user")
    assert refused.value.status == 997
    assert len(Answers.asked) == 5


def test_a_session_is_begun_anew_before_nextcloud_asks_for_the_password(nextcloud: Nextcloud) -> None:
    Answers.answers["/ocs/v2.php/cloud/user"] = good({})
    for _ in range(2):
        nextcloud.ocs("GET", "/cloud/user")
    nextcloud._begun -= 1201
    for _ in range(2):
        nextcloud.ocs("GET", "/cloud/user")
    assert [session for _, _, session in Answers.asked] == [False, True, False, True]


class Notes:
    """Notes what a folder is given, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def folders(self, method: str, *path: Any, body: Any = None) -> dict[str, int]:
        self.done.append(" ".join(map(str, [method, *path, *(body or {}).values()])))
        return {"id": 4}

    def make_folder(self, path: str) -> None:
        self.done.append(f"make {path}")

    def give_rules(self, path: str, rules: list[dict[str, Any]]) -> None:
        self.done.append(f"rules {path} {len(rules)}")


def roster_class() -> Any:
    return load("modules/nextcloud_roster.py").Roster


def test_a_class_is_let_in_when_its_folder_has_its_permissions() -> None:
    people = [person("noor", "3A"), person("els", "3A", "teacher")]
    (work, _) = make_plan(people, State({}, frozenset(), ()), WISHES).operations(1)[-1]
    notes = Notes()
    roster_class().__new__(roster_class())._step(notes, work)
    assert notes.done == [
        "POST Klas 3A True",
        "POST 4 acl True",
        "POST 4 quota 1073741824",
        "POST 4 groups schoolstack",
        "POST 4 groups schoolstack 31",
        "POST 4 groups archive-2026-2027-3A",
        "POST 4 groups archive-2026-2027-3A 1",
        "rules Klas 3A 4",
        "make Klas 3A/Inleveren",
        "rules Klas 3A/Inleveren 3",
        "make Klas 3A/Inleveren/noor",
        "rules Klas 3A/Inleveren/noor 4",
        "POST 4 groups class-3A",
        "POST 4 groups class-3A 31",
    ]


def test_an_archived_folder_is_left_to_readers_before_it_goes() -> None:
    notes = Notes()
    archive = {"id": 7, "reads": ["archive-x", "guests"], "leaves": ["class-3A"], "path": "2026-2027/Klas 3A"}
    roster_class().__new__(roster_class())._step(notes, [["archive", archive]])
    assert notes.done == [
        "POST 7 groups archive-x 1",
        "POST 7 groups guests 1",
        "DELETE 7 groups class-3A",
        "POST 7 mountpoint 2026-2027/Klas 3A",
    ]


def test_what_an_application_refuses_with_a_good_status_is_refused(nextcloud: Nextcloud) -> None:
    Answers.answers["/index.php/apps/groupfolders/folders/7/groups/class-3A%20b"] = good([], 404)
    with pytest.raises(NextcloudError, match="says") as refused:
        nextcloud.folders("POST", 7, "groups", "class-3A b", body={"permissions": 1})
    assert refused.value.status == 404


def test_maintenance_is_told_in_one_sentence(nextcloud: Nextcloud) -> None:
    Answers.answers["/ocs/v2.php/cloud/user"] = (503, "maintenance")
    with pytest.raises(NextcloudError, match="is in maintenance"):
        nextcloud.ocs("GET", "/cloud/user")


def test_what_is_no_answer_of_nextcloud_is_told(nextcloud: Nextcloud) -> None:
    Answers.answers["/ocs/v2.php/cloud/user"] = (502, "<html>Bad Gateway")
    with pytest.raises(NextcloudError, match="502"):
        nextcloud.ocs("GET", "/cloud/user")
    with pytest.raises(NextcloudError, match="no XML"):
        parse(b"<a")
    nextcloud._connection = http.client.HTTPConnection("127.0.0.1", 9)
    with pytest.raises(NextcloudError, match="does not answer"):
        nextcloud.ocs("GET", "/cloud/user")


def test_permissions_that_are_not_taken_are_told(nextcloud: Nextcloud) -> None:
    said = (
        "<d:multistatus xmlns:d='DAV:'><d:response><d:propstat><d:status>HTTP/1.1 {}</d:status></d:propstat>"
    )
    said += "</d:response></d:multistatus>"
    rule = {"kind": "user", "id": "a&b", "mask": 31, "permissions": 1}
    Answers.answers["/remote.php/dav/files/schoolstack/Klas%203A"] = (207, said.format("403 Forbidden"))
    with pytest.raises(NextcloudError, match="403 Forbidden"):
        nextcloud.give_rules("Klas 3A", [rule])
    Answers.answers["/remote.php/dav/files/schoolstack/Klas%203A"] = (207, said.format("200 OK"))
    nextcloud.give_rules("Klas 3A", [rule])


def test_several_connections_do_all_and_stop_at_the_first_failure(nextcloud: Nextcloud) -> None:
    connections = Connections(lambda: nextcloud, 2)
    assert connections.for_each(range(5), lambda _, number: number * 2) == [0, 2, 4, 6, 8]
    done = []

    def work(_: Nextcloud, number: int) -> None:
        if number == 0:
            raise NextcloudError("first")
        time.sleep(0.01)
        done.append(number)

    with pytest.raises(NextcloudError, match="first"):
        connections.for_each(range(100), work)
    assert len(done) < 3


# From here on with the stand-in: PHP's own web server in front of what stands for Nextcloud.

ROUTER = """<?php
$path = (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
require __DIR__ . match (true) {
    str_starts_with($path, '/ocs/v2.php') => '/ocs/v2.php',
    str_starts_with($path, '/remote.php') => '/remote.php',
    default => '/index.php',
};
"""
# The stand-in keeps what it knows in PostgreSQL; here in a file.
KEEPS = """
const KEPT = __DIR__ . '/kept.json';

function state(): array
{
    return json_decode(file_get_contents(KEPT), true, flags: JSON_THROW_ON_ERROR);
}

function change(callable $what): mixed
{
    $lock = fopen(__DIR__ . '/lock', 'c');
    flock($lock, LOCK_EX);
    $state = state();
    $result = $what($state);
    file_put_contents(KEPT . '.new', json_encode($state, JSON_THROW_ON_ERROR));
    rename(KEPT . '.new', KEPT);
    return $result;
}
"""


class Running:
    """The stand-in, where PHP runs it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.devices = {"schoolstack": "right"}

    def occ(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run its command, and nobody is there to be asked."""
        command = [PHP, "occ", "--no-interaction", *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def options(self) -> dict[str, Any]:
        return {"url": self.url, "account": "schoolstack", "password_file": str(self.folder / "admin")}

    def state(self) -> dict[str, Any]:
        known: dict[str, Any] = json.loads((self.folder / "kept.json").read_text(encoding="utf-8"))
        return known

    def let_in(self, *users: str) -> None:
        """Give people of the sign-in a password, as devices have them."""
        for user in users:
            self.devices[user] = self.occ("user:auth-tokens:add", user).stdout.split()[-1]

    def dav(self, user: str, method: str, path: str, data: str = "", **headers: str) -> tuple[int, str]:
        """Return what WebDAV answers a person."""
        nextcloud = Nextcloud(self.url, user, self.devices[user])
        status, content = nextcloud.request(method, nextcloud.place(path), data.encode(), headers)
        nextcloud.close()
        return status, content.decode()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    assert PHP, "there is no PHP to run the stand-in: `.ci/bootstrap test` installs it"
    folder = tmp_path / "nextcloud"
    shutil.copytree(STAND_IN, folder)
    known = (folder / "stand_in.php").read_text(encoding="utf-8")
    for name in ("state", "change"):
        known = re.sub(rf"^function {name}\(.*?^}}\n", "", known, flags=re.DOTALL | re.MULTILINE)
    (folder / "stand_in.php").write_text(known + KEEPS, encoding="utf-8")
    (folder / "router.php").write_text(ROUTER, encoding="utf-8")
    (folder / "config").mkdir()
    (tmp_path / "data").mkdir()
    config = f"<?php\n$CONFIG = ['datadirectory' => '{tmp_path}/data', 'installed' => true, "
    config += "'version' => '34.0.4.0', 'trusted_domains' => ['127.0.0.1'], 'overwrite.cli.url' => ''];\n"
    (folder / "config/config.php").write_text(config, encoding="utf-8")
    version = "<?php\n$OC_Version = [34, 0, 4, 0];\n$OC_VersionString = '34.0.4';\n"
    (folder / "version.php").write_text(version, encoding="utf-8")
    (folder / "admin").write_text("right", encoding="utf-8")
    # PHP's cheapest hash: this is about nothing of passwords.
    made = subprocess.run(
        [PHP, "-r", "echo password_hash('right', PASSWORD_BCRYPT, ['cost' => 4]);"],
        check=True,
        capture_output=True,
        text=True,
    )
    account = {
        "password": made.stdout,
        "backend": "Database",
        "displayname": "x",
        "email": "",
        "quota": "none",
    }
    kept = {
        "users": {"schoolstack": account | {"enabled": True}},
        "groups": {"admin": {"displayname": "admin", "members": ["schoolstack"]}},
        "apps": {"groupfolders": {"enabled": "yes"}},
        "providers": {
            "school": {"id": 3, "identifier": "school", "secret": "s", "settings": {"uniqueUid": False}}
        },
    }
    (folder / "kept.json").write_text(json.dumps(kept), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ["-d", "opcache.enable=0", "-d", f"session.save_path={tmp_path}"]
    command = [PHP, *settings, "-S", f"127.0.0.1:{port}", "-t", str(folder), "router.php"]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=(tmp_path / "php.log").open("w"),
        env={"PHP_CLI_SERVER_WORKERS": "4", "PATH": "/usr/bin:/bin"},
        # Its workers do not end with it.
        start_new_session=True,
    ) as server:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        try:
            yield Running(f"http://127.0.0.1:{port}", folder)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
    assert "PHP Fatal" not in (tmp_path / "php.log").read_text(encoding="utf-8")
    assert "PHP Warning" not in (tmp_path / "php.log").read_text(encoding="utf-8")


OPTIONS: dict[str, Any] = {
    "school_year": "2026-2027",
    "quotas": {"pupil": "1 MB", "teacher": "2 GB"},
    "class_quota": "1 GB",
    "teachers_quota": "1 GB",
    "class_folder": "Klas {class}",
    "hand_in": "Inleveren",
    "teachers_room": "Lerarenkamer",
    "archive": "{year}/{folder}",
}
WISHES = Wishes.from_options(OPTIONS, "")


def person(username: str, classes: str, role: str = "pupil", before: str = "", **more: Any) -> Person:
    values = {"name": f"{username} x", "email": "", "enabled": True, "roles": frozenset({role})} | more
    own = frozenset(classes.split())
    return Person(username, classes=own, classes_before=frozenset(before.split()), **values)


PEOPLE = [
    person("noor", "3A", email="noor@school.example"),
    person("zoe.x", "3A"),
    person("jef", "3B C"),
    person("els", "3A 3B", "teacher"),
]


def sync(running: Running, people: list[Person], wishes: Wishes = WISHES) -> None:
    """Do what the action does: read, plan, carry out, and see that nothing is left."""
    module = load("modules/nextcloud_roster.py")
    roster = module.Roster(
        Connections(lambda: Nextcloud.from_options(running.options())), "Inleveren", "school"
    )
    found = json.loads(json.dumps(roster.read()))
    assert found["provider"] == 3
    plan = make_plan(people, State.from_nextcloud(found), wishes)
    roster.apply(json.loads(json.dumps(plan.operations(found["provider"]))))
    left = make_plan(people, State.from_nextcloud(roster.read()), wishes)
    assert left.is_empty, left


def test_people_groups_and_folders_are_made_and_a_second_run_finds_nothing(running: Running) -> None:
    sync(running, PEOPLE)
    state = running.state()
    noor = state["users"]["noor"]
    assert (noor["backend"], noor["displayname"], noor["email"], noor["quota"]) == (
        "user_oidc", "noor x", "noor@school.example", "1 MB",
    )  # fmt: skip
    assert set(state["groups"]["class-3A"]["members"]) == {"els", "noor", "zoe.x"}
    assert {one["mount_point"] for one in state["folders"].values()} == {
        "Klas 3A", "Klas 3B", "Klas C", "Lerarenkamer",
    }  # fmt: skip


def test_who_keeps_the_session_shows_the_password_once_until_it_changes(running: Running) -> None:
    kept = Nextcloud.from_options(running.options())
    stranger = Nextcloud.from_options(running.options())
    kept.ocs("GET", "/cloud/user")
    # As in Nextcloud the session counts, and the password is not looked at.
    kept._proof = stranger._proof = b64encode(b"schoolstack:wrong").decode()
    assert kept.ocs("GET", "/cloud/user")["id"] == "schoolstack"
    assert "Klas 3A" not in kept.look("", "{DAV:}resourcetype")
    for _ in range(2):
        with pytest.raises(NextcloudError) as refused:
            stranger.ocs("GET", "/cloud/user")
        assert refused.value.status == 997
    # A session is that of one account.
    sync(running, PEOPLE)
    running.let_in("noor")
    kept._proof = b64encode(b"noor:wrong").decode()
    cookies = dict(kept._cookies)
    assert kept._once("GET", "/ocs/v2.php/cloud/user", None, None)[0] == 401
    kept._proof, kept._cookies = stranger._proof, cookies
    assert kept._once("GET", "/ocs/v2.php/cloud/user", None, None)[0] == 200
    state = running.state()
    state["users"]["schoolstack"]["password"] = "another"
    (running.folder / "kept.json").write_text(json.dumps(state), encoding="utf-8")
    assert kept._once("GET", "/ocs/v2.php/cloud/user", None, None)[0] == 401


def test_its_command_tells_what_there_is_as_upstream_does(running: Running) -> None:
    assert running.occ("groupfolders:list", "--output=json").stdout == "[]\n"
    sync(running, PEOPLE)
    folders = json.loads(running.occ("groupfolders:list", "--output=json").stdout)
    assert [one["id"] for one in folders] == [1, 2, 3, 4]
    named = {one["mountPoint"]: one for one in folders}
    assert named.keys() == {"Klas 3A", "Klas 3B", "Klas C", "Lerarenkamer"}
    one = named["Klas 3A"]
    assert one.keys() == {
        "id", "quota", "acl", "acl_default_no_permission", "groups", "manage", "options", "size",
        "groups_list", "mountPoint", "rootId", "storageId",
    }  # fmt: skip
    assert one["groups_list"]["class-3A"] == one["groups"]["class-3A"]["permissions"]
    assert (one["quota"], one["acl"]) == (1 << 30, True)
    people = json.loads(running.occ("user:list", "--info", "--output=json").stdout)
    assert set(people["noor"]["groups"]) == {"class-3A", "role-pupil"}
    assert json.loads(running.occ("user:info", "noor", "--output=json").stdout) == people["noor"]
    assert json.loads(running.occ("user:list", "--limit=2", "--output=json").stdout).keys() < people.keys()
    groups = json.loads(running.occ("group:list", "--output=json").stdout)
    assert set(groups["class-3A"]) == {"els", "noor", "zoe.x"}


def test_a_password_for_a_device_opens_its_owners_files_and_no_others(running: Running) -> None:
    sync(running, PEOPLE)
    said = running.occ("user:auth-tokens:add", "noor").stdout.splitlines()
    assert said[0].startswith("No password provided.")
    assert said[1] == "app password:"
    assert re.fullmatch("[A-Za-z0-9]{72}", said[2])
    with_password = running.occ("user:auth-tokens:add", "--password-from-env", "noor", NC_PASS="hers")
    assert with_password.stdout.splitlines()[0] == "app password:"
    running.devices["noor"] = said[2]
    assert running.dav("noor", "PROPFIND", "")[0] == 207
    running.devices["els"] = said[2]
    assert running.dav("els", "PROPFIND", "")[0] == 401
    assert said[2] not in (running.folder / "kept.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("user:auth-tokens:add", "nobody"), "Account does not exist"),
        (("user:auth-tokens:add", "--password-from-env", "schoolstack"), "NC_PASS/OC_PASS is empty!"),
        (("user:auth-tokens:add", "--name=x", "schoolstack"), 'The "--name" option does not exist.'),
        (("user:auth-tokens:add",), "Not enough arguments"),
        (("groupfolders:list", "--all"), 'The "--all" option does not exist.'),
        (("user:list", "--info=1"), 'The "--info" option does not accept a value.'),
        (("user:tokens",), 'Command "user:tokens" is not defined.'),
    ],
)
def test_its_command_refuses_what_upstream_does_not_have(
    running: Running, words: tuple[str, ...], says: str
) -> None:
    done = running.occ(*words)
    assert done.returncode == 1
    assert says in done.stderr


def test_pupils_hand_in_and_read_nobody_elses(running: Running) -> None:
    sync(running, PEOPLE)
    running.let_in("noor", "zoe.x", "jef", "els")
    assert running.dav("noor", "PUT", "Klas 3A/Inleveren/noor/taak.odt", "mine")[0] == 201
    assert running.dav("noor", "GET", "Klas 3A/Inleveren/noor/taak.odt") == (200, "mine")
    # Her own again, better.
    assert running.dav("noor", "PUT", "Klas 3A/Inleveren/noor/taak.odt", "better")[0] == 204
    status, seen = running.dav("noor", "PROPFIND", "Klas 3A/Inleveren", Depth="1")
    assert status == 207
    assert "noor/" in seen
    assert "zoe.x" not in seen
    for method, path in (
        ("GET", "Klas 3A/Inleveren/noor/taak.odt"),
        ("PROPFIND", "Klas 3A/Inleveren/noor"),
        ("DELETE", "Klas 3A/Inleveren/noor/taak.odt"),
    ):
        assert running.dav("zoe.x", method, path)[0] == 404, (method, path)
    for path in ("Klas 3A/Inleveren/noor/x", "Klas 3A/Inleveren/x"):
        assert running.dav("zoe.x", "PUT", path, "x")[0] in (403, 409), path
    assert running.dav("zoe.x", "MKCOL", "Klas 3A/Inleveren/other")[0] == 403
    # What was handed in stays handed in, until the teacher takes it away.
    assert running.dav("noor", "DELETE", "Klas 3A/Inleveren/noor/taak.odt")[0] == 403
    # Nor does anybody get at it by giving themselves permissions.
    body = "<d:propertyupdate xmlns:d='DAV:' xmlns:nc='http://nextcloud.org/ns'><d:set><d:prop><nc:acl-list/></d:prop></d:set></d:propertyupdate>"
    assert "403 Forbidden" in running.dav("zoe.x", "PROPPATCH", "Klas 3A/Inleveren", body)[1]
    assert running.dav("els", "GET", "Klas 3A/Inleveren/noor/taak.odt") == (200, "better")
    assert running.dav("els", "DELETE", "Klas 3A/Inleveren/noor/taak.odt")[0] == 204
    assert running.dav("jef", "PROPFIND", "Klas 3A")[0] == 404


def test_pupils_work_in_the_folder_of_their_class_and_cannot_empty_it(running: Running) -> None:
    sync(running, PEOPLE)
    running.let_in("noor", "zoe.x", "els")
    assert running.dav("noor", "MKCOL", "Klas 3A/Project")[0] == 201
    assert running.dav("noor", "PUT", "Klas 3A/Project/a.odt", "a")[0] == 201
    assert running.dav("zoe.x", "PUT", "Klas 3A/Project/a.odt", "b")[0] == 204
    assert running.dav("zoe.x", "DELETE", "Klas 3A/Project/a.odt")[0] == 403
    where = f"{running.url}/remote.php/dav/files/zoe.x/mine.odt"
    assert running.dav("zoe.x", "MOVE", "Klas 3A/Project/a.odt", Destination=where)[0] == 403
    assert running.dav("els", "DELETE", "Klas 3A/Project")[0] == 204
    assert running.dav("els", "PROPFIND", "Lerarenkamer")[0] == 207
    assert running.dav("noor", "PROPFIND", "Lerarenkamer")[0] == 404
    # A quota of one's own.
    assert running.dav("noor", "PUT", "big", "x" * (1 << 20))[0] == 201
    assert running.dav("noor", "PUT", "one-more", "x")[0] == 507


def test_in_september_last_years_folder_can_only_be_read_by_those_who_were_there(running: Running) -> None:
    sync(running, PEOPLE)
    running.let_in("noor", "zoe.x", "jef", "els")
    running.dav("noor", "PUT", "Klas 3A/Inleveren/noor/taak.odt", "mine")
    running.dav("els", "PUT", "Klas 3A/les.odt", "lesson")
    september = [
        person("noor", "4A", before="3A"),
        person("zoe.x", "4A", before="3A"),
        person("jef", "3A", before="3B C"),
        person("els", "3A 4A", "teacher", before="3A 3B"),
    ]
    later = Wishes.from_options(OPTIONS | {"school_year": "2027-2028"}, "")
    sync(running, september, later)
    old = "2026-2027/Klas 3A"
    assert running.dav("noor", "GET", f"{old}/les.odt") == (200, "lesson")
    assert running.dav("noor", "GET", f"{old}/Inleveren/noor/taak.odt") == (200, "mine")
    assert running.dav("zoe.x", "GET", f"{old}/Inleveren/noor/taak.odt")[0] == 404
    assert running.dav("els", "GET", f"{old}/Inleveren/noor/taak.odt") == (200, "mine")
    for user, method in (("noor", "PUT"), ("els", "PUT"), ("els", "DELETE")):
        assert running.dav(user, method, f"{old}/les.odt", "x")[0] == 403, (user, method)
    assert running.dav("jef", "GET", f"{old}/les.odt")[0] == 404
    status, seen = running.dav("jef", "PROPFIND", "Klas 3A", Depth="1")
    assert status == 207
    assert "les.odt" not in seen


def test_whoever_left_gets_in_no_more(running: Running) -> None:
    sync(running, PEOPLE)
    running.let_in("noor")
    assert running.dav("noor", "PROPFIND", "")[0] == 207
    sync(running, [person("noor", "", enabled=False), *PEOPLE[1:]])
    assert running.dav("noor", "PROPFIND", "")[0] == 401


def test_a_sign_in_that_hashes_names_is_told_at_once(running: Running) -> None:
    state = running.state()
    state["providers"]["school"]["settings"]["uniqueUid"] = True
    (running.folder / "kept.json").write_text(json.dumps(state), encoding="utf-8")
    with pytest.raises(NextcloudError, match="unique-uid 0"):
        sync(running, PEOPLE)
    state["providers"] = {}
    (running.folder / "kept.json").write_text(json.dumps(state), encoding="utf-8")
    with pytest.raises(NextcloudError, match="knows no sign-in school"):
        sync(running, PEOPLE)


def test_one_persons_data_is_shown_listed_and_erased(running: Running, tmp_path: Path) -> None:
    module = load("modules/nextcloud_person.py")
    sync(running, PEOPLE)
    running.let_in("noor", "els")
    running.dav("noor", "PUT", "own.odt", "12345")
    running.dav("noor", "MKCOL", "Klas 3A/Inleveren/noor/map")
    running.dav("noor", "PUT", "Klas 3A/Inleveren/noor/map/taak.odt", "mine")
    running.dav("els", "PUT", "Klas 3A/les.odt", "lesson")
    occ = tmp_path / "occ"
    options = {"files": str(tmp_path / "data"), "occ": str(occ), "hand_in": "Inleveren"}
    connections = Connections(lambda: Nextcloud.from_options(running.options()))
    assert module.Person.find(connections, "nobody", options) is None
    assert module.Person.find(connections, "schoolstack", options) is None, "nobody of the school"
    noor = module.Person.find(connections, "Noor", options)
    assert [(one["path"], one["bytes"]) for one in noor.files()] == [("files/own.odt", 5)]
    places = noor.handed_in()
    assert places == ["Klas 3A/Inleveren/noor"]
    assert [(one["path"], one["bytes"]) for one in noor.listing(places[0])] == [
        ("Klas 3A/Inleveren/noor/map/taak.odt", 4)
    ]
    for text, shares in (
        ('echo \'[{"id": "1", "owner": "\'${2#--owner=}\'"}]\'', [{"id": "1", "owner": "noor"}]),
        ("echo 'Command \"share:list\" is not defined.' >&2; exit 1", []),
    ):
        occ.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        occ.chmod(0o755)
        assert noor.shares() == shares
    occ.write_text("#!/bin/sh\necho no database >&2; exit 1\n", encoding="utf-8")
    with pytest.raises(NextcloudError, match="no database"):
        noor.shares()
    noor.erase(places)
    assert not (tmp_path / "data/noor").exists()
    assert "noor" not in running.state()["users"]
    assert noor.handed_in() == []
    assert running.dav("els", "GET", "Klas 3A/les.odt") == (200, "lesson")
    with pytest.raises(NextcloudError):
        connections.first.ocs("DELETE", f"/apps/user_oidc/api/v1/user/{quote('schoolstack')}")


PLAY = """
- name: Let files follow
  hosts: all
  gather_facts: false
  strategy: ansible.builtin.linear
  tasks:
    - name: Bring people, groups and class folders into Nextcloud
      nextcloud_people:
        people: "{{ people }}"
        apply: "{{ apply }}"
        wishes: "{{ wishes }}"
        nextcloud: "{{ nextcloud }}"
"""


def play(running: Running, people: list[Person], apply: bool) -> tuple[int, str]:
    """Run the action as the role does; return how it ended and what was said."""
    told = [
        {**vars(one), **{name: sorted(vars(one)[name]) for name in ("roles", "classes", "classes_before")}}
        for one in people
    ]
    given = {"people": json.dumps(told), "apply": apply, "wishes": OPTIONS, "nextcloud": running.options()}
    (running.folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
    (running.folder / "play.yml").write_text(PLAY, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "server,", "-c", "local"]
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "SCHOOL_LANGUAGE": "en",
    }
    done = subprocess.run(
        [*command, "-e", f"@{running.folder}/given.json", str(running.folder / "play.yml")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_plan_comes_first_and_a_mass_removal_not_at_all(running: Running) -> None:
    before = running.state()
    code, said = play(running, PEOPLE, apply=False)
    assert code == 0, said
    assert "noor x (noor)" in said
    assert "Klas 3A: made (folders to hand in: 2)" in said
    assert "apply" in said
    assert running.state() == before
    code, said = play(running, PEOPLE, apply=True)
    assert code == 0, said
    assert "What is changed in Nextcloud now" in said
    after = running.state()
    assert after["groups"]["class-3A"]["members"]
    gone = [person("noor", "", enabled=False), *PEOPLE[1:]]
    code, said = play(running, gone, apply=True)
    assert code != 0
    assert "1 of 4 accounts would be disabled" in said
    assert running.state() == after
