"""What the modules ask of Grafana, on an HTTP server that remembers it; and what is refused before."""

from __future__ import annotations

import http.server
import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible.module_utils.grafana_api import Grafana, GrafanaError
from plugin import load

from schoolstack.preflight import Server, check_server
from schoolstack.reference.declarations import resolve

ROOT = Path(__file__).parents[2]


class Answers(http.server.BaseHTTPRequestHandler):
    """Knows one administrator, two folders and one person."""

    password: ClassVar[str] = ""
    roles: ClassVar[dict[str, list[str]]] = {}
    changes: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if not self.let_in():
            return
        if path == "/api/user":
            self.say({"login": "admin"})
        elif path.endswith("/permissions"):
            folder = path.split("/")[3]
            items = [{"role": role, "permission": 1} for role in self.roles.get(folder, [])]
            items.append({"userId": 1, "permission": 4})
            self.say(items if folder in self.roles else {}, 200 if folder in self.roles else 404)
        elif path == "/api/users/lookup" and query in (
            "loginOrEmail=bjork",
            "loginOrEmail=b%40school.example",
        ):
            self.say({"id": 7, "login": "bjork", "email": "b@school.example"})
        elif path == "/api/org/users":
            people = {1: ("admin", "Admin"), 7: ("bjork", "Viewer"), 8: ("ada", "Viewer")}
            self.say([{"userId": n, "login": one, "role": role} for n, (one, role) in people.items()])
        elif path == "/api/admin/users/7/auth-tokens":
            self.say([{"id": 1}, {"id": 2}])
        elif path == "/api/admin/users/8/auth-tokens":
            self.say([])
        else:
            self.say({"message": "not found"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
        if self.let_in():
            self.changes.append(("POST", self.path))
            if body:
                self.roles[self.path.split("/")[3]] = [item["role"] for item in body["items"]]
            self.say({})

    def do_DELETE(self) -> None:
        if self.let_in():
            self.changes.append(("DELETE", self.path))
            self.say({})

    def let_in(self) -> bool:
        name, _, password = b64decode(self.headers["Authorization"].split()[1]).decode().partition(":")
        if (name, password) == ("admin", self.password):
            return True
        self.say({"message": "Invalid username or password"}, 401)
        return False

    def say(self, content: Any, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def grafana(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Grafana]:
    monkeypatch.setattr(Answers, "password", "right")
    monkeypatch.setattr(Answers, "roles", {"school": ["Viewer", "Editor"], "ict": ["Viewer", "Editor"]})
    monkeypatch.setattr(Answers, "changes", [])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "admin").write_text("right", encoding="utf-8")
    yield Grafana(f"http://127.0.0.1:{server.server_port}", str(tmp_path / "admin"))
    server.shutdown()


@pytest.fixture
def state() -> Any:
    return load("modules/grafana_state.py")


def test_a_password_that_is_in_force_is_left_alone(state: Any, grafana: Grafana) -> None:
    assert state.match_password(grafana, ["false"], dry=False) == []


def test_another_one_is_replaced_through_the_programs_own_command(
    state: Any, grafana: Grafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "password", "admin")
    given = tmp_path / "given"
    with pytest.raises(GrafanaError, match="401"):
        # The command of this test changes nothing at the server, so that is seen too.
        state.match_password(grafana, ["sh", "-c", f"cat >{given}"], dry=False)
    assert given.read_text(encoding="utf-8") == "right"
    assert state.match_password(grafana, ["false"], dry=True)


def test_what_the_command_says_names_no_password(
    state: Any, grafana: Grafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "password", "admin")
    with pytest.raises(GrafanaError) as refused:
        state.match_password(grafana, ["sh", "-c", "echo no: $(cat) >&2; exit 1"], dry=False)
    assert "no: ..." in str(refused.value)
    assert "right" not in str(refused.value)


def test_only_the_folder_that_differs_is_changed(state: Any, grafana: Grafana) -> None:
    assert state.match_folder(grafana, "school", ["Viewer", "Editor"], dry=False) == []
    assert state.match_folder(grafana, "ict", [], dry=True)
    assert Answers.changes == []
    assert state.match_folder(grafana, "ict", [], dry=False)
    assert Answers.changes == [("POST", "/api/folders/ict/permissions")]
    assert state.match_folder(grafana, "ict", [], dry=False) == []


def test_whoever_may_not_be_there_any_more_is_signed_out(state: Any, grafana: Grafana) -> None:
    assert state.match_sessions(grafana, ["Admin", "Viewer"], dry=False) == []
    assert state.match_sessions(grafana, ["Admin"], dry=True) == ["signed out bjork"]
    assert Answers.changes == []
    # Of those who are not in, nobody needs to be told anything.
    assert state.match_sessions(grafana, ["Admin"], dry=False) == ["signed out bjork"]
    assert Answers.changes == [("POST", "/api/admin/users/7/logout")]


def test_a_folder_that_never_comes_is_told(
    state: Any, grafana: Grafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FOLDER_S", 0)
    with pytest.raises(GrafanaError, match="404"):
        state.match_folder(grafana, "other", [], dry=False)


def test_a_person_is_found_by_username_alone(grafana: Grafana) -> None:
    person = load("modules/grafana_person.py")
    assert person.find(grafana, "Bjork")["id"] == 7
    assert person.find(grafana, "b@school.example") is None
    assert person.find(grafana, "nobody") is None
    assert person.find(grafana, "admin") is None


def test_it_is_refused_where_nothing_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")

    def sentences(name: str, *groups: str) -> list[str]:
        server = Server("s", groups, "Debian", "13", "x86_64", 8000, 0.0, {})
        return list(check_server(server, [resolve(ROOT, name)], "myschool.example", 30))

    platform = ("postgresql", "nginx", "certificates")
    assert sentences("grafana", *platform, "monitoring") == []
    (sentence,) = sentences("grafana", *platform)
    assert sentence == "Dashboards needs monitoring on s: add s to the group monitoring in the inventory."
    (sentence,) = sentences("loki", *platform, "monitoring")
    assert sentence == "Search in journals needs grafana on s: add s to the group grafana in the inventory."


def test_two_that_claim_one_port_are_refused_before_the_first_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    one = resolve(ROOT, "grafana")
    other = {**resolve(ROOT, "portal"), "ports": [{"port": 3000, "address": "127.0.0.1", "what": "x"}]}
    groups = ("postgresql", "nginx", "certificates", "monitoring")
    server = Server("s", groups, "Debian", "13", "x86_64", 8000, 0.0, {})
    (sentence,) = check_server(server, [one, other], "myschool.example", 30)
    assert "port 3000" in sentence
    assert "Dashboards" in sentence
    assert "Start page" in sentence
