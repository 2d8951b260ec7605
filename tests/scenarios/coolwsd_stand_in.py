#!/usr/bin/python3
"""A stand-in for coolwsd where its packages cannot be had: `coolwsd --o:path=value...`. Not coolwsd.

It takes the same settings, strictly, tells in discovery and capabilities what Nextcloud asks of them, and is
WOPI's client for a document over a websocket: CheckFileInfo, GetFile and PutFile, for hosts that are let in
and with certificates that are trusted. So the role's wiring can be tried. A document is plain text to it; it
shows nothing, shuts nothing away, and proves nothing about Collabora Online itself.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit
from xml.sax.saxutils import quoteattr

from aiohttp import ClientError, ClientSession, TCPConnector, WSMsgType, web
from coolwsd_keys import ATTRIBUTES, SETTINGS

VERSION = "@VERSION@"
# A version that cannot start.
BROKEN = "@BROKEN@" == "yes"
PROOF_KEY = "/etc/coolwsd/proof_key"
VALUES = {"bool": r"true|false", "uint": r"\d+", "double": r"\d+([.]\d+)?", "string": r".*"}
# Of the package's own coolwsd.xml: what counts where no option says otherwise.
POST_ALLOW = ("192[.]168[.].*", "::ffff:192[.]168[.].*", "127[.]0[.]0[.]1", "::1", "172[.].*", "10[.].*")
PACKAGED = {
    **{f"net.post_allow.host[{number}]": host for number, host in enumerate(POST_ALLOW)},
    "net.listen": "any",
    "ssl.enable": "true",
    "admin_console.enable": "true",
    "storage.wopi.alias_groups[@mode]": "first",
    "logging.anonymize.anonymize_user_data": "false",
}


def refuse(why: str) -> None:
    """End, saying why."""
    sys.exit(f"stand-in: {why}")


def options() -> dict[str, str]:
    """Return the settings of the command line, each of which has to exist and to have a value of its type."""
    given = {}
    for word in sys.argv[1:]:
        if word == "--version":
            continue
        found = re.fullmatch(r"--o:([^=]+)=(.*)", word)
        if not found:
            refuse(f"knows no option {word}")
        path, value = found.groups()
        plain = re.sub(r"\[\d+\]", "", path)
        kind = SETTINGS.get(plain) or ATTRIBUTES.get(plain)
        if not kind:
            refuse(f"knows no setting {path}")
        # As Poco's configuration does it, which coolwsd is built on.
        value = re.sub(r"\$\{system\.env\.(\w+)\}", lambda name: os.environ.get(name[1], name[0]), value)
        if not re.fullmatch(VALUES[kind], value):
            refuse(f"{path} wants a {kind}")
        given[path] = value
    return given


class Office:
    """What it was told, and what follows from it."""

    def __init__(self, given: dict[str, str]) -> None:
        self.settings = {**PACKAGED, **given}
        self.hosts = []
        group = "storage.wopi.alias_groups.group"
        if self("storage.wopi[@allow]") == "true" and self("storage.wopi.alias_groups[@mode]") == "groups":
            number = 0
            while host := self(f"{group}[{number}].host"):
                # Without a scheme an address has no host, and counts for nothing: as with coolwsd, silently.
                if self(f"{group}[{number}].host[@allow]") == "true" and (name := urlsplit(host).hostname):
                    self.hosts.append(name)
                number += 1

    def __call__(self, path: str) -> str:
        """Return a setting; empty when there is none."""
        return self.settings.get(path, "")

    def may_post(self, addresses: list[str]) -> bool:
        """Return whether all of these addresses may have documents converted."""
        number, allowed = 0, []
        while (path := f"net.post_allow.host[{number}]") in self.settings:
            allowed += [self(path)] if self(path) else []
            number += 1
        return all(any(re.fullmatch(host, one) for host in allowed) for one in addresses)

    def named(self, name: str) -> str:
        """Return a name as it may stand in the journal."""
        if self("logging.anonymize.anonymize_user_data") != "true":
            return name
        salted = self("logging.anonymize.anonymization_salt") + name
        return f"#{hashlib.sha256(salted.encode()).hexdigest()[:8]}"

    def warn(self, words: str) -> None:
        """Write into the journal."""
        print(f"WRN {words}", file=sys.stderr, flush=True)


OFFICE: Office


def address(request: web.Request) -> str:
    """Return at which address browsers reach this."""
    secure = OFFICE("ssl.enable") == "true" or OFFICE("ssl.termination") == "true"
    return f"http{'s' * secure}://{OFFICE('server_name') or request.host}"


async def discovery(request: web.Request) -> web.Response:
    """Say where documents of each kind are opened, and by which key this shows that it is this."""
    urlsrc = quoteattr(f"{address(request)}/browser/stand-in/cool.html?")
    openssl = ["openssl", "rsa", "-in", PROOF_KEY, "-noout", "-modulus"]
    said = subprocess.run(openssl, check=True, capture_output=True, text=True).stdout
    value = base64.b64encode(bytes.fromhex(said.strip().partition("=")[2])).decode()
    actions = "".join(
        f'<app name="{name}"><action ext="{ext}" name="edit" urlsrc={urlsrc}/></app>'
        for name, ext in (("writer", "odt"), ("calc", "ods"), ("impress", "odp"))
    )
    proof = f'<proof-key modulus="{value}" exponent="AQAB"/>'
    text = f'<wopi-discovery><net-zone name="external-http">{actions}</net-zone>{proof}</wopi-discovery>'
    return web.Response(text=text, content_type="text/xml")


def callers(request: web.Request) -> list[str]:
    """Return all addresses through which a request came."""
    forwarded = [one.strip() for one in request.headers.get("X-Forwarded-For", "").split(",") if one.strip()]
    return [request.remote or "", *forwarded]


async def capabilities(request: web.Request) -> web.Response:
    """Say what can be done."""
    convert = {"available": OFFICE.may_post(callers(request)), "endpoint": "/cool/convert-to"}
    return web.json_response(
        {"convert-to": convert, "productName": "coolwsd (stand-in)", "productVersion": VERSION}
    )


async def convert(request: web.Request) -> web.Response:
    """Convert nothing, but say whether it would be."""
    if not OFFICE.may_post(callers(request)):
        return web.Response(status=403, text="stand-in: not from there\n")
    return web.Response(text="stand-in: converted\n")


async def administration(request: web.Request) -> web.Response:
    """Let nobody in, as coolwsd does where that is switched off."""
    if OFFICE("admin_console.enable") != "true":
        return web.Response(status=403, text="stand-in: admin console disabled\n")
    return web.Response(text="stand-in: administration\n")


class Document:
    """One document that is open."""

    def __init__(self, source: str, browser: web.WebSocketResponse) -> None:
        self.source = source
        self.browser = browser
        self.name = ""
        self.text = ""
        verified = ssl.create_default_context(cafile=OFFICE("storage.ssl.ca_file_path") or None)
        if not OFFICE("storage.ssl.ca_file_path"):
            verified.check_hostname, verified.verify_mode = False, ssl.CERT_NONE
        self.session = ClientSession(connector=TCPConnector(ssl=verified))

    def at(self, more: str = "") -> str:
        """Return the document's address at its host, or that of a part of it."""
        parts = urlsplit(self.source)
        token = [(key, value) for key, value in parse_qsl(parts.query) if key == "access_token"]
        return urlunsplit((parts.scheme, parts.netloc, parts.path + more, urlencode(token), ""))

    async def load(self) -> str:
        """Get it, and return what the browser is told."""
        async with self.session.get(self.at()) as answer:
            if answer.status != 200:
                return "error: cmd=load kind=unauthorized"
            told = await answer.json()
        self.name = told["BaseFileName"]
        OFFICE.warn(f"opened {OFFICE.named(self.name)} for {OFFICE.named(told['UserFriendlyName'])}")
        async with self.session.get(self.at("/contents")) as answer:
            self.text = await answer.text()
        return f"status: type=text length={len(self.text)}"

    async def save(self) -> str:
        """Put it back, and return what the browser is told."""
        async with self.session.post(self.at("/contents"), data=self.text.encode()) as answer:
            done = "true" if answer.status == 200 else "false"
        return f'unocommandresult: {{"commandName": ".uno:Save", "success": {done}}}'


