"""Ask Nextcloud, on its own server and as its administrator: OCS and WebDAV over one connection.

Nextcloud checks a password slowly, on purpose. So the session that the first request begins is kept for those
that follow, as a browser keeps it.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit
from xml.parsers import expat
from xml.sax.saxutils import escape

# The first answer after a restart has PHP compile all of Nextcloud.
TIMEOUT_S = 120
# PHP works for each request on one processor; small hosts have two to four.
CONNECTIONS = 4
# What OCS calls a success, in its first version and its second.
OCS_GOOD = (100, 200)
# A session that is over or was never one: 401, and 412 where it does not pass the check of its cookies.
NO_SESSION = (401, 412)
# Who has not shown a password for half an hour may change nothing (PasswordConfirmationMiddleware upstream):
# before that, in seconds, a session is begun anew.
SESSION_S = 1200
# While it is being upgraded or backed up, Nextcloud answers 503 to everything.
AWAY = 503
NEXTCLOUD = "http://nextcloud.org/ns"
OPTIONS: dict[str, dict[str, Any]] = {
    "url": {"type": "str", "required": True},
    "account": {"type": "str", "default": "schoolstack"},
    "password_file": {"type": "path", "required": True, "no_log": False},
}


class NextcloudError(Exception):
    """Nextcloud did not answer as it should.

    Attributes:
        status: the HTTP status, or that of OCS where HTTP's was good; 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Remember the sentence and the status."""
        super().__init__(message)
        self.status = status


class Element:
    """One element of XML: its name as ``{namespace}name``, its text and what is in it."""

    def __init__(self, name: str) -> None:
        """Begin empty."""
        self.name = name
        self.text = ""
        self.inner: list[Element] = []

    def all(self, name: str) -> Iterator[Element]:
        """Yield every element of that name, however deep."""
        for one in self.inner:
            if one.name == name:
                yield one
            yield from one.all(name)

    def first(self, name: str) -> str:
        """Return the text of the first element of that name; empty where there is none."""
        return next((one.text for one in self.all(name)), "")


def parse(text: bytes) -> Element:
    """Return the root of a document.

    Raises:
        NextcloudError: it is no XML.
    """
    root = Element("")
    path = [root]
    parser = expat.ParserCreate(namespace_separator="}")

    def begin(name: str, _: Mapping[str, str]) -> None:
        element = Element("{" + name if "}" in name else name)
        path[-1].inner.append(element)
        path.append(element)

    def data(content: str) -> None:
        path[-1].text += content

    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = data
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise NextcloudError(f"Nextcloud answered what is no XML: {error}") from None
    return root


