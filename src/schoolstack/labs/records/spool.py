"""Records of attempts that have ended wait here, a file each, until a learning record store has them."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from schoolstack.errors import SchoolError
from schoolstack.hosts.state import State, make_folder, read_json, write_json
from schoolstack.labs.records.statements import Statements, pseudonym
from schoolstack.messages import say

# Seconds that a store may take to answer.
TIMEOUT = 30
# What a store is told that the statements keep to (xAPI 1.0.3, part three, section 3.3).
VERSION = "1.0.3"
# Statements in one request. One has about 1 kB; nginx, which is before many a store, takes 1 MB by default.
BATCH = 100
# There over plain HTTP, nobody listens.
HERE = ("localhost", "127.0.0.1", "::1")
# Bytes of the key that pseudonyms are made with, as many as SHA-256 gives.
KEY_BYTES = 32


class Spool:
    """The records that wait on this machine.

    Attributes:
        folder: where they are; only root may enter it.
    """

    def __init__(self, state: State) -> None:
        """Look below the state folder of this machine."""
        self._state = state
        self.folder = state.root / "records"

    def add(self, report: Mapping[str, Any]) -> None:
        """Have an attempt wait, as :meth:`schoolstack.labs.seat.Seat.report` tells it."""
        make_folder(self.folder, 0o700)
        write_json(self.folder / f"{report['attempt']}.json", report)

    def waiting(self) -> list[Path]:
        """Return the file of each record, in the order of their names."""
        return sorted(self.folder.glob("*.json"))

    def account(self, learner: str, *, names: bool = False) -> str:
        """Return the name of a learner's account; empty for one whom nobody named.

        Args:
            learner: who it is.
            names: whether the school wants it as it was given, rather than a pseudonym for it.
        """
        return learner if names or not learner else pseudonym(learner, self._key())

    def statements(
        self, report: Mapping[str, Any], home: str, *, names: bool = False
    ) -> list[dict[str, Any]]:
        """Return an attempt as statements.

        Args:
            report: as :meth:`schoolstack.labs.seat.Seat.report` returns it.
            home: the school's address.
            names: whether learners are named as they were given.

        Raises:
            SchoolError: that is no address.
        """
        _address(home)
        actor = self.account(report["learner"], names=names)
        return list(Statements(report, home.rstrip("/"), actor))

    def send(self, url: str, home: str, credentials: Path | None = None, *, names: bool = False) -> int:
        """Send what waits, and forget each record once the store has all of its statements.

        It may be repeated at any time: what a store has, it does not take again.

        Args:
            url: the store's endpoint, without ``/statements``.
            home: the school's address.
            credentials: a file with the store's ``name:password``.
            names: whether learners are named as they were given.

        Returns:
            How many records the store has got.

        Raises:
            SchoolError: the store is away or refuses, or must not be told; what it has not got still waits.
        """
        for address in (url, home):
            _address(address)
        if urlsplit(url).scheme == "http" and urlsplit(url).hostname not in HERE:
            raise SchoolError(say("records.plain", url=url))
        with requests.Session() as session, self._state.lock("records"):
            session.headers["X-Experience-API-Version"] = VERSION
            if credentials:
                session.auth = _read(credentials)
            waiting = self.waiting()
            for file in waiting:
                self._deliver(session, url.rstrip("/"), self.statements(read_json(file), home, names=names))
                file.unlink()
        return len(waiting)

    def _deliver(self, session: requests.Session, url: str, statements: Sequence[Mapping[str, Any]]) -> None:
        """Have the store keep the statements of one record."""
        for first in range(0, len(statements), BATCH):
            batch = statements[first : first + BATCH]
            answer = self._ask(session, "POST", url, batch)
            if answer.status_code == HTTPStatus.OK and not _names(answer, batch):
                raise self._refusal("no_store", url)
            if answer.status_code != HTTPStatus.CONFLICT:
                continue
            # One was told in other words before, and so the store has taken none: now one by one. Nobody else
            # gives a statement such an id, so that the store has the one of which it says so.
            for statement in batch:
                self._ask(session, "PUT", url, statement, statementId=str(statement["id"]))

    def _ask(
        self, session: requests.Session, verb: str, url: str, told: object, **query: str
    ) -> requests.Response:
        """Send one request, and return the answer, which is good or a conflict."""
        try:
            # A redirect would be followed with a GET, whose answer says nothing of the statements.
            answer = session.request(
                verb, f"{url}/statements", params=query, json=told, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.exceptions.SSLError as error:
            raise self._refusal("untrusted", url) from error
        except requests.RequestException as error:
            raise self._refusal("away", url) from error
        status = answer.status_code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self._refusal("stranger", url)
        if status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.CONFLICT):
            raise self._refusal("refused", url, status=status)
        return answer

    def _refusal(self, why: str, url: str, **values: int) -> SchoolError:
        """Return the error that says why nothing more is sent, and how much waits."""
        waiting = len(self.waiting())
        return SchoolError(say(f"records.{why}", None, url=url, waiting=waiting, **values))

    def _key(self) -> bytes:
        """Return what pseudonyms are made with; generated at first use."""
        file = self.folder / "key"
        with self._state.lock("records-key"):
            if not file.exists():
                make_folder(self.folder, 0o700)
                partial = file.with_name("key.partial")
                partial.touch(0o600)
                partial.write_text(secrets.token_hex(KEY_BYTES), encoding="ascii")
                partial.rename(file)
            return bytes.fromhex(file.read_text(encoding="ascii"))


def _names(answer: requests.Response, statements: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an answer names the statements that were sent, as only a store does."""
    try:
        named = answer.json()
    except requests.JSONDecodeError:
        return False
    return isinstance(named, list) and {statement["id"] for statement in statements} <= set(map(str, named))


def _address(url: str) -> None:
    """Refuse what is no address of a school or a store.

    Raises:
        SchoolError: saying what to write instead.
    """
    try:
        parts = urlsplit(url)
        wrong = not parts.hostname or parts.port == 0
    except ValueError:
        raise SchoolError(say("records.no_address", url=url)) from None
    if parts.username is not None:
        raise SchoolError(say("records.open_secret", host=parts.hostname))
    if wrong or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise SchoolError(say("records.no_address", url=url))


def _read(credentials: Path) -> tuple[str, str]:
    """Return name and password out of a file.

    Raises:
        SchoolError: it cannot be read, others can read it, or it holds something else.
    """
    try:
        if credentials.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SchoolError(say("records.open_file", path=credentials))
        text = credentials.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SchoolError(say("records.no_credentials", path=credentials)) from error
    name, colon, password = text.partition(":")
    if not colon or len(text.splitlines()) != 1:
        raise SchoolError(say("records.no_credentials", path=credentials))
    return name, password
