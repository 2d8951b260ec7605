"""The site of Nextcloud: the real nginx, PHP and Valkey as the roles set them up.

A front controller stands for Nextcloud and says what reached it. What Nextcloud does with that, this does not
show.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lab_school import school_on

from schoolstack.deployment import ROOT, Deployment

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
    # A server from nothing, and two gigabytes through it.
    pytest.mark.slow,
]

HOST = "files.voorbeeldschool.localhost"
# Networks of this test's own on the server's loopback interface (RFC 5737): one is the coordinators'.
COORDINATOR, PUPIL = "192.0.2.5", "198.51.100.5"
FOLDER = Path(__file__).parent / "files_site"
PHP = "<?php\nrequire '/opt/nextcloud/current/lib/said.php';\n"
SERVED = (
    *("index", "remote", "public", "status", "cron", "ocs/v1", "ocs/v2", "core/ajax/update"),
    *("ocs-provider/index", "updater/index", "apps/files/other"),
)
STATIC = "0123456789\n"
STATICS = {
    "core/img/logo.png": "image/png",
    "core/img/logo.svg": "image/svg+xml",
    "core/js/app.js": "application/javascript",
    "core/js/app.mjs": "text/javascript",
    "core/js/app.wasm": "application/wasm",
    "core/fonts/font.woff2": "font/woff2",
}
BLOCKED = (
    *(
        "build/x.php",
        "tests/x.php",
        "config/config.php",
        "lib/base.php",
        "3rdparty/autoload.php",
        "templates/x.php",
    ),
    *(
        "data/x.txt",
        "data",
        ".htaccess",
        ".user.ini",
        "occ",
        "console.php",
        "autotest.sh",
        "db_structure.xml",
    ),
    *("indie.json", "issue_template.md", "updater/index.php", "updater"),
)
GIGABYTE = 1 << 30
# By the release of Debian: PHP's version, and what keeps values in memory.
RELEASES = {"trixie": ("8.4", "valkey"), "bookworm": ("8.2", "redis")}
ADDRESSES = [
    ("/", "/index.php", ""),
    ("/index.php", "/index.php", ""),
    ("/index.php/apps/files/?dir=/", "/index.php", "/apps/files/"),
    ("/apps/files/", "/index.php", "/apps/files/"),
    ("/apps/user_oidc/code?state=a&code=b", "/index.php", "/apps/user_oidc/code"),
    # Nextcloud goes by what was asked for, and reads the escapes itself.
    ("/s/AbC%20d", "/index.php", "/s/AbC%20d"),
    ("/remote.php/dav/files/elise/n%C3%A9.odt", "/remote.php", "/dav/files/elise/né.odt"),
    ("/remote.php/dav/files/elise/.hidden", "/remote.php", "/dav/files/elise/.hidden"),
    ("/remote.php/dav/files/elise/page.php", "/remote.php", "/dav/files/elise/page.php"),
    ("/public.php/webdav", "/public.php", "/webdav"),
    ("/status.php", "/status.php", ""),
    ("/cron.php", "/cron.php", ""),
    ("/ocs/v1.php/cloud/user", "/ocs/v1.php", "/cloud/user"),
    ("/ocs/v2.php/apps/notifications", "/ocs/v2.php", "/apps/notifications"),
    ("/core/ajax/update.php", "/core/ajax/update.php", ""),
    ("/ocs-provider/", "/ocs-provider/index.php", ""),
    ("/apps/files/other.php", "/index.php", "/apps/files/other.php"),
    ("/apps/files/other.php/more?x=1", "/index.php", "/apps/files/other.php/more"),
    ("/indexed.php", "/index.php", "/indexed.php"),
    ("/core/img/missing.png?v=3", "/index.php", "/core/img/missing.png"),
]


@dataclass
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: every header with its values, in lower case.
        body: as it came.
    """

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def said(self) -> Any:
        """What the front controller said."""
        assert self.status == 200, (self.status, self.body[:200])
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """Return the one value of a header; empty when there is none."""
        values = self.headers.get(name.lower(), [])
        assert len(values) < 2, (name, values)
        return values[0] if values else ""


