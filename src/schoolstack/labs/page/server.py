"""The server of the pages: what may be asked, by whom, and what is answered.

It has two kinds of pages, a few verbs that seats may ask for, and three fixed files. Nothing in a request
names a file.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from schoolstack.errors import SchoolError
from schoolstack.labs.page.desk import Desk
from schoolstack.labs.page.links import Links
from schoolstack.labs.page.views import room_line, seat_view
from schoolstack.labs.seat import Seat
from schoolstack.messages import LANGUAGES, language, say, speaking

# What a button may ask for, by the last part of its address.
VERBS = {"check": "check", "restart": "restart", "hint": "hint", "reset": "start"}
FILES = {
    "/page.css": ("text/css; charset=utf-8", "page.css"),
    "/page.js": ("text/javascript; charset=utf-8", "page.js"),
    "/icon.svg": ("image/svg+xml", "icon.svg"),
}
HTML = "text/html; charset=utf-8"
COOKIE = "language"
# Seconds that somebody may take to send a request, or to send the next one.
PATIENCE = 20
# Connections at once: more than a room of 25 with two pages each has open.
CONNECTIONS = 100
# Bytes; a button sends nothing.
LONGEST_BODY = 1024

# What the page needs, and nothing else. Of the referrer's policies, no-referrer would make browsers send
# `Origin: null` with a form (Fetch standard, "append a request Origin header").
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

_pages = Environment(
    loader=PackageLoader("schoolstack.labs.page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Site(ThreadingHTTPServer):
    """The pages of a lesson's seats, on one address of this machine."""

    daemon_threads = True

    def __init__(self, find: Callable[[], Sequence[Seat]], address: str, port: int) -> None:
        """Listen, without answering yet.

        Args:
            find: returns the seats there are of one lesson, at least one.
            address: an IP address of this machine.
            port: 0 for any that is free.

        Raises:
            SchoolError: it cannot listen there, or does not want to.
        """
        try:
            ip = ipaddress.ip_address(address)
        except ValueError as error:
            raise SchoolError(say("labs.page.no_address", address=address)) from error
        if ip.is_unspecified:
            # The name a browser asks for could then be anybody's.
            raise SchoolError(say("labs.page.any_address", address=address))
        # Each check takes a processor for seconds; more at once would make all of them slower.
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        self.address_family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
        try:
            super().__init__((address, port), _Answer)
        except OSError as error:
            reason = error.strerror or str(error)
            raise SchoolError(say("labs.page.no_port", address=address, port=port, reason=reason)) from error
        shown = f"[{address}]" if ip.version == 6 else address
        names = [shown, "localhost"] if ip.is_loopback else [shown]
        self.names = [f"{name}:{self.server_port}" for name in names]
        self._find, self._finding = find, threading.Lock()
        first = find()[0]
        # The folder of the seat without a number, which goes when the lesson is removed.
        folder = first.folder.with_name(first.folder.name.removesuffix(first.number))
        self.links = Links(folder / "links.json")
        self.desks: Mapping[str, Desk] = {}
        self.find_seats()
        self._free = threading.BoundedSemaphore(CONNECTIONS)

    def find_seats(self) -> None:
        """Take in seats that were made since, or made anew, and leave out those that were removed."""
        with self._finding:
            desks = {}
            for seat in self._find():
                desk = self.desks.get(seat.number)
                desks[seat.number] = desk if desk and not desk.outdated else Desk(seat, self._pool)
            self.links.know(desks)
            self.desks = desks

    def url(self, name: str) -> str:
        """Return the address of somebody's page: of a seat by its number, or of the trainer."""
        return f"http://{self.names[0]}{self.links.path(name)}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, unless too many are being answered."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of browsers that hang up, and all of what is wrong here."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Stop listening, and wait for what is being done at seats."""
        super().server_close()
        self._pool.shutdown(cancel_futures=True)


