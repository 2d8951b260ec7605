"""Microsoft Graph, asked one thing: which drive is whose."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests

from schoolstack.errors import SchoolError
from schoolstack.messages import say

# learn.microsoft.com, "Get access without a user": the flow of client credentials, of the worldwide cloud.
LOGIN = "https://login.microsoftonline.com"
GRAPH = "https://graph.microsoft.com"
_SECONDS = 30
_TRIES = 5


@dataclass(frozen=True)
class Drive:
    """A drive: its id, and its type in Graph's words (``business``, ``documentLibrary``)."""

    id: str
    type: str


class Graph:
    """A connection for one application."""

    def __init__(self, tenant: str, client_id: str, secret: str) -> None:
        """Sign in.

        Raises:
            SchoolError: Microsoft does not answer, or does not let the application in.
        """
        self._local = threading.local()
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
            "scope": f"{GRAPH}/.default",
        }
        try:
            address = f"{LOGIN}/{quote(tenant)}/oauth2/v2.0/token"
            answer = requests.post(address, data=form, timeout=_SECONDS)
            token = answer.json().get("access_token", "")
        except (requests.RequestException, ValueError):
            raise SchoolError(say("migrate.graph.silent")) from None
        if not token:
            # Microsoft's code for what is wrong, such as AADSTS7000215: the text after it may repeat what
            # was sent.
            reason = str(answer.json().get("error_description", answer.status_code)).partition(":")[0]
            raise SchoolError(say("migrate.graph.denied", reason=reason[:40]))
        self._token = token

    def drive(self, source: str, *, library: bool) -> Drive:
        """Return the drive of an account, or a library of a site.

        Args:
            source: the account (UPN), or the site's address, with ``#`` and the library's name where it is
                not the first.
            library: whether it is a library.

        Raises:
            LookupError: there is none.
            SchoolError: Graph does not answer, or the application may not ask.
        """
        if not library:
            found = self._get(f"users/{quote(source)}/drive")
            return Drive(found["id"], found["driveType"])
        address, _, name = source.partition("#")
        url = urlsplit(address)
        if not url.hostname:
            raise LookupError(source)
        site = (
            f"sites/{url.hostname}:{quote(unquote(url.path.rstrip('/')))}:"
            if url.path.strip("/")
            else (f"sites/{url.hostname}")
        )
        if not name:
            found = self._get(f"{site}/drive")
            return Drive(found["id"], found["driveType"])
        for found in self._get(f"{site}/drives")["value"]:
            if found["name"].casefold() == name.casefold():
                return Drive(found["id"], found["driveType"])
        raise LookupError(source)

    def _get(self, path: str) -> dict[str, Any]:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        for attempt in range(_TRIES):
            try:
                answer = self._local.session.get(
                    f"{GRAPH}/v1.0/{path}",
                    headers={"Authorization": f"Bearer {self._token}"},
                    timeout=_SECONDS,
                )
            except requests.RequestException:
                raise SchoolError(say("migrate.graph.silent")) from None
            if answer.status_code not in (429, 503) or attempt == _TRIES - 1:
                break
            wait = answer.headers.get("Retry-After", "")
            time.sleep(min(int(wait) if wait.isdigit() else 2**attempt, 60))
        if answer.status_code == 404:
            raise LookupError(path)
        if not answer.ok:
            raise SchoolError(say("migrate.graph.denied", reason=f"HTTP {answer.status_code}"))
        return dict(answer.json())
