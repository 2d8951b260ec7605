"""A small client of Keycloak's Admin API, for modules that run on Keycloak's own host.

It speaks plain HTTP to the loopback address, keeps one connection open, and needs the standard library
only, so that a host needs no package for it.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

ADDRESS = "http://127.0.0.1:8080"  # http-host and http-port in the role's keycloak.conf

# A token is renewed this long before it expires, in seconds; Keycloak's own lives 60 s.
TOKEN_MARGIN_S = 10.0


# Options of every module that signs in; described in the documentation fragment of the same name.
OPTIONS: dict[str, dict[str, Any]] = {
    "client_id": {"type": "str", "required": True},
    "secret_file": {"type": "path", "required": True, "no_log": False},
}


class KeycloakError(Exception):
    """Keycloak refused a request, or did not answer. The message is one plain sentence.

    Attributes:
        status: the HTTP status; 0 when there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the sentence and the status."""
        super().__init__(message)
        self.status = status


class KeycloakAdmin:
    """One connection to the Admin API, signed in as a service account. Not for use by several threads.

    Attributes:
        client_id: the service account's client.
        client_secret: its secret.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        address: str = ADDRESS,
        timeout: float = 60.0,
    ) -> None:
        """Prepare a connection; nothing is sent yet.

        Args:
            client_id: the service account's client in the realm ``master``.
            client_secret: its secret.
            address: scheme, host and port of Keycloak's own listener.
            timeout: seconds to wait for one answer.
        """
        self.client_id = client_id
        self.client_secret = client_secret
        self._address = address
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)
        self._token = ""
        self._token_ends = 0.0

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> KeycloakAdmin:
        """Prepare a connection as a module's options say, of which :data:`OPTIONS` are two.

        Args:
            options: the module's parameters.

        Raises:
            KeycloakError: the file with the secret cannot be read.
        """
        return cls.with_secret_from(options["secret_file"], options["client_id"])

    @classmethod
    def with_secret_from(cls, path: str, client_id: str) -> KeycloakAdmin:
        """Prepare a connection with the secret that stands in a file.

        Args:
            path: the file, on this host.
            client_id: the service account's client in the realm ``master``.

        Raises:
            KeycloakError: the file cannot be read.
        """
        try:
            with open(path, encoding="utf-8") as file:
                return cls(client_id, file.read().strip())
        except OSError as error:
            raise KeycloakError(f"The secret of {client_id} cannot be read: {error}") from error

    def sign_in(self) -> None:
        """Get a token now.

        Raises:
            KeycloakError: the service account is refused (status 400 or 401), or there is no answer.
        """
        credentials = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        status, body, _ = self._exchange(
            "POST",
            "/realms/master/protocol/openid-connect/token",
            urlencode(credentials).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        if status != 200:
            raise KeycloakError(
                f"Keycloak refuses the service account {self.client_id}: {_reason(body)}",
                status,
            )
        self._token = body["access_token"]
        self._token_ends = time.monotonic() + body["expires_in"] - TOKEN_MARGIN_S

    def get(self, *path: str, **query: Any) -> Any:
        """Return what lies at a path below ``/admin/realms``, or ``None`` when there is nothing.

        Args:
            path: the path's parts; each is escaped, so that a name may hold any character.
            query: the query's fields.
        """
        try:
            return self._send("GET", path, query)[0]
        except KeycloakError as error:
            if error.status == 404:
                return None
            raise

    def post(self, *path: str, body: Any = None, **query: Any) -> Any:
        """Create something; return the answer's body, or the new thing's id when the answer names a place."""
        answer, location = self._send("POST", path, query, body)
        return location.rpartition("/")[2] if location else answer

    def put(self, *path: str, body: Any = None) -> None:
        """Replace what lies at a path."""
        self._send("PUT", path, {}, body)

    def delete(self, *path: str, body: Any = None) -> None:
        """Delete what lies at a path."""
        self._send("DELETE", path, {}, body)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _send(
        self, method: str, path: tuple[str, ...], query: dict[str, Any], body: Any = None
    ) -> tuple[Any, str]:
        if time.monotonic() > self._token_ends:
            self.sign_in()
        where = "/".join(["/admin/realms", *(quote(part, safe="") for part in path)])
        target = f"{where}?{urlencode(query)}" if query else where
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        for attempt in (1, 2):
            status, answer, location = self._exchange(
                method, target, data, {**headers, "Authorization": f"Bearer {self._token}"}
            )
            # A restart of Keycloak or a revoked session ends a token before its time.
            if status != 401 or attempt == 2:
                break
            self.sign_in()
        if status >= 300:
            raise KeycloakError(f"Keycloak answers {status} to {method} {where}: {_reason(answer)}", status)
        return answer, location

    def _exchange(
        self, method: str, target: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, Any, str]:
        """Send one request; return its status, the decoded body, and the Location header."""
        for attempt in (1, 2):
            reused = self._connection.sock is not None
            try:
                self._connection.request(method, target, data, headers)
                response = self._connection.getresponse()
                content = response.read()
                break
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                # The other end closes a connection that has been idle: then the request was never read.
                if reused and attempt == 1 and isinstance(error, ConnectionError | http.client.BadStatusLine):
                    continue
                raise KeycloakError(f"Keycloak does not answer at {self._address}: {error}") from error
        try:
            answer = json.loads(content) if content else None
        except ValueError:
            answer = content.decode(errors="replace")
        return response.status, answer, response.headers.get("Location", "")


def _reason(answer: Any) -> str:
    """Return the words of an error answer."""
    if not isinstance(answer, dict):
        return str(answer or "no reason given")
    for key in ("errorMessage", "error_description", "error"):
        if answer.get(key):
            return str(answer[key])
    return "no reason given"