class Site(Deployment):
    """The site on its server."""

    def __init__(self, plain: Deployment, suite: str) -> None:
        """Take over a school that has nothing on its server yet.

        Args:
            plain: the school.
            suite: Debian's name of the server's release.
        """
        super().__init__(plain.inventory, plain.name, plain.lab)
        self.php, self.cache = RELEASES[suite]
        # What asks the cache, as its own program does.
        self.ask_cache = f"{self.cache}-cli -s /run/nextcloud-valkey/valkey.sock"

    def prepare(self, current: Path, *words: str, **variables: Any) -> str:
        """Run the playbook that makes it, with more words on its command line; return what it said."""
        given = {
            "files_site_current": str(current),
            "school_admin_networks": [f"{COORDINATOR}/32"],
            # Whatever the machine has.
            "__nextcloud_size": "{{ __nextcloud_sizes | first }}",
            **variables,
        }
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            str(FOLDER / "site.yml"),
            "-e",
            json.dumps(given),
        ]
        for inventory in self.inventories:
            command += ["-i", str(inventory)]
        command += words
        environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        print(done.stdout, done.stderr)
        assert done.returncode == 0
        return done.stdout

    def connect(self) -> ssl.SSLSocket:
        """Open a connection, as browsers do, from this machine: no coordinator's."""
        context = ssl.create_default_context(cafile=str(self.ca))
        return context.wrap_socket(socket.create_connection((self.address, 443), 60), server_hostname=HOST)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Send a request just as it is written.

        Args:
            path: with its query; nothing in it is made right.
            method: any.
            body: what is sent.
            headers: with _ for -.
        """
        connection = http.client.HTTPSConnection(HOST, timeout=60)
        connection.sock = self.connect()
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        found: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            found.setdefault(name.lower(), []).append(value)
        answer = Answer(response.status, found, response.read())
        connection.close()
        return answer

    def ask_from(self, source: str, path: str, *options: str) -> tuple[int, str]:
        """Return status and body of a request that the server itself sends from one of its addresses."""
        words = " ".join(f"'{word}'" for word in options)
        target = f"--interface {source} --resolve {HOST}:443:192.0.2.1 https://{HOST}"
        said = self.shell(f"curl -s --path-as-is -w '\\n%{{http_code}}' {words} {target}'{path}'")
        body, _, status = said.rpartition("\n")
        return int(status), body


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders in the shape of Nextcloud's."""
    folder = tmp_path_factory.mktemp("files") / "current"
    files = {f"{name}.php": PHP for name in SERVED} | dict.fromkeys(STATICS, STATIC)
    files |= {
        name: "; nobody's\n" for name in BLOCKED if Path(name).suffix or name == "occ" or name.startswith(".")
    }
    files |= {"updater/index.php": PHP, "robots.txt": STATIC, "apps/files/readme.txt": STATIC}
    files["lib/said.php"] = (FOLDER / "said.php").read_text(encoding="utf-8")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@contextlib.contextmanager
def site_on(suite: str, folder: Path, current: Path) -> Iterator[Site]:
    """Have the site on a server of one release."""
    with school_on(f"filesite{suite}-server", folder, suite=suite) as plain:
        made = Site(plain, suite)
        members = json.loads((made.inventory / "hosts.yml").read_text(encoding="utf-8"))
        for group in ("backup", "postgresql"):
            del members["all"]["children"][group]
        (made.inventory / "hosts.yml").write_text(json.dumps(members), encoding="utf-8")
        made.prepare(current)
        made.shell(f"for a in 192.0.2.1 {COORDINATOR} {PUPIL}; do ip address add $a/32 dev lo; done")
        pushed = (FOLDER / "pushed.py").read_text(encoding="utf-8")
        subprocess.run(
            [*made.lab.ssh_command(made.name), "cat >/root/pushed.py"], input=pushed, text=True, check=True
        )
        made.shell("systemd-run --quiet --unit=pushed python3 /root/pushed.py")
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, current: Path) -> Iterator[Site]:
    with site_on("trixie", tmp_path_factory.mktemp("school"), current) as made:
        yield made


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory, current: Path) -> Iterator[Site]:
    """The same on the oldest release that Nextcloud's role is for."""
    with site_on("bookworm", tmp_path_factory.mktemp("school"), current) as made:
        yield made


