"""A server of Matrix of a test's own: Synapse, with accounts that nobody else has."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
import yaml

# Seconds until it has to answer; it takes five on two cores.
STARTS_S = 90
# So that tests do not wait for each other.
MUCH = {"per_second": 1000, "burst_count": 1000}


@dataclass
class Account:
    """Somebody on the server, signed in."""

    url: str
    name: str
    token: str

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """Call the Client-Server API, and return what it answers."""
        answer = requests.request(
            method,
            f"{self.url}/_matrix/client/v3/{path}",
            json={} if content is None and method != "GET" else content,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()

    def make_room(self, invited: Account, *, encrypted: bool = False) -> str:
        """Make a room, and invite somebody."""
        wanted: dict[str, Any] = {"invite": [invited.name]}
        if encrypted:
            wanted["initial_state"] = [
                {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
            ]
        return str(self.ask("POST", "createRoom", wanted)["room_id"])

    def join(self, room: str) -> None:
        """Go into a room that one was invited to."""
        self.ask("POST", f"rooms/{quote(room, safe='')}/join")

    def messages(self, room: str) -> list[dict[str, Any]]:
        """Return what was said in a room, in that order."""
        found = self.ask("GET", f"rooms/{quote(room, safe='')}/messages?dir=f&limit=500")["chunk"]
        return [event["content"] for event in found if event["type"] == "m.room.message"]


@dataclass
class MatrixServer:
    """A server that runs.

    Attributes:
        url: where its Client-Server API is.
    """

    url: str
    secret: str

    def account(self, name: str) -> Account:
        """Make an account (Synapse's shared-secret registration)."""
        api = f"{self.url}/_synapse/admin/v1/register"
        nonce = requests.get(api, timeout=30).json()["nonce"]
        password = secrets.token_urlsafe(12)
        parts = "\0".join([nonce, name, password, "notadmin"])
        mac = hmac.new(self.secret.encode(), parts.encode(), hashlib.sha1).hexdigest()
        wanted = {"nonce": nonce, "username": name, "password": password, "admin": False, "mac": mac}
        made = requests.post(api, json=wanted, timeout=30).json()
        return Account(self.url, made["user_id"], made["access_token"])


@contextmanager
def serving(folder: Path, address: str = "127.0.0.1") -> Iterator[MatrixServer]:
    """Run a server that talks to no other, at an address of this machine, with its data in a folder."""
    with socket.create_server((address, 0)) as free:
        port = free.getsockname()[1]
    server = MatrixServer(f"http://{address}:{port}", secrets.token_urlsafe(16))
    settings = {
        "server_name": "matrix.school.example",
        "report_stats": False,
        "database": {"name": "sqlite3", "args": {"database": str(folder / "matrix.db")}},
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "macaroon_secret_key": secrets.token_urlsafe(16),
        "registration_shared_secret": server.secret,
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        **{f"rc_{what}": MUCH for what in ("message", "registration")},
        **{
            f"rc_{what}": {"per_room": MUCH, "local": MUCH, "per_user": MUCH} for what in ("joins", "invites")
        },
        "listeners": [
            {"port": port, "bind_addresses": [address], "type": "http", "resources": [{"names": ["client"]}]}
        ],
    }
    (folder / "homeserver.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = [sys.executable, "-m", "synapse.app.homeserver", "--config-path", "homeserver.yaml"]
    subprocess.run([*command, "--generate-keys"], cwd=folder, check=True, capture_output=True)
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            deadline = time.monotonic() + STARTS_S
            while not _answers(server.url):
                said = (folder / "log").read_text(errors="replace")[-2000:]
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.2)
            yield server
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/_matrix/client/versions", timeout=5).ok
    except requests.RequestException:
        return False
