"""The connection to Keycloak's Admin API: tokens, a connection kept open, and plain errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible.module_utils.keycloak_admin import KeycloakAdmin, KeycloakError

RIGHT = "right"


class Server(HTTPServer):
    """A stand-in that counts connections and tokens, and forgets tokens on demand."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = self.tokens = 0
        self.lifetime = 60
        self.hang_up = False
        self.seen: list[str] = []

    def get_request(self):
        self.connections += 1
        return super().get_request()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(f"{self.command} {self.path}")
        if self.path.endswith("/token"):
            if b"client_secret=right" not in body:
                return self.send(401, {"error_description": "Invalid client"})
            self.server.tokens += 1
            return self.send(
                200, {"access_token": str(self.server.tokens), "expires_in": self.server.lifetime}
            )
        if self.headers["Authorization"] != f"Bearer {self.server.tokens}":
            return self.send(401, {"error": "HTTP 401 Unauthorized"})
        if "missing" in self.path:
            return self.send(404, {"error": "not found"})
        if "twice" in self.path:
            return self.send(409, {"errorMessage": "User exists with same username"})
        if self.command == "POST":
            return self.send(201, None, Location="http://127.0.0.1/admin/realms/school/users/42")
        return self.send(200, {"path": self.path})

    def send(self, status: int, answer, **headers: str) -> None:
        content = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        # Without a word: as a server does that has been idle for long.
        self.close_connection = self.server.hang_up

    def log_message(self, *_: object) -> None:
        pass


for method in ("GET", "POST", "PUT", "DELETE"):
    setattr(Handler, f"do_{method}", Handler.answer)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def connect(server: Server, secret: str = RIGHT) -> KeycloakAdmin:
    return KeycloakAdmin("school", secret, f"http://127.0.0.1:{server.server_port}", timeout=5)


def test_one_token_and_one_connection_serve_many_requests(server):
    admin = connect(server)
    for _ in range(5):
        admin.get("school")
    assert (server.tokens, server.connections) == (1, 1)
    admin.close()


def test_a_token_is_renewed_before_it_expires(server):
    server.lifetime = 10
    admin = connect(server)
    admin.get("school")
    admin.get("school")
    assert server.tokens == 2
    admin.close()


def test_a_token_that_ended_early_is_renewed(server):
    admin = connect(server)
    admin.get("school")
    server.tokens += 1
    assert admin.get("school")
    admin.close()


def test_a_connection_that_was_closed_in_between_is_opened_again(server):
    server.hang_up = True
    admin = connect(server)
    admin.get("school")
    assert admin.get("school")
    assert server.connections > 1
    admin.close()


def test_names_may_hold_any_character(server):
    admin = connect(server)
    assert (
        admin.get("school", "flows", "a/b: c", q="x y")["path"]
        == "/admin/realms/school/flows/a%2Fb%3A%20c?q=x+y"
    )
    admin.close()


def test_what_is_made_is_known_by_its_place(server):
    admin = connect(server)
    assert admin.post("school", "users", body={}) == "42"
    admin.close()


def test_what_is_missing_is_none(server):
    admin = connect(server)
    assert admin.get("missing") is None
    admin.close()


def test_a_refusal_names_the_place_and_the_reason(server):
    admin = connect(server)
    with pytest.raises(
        KeycloakError, match=r"409 to PUT /admin/realms/twice: User exists with same username"
    ):
        admin.put("twice", body={})
    admin.close()


def test_a_wrong_secret_is_refused_without_being_told(server):
    admin = connect(server, "wrong-secret")
    with pytest.raises(KeycloakError, match="refuses the service account school: Invalid client") as refusal:
        admin.sign_in()
    assert refusal.value.status == 401
    assert "wrong-secret" not in str(refusal.value)
    admin.close()


def test_a_keycloak_that_is_down_is_named():
    with pytest.raises(KeycloakError, match=r"does not answer at http://127\.0\.0\.1:9"):
        KeycloakAdmin("school", "right", "http://127.0.0.1:9", timeout=2).sign_in()


def test_a_secret_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(KeycloakError, match="cannot be read"):
        KeycloakAdmin.with_secret_from(str(tmp_path / "none"), "school")
