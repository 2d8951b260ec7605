"""The program that keeps certificates valid: what it refuses of what is handed in, and when it renews."""

from __future__ import annotations

import datetime
import grp
import importlib.util
import io
import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PROGRAM = Path(__file__).parents[2] / "roles/certificates/files/schoolstack_certificates.py"
spec = importlib.util.spec_from_file_location("schoolstack_certificates", PROGRAM)
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)

HOST = "login.myschool.example"
DAY = datetime.timedelta(days=1)
SETTINGS = {"source": "acme", "acme_directory": "https://acme.example/directory", "renew_days": 30}


def signed(host, key, left=90 * DAY, issuer=None):
    issuer_key, issuer_name = issuer or (key, program.subject(host))
    return program.sign(
        program.subject(host),
        key.public_key(),
        issuer_name,
        issuer_key,
        program.now() + left,
        [(x509.SubjectAlternativeName([x509.DNSName(host)]), False)],
    )


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def checked(tmp_path, monkeypatch):
    def check(chain, key, hosts=(HOST,)):
        fullchain = tmp_path / "fullchain.pem"
        fullchain.write_bytes(program.pem(chain))
        given = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) if key else b""
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(given)))
        return program.check({}, fullchain, list(hosts), 30)

    return check


@pytest.mark.parametrize("name", [HOST, "*.myschool.example"])
def test_what_works_is_taken(checked, key, name):
    assert checked([signed(name, key)], key) == {"changed": False, "warning": ""}


def test_an_end_within_the_month_is_announced(checked, key):
    assert checked([signed(HOST, key, 20.5 * DAY)], key)["warning"].endswith("fullchain.pem ends in 20 days")


@pytest.mark.parametrize("host", ["start.myschool.example", "a.login.myschool.example", "myschool.example"])
def test_another_name_is_refused(checked, key, host):
    with pytest.raises(program.RefusalError, match=f"is for {HOST} and not for {host}"):
        checked([signed(HOST, key)], key, [HOST, host])


def test_another_key_is_refused(checked, key):
    with pytest.raises(program.RefusalError, match="is not that of"):
        checked([signed(HOST, key)], ec.generate_private_key(ec.SECP256R1()))


def test_no_key_and_no_certificate_are_refused(checked, key):
    with pytest.raises(program.RefusalError, match="holds no unencrypted PEM key"):
        checked([signed(HOST, key)], None)
    with pytest.raises(program.RefusalError, match="holds no certificate"):
        checked([], key)


def test_what_has_ended_or_not_begun_is_refused(checked, key, monkeypatch):
    certificate = signed(HOST, key)
    present = program.now()
    monkeypatch.setattr(program, "now", lambda: present + 91 * DAY)
    with pytest.raises(program.RefusalError, match="ended on"):
        checked([certificate], key)
    monkeypatch.setattr(program, "now", lambda: present - DAY)
    with pytest.raises(program.RefusalError, match="begins only on"):
        checked([certificate], key)


def test_a_server_certificate_without_its_authority_is_refused(checked, key):
    issuer = (ec.generate_private_key(ec.SECP256R1()), program.subject("Some authority"))
    with pytest.raises(program.RefusalError, match="Some authority"):
        checked([signed(HOST, key, issuer=issuer)], key)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "AUTHORITY", tmp_path / "authority")
    monkeypatch.setattr(program, "CERTIFICATES", tmp_path)
    monkeypatch.setitem(
        program.ISSUERS,
        "acme",
        lambda settings, key, hosts: program.pem(
            [signed(HOST, program.new_or_old_key(key), settings.get("left", 90 * DAY))]
        ),
    )
    return tmp_path / "portal"


def test_a_certificate_is_asked_for_once(folder):
    assert program.issue(SETTINGS, "portal", [HOST])["changed"]
    assert not program.issue(SETTINGS, "portal", [HOST])["changed"]
    assert program.renew(SETTINGS) == {"changed": False, "renewed": []}


@pytest.mark.parametrize(
    ("left", "days", "due"),
    [
        (90 * DAY, 59, False),
        (90 * DAY, 61, True),
        (6 * DAY, 3, False),
        (6 * DAY, 5, True),
        (397 * DAY, 368, True),
    ],
)
def test_it_is_due_a_month_or_a_third_of_its_life_before_its_end(folder, monkeypatch, left, days, due):
    program.issue({**SETTINGS, "left": left}, "portal", [HOST])
    later = program.now() + days * DAY
    monkeypatch.setattr(program, "now", lambda: later)
    assert program.renew(SETTINGS)["changed"] is due


def test_another_authority_is_asked_at_once(folder):
    program.issue({**SETTINGS, "acme_directory": "https://trial.example/directory"}, "portal", [HOST])
    assert program.renew(SETTINGS) == {"changed": True, "renewed": ["portal"]}


def matches(folder) -> bool:
    key = program.new_or_old_key(folder / "privkey.pem")
    return program.same_key(program.read_chain(folder / "fullchain.pem")[0].public_key(), key.public_key())