async def socket(request: web.Request) -> web.WebSocketResponse | web.Response:
    """Have a document open for as long as its websocket is."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    # The path holds the document's whole address, encoded once; what stands between decodes nothing.
    found = re.match(r"/cool/([^/]+)/ws", request.raw_path)
    source = unquote(found[1]) if found else ""
    host = urlsplit(source).hostname or ""
    if host not in OFFICE.hosts:
        OFFICE.warn("no authorized host matches the target host")
        await ws.send_str("error: cmd=internal kind=unauthorized")
        await ws.close()
        return ws
    document = Document(source, ws)
    OPEN.add(document)
    try:
        async for message in ws:
            if message.type is not WSMsgType.TEXT:
                continue
            words = message.data
            try:
                if words.startswith("load "):
                    await ws.send_str(await document.load())
                elif words.startswith("textinput "):
                    document.text += words.partition("text=")[2]
                elif words == "save":
                    await ws.send_str(await document.save())
                else:
                    await ws.send_str("error: cmd=unknown kind=syntax")
            except ClientError:
                await ws.send_str("error: cmd=storage kind=loadfailed")
    finally:
        OPEN.discard(document)
        await document.session.close()
    return ws


OPEN: set[Document] = set()


async def save_all(_: web.Application) -> None:
    """Save what is open before the end, as coolwsd does at SIGINT."""
    for document in [*OPEN]:
        await document.save()
        await document.browser.close()


async def end_unsaved(_: web.Application) -> None:
    """Have SIGTERM end it at once: what systemd sends by itself saves nothing."""
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


async def root(_: web.Request) -> web.Response:
    """Say that it is there."""
    return web.Response(text="OK")


async def page(_: web.Request) -> web.Response:
    """Show what stands for the editor."""
    return web.Response(text="Stand-in for Collabora Online\n")


def main() -> None:
    """Serve until stopped."""
    global OFFICE
    OFFICE = Office(options())
    if BROKEN:
        refuse("this version cannot start")
    if OFFICE("ssl.enable") == "true":
        refuse("there is no certificate in /etc/coolwsd")
    for path in ("sys_template_path", "child_root_path", "file_server_root_path"):
        if not Path(OFFICE(path)).is_dir():
            refuse(f"{path} is no folder")
    Path(OFFICE("child_root_path"), "jail").mkdir(exist_ok=True)
    print(f"coolwsd {VERSION} (stand-in)", flush=True)
    app = web.Application()
    app.add_routes(
        [
            web.get("/", root),
            web.get("/hosting/discovery", discovery),
            web.get("/hosting/capabilities", capabilities),
            web.post("/cool/convert-to", convert),
            web.post("/cool/convert-to/{format}", convert),
            web.get("/browser/dist/admin/{page}", administration),
            web.get("/cool/adminws", administration),
            web.get("/cool/getMetrics", administration),
            web.get("/browser/{path:.*}", page),
            web.get("/cool/{path:.*}", socket),
        ]
    )
    app.on_startup.append(end_unsaved)
    # What is cleaned up at the end comes too late: the websockets are closed before.
    app.on_shutdown.append(save_all)
    place = "127.0.0.1" if OFFICE("net.listen") == "loopback" else "0.0.0.0"
    web.run_app(app, host=place, port=9980, print=None)


if __name__ == "__main__":
    main()
