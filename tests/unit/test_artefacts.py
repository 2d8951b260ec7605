"""``school artefacts`` and the action plugin behind it, on a small project of its own with real Ansible."""

from __future__ import annotations

import argparse
import datetime
import functools
import hashlib
import http.server
import shutil
import threading
from pathlib import Path

import pytest
import yaml
from pysequoia import SignatureMode, Tsk, sign

from schoolstack.artefacts import command

PROJECT = Path(__file__).parents[2]
HELLO = b"hello"
DIGEST = hashlib.sha256(HELLO).hexdigest()


class School:
    """A project whose role ``hello`` pins one artefact that a folder offers, and an inventory that has it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "kept"
        self.upstream = root / "upstream"
        for name in ("ansible.cfg", "plugins", "roles/school", "roles/archive"):
            link = root / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(PROJECT / name)
        (root / "playbooks").mkdir()
        shutil.copy(PROJECT / "playbooks/artefacts.yml", root / "playbooks")
        (root / "hosts").write_text("[hello]\nserver.example\n[other]\n")
        self.upstream.mkdir()
        (self.upstream / "hello-1.tar").write_bytes(HELLO)
        self.pin()

    def pin(self, role: str = "hello", **changes: object) -> None:
        artefact = {
            "name": role,
            "version": "1",
            "file": f"{role}-1.tar",
            "sha256": {"all": DIGEST},
            "sources": [
                {"kind": "url", "url": f"file://{self.root}/nowhere/{role}-1.tar"},
                {"kind": "url", "url": f"file://{self.upstream}/{role}-1.tar"},
            ],
        } | changes
        path = self.root / f"roles/{role}/vars/artefacts.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({f"{role}_artefacts": [artefact]}))

    def configure(self, **variables: str) -> None:
        (self.root / "group_vars").mkdir()
        (self.root / "group_vars/all.yml").write_text(yaml.safe_dump(variables))

    def run(self, action: str) -> tuple[int, list[dict[str, object]]]:
        rows = command.examine([str(self.root / "hosts")], fetch=action == "fetch")
        return int(any(row["reason"] for row in rows)), rows


@pytest.fixture
def school(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setenv("SCHOOLSTACK_ARTEFACTS", str(tmp_path / "kept"))
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    return School(tmp_path)


def states(rows):
    return [(row["name"], row["state"]) for row in rows]


def test_fetch_brings_what_the_inventory_needs_and_no_more(school):
    school.pin("other2")
    assert states(school.run("list")[1]) == [("hello", "missing")]
    assert not school.folder.exists(), "looking changes nothing"
    assert states(school.run("fetch")[1]) == [("hello", "fetched")]
    assert (school.folder / "hello-1.tar").read_bytes() == HELLO
    shutil.rmtree(school.upstream)
    assert states(school.run("fetch")[1]) == [("hello", "verified")]


def test_without_an_inventory_every_role_counts(school):
    school.pin("second")
    assert states(command.examine([], fetch=False)) == [("hello", "missing"), ("second", "missing")]


def test_what_cannot_be_had_names_every_source_and_the_way_out(school):
    school.pin("other", sources=[{"kind": "url", "url": f"file://{school.upstream}/gone.tar"}])
    (school.upstream / "hello-1.tar").unlink()
    failed, rows = school.run("fetch")
    assert failed
    assert states(rows) == [("hello", "missing"), ("other", "missing")]
    for expected in ("nowhere/hello-1.tar", "upstream/hello-1.tar", DIGEST, f"into {school.folder} by hand"):
        assert expected in rows[0]["reason"]


def test_a_file_that_is_not_what_was_pinned_is_set_aside(school):
    school.folder.mkdir()
    (school.folder / "hello-1.tar").write_bytes(b"something else")
    failed, [row] = school.run("fetch")
    found = hashlib.sha256(b"something else").hexdigest()
    assert failed
    assert f"SHA-256 {DIGEST} expected, {found} found" in row["reason"]
    assert [path.name for path in school.folder.iterdir()] == ["hello-1.tar.refused"]
    assert states(school.run("fetch")[1]) == [("hello", "fetched")]


def test_a_wrong_download_is_never_used(school):
    (school.upstream / "hello-1.tar").write_bytes(b"a portal's login page")
    failed, [row] = school.run("fetch")
    assert failed
    assert "set aside as hello-1.tar.refused" in row["reason"]
    assert not (school.folder / "hello-1.tar").exists()


def test_the_schools_mirror_is_asked_first(school):
    school.configure(school_artefacts_mirror=f"file://{school.root}/mirror/")
    school.pin(sources=[])
    (school.root / "mirror").mkdir()
    shutil.move(school.upstream / "hello-1.tar", school.root / "mirror/hello-1.tar")
    assert states(school.run("fetch")[1]) == [("hello", "fetched")]


def test_each_architecture_has_its_file(school):
    other = hashlib.sha256(b"arm").hexdigest()
    school.pin(
        file="hello-{arch}.tar",
        sha256={"amd64": DIGEST, "arm64": other},
        sources=[{"kind": "url", "url": f"file://{school.upstream}/hello-{{arch}}.tar"}],
    )
    (school.upstream / "hello-amd64.tar").write_bytes(HELLO)
    (school.upstream / "hello-arm64.tar").write_bytes(b"arm")
    assert [row["file"] for row in school.run("fetch")[1]] == ["hello-amd64.tar", "hello-arm64.tar"]


def test_the_command_prints_a_table_and_why(school, capsys):
    (school.upstream / "hello-1.tar").unlink()
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    arguments = parser.parse_args(["artefacts", "fetch", "-i", str(school.root / "hosts")])
    assert arguments.run(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split() == ["hello", "1", "hello-1.tar", "missing"]
    assert "school: hello 1 could not be had from" in printed.err


def pin_key(school: School, fingerprint: str, offered: str) -> None:
    """Pin a key by its fingerprint, and let the folder upstream offer something."""
    (school.upstream / "hello-1.tar").write_text(offered)
    path = school.root / "roles/hello/vars/artefacts.yml"
    content = yaml.safe_load(path.read_text())
    artefact = content["hello_artefacts"][0]
    del artefact["sha256"]
    artefact["fingerprint"] = fingerprint
    path.write_text(yaml.safe_dump(content))


def test_a_key_is_known_by_its_fingerprint_and_may_be_renewed(school):
    secret = Tsk.generate("Vendor <vendor@vendor.example>")
    key = secret.extract_certificate()
    pin_key(school, key.fingerprint.upper(), str(key))
    assert states(school.run("fetch")[1]) == [("hello", "fetched")]
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1000)
    renewed = str(key.set_expiration(certifier=secret.certifier(), expiration=until))
    assert renewed != str(key)
    (school.folder / "hello-1.tar").write_text(renewed)
    assert states(school.run("list")[1]) == [("hello", "verified")]


def test_of_a_keyring_the_pinned_key_alone_is_kept_in_the_form_that_apt_reads(school):
    old, key = (Tsk.generate(f"{name} <x@vendor.example>").extract_certificate() for name in "AB")
    pin_key(school, key.fingerprint.upper(), "")
    # As vendors publish them: binary, the key before beside the one of today.
    (school.upstream / "hello-1.tar").write_bytes(bytes(old) + bytes(key))
    assert states(school.run("fetch")[1]) == [("hello", "fetched")]
    kept = school.folder / "hello-1.tar"
    assert kept.read_text(encoding="utf-8") == str(key)
    # Put there by hand, it is what it is.
    kept.write_bytes(bytes(old) + bytes(key))
    code, _ = school.run("list")
    assert code == 1


@pytest.mark.parametrize("offered", ["other", "none"])
def test_another_key_is_refused(school, offered):
    key, other = (Tsk.generate(f"{name} <x@vendor.example>").extract_certificate() for name in "AB")
    files = {"other": str(other), "none": "<html>not found</html>"}
    found = {"other": other.fingerprint.upper(), "none": "none"}
    pinned = key.fingerprint.upper()
    pin_key(school, pinned, files[offered])
    code, rows = school.run("fetch")
    assert code == 1
    assert f"fingerprint {pinned} expected, {found[offered]} found" in rows[0]["reason"]
    assert not (school.folder / "hello-1.tar").exists()


# Signatures


class Maker:
    """Who signs what a web server of its own offers."""

    def __init__(self, school: School, address: str) -> None:
        self.school, self.address = school, address
        self.secret = Tsk.generate("Maker <maker@vendor.example>")
        self.key = self.secret.extract_certificate()
        self.fingerprint = self.key.fingerprint.upper()
        self.publish("maker.asc", str(self.key))
        self.sign(self.secret)
        self.pin(self.fingerprint)

    def publish(self, name: str, content: str) -> None:
        """Offer a file beside the archive."""
        (self.school.upstream / name).write_text(content, encoding="utf-8")

    def sign(self, secret: Tsk, content: bytes = HELLO) -> None:
        """Offer a signature of something as that of the archive."""
        signature = sign(secret.signer(), content, mode=SignatureMode.DETACHED)
        self.publish("hello-1.tar.asc", signature.decode())

    def pin(self, fingerprint: str) -> None:
        """Have the role know the archive's signature by this key."""
        self.school.pin(
            signature={"fingerprint": fingerprint, "key": f"{self.address}/maker.asc"},
            sources=[{"kind": "url", "url": f"{self.address}/hello-1.tar"}],
        )

    def refused(self) -> str:
        """Try to fetch the archive, see that nothing of it is used, and return why."""
        failed, [row] = self.school.run("fetch")
        assert failed
        assert not (self.school.folder / "hello-1.tar").exists()
        return str(row["reason"])