def test_a_renewal_that_the_school_asked_for_makes_a_new_key_once(folder):
    program.issue(SETTINGS, "portal", [HOST])
    before = (folder / "privkey.pem").read_bytes()
    asked = {**SETTINGS, "renewal": "2026-01-01T00:00:00+00:00"}
    assert program.renew(asked) == {"changed": True, "renewed": ["portal"]}
    after = (folder / "privkey.pem").read_bytes()
    assert after != before
    assert matches(folder)
    assert not program.renew(asked)["changed"]
    assert not program.issue(asked, "portal", [HOST])["changed"]
    assert (folder / "privkey.pem").read_bytes() == after
    assert sorted(path.name for path in folder.iterdir()) == ["fullchain.pem", "privkey.pem", "wanted.json"]


def test_an_authority_that_refuses_leaves_the_old_key_and_certificate(folder, monkeypatch):
    program.issue(SETTINGS, "portal", [HOST])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    right = program.ISSUERS["acme"]

    def refuse(settings, key, hosts):
        program.new_or_old_key(key)
        raise program.RefusalError("not now")

    monkeypatch.setitem(program.ISSUERS, "acme", refuse)
    asked = {**SETTINGS, "renewal": "2026-01-01T00:00:00+00:00"}
    with pytest.raises(program.RefusalError):
        program.renew(asked)
    assert {name: (folder / name).read_bytes() for name in before} == before
    monkeypatch.setitem(program.ISSUERS, "acme", right)
    assert program.renew(asked)["changed"]
    assert matches(folder)


def test_what_was_handed_in_is_asked_for_at_once_when_an_authority_is_chosen(folder, key, monkeypatch):
    program.issue(SETTINGS, "portal", [HOST])
    given = {name: (folder / f"{name}.pem").read_text() for name in ("fullchain", "privkey")}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(given)))
    assert not program.install({}, "portal")["changed"]
    assert program.issue(SETTINGS, "portal", [HOST])["changed"]


def test_an_authority_that_is_away_and_one_that_refuses_are_told_apart():
    said = "ValueError: Error getting directory:\nUrl: u\nData: None\nResponse Code: {}\nResponse: {}"
    away = program.acme_trouble(
        "https://acme.example", [HOST], said.format("None", "<urlopen error timed out>")
    )
    assert "does not answer: timed out. Check that this server reaches it." in away
    refused = program.acme_trouble("https://acme.example", [HOST], said.format(429, "{'detail': 'too many'}"))
    assert f"gave no certificate for {HOST}: {{'detail': 'too many'}}. Check that these names" in refused


@pytest.fixture
def own(folder):
    """Make this server an authority, as `adopt` leaves it."""
    home = program.AUTHORITY
    issuing_key = program.new_or_old_key(home / "issuing.key")
    name = program.subject("My school on server")
    extensions = program.authority_extensions("myschool.example", 0)
    issuing = program.sign(
        name, issuing_key.public_key(), name, issuing_key, program.now() + 900 * DAY, extensions
    )
    program.write(home / "issuing.pem", program.pem([issuing]), 0o644)
    return folder.parent


INNER = {**SETTINGS, "domain": "myschool.example", "valid_days": 397}


def uses(folder):
    leaf = program.read_chain(folder / "fullchain.pem")[0]
    return {use._name for use in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value}


@pytest.mark.parametrize("source", ["own", "acme", "files"])
def test_what_servers_show_each_other_is_the_schools_own_wherever_pages_have_theirs_from(own, source):
    settings = {**INNER, "source": source}
    assert program.issue(settings, "metrics", [HOST], between=True)["changed"]
    assert uses(own / "metrics") == {"serverAuth", "clientAuth"}
    assert not program.issue(settings, "metrics", [HOST], between=True)["changed"]
    assert not program.renew(settings)["changed"]
    asked = {**settings, "renewal": "2026-01-01T00:00:00+00:00"}
    assert program.shown(asked) == {"changed": False, "shown": False, "wrong": ["metrics"]}
    assert program.renew(asked)["renewed"] == ["metrics"]
    assert program.shown(asked)["shown"]


def test_nobody_signs_in_with_the_certificate_of_a_page(own):
    program.issue({**INNER, "source": "own"}, "portal", [HOST])
    assert uses(own / "portal") == {"serverAuth"}
    # Asked for again between servers, it is another one.
    assert program.issue({**INNER, "source": "own"}, "portal", [HOST], between=True)["changed"]
    assert uses(own / "portal") == {"serverAuth", "clientAuth"}


def test_a_group_may_read_a_key_and_its_successor(own):
    group = grp.getgrgid(os.getgid()).gr_name
    key = own / "metrics" / "privkey.pem"
    program.issue(INNER, "metrics", [HOST], between=True)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert program.issue(INNER, "metrics", [HOST], between=True, group=group)["changed"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o640
    assert program.renew({**INNER, "renewal": "2026-01-01T00:00:00+00:00"})["changed"]
    assert (stat.S_IMODE(key.stat().st_mode), key.stat().st_gid) == (0o640, os.getgid())
    assert program.issue(INNER, "metrics", [HOST], between=True)["changed"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