# Where requests lead


@pytest.mark.parametrize(("path", "script", "path_info"), ADDRESSES)
def test_each_address_leads_to_its_program(site: Site, path: str, script: str, path_info: str) -> None:
    said = site.ask(path).said
    assert (said["script"], said["path"] or "") == (script, path_info)
    assert said["uri"] == path
    assert said["query"] == path.partition("?")[2]
    assert (said["https"], said["own_headers"], said["front"]) == ("on", "true", "true")


@pytest.mark.parametrize("path", BLOCKED)
def test_what_is_nobodys_is_not_there(site: Site, path: str) -> None:
    answer = site.ask(f"/{path}")
    assert answer.status == 404
    assert b"nobody" not in answer.body
    assert b"said.php" not in answer.body


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/.well-known/carddav", "/remote.php/dav/"),
        ("/.well-known/caldav", "/remote.php/dav/"),
        ("/.well-known/webfinger?resource=acct:a", "/index.php/.well-known/webfinger?resource=acct:a"),
        ("/.well-known/nodeinfo", "/index.php/.well-known/nodeinfo"),
        ("/remote/dav", "/remote.php/remote/dav"),
    ],
)
def test_clients_that_begin_elsewhere_are_led_on(site: Site, path: str, to: str) -> None:
    answer = site.ask(path)
    assert (answer.status, answer.header("Location")) == (301, to)


def test_windows_network_folders_are_led_to_webdav_and_browsers_are_not(site: Site) -> None:
    answer = site.ask("/?a=1", User_Agent="DavClnt")
    assert (answer.status, answer.header("Location")) == (302, "/remote.php/webdav/?a=1")
    assert site.ask("/", User_Agent="Mozilla/5.0 DavClnt").said["by"] == "index.php"
    assert site.ask("/.well-known/acme-challenge/x").status == 404


# Files and headers


@pytest.mark.parametrize(("path", "kind"), STATICS.items())
def test_static_files_are_kept_by_browsers_for_ever_only_with_a_version(
    site: Site, path: str, kind: str
) -> None:
    plain, versioned = site.ask(f"/{path}"), site.ask(f"/{path}?v=ab12")
    assert plain.body.decode() == versioned.body.decode() == STATIC
    assert plain.header("Content-Type").partition(";")[0] == kind
    kept = "public, max-age=604800" if path.endswith("woff2") else "public, max-age=15778463"
    assert plain.header("Cache-Control") == kept
    assert versioned.header("Cache-Control") == kept + ("" if path.endswith("woff2") else ", immutable")


@pytest.mark.parametrize(
    "path",
    ["/core/js/app.js", "/index.php", "/robots.txt", "/config/config.php", "/core/img/missing.png?v=3"],
)
def test_every_answer_has_each_header_once(site: Site, path: str) -> None:
    answer = site.ask(path, X_Do="headers")
    assert answer.header("Strict-Transport-Security") == "max-age=31536000"
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("X-Frame-Options") == "SAMEORIGIN"
    assert answer.header("X-Permitted-Cross-Domain-Policies") == "none"
    assert answer.header("X-Robots-Tag") == "noindex, nofollow"
    # Of what PHP says itself, only this one is its own to say.
    by_php = path in ("/index.php", "/core/img/missing.png?v=3")
    assert answer.header("Referrer-Policy") == (
        "no-referrer" if by_php else "strict-origin-when-cross-origin"
    )
    assert answer.header("X-Powered-By") == ""
    assert answer.header("Server") == "nginx"
    if by_php:
        assert answer.header("Cache-Control") != "public, max-age=15778463, immutable"


