#!/usr/bin/python3
"""A stand-in for Loki where its packages cannot be had: `loki -config.file=FILE`. Not Loki.

It reads the same configuration, takes lines as Loki's API does (in JSON), keeps them below the same folder,
and finds those of a stream that hold a word. So the role's wiring can be tried: the package, the unit and its
rights, Grafana's data source, removal. It deletes nothing in time and knows no other query.
"""

from __future__ import annotations

import http.server
import json
import re
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

VERSION = "@VERSION@"
# {server="web"} |= "word"
QUERY = re.compile(r'\{(\w+)="([^"]*)"\}\s*\|=\s*"([^"]*)"')


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    kept: Path
    oldest_s: float
    lines = taken = 0

    def do_GET(self) -> None:
        """Say how it is, or find lines."""
        url = urlsplit(self.path)
        if url.path == "/ready":
            return self.say("ready\n")
        if url.path == "/metrics":
            return self.say(
                f'loki_distributor_lines_received_total{{tenant="fake"}} {Handler.lines}\n'
                f'loki_distributor_bytes_received_total{{tenant="fake"}} {Handler.taken}\n'
                f'loki_build_info{{version="{VERSION}"}} 1\n'
            )
        if url.path == "/loki/api/v1/query_range":
            asked = QUERY.fullmatch(parse_qs(url.query)["query"][0])
            if not asked:
                return self.say("stand-in: knows no such query", 400)
            found = [one for one in self.streams() if one["stream"].get(asked[1]) == asked[2]]
            matching = [
                {"stream": one["stream"], "values": [v for v in one["values"] if asked[3] in v[1]]}
                for one in found
            ]
            result = [one for one in matching if one["values"]]
            return self.say(
                json.dumps({"status": "success", "data": {"resultType": "streams", "result": result}})
            )
        return self.say("not found", 404)

    def do_POST(self) -> None:
        """Take lines."""
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.kept.open("a", encoding="utf-8") as file:
            for one in given["streams"]:
                one["values"] = [v for v in one["values"] if time.time() - int(v[0]) / 1e9 < self.oldest_s]
                file.write(json.dumps(one) + "\n")
                Handler.lines += len(one["values"])
                Handler.taken += sum(len(line) for _, line in one["values"])
        return self.say("", 204)

    def streams(self) -> list[dict[str, Any]]:
        """Return all that was taken."""
        if not self.kept.exists():
            return []
        return [json.loads(line) for line in self.kept.read_text(encoding="utf-8").splitlines()]

    def say(self, content: str, status: int = 200) -> None:
        """Answer."""
        data = content.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until stopped."""
    # As Loki takes it: -config.file=FILE or -config.file FILE.
    given = " ".join(sys.argv[1:]).replace("-config.file ", "-config.file=")
    settings = yaml.safe_load(Path(given.partition("=")[2]).read_text(encoding="utf-8"))
    folder = Path(settings["common"]["path_prefix"])
    folder.mkdir(exist_ok=True)
    Handler.kept = folder / "lines"
    oldest = settings.get("limits_config", {}).get("reject_old_samples_max_age", "168h")
    Handler.oldest_s = 3600 * int(oldest.removesuffix("h"))
    server = settings["server"]
    place = (server.get("http_listen_address", ""), int(server["http_listen_port"]))
    http.server.ThreadingHTTPServer(place, Handler).serve_forever()


if __name__ == "__main__":
    main()
