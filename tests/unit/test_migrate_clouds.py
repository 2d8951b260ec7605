"""Microsoft and Google, as far as they can be had here.

The backends of the new rclone are real; what they talk to is a small stand-in for Microsoft's sign-in and
Graph, which is no evidence about Microsoft. Google's cannot be pointed elsewhere: only its options are held
to those of rclone.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from migrating import JAN, NEW, School, noise, serving

from schoolstack.cli import main
from schoolstack.errors import SchoolError
from schoolstack.migrate import graph
from schoolstack.migrate.graph import Drive, Graph
from schoolstack.migrate.mapping import Move
from schoolstack.migrate.rclone import Rclone
from schoolstack.migrate.sources import Google, Microsoft
from schoolstack.migrate.target import Target

SECRET = "Qx8~client-secret-of-the-school"


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")


class Cloud(BaseHTTPRequestHandler):
    """Microsoft's sign-in, Graph's drives, and the files of one of them."""

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append((self.path, form))
        # rclone sends id and secret either way that OAuth 2 knows; Graph's own client in the form.
        if "Authorization" not in self.headers and form.get("client_secret") != [SECRET]:
            self.answer(401, {"error": "invalid_client", "error_description": f"AADSTS7000215: {SECRET}"})
        else:
            self.answer(200, {"access_token": "token", "token_type": "Bearer", "expires_in": 3600})

    def do_GET(self):
        path, files = unquote(urlsplit(self.path).path), self.server.files
        self.server.asked.append((path, {}))
        if path.startswith("/content/"):
            self.send_response(200)
            data = files[path.removeprefix("/content/")]
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        if self.headers["Authorization"] != "Bearer token":
            return self.answer(401, {"error": {"code": "InvalidAuthenticationToken"}})
        if self.server.busy:
            self.server.busy -= 1
            return self.answer(429, {}, {"Retry-After": "0"})
        drives = {
            "/v1.0/users/jan@old.example/drive": {"id": "drive-of-jan", "driveType": "business"},
            "/v1.0/sites/old.example:/sites/team:/drive": {"id": "first", "driveType": "documentLibrary"},
            "/v1.0/sites/old.example:/sites/team:/drives": {
                "value": [
                    {"id": "first", "name": "Documents", "driveType": "documentLibrary"},
                    {"id": "second", "name": "Archief", "driveType": "documentLibrary"},
                ]
            },
        }
        if path in drives:
            return self.answer(200, drives[path])
        if found := re.fullmatch(r"/v2.0/drives/drive-of-jan/(?:root|items/root|root:/(.*))", path):
            return self.item(found[1] or "")
        if path == "/v2.0/drives/drive-of-jan/items/root/children":
            return self.answer(200, {"value": [self.file(name) for name in sorted(files)]})
        if found := re.fullmatch(r"/v2.0/drives/drive-of-jan/items/([^/]+)/content", path):
            return self.answer(302, {}, {"Location": self.file(found[1])["@microsoft.graph.downloadUrl"]})
        self.answer(404, {"error": {"code": "itemNotFound", "message": "The resource could not be found."}})

    def item(self, name):
        if not name:
            return self.answer(200, {"id": "root", "name": "root", "folder": {"childCount": 1}})
        if name.rstrip(":") in self.server.files:
            return self.answer(200, self.file(name.rstrip(":")))
        return self.answer(404, {"error": {"code": "itemNotFound"}})

    def file(self, name):
        host = self.headers["Host"]
        moment = "2026-09-01T08:00:00Z"
        kind = {"file": {"mimeType": "text/plain", "hashes": {"quickXorHash": self.server.hashes[name]}}}
        return {
            **({"package": {"type": "oneNote"}} if name == "Notities" else kind),
            "id": name,
            "name": name,
            "size": len(self.server.files[name]),
            "lastModifiedDateTime": moment,
            "fileSystemInfo": {"lastModifiedDateTime": moment, "createdDateTime": moment},
            "parentReference": {"id": "root", "driveId": "drive-of-jan", "path": "/drive/root:"},
            "@microsoft.graph.downloadUrl": f"http://{host}/content/{name}?tempauth=key-in-an-address",
        }

    def answer(self, status, content, headers=None):
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def cloud(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    server.asked, server.files, server.hashes, server.busy = [], {}, {}, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(graph, "LOGIN", url)
    monkeypatch.setattr(graph, "GRAPH", url)
    # rclone's own way to be pointed elsewhere.
    monkeypatch.setenv("RCLONE_ONEDRIVE_TOKEN_URL", f"{url}/tenant/oauth2/v2.0/token")
    monkeypatch.setenv("RCLONE_ONEDRIVE_TENANT_URL", url)
    yield server
    server.shutdown()


def test_the_drive_of_an_account_and_of_a_library(cloud):
    one = Graph("school.example", "id", SECRET)
    assert one.drive("jan@old.example", library=False) == Drive("drive-of-jan", "business")
    site = "https://old.example/sites/team"
    assert one.drive(site, library=True) == Drive("first", "documentLibrary")
    assert one.drive(f"{site}#archief", library=True) == Drive("second", "documentLibrary")
    for missing in (f"{site}#Foto's", "https://old.example/sites/none", "team"):
        with pytest.raises(LookupError):
            one.drive(missing, library=True)
    path, form = cloud.asked[0]
    assert path == "/school.example/oauth2/v2.0/token"
    assert form["grant_type"] == ["client_credentials"]


def test_graph_that_says_slower_is_asked_again(cloud, monkeypatch):
    cloud.busy = 2
    assert Graph("t", "id", SECRET).drive("jan@old.example", library=False).id == "drive-of-jan"
    cloud.busy = 99
    monkeypatch.setattr(graph, "_TRIES", 2)
    with pytest.raises(SchoolError, match="HTTP 429"):
        Graph("t", "id", SECRET).drive("jan@old.example", library=False)


def test_a_wrong_secret_is_told_by_microsofts_own_code_alone(cloud):
    with pytest.raises(SchoolError) as error:
        Graph("school.example", "id", "wrong")
    assert "AADSTS7000215" in str(error.value)
    assert SECRET[:8] not in str(error.value)


def test_microsoft_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setattr(graph, "LOGIN", "http://127.0.0.1:9")
    with pytest.raises(SchoolError, match="Microsoft does not answer"):
        Graph("school.example", "id", SECRET)


def test_files_come_from_onedrive_with_client_credentials(tmp_path, cloud, capfd):
    """The real backend of rclone, without rclone's own set-up, and without a file of configuration."""
    cloud.files = {"verslag.txt": noise(1500), "anders.txt": b"changed since Microsoft made its hash"}
    cloud.files["Notities"] = b"a notebook"
    for name, data in {**cloud.files, "anders.txt": b"before"}.items():
        (tmp_path / name).write_bytes(data)
        command = [NEW, "hashsum", "quickxor", "--base64", str(tmp_path / name), "--config", ""]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        cloud.hashes[name] = done.stdout.split()[0]
    with serving(tmp_path / "dav") as dav:
        school = School(tmp_path / "school", dav)
        school.secret("secret", f"{SECRET}\n")
        school.settings["from"] = {
            "kind": "microsoft",
            "tenant": "school.example",
            "client_id": "id",
            "secret": "secret",
        }
        assert school.call("run") == 1
        assert capfd.readouterr().err == (
            "school: Microsoft 365 has no files of piet@old.example, which piet.pieters would get: "
            "correct the account, or leave it out in the file of exceptions.\n"
        )
        assert not dav.requests("PUT")
        school.except_for("person;;piet.pieters\n")
        assert school.call("run") == 1
        assert dav.files(JAN)["verslag.txt"] == cloud.files["verslag.txt"]
        receipt = school.receipt()
        assert receipt["hash"] == "quickxor"
        assert [(one["path"], one["compared"]) for one in receipt["files"]] == [("verslag.txt", True)]
        # What is not what Microsoft's own hash says is not called brought.
        assert school.skipped() == {"anders.txt": "differs", "Notities": "onenote"}
        said = capfd.readouterr()
        written = "".join(
            path.read_text(encoding="utf-8")
            for path in (school.folder / "migration").rglob("*")
            if path.is_file()
        )
        for secret in (SECRET, "key-in-an-address"):
            assert secret not in said.out + said.err + written
    assert any("oauth2/v2.0/token" in path and form for path, form in cloud.asked)


