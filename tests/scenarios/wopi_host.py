"""A small WOPI host for tests: one document, as Nextcloud would hand it out. Runs on the test host, over TLS.

It hands out to whoever has the token and proves to be the office, as Nextcloud has it proven.

usage: wopi_host.py FOLDER CERTIFICATE KEY PORT [PROOF_KEY]
"""

from __future__ import annotations

import base64
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aiohttp import web

FOLDER = Path(sys.argv[1])
# What may be done with the document, and by whom.
TOKEN = "good"
PROOF_KEY = (sys.argv[5:] or ["/etc/coolwsd/proof_key"])[0]
# Tenths of microseconds from the year 1 to 1970, and those of 20 minutes.
EPOCH, OLD = 621355968000000000, 20 * 60 * 10**7
NAME, WRITER = "Rapport van Daan.odt", "Elise Hermans"


def allowed(request: web.Request) -> None:
    """Refuse whoever has not the token, or is not the office."""
    token = request.query.get("access_token", "")
    ticks = int(request.headers.get("X-WOPI-TimeStamp", 0))
    if token != TOKEN or int(time.time() * 10**7) + EPOCH - ticks > OLD:
        raise web.HTTPUnauthorized
    url = f"https://{request.host}{request.path_qs}".upper().encode()
    parts = (token.encode(), url, ticks.to_bytes(8, "big"))
    told = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    with tempfile.NamedTemporaryFile() as proof:
        proof.write(base64.b64decode(request.headers.get("X-WOPI-Proof", "")))
        proof.flush()
        openssl = ["openssl", "dgst", "-sha256", "-prverify", PROOF_KEY, "-signature", proof.name]
        if subprocess.run(openssl, input=told, check=False, capture_output=True).returncode:
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
