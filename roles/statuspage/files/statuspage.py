#!/usr/bin/python3
"""Show on one page whether the school's pages work: is it me, or is it down?

What there is to show is read from the files by which Prometheus knows the applications, and how each is from
Prometheus itself, every minute, by a thread of this program. Pages are made when somebody asks, so that the
one who reads is told how old the answer is even when nothing could be looked at any more.

Nothing stands on it but what an application is called and how it is: no names, no addresses, no versions.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import html
import http.client
import json
import re
import sys
import threading
import time
import urllib.parse
import zoneinfo
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Seconds between two looks, and until what was seen is too old to go by. Prometheus too goes back 5 minutes.
LOOK_S, STALE_S = 60, 300
ANSWER_S = 10
# What people see of an application, the worse the later.
STATES = ("works", "unknown", "trouble", "down")
# Shape and word say it as well as colour does.
NAMES = {"en": "English", "nl": "Nederlands"}
SIGNS = {"works": "✓", "unknown": "?", "trouble": "!", "down": "✗"}
# Findings of a server by which people cannot use an application; others are the coordinator's.
FELT = ("service", "answer", "page")
# Who reads this page sees that it opens.
OWN = "statuspage"
QUERIES = {
    "opens": 'min by (application) (probe_success{job="page"})',
    "findings": 'max by (application, check) (schoolstack_finding{application!=""})',
    "since": 'min by (application) (ALERTS_FOR_STATE{application!="",severity="wrong"})',
}
STYLE = Path(__file__).parent / "style.css"

Numbers = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Application:
    """One application as people know it.

    Attributes:
        name: what the project calls it.
        called: what people call it, by language.
    """

    name: str
    called: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Shown:
    """How one application is.

    Attributes:
        application: which.
        state: one of STATES.
        since: since when it is so, in seconds since 1970; None when that is not known.
    """

    application: Application
    state: str
    since: float | None = None


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen when somebody last could look.

    Attributes:
        time: when that was, in seconds since 1970; 0 when nobody could yet.
        shown: how each application was.
    """

    time: float = 0.0
    shown: tuple[Shown, ...] = ()


# --- what is judged: plain values in


def known(targets: Iterable[list[dict[str, Any]]]) -> list[Application]:
    """Return the applications that have a page, out of the files that Prometheus reads."""
    found = {}
    for target in (one for file in targets for one in file):
        labels = target["labels"]
        if labels.get("job") == "page" and labels["application"] != OWN:
            called = {
                lang: labels.get(f"__called_{lang}") or labels.get("title", labels["application"])
                for lang in ("en", "nl")
            }
            found[labels["application"]] = Application(labels["application"], called)
    return [found[name] for name in sorted(found)]


def judge(application: Application, seen: Mapping[str, list[Numbers]]) -> Shown:
    """Say how one application is.

    Args:
        application: which.
        seen: what Prometheus answers to QUERIES.
    """
    own = {
        query: [one for one in found if one["application"] == application.name]
        for query, found in seen.items()
    }
    opens = [one["value"] for one in own["opens"]]
    felt = [one["value"] for one in own["findings"] if one["check"] in FELT]
    other = [one["value"] for one in own["findings"] if one["check"] not in FELT]
    since = min((one["value"] for one in own["since"]), default=None)
    if 0 in opens or max(felt, default=0) >= 2:
        return Shown(application, "down", since)
    # What the page asked for says is what people see; a finding alone says nothing of the way there.
    if not opens:
        return Shown(application, "unknown")
    if max(other, default=0) >= 2:
        return Shown(application, "trouble", since)
    return Shown(application, "works")


def worst(look: Look, now: float) -> str:
    """Return how the school's pages are on the whole; ``unknown`` when nobody could look for long."""
    if now - look.time > STALE_S or not look.shown:
        return "unknown"
    return max((one.state for one in look.shown), key=STATES.index)


# --- what is looked at


def ask(prometheus: str, query: str) -> list[Numbers]:
    """Return what Prometheus answers: labels, and the number as ``value``."""
    host, port = prometheus.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=ANSWER_S)
    try:
        connection.request("GET", f"/api/v1/query?{urllib.parse.urlencode({'query': query})}")
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return [{**one["metric"], "value": float(one["value"][1])} for one in answer["data"]["result"]]


def look(prometheus: str, targets: Path) -> Look:
    """Look how everything is now.

    Raises:
        OSError: Prometheus does not answer.
        ValueError: it answers nothing that can be understood.
    """
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(targets.glob("*.json"))]
    seen = {name: ask(prometheus, query) for name, query in QUERIES.items()}
    return Look(time.time(), tuple(judge(application, seen) for application in known(files)))


# --- what is shown


