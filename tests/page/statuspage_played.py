"""The status page as its server runs it, with a Prometheus that is played."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
import zoneinfo
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from schoolstack.deployment import ROOT
from schoolstack.messages import LANGUAGES, catalogue

PROGRAM = ROOT / "roles/statuspage/files/statuspage.py"
spec = importlib.util.spec_from_file_location("statuspage", PROGRAM)
program = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = program  # dataclasses look there
spec.loader.exec_module(program)

SETTINGS = {
    "school": "Voorbeeldschool <&>",
    "language": "nl",
    "zone": zoneinfo.ZoneInfo("Europe/Brussels"),
    "told": True,
    "words": {
        lang: {
            key.removeprefix("status."): sentence
            for key, sentence in catalogue(lang).items()
            if key.startswith("status.")
        }
        for lang in LANGUAGES
    },
}
TITLES = {"keycloak": ("Sign-in", "Aanmelden"), "portal": ("Start page", "Startpagina"), "files": ("", "")}


def target(application: str, title: str = "", called: tuple[str, str] = ("", "")) -> list[dict[str, Any]]:
    """Return what the role monitoring writes of an application with a page, on a server of its own."""
    labels = {"application": application, "title": title or application.title(), "server": "server"}
    page = {**labels, "job": "page", "instance": f"https://{application}.school.example/"}
    page |= {f"__called_{lang}": said for lang, said in zip(("en", "nl"), called, strict=True) if said}
    metrics = {**labels, "job": application, "__through": "server"}
    return [
        {"targets": ["192.0.2.7:9999"], "labels": metrics},
        {"targets": ["127.0.0.1:9115"], "labels": page},
    ]


def series(value: float, **labels: str) -> dict[str, Any]:
    """Return one series, as Prometheus answers it."""
    return {"metric": labels, "value": [time.time(), str(value)]}


@contextmanager
def prometheus(answers: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Have a Prometheus that answers to the program's queries, by their names."""
    queries = {query: name for name, query in program.QUERIES.items()}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            [query] = parse_qs(urlsplit(self.path).query)["query"]
            body = json.dumps({"data": {"result": answers.get(queries[query], [])}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def shown(look: Any) -> Iterator[str]:
    """Show what was seen; yields the address."""
    server = program.Server(0, SETTINGS)
    server.look = look
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def seen(folder: Path, answers: Mapping[str, list[dict[str, Any]]]) -> Any:
    """Return what the program sees of three applications."""
    for name, called in TITLES.items():
        (folder / f"{name}.json").write_text(json.dumps(target(name, called[0], called)))
    (folder / "statuspage.json").write_text(json.dumps(target("statuspage")))
    (folder / "server.json").write_text(
        json.dumps([{"targets": ["127.0.0.1:9100"], "labels": {"job": "server"}}])
    )
    with prometheus(answers) as address:
        return program.look(address, folder)