def test_a_part_of_a_file_can_be_asked_for(site: Site) -> None:
    answer = site.ask("/apps/files/readme.txt", Range="bytes=2-5")
    assert (answer.status, answer.body, answer.header("Content-Range")) == (206, b"2345", "bytes 2-5/11")
    assert site.ask("/apps/files/readme.txt", Range="bytes=50-").status == 416
    assert site.ask("/remote.php/dav/files/elise/x", Range="bytes=2-5").said["range"] == "bytes=2-5"


# What is brought


def test_parts_of_a_file_and_what_webdav_asks_arrive_whole(site: Site) -> None:
    part = secrets.token_bytes(3 << 20)
    uploads = "/remote.php/dav/uploads/elise/web-file-upload-1"
    assert (
        site.ask(uploads, "MKCOL", Destination=f"https://{HOST}/remote.php/dav/files/elise/a.bin").said[
            "method"
        ]
        == "MKCOL"
    )
    said = site.ask(f"{uploads}/00001", "PUT", part, OC_Total_Length="9999999").said
    assert said["body"] == {"length": len(part), "sha256": hashlib.sha256(part).hexdigest()}
    said = site.ask(
        f"{uploads}/.file", "MOVE", Destination=f"https://{HOST}/remote.php/dav/files/elise/a.bin"
    ).said
    assert (said["method"], said["path"]) == ("MOVE", "/dav/uploads/elise/web-file-upload-1/.file")
    assert said["destination"].endswith("/files/elise/a.bin")
    for method in ("PROPFIND", "REPORT", "DELETE", "LOCK"):
        assert (
            site.ask("/remote.php/dav/files/elise/", method, b"<x/>", Depth="1").said["body"]["length"] == 4
        )


def test_what_comes_without_its_length_arrives_whole(site: Site) -> None:
    part = secrets.token_bytes(1 << 20)
    with site.connect() as connection:
        connection.sendall(
            b"PUT /remote.php/dav/files/elise/a HTTP/1.1\r\n"
            b"Host: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % HOST.encode()
        )
        for start in range(0, len(part), 100_000):
            piece = part[start : start + 100_000]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        said = json.loads(response.read())
    assert said["body"] == {"length": len(part), "sha256": hashlib.sha256(part).hexdigest()}


def test_php_has_the_beginning_before_the_end_has_come(site: Site) -> None:
    half = bytes(1 << 20)
    seen = "cat /var/lib/nextcloud/progress-half 2>/dev/null || echo 0"
    site.shell("rm -f /var/lib/nextcloud/progress-half")
    with site.connect() as connection:
        connection.sendall(
            f"PUT /remote.php/dav/files/elise/a HTTP/1.1\r\nHost: {HOST}\r\nX-Progress: half\r\n"
            f"Content-Length: {2 * len(half)}\r\n\r\n".encode()
        )
        connection.sendall(half)
        deadline = time.monotonic() + 20
        while int(site.shell(seen)) < len(half) // 2:
            assert time.monotonic() < deadline, "nginx keeps what comes until all of it is there"
            time.sleep(0.2)
        connection.sendall(half)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert json.loads(response.read())["body"]["length"] == 2 * len(half)


def test_two_gigabytes_pass_and_neither_program_keeps_them_in_memory(site: Site) -> None:
    watch = """
        truncate --size=2G /var/tmp/large
        curl -s --max-time 170 --cacert /usr/local/share/ca-certificates/schoolstack.crt \
            --upload-file /var/tmp/large https://HOST/remote.php/dav/files/elise/large >/root/answer &
        most=0 kept=0
        while kill -0 $! 2>/dev/null; do
            now=$(du --summarize --bytes /var/lib/nginx/body | cut -f1); [ "$now" -le "$most" ] || most=$now
            now=$(df --output=used --block-size=1 /tmp | tail -1); [ "$now" -le "$kept" ] || kept=$now
            sleep 0.2
        done
        rm /var/tmp/large
        echo "$most $kept"
    """.replace("HOST", HOST)
    body, temporary = map(int, site.shell(watch).split()[-2:])
    peaks = site.shell("cat $(pgrep -x nginx | sed 's,.*,/proc/&/status,') | grep VmHWM")
    said = json.loads(site.shell("cat /root/answer"))
    assert said["body"]["length"] == 2 * GIGABYTE
    assert body < 1 << 20, "nginx kept it on disk"
    assert max(map(int, peaks.split()[1::3])) < 100_000, "nginx kept it in memory"
    assert said["peak"] < 32 << 20, "PHP kept it in memory"
    assert temporary < 64 << 20, "PHP kept it in /tmp, which is memory"


