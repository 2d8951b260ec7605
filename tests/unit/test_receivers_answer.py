"""Mail servers and webhooks that would not take alerts are a sentence each; others are asked once."""

from __future__ import annotations

import datetime
import importlib.util
import json
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from schoolstack.messages import LANGUAGES, say

PLUGIN = Path(__file__).parents[2] / "plugins/modules/receivers_answer.py"
spec = importlib.util.spec_from_file_location("receivers_answer", PLUGIN)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

RIGHT = "AGljdAByaWdodA=="  # ict with the password right, as AUTH PLAIN says it


class Server(socketserver.ThreadingTCPServer):
    """A mail server that does what a test tells it; remembers what it was told."""

    allow_reuse_address = daemon_threads = True
    offers: tuple[str, ...] = ("STARTTLS", "AUTH PLAIN")
    answers: dict[str, str]
    tls: ssl.SSLContext | None = None
    at_once = False


class Mail(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        if self.server.at_once:
            self.encrypt()
        self.say("220 here")
        # Encryption puts another file in its place.
        while line := self.rfile.readline():
            said = line.decode().strip()
            self.server.said.append(said)
            verb = said.split(" ")[0].upper()
            answer = next((a for asked, a in self.server.answers.items() if said.startswith(asked)), "")
            if answer:
                self.say(answer)
            elif verb == "EHLO":
                self.say(
                    "\r\n".join(["250-here", *(f"250-{one}" for one in self.server.offers), "250 8BITMIME"])
                )
            elif verb == "STARTTLS":
                self.say("220 go on")
                self.encrypt()
            elif verb == "AUTH":
                self.say("235 in" if said.endswith(RIGHT) else "535 no")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def encrypt(self) -> None:
        assert self.server.tls
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost that vouches for itself, and what shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "all.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, context


@contextmanager
def serving(tls: ssl.SSLContext, at_once: bool = False, **does: Any) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Mail) as server:
        server.tls, server.at_once, server.said = tls, at_once, []
        server.answers = does.pop("answers", {})
        server.offers = does.pop("offers", Server.offers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def mail_to(server: Server, **changes: Any) -> dict[str, Any]:
    mail = {"to": ["a@school.example", "b@school.example"], "from": "s@school.example", "host": "localhost"}
    return {**mail, "port": server.server_address[1], "user": "ict", **changes}


@pytest.fixture
def trusted(certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    return certificate[1]


@pytest.mark.parametrize("encryption", ["starttls", "tls", "none"])
def test_a_mail_server_that_would_take_it_is_fine_and_is_sent_nothing(
    trusted: ssl.SSLContext, encryption: str
) -> None:
    with serving(trusted, at_once=encryption == "tls") as server:
        assert list(module.ask_mail(mail_to(server, encryption=encryption), "right")) == []
        assert [line for line in server.said if line.lower().startswith("rcpt")] == [
            "rcpt TO:<a@school.example>",
            "rcpt TO:<b@school.example>",
        ]
        assert not [line for line in server.said if line.lower().startswith("data")]
        assert (("STARTTLS" in server.said) is (encryption == "starttls")) or server.at_once


@pytest.mark.parametrize(
    ("does", "changes", "password", "key", "words"),
    [
        ({}, {"host": ""}, "right", "incomplete", ["no host"]),
        ({}, {"to": []}, "right", "incomplete", ["no to"]),
        ({}, {"host": "mail.invalid"}, "right", "name", ["mail.invalid", "DNS"]),
        ({}, {"port": 1}, "right", "unreachable", ["port 1", "refused"]),
        ({}, {"host": "127.0.0.1"}, "right", "certificate", ["127.0.0.1", "certificate"]),
        ({"offers": ["AUTH PLAIN"]}, {}, "right", "no_encryption", ["tls (port 465)"]),
        ({}, {}, "wrong", "password", ["does not let ict in", "secret monitoring_mail"]),
        ({"offers": ["STARTTLS"]}, {}, "right", "no_sign_in", ["take user out"]),
        (
            {"answers": {"mail FROM": "553 not yours"}},
            {},
            "right",
            "refused",
            ["s@school.example", "553 not yours"],
        ),
        (
            {"answers": {"rcpt TO:<b": "550 nobody"}},
            {},
            "right",
            "refused",
            ["b@school.example", "550 nobody"],
        ),
    ],
)
def test_a_mail_server_that_would_not_is_one_sentence(
    trusted: ssl.SSLContext,
    does: dict[str, Any],
    changes: dict[str, Any],
    password: str,
    key: str,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    with serving(trusted, **does) as server:
        [found] = module.ask_mail(mail_to(server, **changes), password)
    assert found["key"] == f"alert.receiver.{key}"
    sentence = say(found["key"], **found["words"])
    assert all(word in sentence for word in words), sentence
    for language in LANGUAGES:
        monkeypatch.setenv("SCHOOL_LANGUAGE", language)
        assert say(found["key"], **found["words"])


def test_who_asks_to_come_back_later_would_take_it(trusted: ssl.SSLContext) -> None:
    with serving(trusted, answers={"rcpt TO:<a": "450 greylisted"}) as server:
        assert list(module.ask_mail(mail_to(server), "right")) == []


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[Path, ssl.SSLContext]) -> None:
    with serving(certificate[1]) as server:
        [found] = module.ask_mail(mail_to(server), "right")
        assert found["key"] == "alert.receiver.certificate"
        assert not [line for line in server.said if line.startswith("AUTH")], "the password stays here"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://127.0.0.1:1/alerts", "unreachable"),
        ("https://hook.invalid/alerts", "name"),
        ("hook.school.example/alerts", "address"),
        ("http://127.0.0.1:port/", "address"),
        ("https://127.0.0.1:{port}/", "certificate"),
        ("https://localhost:{port}/", ""),
        ("http://localhost:{port}/", ""),
    ],
)
def test_a_webhook_is_reached_or_one_sentence(trusted: ssl.SSLContext, url: str, key: str) -> None:
    with serving(trusted, at_once=url.startswith("https")) as server:
        found = list(module.ask_address(url.replace("{port}", str(server.server_address[1]))))
    assert [one["key"] for one in found] == ([f"alert.receiver.{key}"] if key else [])
    for one in found:
        assert say(one["key"], **one["words"])


