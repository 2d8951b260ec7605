"""A small WOPI host for tests: one document, as Nextcloud would hand it out. Runs on the test host, over TLS.

usage: wopi_host.py FOLDER CERTIFICATE KEY PORT
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

from aiohttp import web

FOLDER = Path(sys.argv[1])
# What may be done with the document, and by whom.
TOKEN = "good"
NAME, WRITER = "Rapport van Daan.odt", "Elise Hermans"


def allowed(request: web.Request) -> None:
    """Refuse whoever has not the token."""
    if request.query.get("access_token") != TOKEN:
        raise web.HTTPUnauthorized


async def check_file_info(request: web.Request) -> web.Response:
    """Tell about the document (WOPI's CheckFileInfo)."""
    allowed(request)
    size = (FOLDER / "document").stat().st_size
    told = {"BaseFileName": NAME, "Size": size, "UserFriendlyName": WRITER, "UserCanWrite": True}
    return web.json_response(told)


async def get_file(request: web.Request) -> web.Response:
    """Hand it out (GetFile)."""
    allowed(request)
    return web.Response(body=(FOLDER / "document").read_bytes())


async def put_file(request: web.Request) -> web.Response:
    """Take it back (PutFile)."""
    allowed(request)
    (FOLDER / "document").write_bytes(await request.read())
    return web.json_response({"LastModifiedTime": "2026-11-27T00:00:00Z"})


if __name__ == "__main__":
    app = web.Application()
    app.add_routes(
        [
            web.get("/wopi/files/1", check_file_info),
            web.get("/wopi/files/1/contents", get_file),
            web.post("/wopi/files/1/contents", put_file),
        ]
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[4]), ssl_context=context, print=None)