class _Answer(BaseHTTPRequestHandler):
    """One connection."""

    server: Site
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    # An answer leaves in one piece: in two, the second would wait for the first to be acknowledged (40 ms).
    wbufsize = -1
    server_version, sys_version = "schoolstack", ""

    def do_GET(self) -> None:
        """Show a page or one of the files."""
        asked = urlsplit(self.path)
        with speaking(self._language()):
            if not self._host_is_ours():
                self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
            elif asked.path in FILES:
                kind, name = FILES[asked.path]
                self._send(HTTPStatus.OK, (files(__package__) / "static" / name).read_bytes(), kind)
            elif (page := self._page(asked.path)) is None:
                self._refuse(HTTPStatus.NOT_FOUND)
            elif (wanted := parse_qs(asked.query).get(COOKIE, [""])[0]) in LANGUAGES:
                self._see_other(asked.path, f"{COOKIE}={wanted}; Path=/; SameSite=Strict; HttpOnly")
            else:
                self._send(HTTPStatus.OK, page.encode(), HTML)

    def do_POST(self) -> None:
        """Have something done at a seat, and lead back to its page."""
        length = self.headers.get("Content-Length", "0")
        path, _, verb = urlsplit(self.path).path.rpartition("/")
        with speaking(self._language()):
            # What is not read here would be taken for the next request.
            if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > LONGEST_BODY:
                self.close_connection = True
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            self.rfile.read(int(length))
            if not self._host_is_ours():
                self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
            elif not self._comes_from_our_page():
                self._refuse(HTTPStatus.FORBIDDEN)
            elif (desk := self._desk(path)) is None or verb not in VERBS:
                self._refuse(HTTPStatus.NOT_FOUND)
            else:
                desk.ask(VERBS[verb])
                self._see_other(path)

    def log_message(self, *_: Any, **__: Any) -> None:
        """Write nothing: the secrets in the addresses belong into no log."""

    # -- who asks ----------------------------------------------------------------------------------

    def _host_is_ours(self) -> bool:
        """Whether the browser looked for this server: a stranger's name may lead here too (DNS rebinding)."""
        return self.headers.get("Host", "").lower() in self.server.names

    def _comes_from_our_page(self) -> bool:
        """Whether a button was pressed on a page of this server, and on no other site."""
        return (
            self.headers.get("Origin", "") == f"http://{self.headers['Host'].lower()}"
            and self.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
        )

    def _language(self) -> str:
        """Return the language somebody chose, or their browser prefers, or this process speaks."""
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        preferred = [part.strip()[:2].lower() for part in self.headers.get("Accept-Language", "").split(",")]
        wanted = [cookie.value if cookie else "", *preferred]
        return next((one for one in wanted if one in LANGUAGES), language())

    def _desk(self, path: str) -> Desk | None:
        """Return the seat whose page stands at a path."""
        _, kind, secret = path.split("/") if path.count("/") == 2 else ("", "", "")
        whose = self.server.links.whose("seat", secret) if kind == "seat" else None
        if whose is None:
            return None
        if (desk := self.server.desks.get(whose)) and desk.outdated:
            self.server.find_seats()
        return self.server.desks.get(whose)

    # -- answers -----------------------------------------------------------------------------------

    def _page(self, path: str) -> str | None:
        """Return the page that stands at a path; None when there is none."""
        if desk := self._desk(path):
            view = seat_view(desk)
            return self._render("seat", path, title=view.title, seat=view)
        if path.startswith("/room/") and self.server.links.whose("room", path.removeprefix("/room/")):
            self.server.find_seats()
            links = self.server.links
            lines = [room_line(desk, links.path(number)) for number, desk in self.server.desks.items()]
            return self._render("room", path, title=lines[0].seat.title, lines=lines)
        return None

    def _render(self, name: str, path: str, **values: Any) -> str:
        texts = {"say": lambda key, **given: say(f"labs.page.{key}", **given), "language": language()}
        return _pages.get_template(f"{name}.html.j2").render(
            path=path, languages=LANGUAGES, **texts, **values
        )

    def _refuse(self, status: HTTPStatus) -> None:
        key = "gone" if status == HTTPStatus.NOT_FOUND else "refused"
        page = self._render("refused", "/", title=say(f"labs.page.{key}"), why=say(f"labs.page.{key}_why"))
        self._send(status, page.encode(), HTML)

    def _see_other(self, path: str, cookie: str = "") -> None:
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", path)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self._finish(HTTPStatus.SEE_OTHER, b"")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        # A page that is as the browser knows it is not sent again: it asks every few seconds, over Wi-Fi.
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if status == HTTPStatus.OK and self.headers.get("If-None-Match") == tag:
            status, body = HTTPStatus.NOT_MODIFIED, b""
        self.send_response(status)
        self.send_header("ETag", tag)
        self.send_header("Content-Type", kind)
        self._finish(status, body)

    def _finish(self, status: HTTPStatus, body: bytes) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "private, no-cache")
        self.send_header("Vary", "Cookie, Accept-Language")
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