def run(**given: Any) -> dict[str, Any]:
    """Run it as Ansible does."""
    given = {"ANSIBLE_MODULE_ARGS": {"_ansible_remote_tmp": str(Path(given["stamp"]).parent), **given}}
    program = (
        "import sys, runpy, json, ansible.module_utils.basic as basic;"
        "basic._ANSIBLE_ARGS = sys.stdin.buffer.read(); basic._ANSIBLE_PROFILE = 'legacy';"
        f"runpy.run_path({str(PLUGIN)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(given).encode(), capture_output=True, check=False
    )
    return dict(json.loads(done.stdout))


def test_it_is_asked_until_all_is_well_and_again_when_something_changes(tmp_path: Path) -> None:
    stamp = tmp_path / "receivers"
    with socket.create_server(("127.0.0.1", 0)) as there:
        url = f"http://127.0.0.1:{there.getsockname()[1]}/"
        with_gone = run(addresses=[url, "http://127.0.0.1:1/"], stamp=str(stamp))
        assert [one["words"]["port"] for one in with_gone["problems"]] == [1]
        assert not stamp.exists()
        dry = run(addresses=[url], stamp=str(stamp), _ansible_check_mode=True)
        assert (dry["changed"], dry["problems"], stamp.exists()) == (True, [], False)
        assert run(addresses=[url], stamp=str(stamp))["changed"]
    # Gone now, and nobody asks: nothing has changed here.
    assert run(addresses=[url], stamp=str(stamp)) == {
        **run(addresses=[url], stamp=str(stamp)),
        "changed": False,
        "problems": [],
    }
    assert run(addresses=[url], password="new", stamp=str(stamp))["problems"]
    assert (stamp.stat().st_mode & 0o777, url in stamp.read_text()) == (0o600, False)