def test_more_than_the_school_allows_is_refused_at_once(site: Site) -> None:
    with site.connect() as connection:
        connection.sendall(
            b"PUT /remote.php/dav/files/elise/a HTTP/1.1\r\n"
            b"Host: %s\r\nContent-Length: %d\r\n\r\n" % (HOST.encode(), 17 * GIGABYTE)
        )
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 413


# Notices


def test_a_websocket_at_push_reaches_the_program_behind(site: Site) -> None:
    key = base64.b64encode(secrets.token_bytes(16))
    with site.connect() as connection:
        connection.sendall(
            f"GET /push/ws HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: 203.0.113.9\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        stream = connection.makefile("rb")
        assert b"101" in stream.readline()
        headers = {}
        while line := stream.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        magic = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        assert headers["sec-websocket-accept"].encode() == base64.b64encode(
            hashlib.sha1(key + magic, usedforsecurity=False).digest()
        )
        assert stream.read(2) == b"\x81\x7e"
        told = json.loads(stream.read(int.from_bytes(stream.read(2), "big")))
        # Both slashes: the program knows no /push.
        assert told["path"] == "/ws"
        assert told["headers"]["host"] == HOST
        assert told["headers"]["x-forwarded-for"] == connection.getsockname()[0]
        frame = b"\x81\x85" + bytes(4) + b"hello"
        for _ in range(3):
            connection.sendall(frame)
            assert stream.read(len(frame)) == frame
    assert site.ask("/push/test/cookie").said["path"] == "/test/cookie"


# Who asks, and from where


def test_only_this_servers_own_programs_say_for_whom_they_ask(site: Site) -> None:
    with site.connect() as connection:
        here = connection.getsockname()[0]
    said = site.ask("/index.php", X_Forwarded_For="203.0.113.9", Proxy="http://198.51.100.1/").said
    assert (said["from"], said["forwarded"], said["proxy"]) == (here, None, None)
    own = json.loads(
        site.ask_from(
            "127.0.0.1", "/index.php", "-H", "X-Forwarded-For: 203.0.113.9", "--connect-to", "::127.0.0.1:443"
        )[1]
    )
    assert (own["from"], own["forwarded"]) == ("127.0.0.1", "203.0.113.9")
    plain = json.loads(
        site.shell("curl -s -H 'X-Forwarded-For: 203.0.113.9' http://127.0.0.1:8010/status.php")
    )
    assert (plain["script"], plain["forwarded"], plain["https"]) == ("/status.php", "203.0.113.9", "on")
    coordinator = json.loads(site.ask_from(COORDINATOR, "/index.php", "-H", "X-Forwarded-For: 127.0.0.1")[1])
    assert (coordinator["from"], coordinator["forwarded"]) == (COORDINATOR, None)


DIRECT = (
    "/login?direct=1",
    "/index.php/login?direct=1",
    "/login?redirect_url=%2Fapps&direct=1",
    "/login?direct=1&redirect_url=%2Fapps",
    "/login/?direct=1",
    "//login?direct=1",
    "/%6cogin?direct=1",
    "/index.php//login?direct=1",
    "/login?%64irect=1",
    "/login?+direct=1",
    "/login?a=b&%20direct=1",
)


@pytest.mark.parametrize("path", DIRECT)
def test_the_administrators_own_form_is_for_coordinators_networks(site: Site, path: str) -> None:
    assert site.ask(path).status == 404
    assert site.ask_from(PUPIL, path)[0] == 404
    # PHP finds it under this name whichever way it was written.
    status, body = site.ask_from(COORDINATOR, path)
    assert status == 200
    assert json.loads(body)["get"]["direct"] == "1"


def test_a_password_cannot_be_posted_past_the_schools_sign_in(site: Site) -> None:
    form = b"user=schoolstack&password=x&direct=1"
    kind = {"Content_Type": "application/x-www-form-urlencoded"}
    assert site.ask("/login", "POST", form, **kind).status == 404
    assert site.ask("/index.php/login", "POST", form, **kind).status == 404
    assert site.ask_from(COORDINATOR, "/login", "-d", form.decode())[0] == 200


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/login", "GET"),
        ("/login", "HEAD"),
        ("/login?redirect_url=%2Fapps%2Ffiles%3Fdirect%3D1", "GET"),
        ("/index.php/login?clear=1", "GET"),
        ("/login/v2/poll", "POST"),
        ("/login/flow?direct=1", "GET"),
        ("/apps/files/?direct=1", "GET"),
    ],
)
def test_everybody_signs_in_at_the_school(site: Site, path: str, method: str) -> None:
    assert site.ask(path, method, b"" if method == "POST" else None).status == 200


