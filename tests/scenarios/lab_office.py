"""A school's office, as the scenarios here treat it: somebody who writes with it."""

from __future__ import annotations

import json
from urllib.parse import quote

from schoolstack.deployment import Deployment
from schoolstack.hosts.state import run

# What a browser says to the office: an address and messages; what it hears is printed.
BROWSER = """
import asyncio, json, sys
from aiohttp import ClientSession, WSMsgType
address, words, wait = json.loads(sys.argv[1])

async def main():
    heard = []
    async with ClientSession() as session, session.ws_connect(address) as ws:
        for word in words:
            await ws.send_str(word)
            if word.startswith("textinput"):
                continue
            message = await ws.receive(timeout=10)
            if message.type is not WSMsgType.TEXT:
                break
            heard.append(message.data)
        if wait:
            print("ready", flush=True)
            await ws.receive()
    print(json.dumps(heard))

asyncio.run(main())
"""


def bring_browser(school: Deployment) -> None:
    """Have on the server what :func:`speak` speaks with."""
    put(school, "/root/browser.py", BROWSER)


def put(school: Deployment, path: str, content: str) -> None:
    """Write a file on the server."""
    run([*school.lab.ssh_command(school.name), f"cat >{path}"], stdin=content)


def websocket(school: Deployment, source: str, key: str) -> str:
    """Return the address at which a document is opened: within it the document's own, encoded once.

    Args:
        school: whose office.
        source: the document's address at its host.
        key: what lets in there.
    """
    inner = quote(f"{source}?access_token={key}&access_token_ttl=0", safe="")
    address = school.url("collabora", f"/cool/{inner}/ws?WOPISrc={quote(source, safe='')}&compat=/ws")
    return address.replace("https://", "wss://")


def speak(school: Deployment, source: str, key: str, *words: str) -> list[str]:
    """Open a document as a browser would, through nginx, and return what was heard."""
    given = json.dumps([websocket(school, source, key), ["load url=x", *words], False])
    heard: list[str] = json.loads(school.shell(f"python3 /root/browser.py '{given}'"))
    return heard


def status_of(url: str, body: str = "") -> str:
    """Return a command that prints the HTTP status of an address, asked from the server."""
    program = (
        "import sys, urllib.request as r, urllib.error\n"
        f"try: print(r.urlopen({url!r}, {body.encode() or None!r}).status)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    return f'python3 -c "{program}"'