def test_every_option_exists_in_rclone():
    """A backend that does not know an option in its environment says nothing of it."""
    done = subprocess.run([NEW, "config", "providers", "--config", ""], capture_output=True, check=True)
    said = json.loads(done.stdout)
    known = {
        one["Name"]: {option["Name"]: option for option in one["Options"]}
        for one in (said if isinstance(said, list) else said["providers"])
    }
    rclone = Rclone(NEW)
    person = Move("jan", "person", "jan@old.example", "jan", "", "Jan")
    library = Move("library-x", "library", "0ABC", "schoolstack", "x", "x")
    microsoft = Microsoft("school.example", "id", SECRET, _drives={"jan": Drive("d", "business")})
    google = Google(rclone, Path("key.json"), "ict@old.example")
    written = {"kind": "nextcloud", "url": "https://files.school.example", "chunk": "50M", "passwords": "p"}
    target = Target(SimpleNamespace(target=written), rclone)
    target.__dict__["_passwords"] = {"jan": "x"}
    remotes = [
        microsoft.remote(person),
        google.remote(person),
        google.remote(library),
        target.remote(person),
    ]
    for remote in remotes:
        options = known[remote.options["type"]]
        assert set(remote.options) - {"type"} <= set(options)
    # Google's is read with the narrowest right there is, for the account, or a member of the shared drive.
    of_person, of_library = remotes[1].options, remotes[2].options
    assert of_person["scope"] == "drive.readonly"
    assert (of_person["impersonate"], "team_drive" in of_person) == ("jan@old.example", False)
    assert (of_library["impersonate"], of_library["team_drive"]) == ("ict@old.example", "0ABC")
    assert remotes[3].options["url"] == "https://files.school.example/remote.php/dav/files/jan/"


def test_an_old_rclone_is_refused_for_microsoft(tmp_path, cloud, capsys):
    with serving(tmp_path / "dav") as dav:
        school = School(tmp_path / "school", dav, "/usr/bin/rclone")
        school.secret("secret", SECRET)
        school.settings["from"] = {"kind": "microsoft", "tenant": "t", "client_id": "id", "secret": "secret"}
        assert main(["migrate", "check", str(school.file)]) == 1
    assert "Microsoft 365 needs 1.69 or newer" in capsys.readouterr().err
    assert not cloud.asked