@pytest.mark.parametrize("path", ["/metrics", "/index.php/metrics", "/metrics/"])
def test_numbers_are_for_this_servers_programs_and_coordinators(site: Site, path: str) -> None:
    assert site.ask(path).status == 404
    assert site.ask_from(PUPIL, path)[0] == 404
    assert site.ask_from(COORDINATOR, path)[0] == 200
    here = json.loads(site.shell(f"curl -s http://127.0.0.1:8010{path}"))
    assert (here["script"], here["path"]) == ("/index.php", path.removeprefix("/index.php"))


@pytest.mark.parametrize("path", ["/metrics", "/index.php/metrics"])
def test_numbers_are_in_a_form_that_prometheus_takes(site: Site, path: str) -> None:
    """Units that are not the end of a name, and empty lines, have it refuse everything."""
    # What comes from a server ends its lines as here, whatever they ended with there.
    head, _, said = site.shell(f"curl -si -H 'X-Do: metrics' http://127.0.0.1:8010{path}").partition("\n\n")
    assert "content-type: application/openmetrics-text; version=1.0.0" in head.lower()
    assert said.splitlines() == [
        "# TYPE nextcloud_a gauge",
        "# HELP nextcloud_a jobs",
        "# HELP nextcloud_a Jobs",
        "nextcloud_a 1",
        "# TYPE nextcloud_b_seconds gauge",
        "# HELP nextcloud_b_seconds seconds",
        "nextcloud_b_seconds 2",
        "# EOF",
    ]


# PHP


def test_php_is_set_up_as_the_table_says(site: Site) -> None:
    said = site.ask("/index.php", X_Do="ini").said
    assert said["ini"] == {
        "memory_limit": "512M",
        "upload_max_filesize": "16G",
        "post_max_size": "16G",
        "upload_tmp_dir": "/var/lib/nextcloud/tmp",
        "output_buffering": "0",
        "opcache.enable": "1",
        "opcache.memory_consumption": "128",
        "opcache.interned_strings_buffer": "16",
        "opcache.revalidate_freq": "60",
        "apc.shm_size": "32M",
        "session.save_handler": "redis",
        "session.save_path": "unix:///run/nextcloud-valkey/valkey.sock",
        "redis.session.locking_enabled": "1",
        "redis.session.lock_expire": "60",
        "expose_php": "",
    }
    assert said["jit"] is True
    assert said["apcu"] is True
    assert said["user"] == "nextcloud"
    assert said["environment"] == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "NEXTCLOUD_CONFIG_DIR": "/var/lib/nextcloud/config",
    }
    site.ask("/index.php", X_Do="log")
    deadline = time.monotonic() + 10
    journal = "journalctl --unit=nextcloud --output=cat"
    while not all(words in site.shell(journal) for words in ("said by the program", "said by a library")):
        assert time.monotonic() < deadline, site.shell(f"{journal} --lines=20")
        time.sleep(0.5)
    assert site.shell(f"systemctl is-active php{site.php}-fpm {site.cache}-server || true").split() == [
        "inactive",
        "inactive",
    ]
    assert site.shell("find /run/nextcloud -name php.sock -printf '%u %m'") == "nextcloud 660"
    assert "user:www-data:rw-" in site.shell("getfacl --absolute-names /run/nextcloud/php.sock")
    score = site.shell("systemd-analyze security nextcloud | tail -1")
    assert float(score.split(": ")[1].split()[0]) < 4


