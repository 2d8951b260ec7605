#!/usr/bin/python3
"""Measure how long the applications of this server do not answer: watch-answers RESULT.

Asks each one that has left a record for its health, and for its page as visitors do, every tenth of a second
until it is stopped. Then RESULT holds a JSON object: an application's name -> its title and the seconds
without an answer.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

RECORDS = Path("/etc/ansible/facts.d")
EVERY_S = 0.1
TIMEOUT_S = 5


class Watch(threading.Thread):
    """Watches one application.

    Attributes:
        record: what the application left when it was installed.
        silent_s: seconds without an answer, so far.
    """

    def __init__(self, record: dict[str, Any], stop: threading.Event) -> None:
        """Prepare to watch until *stop* is set."""
        super().__init__(daemon=True)
        self.record = record
        self.silent_s = 0.0
        self._stop_asked = stop

    def run(self) -> None:
        """Ask, and count from the first question without an answer to the next answer."""
        since = 0.0
        while not self._stop_asked.is_set():
            asked = time.monotonic()
            if not answers(self.record):
                since = since or asked
            elif since:
                self.silent_s += time.monotonic() - since
                since = 0.0
            self._stop_asked.wait(max(0.0, asked + EVERY_S - time.monotonic()))
        if since:
            self.silent_s += time.monotonic() - since


def answers(record: dict[str, Any]) -> bool:
    """Tell whether an application is well and its page comes up."""
    try:
        return is_healthy(record["health"]) and ("site" not in record or shows_a_page(record["site"]))
    except (OSError, http.client.HTTPException):
        return False


def is_healthy(health: dict[str, Any]) -> bool:
    """Tell whether an application says of itself what it declares to say."""
    url = urlsplit(health["url"])
    connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("GET", url.path)
        answer = connection.getresponse()
        return answer.status < 400 and bool(
            re.search(health["expect"], answer.read().decode(errors="replace"))
        )
    finally:
        connection.close()


def shows_a_page(site: dict[str, Any]) -> bool:
    """Tell whether the application, and not the web server alone, answers at its address.

    Whether the certificate is trusted is no question here; whether there is one that works is.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(site["host"], timeout=TIMEOUT_S)
    plain = socket.create_connection(("127.0.0.1", 443), TIMEOUT_S)
    try:
        connection.sock = context.wrap_socket(plain, server_hostname=site["host"])
        connection.request("GET", next(iter(site.get("expose", [])), "/"))
        return connection.getresponse().status < 500
    finally:
        connection.close()
        plain.close()


def main() -> None:
    """Watch until stopped, and write what was seen."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    records = [json.loads(path.read_text()) for path in sorted(RECORDS.glob("*.fact"))]
    watches = [Watch(record, stop) for record in records if "health" in record]
    for watch in watches:
        watch.start()
    stop.wait()
    for watch in watches:
        watch.join(2 * TIMEOUT_S)
    found = {
        watch.record["name"]: {"title": watch.record["title"], "silent_s": round(watch.silent_s, 1)}
        for watch in watches
    }
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