class Nextcloud:
    """Nextcloud over one connection, as one of its accounts."""

    def __init__(self, url: str, account: str, password: str) -> None:
        """Remember who asks; nothing is asked yet.

        Args:
            url: Nextcloud's public address.
            account: a local account of Nextcloud.
            password: its password.
        """
        place = urlsplit(url)
        self.account = account
        self.root = place.path.rstrip("/")
        self._proof = base64.b64encode(f"{account}:{password}".encode()).decode()
        self._cookies: dict[str, str] = {}
        self._begun = 0.0
        if place.scheme == "https":
            trust = ssl.create_default_context()
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                place.netloc, timeout=TIMEOUT_S, context=trust
            )
        else:
            self._connection = http.client.HTTPConnection(place.netloc, timeout=TIMEOUT_S)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Nextcloud:
        """Return the connection that a module's options describe."""
        with open(options["password_file"], encoding="utf-8") as file:
            return cls(options["url"], options["account"], file.read().strip())

    def request(
        self, method: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and content of an answer, whatever they are.

        Raises:
            NextcloudError: there was no answer, or it is in maintenance.
        """
        if time.monotonic() - self._begun > SESSION_S:
            self._cookies.clear()
        status, content = self._once(method, path, data, headers)
        if status in NO_SESSION and self._cookies:
            self._cookies.clear()
            status, content = self._once(method, path, data, headers)
        if status == AWAY:
            raise NextcloudError(
                "Nextcloud is in maintenance: wait until the backup or upgrade is over, then give the same "
                "command again.",
                status,
            )
        return status, content

    def ocs(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Return the data of an OCS answer.

        Args:
            method: the HTTP method.
            path: below ``/ocs/v2.php``, or the path of an application that speaks OCS too.
            body: what is sent, as JSON.
            query: what stands behind the path.

        Raises:
            NextcloudError: it refused, or did not answer.
        """
        place = path if path.startswith("/index.php") else f"/ocs/v2.php{path}"
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        status, content = self.request(
            method, f"{place}?{urlencode({**query, 'format': 'json'})}", data, headers
        )
        try:
            said = json.loads(content)["ocs"]
            meta = said["meta"]
        except (ValueError, KeyError, TypeError):
            text = content[:200].decode(errors="replace")
            raise NextcloudError(f"Nextcloud refuses {method} {path} ({status}): {text}", status) from None
        # Applications answer 200 also where they refuse: what counts stands inside.
        code = int(meta["statuscode"])
        if code not in OCS_GOOD:
            text = meta.get("message") or meta.get("status")
            raise NextcloudError(f"Nextcloud refuses {method} {path} ({code}): {text}", code)
        return said["data"]

    def folders(self, method: str, *path: Any, body: Any = None) -> Any:
        """Ask the application groupfolders, whose way in stands beside ``/ocs``."""
        place = "/".join(self.part(str(part)) for part in ("folders", *path))
        return self.ocs(method, f"/index.php/apps/groupfolders/{place}", body)

    def dav(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        good: Iterable[int] = (200, 201, 204, 207),
    ) -> bytes:
        """Return what WebDAV answers about a path of this account.

        Raises:
            NextcloudError: it refused, or did not answer.
        """
        status, content = self.request(method, self.place(path), data, headers)
        if status not in good:
            said = parse(content).first("{http://sabredav.org/ns}message") if b"<" in content else ""
            raise NextcloudError(f"Nextcloud refuses {method} {path} ({status}): {said}", status)
        return content

    def place(self, path: str) -> str:
        """Return the address of a path of this account, below the host."""
        return "/remote.php/dav/files/" + quote(f"{self.account}/{path}")

    def look(self, path: str, *names: str, depth: int = 1) -> dict[str, Element]:
        """Return what WebDAV says of a folder and what is in it, by path within the account.

        Args:
            path: the folder.
            names: properties, as ``{namespace}name``.
            depth: 0 for the folder alone, 1 with what lies in it.

        Raises:
            NextcloudError: there is no such folder (404), or it refused.
        """
        wanted = "".join(
            f'<p{n}:{name[1:].partition("}")[2]} xmlns:p{n}="{name[1:].partition("}")[0]}"/>'
            for n, name in enumerate(names)
        )
        body = f'<?xml version="1.0"?><d:propfind xmlns:d="DAV:"><d:prop>{wanted}</d:prop></d:propfind>'
        headers = {"Depth": str(depth), "Content-Type": "application/xml"}
        root = parse(self.dav("PROPFIND", path, body.encode(), headers))
        begin = f"{self.root}/remote.php/dav/files/{self.account}/"
        return {
            unquote(urlsplit(answer.first("{DAV:}href")).path).removeprefix(begin).strip("/"): answer
            for answer in root.all("{DAV:}response")
        }

    def give_rules(self, path: str, rules: Iterable[Mapping[str, Any]]) -> None:
        """Give a folder within a group folder its advanced permissions, in place of those it has.

        Args:
            path: the folder, within this account.
            rules: ``kind`` (user or group), ``id``, ``mask`` and ``permissions`` of each.

        Raises:
            NextcloudError: it refused.
        """
        items = "".join(
            f"<nc:acl><nc:acl-mapping-type>{rule['kind']}</nc:acl-mapping-type>"
            f"<nc:acl-mapping-id>{escape(rule['id'])}</nc:acl-mapping-id>"
            f"<nc:acl-mask>{rule['mask']}</nc:acl-mask>"
            f"<nc:acl-permissions>{rule['permissions']}</nc:acl-permissions></nc:acl>"
            for rule in rules
        )
        body = (
            f'<?xml version="1.0"?><d:propertyupdate xmlns:d="DAV:" xmlns:nc="{NEXTCLOUD}"><d:set><d:prop>'
            f"<nc:acl-list>{items}</nc:acl-list></d:prop></d:set></d:propertyupdate>"
        )
        answer = parse(self.dav("PROPPATCH", path, body.encode(), {"Content-Type": "application/xml"}))
        # The answer as a whole is good whatever it says of each property.
        said = answer.first("{DAV:}status")
        if " 200 " not in f"{said} ":
            raise NextcloudError(f"Nextcloud does not take the permissions of {path}: {said}")

    def make_folder(self, path: str) -> None:
        """Make a folder; one that is there already stays."""
        self.dav("MKCOL", path, good=(201, 405))

    def delete(self, path: str) -> None:
        """Delete a file or folder; one that is not there is deleted already."""
        self.dav("DELETE", path, good=(204, 404))

    @staticmethod
    def part(name: str) -> str:
        """Return a name as one part of an address."""
        return quote(name, safe="")

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _once(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        sent = {"Authorization": f"Basic {self._proof}", "OCS-APIRequest": "true", **(headers or {})}
        if not self._cookies:
            self._begun = time.monotonic()
        else:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        try:
            self._connection.request(method, self.root + path, data, sent)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise NextcloudError(f"Nextcloud does not answer {method} {path}: {error}") from None
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name.strip()] = value.strip()
        return answer.status, content


class Connections:
    """Several connections, for what need not be done one after the other."""

    def __init__(self, connect: Callable[[], Nextcloud], number: int = CONNECTIONS) -> None:
        """Prepare them; nothing is asked yet."""
        self.number = number
        self.first = connect()
        self._idle: SimpleQueue[Nextcloud] = SimpleQueue()
        for connection in [self.first, *(connect() for _ in range(number - 1))]:
            self._idle.put(connection)

    def for_each(self, things: Iterable[Any], work: Callable[[Nextcloud, Any], Any]) -> list[Any]:
        """Return what some work gave for each thing; the first failure ends it.

        Raises:
            NextcloudError: the first thing that was refused.
        """
        failed: list[NextcloudError] = []

        def one(thing: Any) -> Any:
            if failed:
                return None
            nextcloud = self._idle.get()
            try:
                return work(nextcloud, thing)
            except NextcloudError as error:
                failed.append(error)
                return None
            finally:
                self._idle.put(nextcloud)

        with ThreadPoolExecutor(self.number) as pool:
            results = list(pool.map(one, things))
        if failed:
            raise failed[0]
        return results