def page(look: Look, lang: str, settings: Mapping[str, Any], now: float) -> str:
    """Return the page.

    Args:
        look: what was seen last.
        lang: the page's language.
        settings: the ``school``, its time ``zone``, the ``words`` by language and key, and whether somebody
            is ``told`` when something is wrong.
        now: the present, in seconds since 1970.
    """
    words, school, zone = settings["words"][lang], settings["school"], settings["zone"]

    def clock(moment: float) -> str:
        when, today = (datetime.datetime.fromtimestamp(one, zone) for one in (moment, now))
        return f"{when:%H:%M}" if when.date() == today.date() else f"{when:%d/%m %H:%M}"

    def line(one: Shown) -> str:
        said = words[f"state.{one.state}"]
        if one.since:
            said += f" ({words['since'].format(time=clock(one.since))})"
        return (
            f'<li class="{one.state}"><span class="sign" aria-hidden="true">{SIGNS[one.state]}</span>'
            f"<span><strong>{html.escape(one.application.called[lang])}</strong>: {html.escape(said)}</span>"
            "</li>"
        )

    on_the_whole = worst(look, now)
    stale = now - look.time > STALE_S
    other = "en" if lang == "nl" else "nl"
    title = f"{words['title']} - {school}"
    minutes = int((now - look.time) // 60)
    age = words["never"] if not look.time else words["age"].format(time=clock(look.time), minutes=minutes)
    advice = words[f"advice.{on_the_whole}"]
    if settings["told"] and on_the_whole in ("trouble", "down"):
        advice = f"{words['told']} {advice}"
    parts = [
        f'<!doctype html>\n<html lang="{lang}">\n<head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/style.css"></head>\n<body>',
        f"<header><p>{html.escape(school)}</p>"
        f'<nav aria-label="{html.escape(words["languages"])}">'
        f'<a href="/{other}" lang="{other}" hreflang="{other}">{NAMES[other]}</a></nav></header>\n<main>',
        f"<h1>{html.escape(words['title'])}</h1>",
        f'<p class="whole {on_the_whole}" role="status"><span class="sign" aria-hidden="true">'
        f"{SIGNS[on_the_whole]}</span><span>{html.escape(words[f'whole.{on_the_whole}'])}</span></p>",
    ]
    if stale:
        parts.append(f'<p class="stale"><strong>{html.escape(words["stale"])}</strong></p>')
    parts.append(f'<p class="age">{html.escape(age)}</p>')
    # What was seen too long ago would be taken for what is.
    if look.shown and not stale:
        parts += ["<ul>", *map(line, look.shown), "</ul>"]
    parts += [
        f"<p>{html.escape(advice)}</p>",
        f'<p><a class="again" href="/{lang}">{html.escape(words["again"])}</a></p>',
        "</main>\n</body></html>\n",
    ]
    return "\n".join(parts)


def preferred(accepted: str, default: str) -> str:
    """Return the language of the page for a browser that accepts these (RFC 9110, 12.5.4)."""
    wanted = []
    for part in accepted.lower().split(","):
        lang, _, quality = part.strip().partition(";q=")
        weight = float(quality) if re.fullmatch(r"[01](\.\d{0,3})?", quality) else 1.0
        wanted.append((-weight, lang.split("-")[0]))
    return next(
        (lang for weight, lang in sorted(wanted, key=lambda one: one[0]) if lang in ("nl", "en")), default
    )


class Server(ThreadingHTTPServer):
    """Shows the page on the loopback address; nginx is what people reach.

    Attributes:
        look: what was seen last.
    """

    daemon_threads = True

    def __init__(self, port: int, settings: Mapping[str, Any]) -> None:
        """Take the settings: those of :func:`page`, and the school's ``language``."""
        self.settings = settings
        self.look = Look()
        super().__init__(("127.0.0.1", port), Handler)

    def keep_looking(self, prometheus: str, targets: Path) -> None:
        """Look again and again; what cannot be looked at leaves what was seen before, which grows old."""
        while True:
            try:
                self.look = look(prometheus, targets)
            except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
                print(f"could not look: {error}", file=sys.stderr)
            time.sleep(LOOK_S)


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 90  # seconds: nginx keeps connections that it does not need for a minute
    server_version, sys_version = "status", ""

    def do_GET(self) -> None:
        """Answer."""
        path = urllib.parse.urlsplit(self.path).path
        settings = self.server.settings
        if path == "/health":
            self._answer(200, "text/plain", "ok\n")
        elif path == "/style.css":
            self._answer(200, "text/css", STYLE.read_text(encoding="utf-8"))
        elif path in ("/", "/nl", "/en"):
            accepted = preferred(self.headers.get("Accept-Language", ""), settings["language"])
            lang = path.strip("/") or accepted
            self._answer(200, "text/html", page(self.server.look, lang, settings, time.time()))
        else:
            self._answer(404, "text/plain", "404\n")

    def do_HEAD(self) -> None:
        """Answer without the page itself."""
        self.do_GET()

    def _answer(self, status: int, kind: str, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Vary", "Accept-Language")
        self.send_header(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'",
        )
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Keep nothing of who looked: nginx does, without names."""


def main() -> int:
    """Look and show until somebody ends it."""
    parser = argparse.ArgumentParser(description="Show on one page whether the school's pages work.")
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--targets", type=Path, required=True, help="the folder that Prometheus reads")
    parser.add_argument("--prometheus", default="127.0.0.1:9090")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    settings = json.loads(arguments.settings.read_text(encoding="utf-8"))
    settings["zone"] = zoneinfo.ZoneInfo(settings["timezone"])
    server = Server(arguments.port, settings)
    threading.Thread(
        target=server.keep_looking, args=(arguments.prometheus, arguments.targets), daemon=True
    ).start()
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
