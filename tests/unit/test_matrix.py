"""Alerts come into a room of a real server of Matrix; what keeps them from there is one sentence each."""

from __future__ import annotations

import copy
import http.server
import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from matrix_server import Account, serving

from schoolstack.deployment import ROOT
from schoolstack.messages import say


def loaded(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = loaded("roles/monitoring/files/schoolstack_matrix.py")
module = loaded("plugins/modules/receivers_answer.py")

NOW_S = 1_800_000_000
ALERT = {
    "status": "firing",
    "labels": {"alertname": "Finding", "server": "server", "title": "Sign-in", "severity": "wrong"},
    "annotations": {"sentence": "keycloak.service draait <niet>", "how_to": "docs/how-to/health.md"},
    "startsAt": "2027-01-15T08:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "0011223344556677",
}
# As Alertmanager's webhook receiver posts it, version 4.
POSTED = {
    "version": "4",
    "groupKey": '{}:{server="server", severity="wrong"}',
    "status": "firing",
    "commonLabels": {"server": "server", "severity": "wrong"},
    "alerts": [ALERT],
}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Account, ...]]:
    """A coordinator, the account that speaks for the servers, and one that signs out."""
    with serving(tmp_path_factory.mktemp("matrix")) as server:
        yield tuple(server.account(name) for name in ("coordinator", "servers", "leaver"))


@pytest.fixture
def coordinator(accounts: tuple[Account, ...]) -> Account:
    return accounts[0]


@pytest.fixture
def servers(accounts: tuple[Account, ...]) -> Account:
    return accounts[1]


@pytest.fixture
def room(coordinator: Account, servers: Account) -> str:
    """A room that both are in."""
    room = coordinator.make_room(servers)
    servers.join(room)
    return room


@pytest.fixture
def settings(servers: Account, room: str, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "token").write_text(f"{servers.token}\n")
    return {
        "homeserver": f"{servers.url}/",
        "room": room,
        "port": 0,
        "token_file": str(tmp_path / "token"),
        "school": "Voorbeeldschool",
        "words": {"wrong": "FOUT", "look": "Kijk hiernaar", "over": "Voorbij", "since": "sinds"},
    }


@contextmanager
def listening(settings: dict[str, Any]) -> Iterator[str]:
    """Have the program answer on a port of its own, as its main does."""
    handler = type("Handler", (program.Alerts,), {"settings": settings})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_an_alert_comes_into_the_room_in_the_words_of_mails(
    settings: dict[str, Any], coordinator: Account, room: str
) -> None:
    with listening(settings) as url:
        assert requests.post(url, json=POSTED, timeout=30).status_code == 200
    [message] = coordinator.messages(room)
    head, told, since = message["body"].splitlines()
    assert head == "FOUT: Voorbeeldschool"
    assert told == "Sign-in (server): keycloak.service draait <niet>"
    assert since.startswith("sinds 2027-01-15 ")
    assert since.endswith(", docs/how-to/health.md")
    assert message["formatted_body"].startswith("<strong>FOUT: Voorbeeldschool</strong><br>Sign-in")
    assert "draait &lt;niet&gt;" in message["formatted_body"]


def test_that_it_is_over_is_said_too(settings: dict[str, Any], coordinator: Account, room: str) -> None:
    over = copy.deepcopy(POSTED)
    over["alerts"] = [{**ALERT, "status": "resolved"}, {**ALERT, "labels": {"server": "other"}}]
    program.send(over, settings, NOW_S)
    program.send({**over, "status": "resolved", "alerts": [{**ALERT, "status": "resolved"}]}, settings, NOW_S)
    first, last = (message["body"].splitlines() for message in coordinator.messages(room))
    assert first[:3] == [
        "FOUT: Voorbeeldschool",
        "Voorbij: Sign-in (server): keycloak.service draait <niet>",
        "other: keycloak.service draait <niet>",
    ]
    assert last == ["Voorbij: Voorbeeldschool", "Sign-in (server): keycloak.service draait <niet>"]


def test_what_is_posted_again_is_one_message_and_a_day_later_another(
    settings: dict[str, Any], coordinator: Account, room: str
) -> None:
    """Alertmanager posts again what it had no answer to, such as after a cut connection."""
    for now_s in (NOW_S, NOW_S, NOW_S + 24 * 3600):
        program.send(POSTED, settings, now_s)
    assert len(coordinator.messages(room)) == 2


def test_hundreds_of_alerts_fit_into_one_message(
    settings: dict[str, Any], coordinator: Account, room: str
) -> None:
    many = [{**ALERT, "labels": {"server": "é" * 200}} for _ in range(500)]
    program.send({**POSTED, "alerts": many}, settings, NOW_S)
    [message] = coordinator.messages(room)
    assert message["body"].endswith("…")


def test_what_the_server_does_not_take_alertmanager_has_to_post_again(
    settings: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def answer(changes: dict[str, Any], content: bytes | None = None) -> int:
        with listening(settings | changes) as url:
            more = {"data": content} if content else {"json": POSTED}
            return requests.post(url, timeout=30, **more).status_code

    (tmp_path / "wrong").write_text("not-its-token")
    assert answer({"token_file": str(tmp_path / "wrong")}) == 503
    assert "M_UNKNOWN_TOKEN" in capfd.readouterr().err
    assert answer({"homeserver": "http://127.0.0.1:1"}) == 503
    assert answer({"room": "!nowhere:matrix.school.example"}) == 503
    assert answer({}, b"nonsense") == 400
    assert answer({}, b"{}") == 400
    assert answer({}) == 200


def problems(matrix: dict[str, str], token: str) -> list[str]:
    found = list(module.ask_matrix(matrix, token))
    assert all(say(one["key"], **one["words"]) for one in found)
    return [one["key"].removeprefix("alert.receiver.") for one in found]


def test_who_can_speak_in_the_room_is_fine(servers: Account, room: str) -> None:
    assert problems({"homeserver": servers.url, "room": room}, f"{servers.token}\n") == []


def test_what_keeps_it_from_there_is_one_sentence(servers: Account, coordinator: Account, room: str) -> None:
    not_in = coordinator.make_room(servers)
    encrypted = coordinator.make_room(servers, encrypted=True)
    servers.join(encrypted)
    at = {"homeserver": servers.url, "room": room}
    assert problems(at, "not-its-token") == ["matrix_token"]
    assert problems({**at, "room": not_in}, servers.token) == ["matrix_room"]
    assert problems({**at, "room": encrypted}, servers.token) == ["matrix_encrypted"]
    assert problems({"homeserver": servers.url}, servers.token) == ["matrix_incomplete"]
    assert problems({**at, "homeserver": f"{servers.url}/elsewhere"}, servers.token) == ["matrix_none"]
    assert problems({**at, "homeserver": "http://127.0.0.1:1"}, servers.token) == ["unreachable"]
    assert problems({**at, "homeserver": "matrix.school.example"}, servers.token) == ["address"]


def test_who_signs_out_ends_the_token(accounts: tuple[Account, ...], coordinator: Account) -> None:
    leaver = accounts[2]
    room = coordinator.make_room(leaver)
    leaver.join(room)
    at = {"homeserver": leaver.url, "room": room}
    assert problems(at, leaver.token) == []
    leaver.ask("POST", "logout")
    assert problems(at, leaver.token) == ["matrix_token"]
