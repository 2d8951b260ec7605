"""A WebDAV server for tests that is not rclone's own: WsgiDAV, with a log of what it is asked.

It also does what Nextcloud adds to WebDAV, as far as rclone uses that: uploads in pieces (Nextcloud's
developer manual, "Chunked file upload"), the time of change in a header, checksums, names that it refuses.
A stand-in for that: no evidence about Nextcloud.

Started as ``webdav_server.py FOLDER PORT``. Below FOLDER it keeps ``files/ACCOUNT`` and ``uploads/ACCOUNT``,
reads ``passwords.json`` ({account: password}) and, at each request, ``control.json``: ``full`` (bytes that
all files together may take), ``broken`` (a word; what has it in its path is answered with 500), ``denied``
(likewise, with 401).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from werkzeug.serving import make_server
from werkzeug.wsgi import get_input_stream
from wsgidav.fs_dav_provider import FilesystemProvider
from wsgidav.wsgidav_app import WsgiDAVApp

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from schoolstack.migrate.names import nextcloud_refuses

FILES, UPLOADS = "/remote.php/dav/files", "/remote.php/dav/uploads"


class Front:
    """Stands before WsgiDAV."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        passwords = json.loads((folder / "passwords.json").read_text(encoding="utf-8"))
        for account in passwords:
            for name in ("files", "uploads"):
                (folder / name / account).mkdir(parents=True, exist_ok=True)
        users = {account: {"password": password} for account, password in passwords.items()}
        self.dav = WsgiDAVApp(
            {
                "provider_mapping": {
                    FILES: FilesystemProvider(str(folder / "files")),
                    UPLOADS: FilesystemProvider(str(folder / "uploads")),
                },
                "simple_dc": {"user_mapping": {"*": users}},
                "http_authenticator": {
                    "accept_basic": True,
                    "accept_digest": False,
                    "default_to_digest": False,
                },
                "verbose": 0,
                "logging": {"enable": False},
            }
        )
        self.log = (folder / "requests.jsonl").open("a", encoding="utf-8")

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        line = {
            "method": environ["REQUEST_METHOD"],
            "path": path,
            "length": int(environ.get("CONTENT_LENGTH") or 0),
            "began": time.time(),
        }

        def started(status: str, headers: list[Any], *rest: Any) -> Any:
            line["status"] = int(status.split()[0])
            if environ.get("HTTP_X_OC_MTIME") and line["status"] < 300:
                headers = [*headers, ("X-OC-MTime", "accepted")]
            return start(status, headers, *rest)

        try:
            answer = self.answer(environ, path, started)
            body = [*answer]
            if hasattr(answer, "close"):
                answer.close()
            self.set_time(environ, path, line.get("status", 500))
            return body
        finally:
            line["ended"] = time.time()
            self.log.write(json.dumps(line) + "\n")
            self.log.flush()

    def answer(self, environ: dict[str, Any], path: str, start: Callable[..., Any]) -> Iterable[bytes]:
        control = self.folder / "control.json"
        wanted = json.loads(control.read_text(encoding="utf-8")) if control.exists() else {}
        method, length = environ["REQUEST_METHOD"], int(environ.get("CONTENT_LENGTH") or 0)
        if wanted.get("denied") and wanted["denied"] in path:
            return refuse(start, "401 Unauthorized")
        if wanted.get("broken") and wanted["broken"] in path and method == "PUT":
            return refuse(start, "500 Internal Server Error")
        if method in ("PUT", "MKCOL") and nextcloud_refuses(path.rstrip("/").rpartition("/")[2]):
            return refuse(start, "400 Bad Request")
        if method == "PUT" and "full" in wanted and self.used() + length > wanted["full"]:
            return refuse(start, "507 Insufficient Storage")
        if method == "PATCH" and environ.get("HTTP_X_RECALCULATE_HASH"):
            return self.checksum(environ["HTTP_X_RECALCULATE_HASH"], path, start)
        if method == "MOVE" and path.startswith(UPLOADS) and path.endswith("/.file"):
            return self.assemble(environ, path, start)
        if path.startswith(UPLOADS):
            environ = {**environ, "HTTP_X_OC_MTIME": ""}
        # WsgiDAV reads on until there is nothing more, and so has to be told where a request ends.
        return self.dav({**environ, "wsgi.input": get_input_stream(environ)}, start)

    def used(self) -> int:
        return sum(one.stat().st_size for one in (self.folder / "files").rglob("*") if one.is_file())

    def assemble(self, environ: dict[str, Any], path: str, start: Callable[..., Any]) -> Iterable[bytes]:
        """Make one file of the pieces of an upload, in the order of their names."""
        pieces = self.folder / "uploads" / path.removeprefix(UPLOADS).strip("/").removesuffix("/.file")
        to = self.place(unquote(urlsplit(environ["HTTP_DESTINATION"]).path))
        with to.with_name(f".{to.name}.assembling").open("wb") as whole:
            for piece in sorted(pieces.iterdir()):
                whole.write(piece.read_bytes())
        to.with_name(f".{to.name}.assembling").replace(to)
        shutil.rmtree(pieces)
        environ["assembled"] = to
        start("201 Created", [("Content-Length", "0")])
        return [b""]

    def checksum(self, kind: str, path: str, start: Callable[..., Any]) -> Iterable[bytes]:
        """Say what a file's checksum is."""
        digest = hashlib.new(kind.lower(), self.place(path).read_bytes(), usedforsecurity=False).hexdigest()
        start("204 No Content", [("OC-Checksum", f"{kind.upper()}:{digest}")])
        return [b""]

    def place(self, path: str) -> Path:
        return self.folder / "files" / path.removeprefix(FILES).strip("/")

    def set_time(self, environ: dict[str, Any], path: str, status: int) -> None:
        changed = environ.get("HTTP_X_OC_MTIME")
        if changed and status < 300 and environ["REQUEST_METHOD"] in ("PUT", "MOVE"):
            to = environ.get("assembled") or self.place(path)
            if to.is_file():
                os.utime(to, (float(changed), float(changed)))


def refuse(start: Callable[..., Any], status: str) -> Iterable[bytes]:
    start(status, [("Content-Length", "0"), ("Connection", "close")])
    return [b""]


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[2]), Front(Path(sys.argv[1])), threaded=True).serve_forever()