@pytest.fixture
def maker(school):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(school.upstream))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Maker(school, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_what_its_maker_signed_is_fetched_with_the_key_and_needs_neither_again(maker):
    assert states(maker.school.run("list")[1]) == [("hello", "missing")]
    assert not maker.school.folder.exists(), "looking changes nothing"
    assert states(maker.school.run("fetch")[1]) == [("hello", "fetched")]
    kept = {path.name for path in maker.school.folder.iterdir()}
    assert kept == {"hello-1.tar", f"{maker.fingerprint}.asc"}
    shutil.rmtree(maker.school.upstream)
    assert states(maker.school.run("fetch")[1]) == [("hello", "verified")]


def test_a_signature_of_something_else_is_refused(maker):
    maker.sign(maker.secret, b"hello there")
    reason = maker.refused()
    assert f"no signature on it is of the key {maker.fingerprint}, set aside as hello-1.tar.refused" in reason


def test_a_signature_of_somebody_else_is_refused(maker):
    other = Tsk.generate("Other <other@vendor.example>")
    maker.sign(other)
    assert f"no signature on it is of the key {maker.fingerprint}" in maker.refused()
    # Nor does it help to offer the other's key along.
    maker.publish("maker.asc", str(other.extract_certificate()))
    (maker.school.folder / f"{maker.fingerprint}.asc").unlink()
    reason = maker.refused()
    found = other.extract_certificate().fingerprint.upper()
    assert f"fingerprint {maker.fingerprint} expected, {found} found" in reason
    assert reason.startswith("hello's key")


def test_what_is_not_signed_is_refused(maker):
    (maker.school.upstream / "hello-1.tar.asc").unlink()
    assert (
        f"its signature {maker.address}/hello-1.tar.asc could not be had: HTTP Error 404" in maker.refused()
    )
    maker.publish("hello-1.tar.asc", "<html>a portal's login page</html>")
    assert f"no signature on it is of the key {maker.fingerprint}" in maker.refused()


def test_without_the_key_nothing_is_fetched(maker):
    (maker.school.upstream / "maker.asc").unlink()
    reason = maker.refused()
    assert reason.startswith("hello's key ")
    assert f"could not be had from {maker.address}/maker.asc" in reason
    assert not [path.name for path in maker.school.folder.iterdir() if path.name.startswith("hello")]


def test_a_key_signs_for_as_long_as_it_is_good_and_its_signatures_last(maker):
    now = datetime.datetime.now(datetime.UTC)
    secret = Tsk.generate("Old <old@vendor.example>")
    key = secret.extract_certificate()
    until = now + datetime.timedelta(seconds=3)
    old = key.set_expiration(certifier=secret.certifier(), expiration=until)
    maker.sign(secret)
    while datetime.datetime.now(datetime.UTC) <= until + datetime.timedelta(seconds=1):
        threading.Event().wait(0.1)
    maker.fingerprint = key.fingerprint.upper()
    maker.publish("maker.asc", str(old))
    maker.pin(maker.fingerprint)
    assert states(maker.school.run("fetch")[1]) == [("hello", "fetched")]
    (maker.school.folder / "hello-1.tar").unlink()
    maker.sign(secret)
    assert f"no signature on it is of the key {maker.fingerprint}" in maker.refused()


def test_the_schools_mirror_has_signature_and_key_too(maker):
    maker.school.configure(school_artefacts_mirror=f"file://{maker.school.root}/mirror/")
    mirror = maker.school.root / "mirror"
    shutil.move(maker.school.upstream, mirror)
    (mirror / "maker.asc").rename(mirror / f"{maker.fingerprint}.asc")
    assert states(maker.school.run("fetch")[1]) == [("hello", "fetched")]


def test_what_was_put_there_by_hand_is_known_by_its_sha256_and_a_signature_beside_it(maker):
    folder, upstream = maker.school.folder, maker.school.upstream
    folder.mkdir()
    shutil.copy(upstream / "hello-1.tar", folder)
    gone = upstream.rename(upstream.with_name("gone"))
    assert states(maker.school.run("fetch")[1]) == [("hello", "verified")]
    shutil.copy(gone / "hello-1.tar.asc", folder)
    # Without the key nobody can say whose it is.
    failed, [row] = maker.school.run("fetch")
    assert failed
    assert f"put {maker.fingerprint}.asc with fingerprint {maker.fingerprint} into {folder}" in row["reason"]
    shutil.copy(gone / "maker.asc", folder / f"{maker.fingerprint}.asc")
    assert states(maker.school.run("fetch")[1]) == [("hello", "verified")]
    maker.school.upstream = folder
    maker.sign(maker.secret, b"something else")
    assert states(maker.school.run("list")[1]) == [("hello", "refused")]
    assert (folder / "hello-1.tar").exists(), "looking changes nothing"
    reason = maker.refused()
    assert f"is not the file that was pinned: no signature on it is of the key {maker.fingerprint}" in reason
    assert not (folder / "hello-1.tar.asc").exists()


def test_it_is_said_in_dutch_too(maker, monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "nl")
    maker.sign(maker.secret, b"hello there")
    reason = maker.refused()
    assert f"geen handtekening erop is van de sleutel {maker.fingerprint}" in reason
    assert "hello 1 was niet te krijgen van" in reason
