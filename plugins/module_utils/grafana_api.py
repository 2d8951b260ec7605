"""Ask Grafana, on its own server and as its administrator."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_S = 30
OPTIONS: dict[str, dict[str, Any]] = {
    "url": {"type": "str", "required": True},
    "password_file": {"type": "path", "required": True, "no_log": False},
}


class GrafanaError(Exception):
    """Grafana did not answer as it should.

    Attributes:
        status: the HTTP status; 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Remember the sentence and the status."""
        super().__init__(message)
        self.status = status


class Grafana:
    """Grafana, as its administrator sees it."""

    def __init__(self, url: str, password_file: str) -> None:
        """Read the administrator's password; nothing is asked yet.

        Args:
            url: Grafana's address on its own server.
            password_file: the file with the password of the account ``admin``.
        """
        self.url = url
        with open(password_file, encoding="utf-8") as file:
            self.password = file.read()

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """Return what Grafana answers.

        Raises:
            GrafanaError: it refused, or did not answer.
        """
        place = path + (f"?{urlencode(query)}" if query else "")
        proof = base64.b64encode(f"admin:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {proof}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_S)
        try:
            connection.request(method, place, data, headers)
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")
            if answer.status >= 300:
                raise GrafanaError(
                    f"Grafana refuses {method} {path} ({answer.status}): {said[:200]}", answer.status
                )
            return json.loads(said or "null")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise GrafanaError(f"Grafana does not answer {method} {path}: {error}") from None
        finally:
            connection.close()