def test_one_request_at_a_time_changes_a_session(site: Site) -> None:
    cookie = f"PHPSESSID={secrets.token_hex(16)}"
    site.ask("/index.php", X_Do="session0", Cookie=cookie)
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(site.ask, "/index.php", X_Do="session700", Cookie=cookie) for _ in range(2)]
        other = pool.submit(
            site.ask, "/index.php", X_Do="session700", Cookie=f"PHPSESSID={secrets.token_hex(16)}"
        )
        first, second = sorted((one.result().said for one in both), key=lambda one: one["session"])
        apart = other.result().said
    assert (first["session"], second["session"], apart["session"]) == (2, 3, 1)
    assert second["began"] >= first["ended"], "both had it at a time"
    assert apart["began"] < first["ended"] or apart["began"] < second["began"], (
        "somebody else's session waited too"
    )
    keys = site.shell(f"{site.ask_cache} keys '*'")
    assert cookie.removeprefix("PHPSESSID=") in keys


def test_a_process_that_is_killed_takes_nobody_along(site: Site) -> None:
    before = site.shell("systemctl show --property=MainPID,NRestarts nextcloud")
    cookie = f"PHPSESSID={secrets.token_hex(16)}"
    site.ask("/index.php", X_Do="session0", Cookie=cookie)
    with ThreadPoolExecutor() as pool:
        hit = pool.submit(site.ask, "/index.php", X_Do="session20000", Cookie=cookie)
        busy = pool.submit(site.ask, "/index.php", X_Do="wait3000")
        lock = f"PHPREDIS_SESSION:{cookie.removeprefix('PHPSESSID=')}_LOCK"
        ask = site.ask_cache
        deadline = time.monotonic() + 10
        while not (held := site.shell(f"{ask} get {lock}").strip()):
            assert time.monotonic() < deadline
        # "<host>|<process>": see redis_session.c of phpredis.
        victim = next(word for word in held.split("|") if word.isdigit())
        site.shell(f"kill -9 {victim}")
        assert hit.result().status == 502
        assert busy.result().said["by"] == "index.php"
    assert 0 < int(site.shell(f"{ask} pttl {lock}")) <= 60_000, "that person's requests would wait for ever"
    assert site.ask("/index.php").status == 200
    assert site.shell("systemctl show --property=MainPID,NRestarts nextcloud") == before


def test_a_reload_lets_requests_end(site: Site) -> None:
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(site.ask, "/index.php", X_Do="wait2500")
        time.sleep(0.7)
        site.shell("systemctl reload nextcloud")
        assert under_way.result().said["by"] == "index.php"
    assert site.ask("/index.php").status == 200


# How it is looked after


