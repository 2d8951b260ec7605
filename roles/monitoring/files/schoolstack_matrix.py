#!/usr/bin/python3
"""Takes alerts from Alertmanager, and puts them as messages into a room of Matrix.

Alertmanager speaks no Matrix: it posts what it would tell to this program, on the loopback address, and tries
again for as long as the answer is not 200. What is sent is the Client-Server API's m.room.message
(https://spec.matrix.org/latest/client-server-api/#sending-events-to-a-room).
"""

from __future__ import annotations

import hashlib
import html
import http
import http.client
import http.server
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote, urlsplit

# Seconds until the Matrix server is given up; Alertmanager tries again.
ANSWER_S = 20
# Characters. Matrix takes events of 65,536 bytes (Client-Server API, size limits), which hold a text twice.
LONGEST = 12_000
# Bytes. What Alertmanager posts of hundreds of alerts stays far below.
MOST = 4_000_000
# How long a message that is posted again counts as the same, in seconds. Alertmanager says again after a day.
SAME_S = 3600


class Settings(TypedDict):
    """What the settings file holds: the server's address, the room's id, the words around what is told."""

    homeserver: str
    room: str
    port: int
    token_file: str
    school: str
    words: dict[str, str]


class NotTakenError(Exception):
    """The Matrix server has not taken a message; says why."""


def what(alert: dict[str, Any]) -> str:
    """Return what an alert is about, and where."""
    labels = alert["labels"]
    server = labels.get("server", "?")
    return f"{labels['title']} ({server})" if labels.get("title") else str(server)


def text_of(posted: dict[str, Any], settings: Settings) -> str:
    """Return what Alertmanager tells, in the words that mails have."""
    words, over = settings["words"], posted["status"] == "resolved"
    severity = posted["commonLabels"].get("severity", "")
    lines = [f"{words['over'] if over else words.get(severity, words['look'])}: {settings['school']}"]
    for alert in posted["alerts"]:
        told = f"{what(alert)}: {alert['annotations'].get('sentence', alert['labels'].get('alertname', '?'))}"
        if alert["status"] == "resolved":
            lines.append(told if over else f"{words['over']}: {told}")
        else:
            since = datetime.fromisoformat(alert["startsAt"]).astimezone()
            how_to = alert["annotations"].get("how_to", "")
            lines += [told, f"{words['since']} {since:%Y-%m-%d %H:%M}, {how_to}"]
    text = "\n".join(lines)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def transaction(posted: dict[str, Any], now_s: float) -> str:
    """Return the id by which the Matrix server knows a message that it has taken already.

    Args:
        posted: what Alertmanager posted.
        now_s: seconds since 1970.
    """
    told = sorted((one["fingerprint"], one["status"], one["startsAt"]) for one in posted["alerts"])
    same = json.dumps([posted["groupKey"], told, int(now_s // SAME_S)])
    return hashlib.sha256(same.encode()).hexdigest()


def send(posted: dict[str, Any], settings: Settings, now_s: float) -> None:
    """Put what Alertmanager posted into the room.

    Args:
        posted: what Alertmanager posted.
        settings: where it goes.
        now_s: seconds since 1970.

    Raises:
        NotTakenError: the server has not taken it.
    """
    text = text_of(posted, settings)
    head, _, rest = text.partition("\n")
    escaped = html.escape(rest, quote=False).replace("\n", "<br>")
    message = {
        "msgtype": "m.text",
        "body": text,
        "format": "org.matrix.custom.html",
        "formatted_body": f"<strong>{html.escape(head, quote=False)}</strong><br>{escaped}",
    }
    path = f"rooms/{quote(settings['room'], safe='')}/send/m.room.message/{transaction(posted, now_s)}"
    token = Path(settings["token_file"]).read_text(encoding="utf-8").strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    home = urlsplit(settings["homeserver"].rstrip("/"))
    kind = http.client.HTTPSConnection if home.scheme == "https" else http.client.HTTPConnection
    server = kind(home.netloc, timeout=ANSWER_S)
    try:
        server.request("PUT", f"{home.path}/_matrix/client/v3/{path}", json.dumps(message), headers)
        answer = server.getresponse()
        said = answer.read(MOST).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise NotTakenError(f"{type(error).__name__}: {error}") from None
    finally:
        server.close()
    if answer.status != http.HTTPStatus.OK:
        raise NotTakenError(f"{answer.status} {said[:300]}")


class Alerts(http.server.BaseHTTPRequestHandler):
    """Answers Alertmanager."""

    settings: Settings
    timeout = ANSWER_S

    def do_POST(self) -> None:
        """Send what is posted; 200 only when the room has it."""
        try:
            length = int(self.headers["Content-Length"])
            if not 0 < length <= MOST:
                raise ValueError("its length")
            send(json.loads(self.rfile.read(length)), self.settings, time.time())
        except NotTakenError as error:
            print(f"The Matrix server did not take an alert: {error}", file=sys.stderr)
            self._answer(503)
        except (KeyError, TypeError, ValueError) as error:
            print(
                f"This is nothing that Alertmanager posts: {type(error).__name__}: {error}", file=sys.stderr
            )
            self._answer(400)
        else:
            self._answer(200)

    def log_message(self, *_words: Any) -> None:
        """Say nothing of what went well."""

    def _answer(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def main() -> None:
    """Serve until stopped."""
    settings: Settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    handler = type("Handler", (Alerts,), {"settings": settings})
    http.server.ThreadingHTTPServer(("127.0.0.1", settings["port"]), handler).serve_forever()


if __name__ == "__main__":
    main()