def test_health_sees_what_is_kept_in_memory_without_being_let_in(site: Site) -> None:
    record = {
        "name": "nextcloud",
        "title": "Files",
        "paths": {},
        "services": [{"name": "nextcloud"}],
        "caches": [{"engine": "valkey", "name": "nextcloud", "memory_mb": 64}],
        "health": {"url": "http://127.0.0.1:8010/status.php", "expect": "status.php"},
    }
    # As the monitoring's own service may: no right to open what is another's.
    allowed = "-p CapabilityBoundingSet=CAP_DAC_READ_SEARCH"
    look = f"systemd-run --quiet --pipe --wait {allowed} schoolstack-health findings"
    file = "/etc/ansible/facts.d/nextcloud.fact"

    def found() -> dict[str, tuple[str, str]]:
        findings = json.loads(site.shell(look))["findings"]
        return {
            one["check"]: (one["state"], one["key"]) for one in findings if one["application"] == "nextcloud"
        }

    site.shell(f"mkdir -p /etc/ansible/facts.d; echo '{json.dumps(record)}' >{file}")
    try:
        assert found() == {
            "service": ("good", "runs"),
            "cache": ("good", "cache"),
            "answer": ("good", "answer"),
        }
        fill = site.ask_cache
        site.shell(
            f"for i in $(seq 60); do head -c 1000000 /dev/zero | {fill} -x setex fill$i 600; done >/dev/null"
        )
        assert found()["cache"] == ("wrong", "cache_full")
        site.shell(f"seq -f fill%.0f 60 | xargs {fill} del >/dev/null; systemctl stop nextcloud-valkey")
        assert found()["service"] == ("wrong", "runs_not")
    finally:
        site.shell(f"rm {file}; systemctl start nextcloud-valkey")
    assert site.ask("/index.php", X_Do="session0", Cookie="PHPSESSID=0a1b").said["session"] == 1


def test_locations_that_nginx_would_refuse_never_reach_it(site: Site) -> None:
    check = "/usr/local/lib/schoolstack/nginx-check"
    site.shell(f"{check} /etc/nextcloud/nginx.conf /etc/nextcloud/nginx.conf")
    site.shell("echo 'location / { nonsense; }' >/root/bad")
    site.shell(f"! {check} /root/bad /etc/nextcloud/nginx.conf 2>/dev/null")
    # As long as no site includes a file, there is nothing that it could break.
    site.shell(f"{check} /root/bad /etc/other/nginx.conf")


def test_a_second_run_changes_nothing_and_a_change_of_locations_is_put_in_force(
    site: Site, current: Path
) -> None:
    assert " changed=0 " in site.prepare(current, "--skip-tags=server")
    workers = site.shell("pgrep -x -u www-data nginx")
    said = site.prepare(current, "--skip-tags=server", nextcloud_direct_login=False)
    assert " changed=2 " in said
    assert site.shell("pgrep -x -u www-data nginx") != workers
    assert site.ask_from(COORDINATOR, "/login?direct=1")[0] == 404
    assert site.ask_from(COORDINATOR, "/login")[0] == 200


# The release before, with PHP 8.2, and Redis in Valkey's place


def test_on_debian_12_the_same_addresses_lead_to_the_same_programs_and_nobodys_are_not_there(
    older: Site,
) -> None:
    assert older.shell("php -r 'echo PHP_VERSION;'").startswith("8.2.")
    for address in ADDRESSES:
        test_each_address_leads_to_its_program(older, *address)
    for path in BLOCKED:
        test_what_is_nobodys_is_not_there(older, path)
    for path in DIRECT:
        test_the_administrators_own_form_is_for_coordinators_networks(older, path)


def test_on_debian_12_what_is_brought_arrives_and_notices_go_out(older: Site) -> None:
    test_parts_of_a_file_and_what_webdav_asks_arrive_whole(older)
    test_what_comes_without_its_length_arrives_whole(older)
    test_php_has_the_beginning_before_the_end_has_come(older)
    test_a_websocket_at_push_reaches_the_program_behind(older)


def test_on_debian_12_php_is_set_up_as_the_table_says_and_redis_keeps_sessions(older: Site) -> None:
    test_php_is_set_up_as_the_table_says(older)
    test_one_request_at_a_time_changes_a_session(older)
    test_health_sees_what_is_kept_in_memory_without_being_let_in(older)


def test_on_debian_12_a_second_run_changes_nothing(older: Site, current: Path) -> None:
    assert " changed=0 " in older.prepare(current, "--skip-tags=server")
