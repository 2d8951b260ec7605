#!/usr/bin/python3
"""A stand-in for Grafana where its packages cannot be had: `grafana server` and `grafana cli`. Not Grafana.

It reads the same configuration (an ini with ``$__file{}``, provisioning in YAML), keeps accounts in the same
database, and does of the sign-in what Grafana documents: authorization code with PKCE, attributes and role by
JMESPath out of the ID token, strictly. So the role's wiring can be tried. It shows no dashboard, and proves
nothing about Grafana itself: what says `stand-in` in its answers is only this.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import http.server
import json
import os
import re
import secrets
import socket
import sys
import threading
import time
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jmespath
import psycopg2
import psycopg2.extras
import requests
import yaml

VERSION = "@VERSION@"
# A version that starts, says that it is well, and shows no page.
BROKEN = "@BROKEN@" == "yes"
# Grafana's public default of both keys, from its conf/defaults.ini.
PUBLIC_KEY = "SW2YcwTIb9zpOOhoPsMm"
TABLES = """
CREATE TABLE IF NOT EXISTS migration_log (version text PRIMARY KEY);
CREATE TABLE IF NOT EXISTS account (id serial PRIMARY KEY, login text UNIQUE, email text UNIQUE, name text,
    role text, password text);
CREATE TABLE IF NOT EXISTS session (token text PRIMARY KEY, id_token text,
    account integer REFERENCES account ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS folder_permission (folder text, role text, PRIMARY KEY (folder, role));
CREATE TABLE IF NOT EXISTS folder_known (folder text PRIMARY KEY);
"""


def flag(name: str) -> str:
    """Return an option of the command line."""
    return next(word.partition("=")[2] for word in sys.argv if word.startswith(f"--{name}="))


class Settings:
    """The configuration file, as Grafana reads it."""

    def __init__(self, path: str) -> None:
        self._ini = configparser.ConfigParser(interpolation=None, delimiters=("=",))
        self._ini.read(path)

    def __call__(self, section: str, key: str) -> str:
        """Return a value; one that names a file is what stands in it."""
        value = self._ini.get(section, key, fallback="").strip()
        if found := re.fullmatch(r"\$__file\{(.*)\}", value):
            return Path(found[1]).read_text(encoding="utf-8").strip()
        return value


class Store:
    """Grafana's database."""

    def __init__(self, settings: Settings) -> None:
        if settings("database", "type") != "postgres":
            sys.exit("stand-in: the database is not PostgreSQL")
        host, _, port = settings("database", "host").partition(":")
        self._where = {
            "host": host,
            "port": port,
            "dbname": settings("database", "name"),
            "user": settings("database", "user"),
            "password": settings("database", "password"),
        }

    def __call__(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement, and return what it gives."""
        connection = psycopg2.connect(**self._where, cursor_factory=psycopg2.extras.RealDictCursor)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, values)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()


def hashed(password: str) -> str:
    """Return how a password is kept; Grafana salts it, which makes no difference here."""
    return hashlib.sha256(password.encode()).hexdigest()


class Grafana:
    """What it knows."""

    def __init__(self) -> None:
        self.settings = Settings(flag("config"))
        self.store = Store(self.settings)
        self.pages = 0
        self.waiting: dict[str, str] = {}

    def start(self) -> None:
        """Refuse what Grafana's makers warn of; fill the database."""
        keys = [
            self.settings("security", "secret_key"),
            self.settings("secrets_manager.encryption.secret_key.v1", "secret_key"),
        ]
        if PUBLIC_KEY in keys or not all(keys):
            sys.exit("stand-in: a key is the one that everybody knows")
        self.store(TABLES)
        self.store("INSERT INTO migration_log VALUES (%s) ON CONFLICT DO NOTHING", VERSION)
        # As with Grafana, the configured password counts the first time only.
        password = hashed(self.settings("security", "admin_password") or "admin")
        self.store(
            "INSERT INTO account (login, email, name, role, password) VALUES ('admin', 'admin@localhost', "
            "'admin', 'Admin', %s) ON CONFLICT DO NOTHING",
            password,
        )
        for provider in self.providers():
            uid = provider["folderUid"]
            if not self.store("SELECT 1 FROM folder_known WHERE folder = %s", uid):
                self.store("INSERT INTO folder_known VALUES (%s)", uid)
                # By itself, whoever may sign in sees a folder.
                for role in ("Viewer", "Editor"):
                    self.store("INSERT INTO folder_permission VALUES (%s, %s)", uid, role)

    def _provisioned(self, kind: str) -> list[dict[str, Any]]:
        files = sorted(Path(self.settings("paths", "provisioning"), kind).glob("*.yaml"))
        return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]

    def providers(self) -> list[dict[str, Any]]:
        """Return where dashboards lie."""
        return [one for file in self._provisioned("dashboards") for one in file["providers"]]

    def sources(self) -> list[dict[str, Any]]:
        """Return the data sources."""
        return [one for file in self._provisioned("datasources") for one in file["datasources"]]

    def dashboards(self, role: str) -> dict[str, dict[str, Any]]:
        """Return the dashboards that a role sees, each with its folder, by uid."""
        allowed = self.store("SELECT folder FROM folder_permission WHERE role = %s", role)
        folders = {row["folder"] for row in allowed}
        return {
            board["uid"]: {"dashboard": board, "meta": {"folderUid": provider["folderUid"]}}
            for provider in self.providers()
            if role == "Admin" or provider["folderUid"] in folders
            for file in sorted(Path(provider["options"]["path"]).glob("*.json"))
            for board in [json.loads(file.read_text(encoding="utf-8"))]
        }

    def sign_in_page(self) -> tuple[str, str]:
        """Return where a browser signs in, and the state that it comes back with."""
        oauth = "auth.generic_oauth"
        state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
        self.waiting[state] = verifier
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.settings(oauth, "client_id"),
            "redirect_uri": self.address("/login/generic_oauth"),
            "scope": self.settings(oauth, "scopes"),
            "state": state,
        }
        if self.settings(oauth, "use_pkce") == "true":
            query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        return f"{self.settings(oauth, 'auth_url')}?{urlencode(query)}", state

    def address(self, path: str) -> str:
        """Return a page's public address."""
        return self.settings("server", "root_url").rstrip("/") + path

    def sign_in(self, code: str, state: str) -> str | None:
        """Return a new session's token; None for somebody without a role here."""
        oauth = "auth.generic_oauth"
        given = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.address("/login/generic_oauth"),
            "client_id": self.settings(oauth, "client_id"),
            "client_secret": self.settings(oauth, "client_secret"),
            "code_verifier": self.waiting.pop(state),
        }
        answer = requests.post(self.settings(oauth, "token_url"), given, timeout=20)
        answer.raise_for_status()
        tokens = answer.json()
        part = tokens["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

        def attribute(key: str) -> str:
            found = jmespath.search(self.settings(oauth, key), claims)
            return found if isinstance(found, str) else ""

        role, login = attribute("role_attribute_path"), attribute("login_attribute_path")
        email = claims.get("email") or attribute("email_attribute_path")
        if role not in ("Admin", "Editor", "Viewer") or not email or not login:
            return None
        (account,) = self.store(
            "INSERT INTO account (login, email, name, role) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (login) DO UPDATE SET role = excluded.role RETURNING id",
            *(login, email, attribute("name_attribute_path"), role),
        )
        token = secrets.token_hex(16)
        self.store("INSERT INTO session VALUES (%s, %s, %s)", token, tokens["id_token"], account["id"])
        return token


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    grafana: Grafana

    def do_GET(self) -> None:
        """Answer a page or a question."""
        self.grafana.pages += 1
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/api/health":
            return self.say({"database": "ok", "version": VERSION, "commit": "stand-in"})
        if url.path == "/metrics":
            pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
            resident = int(pages) * os.sysconf("SC_PAGE_SIZE")
            return self.say(
                f"grafana_http_request_duration_seconds_count {self.grafana.pages}\n"
                f"process_resident_memory_bytes {resident}\n",
                kind="text/plain",
            )
        if BROKEN:
            return self.say("broken on purpose", 500, kind="text/plain")
        if url.path == "/login":
            return self.lead("/login/generic_oauth")
        if url.path == "/login/generic_oauth":
            return self.oauth(query)
        person = self.person()
        if url.path == "/logout":
            return self.sign_out()
        if not person:
            api = url.path.startswith("/api/")
            return self.say({"message": "Unauthorized"}, 401) if api else self.lead("/login")
        return self.known(person, url.path, query)

    def known(self, person: dict[str, Any], path: str, query: dict[str, str]) -> None:
        """Answer somebody who is signed in."""
        boards = self.grafana.dashboards(person["role"])
        if path == "/api/user":
            return self.say({name: person[name] for name in ("id", "login", "email", "name", "role")})
        if path == "/api/search":
            return self.say(
                [{"uid": uid, "folderUid": one["meta"]["folderUid"]} for uid, one in boards.items()]
            )
        if found := re.fullmatch(r"/api/dashboards/uid/([\w-]+)", path):
            one = boards.get(found[1])
            return self.say(one) if one else self.say({"message": "not found"}, 404)
        if found := re.fullmatch(r"/api/datasources/proxy/uid/(\w+)/(.*)", path):
            (source,) = [one for one in self.grafana.sources() if one["uid"] == found[1]]
            return self.say(requests.get(f"{source['url']}/{found[2]}", query, timeout=20).json())
        if person["role"] == "Admin" and path.startswith("/api/"):
            return self.administer("GET", path, query)
        if path.startswith("/api/"):
            return self.say({"message": "Permission denied"}, 403)
        return self.say(
            f"<html><body><p>Stand-in for Grafana {VERSION}</p><p id='login'>{person['login']}</p>"
            f"<p id='role'>{person['role']}</p></body></html>",
            kind="text/html",
        )

    def do_POST(self) -> None:
        """Change something."""
        self.changed("POST")

    def do_DELETE(self) -> None:
        """Delete something."""
        self.changed("DELETE")

    def changed(self, method: str) -> None:
        """Let an administrator change something."""
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        person = self.person()
        if not person or person["role"] != "Admin":
            return self.say({"message": "Permission denied"}, 403 if person else 401)
        return self.administer(method, urlsplit(self.path).path, {}, body)

    def administer(self, method: str, path: str, query: dict[str, str], body: Any = None) -> None:
        """Answer an administrator."""
        store = self.grafana.store
        if found := re.fullmatch(r"/api/folders/([\w-]+)/permissions", path):
            if not store("SELECT 1 FROM folder_known WHERE folder = %s", found[1]):
                return self.say({"message": "folder not found"}, 404)
            if method == "POST":
                store("DELETE FROM folder_permission WHERE folder = %s", found[1])
                for item in body["items"]:
                    store("INSERT INTO folder_permission VALUES (%s, %s)", found[1], item["role"])
                return self.say({"message": "Folder permissions updated"})
            rows = store("SELECT role FROM folder_permission WHERE folder = %s", found[1])
            return self.say([{"role": row["role"], "permission": 1} for row in rows])
        if path == "/api/users/lookup":
            name = query["loginOrEmail"]
            rows = store("SELECT id, login, email, name FROM account WHERE %s IN (login, email)", name)
            return self.say(rows[0]) if rows else self.say({"message": "user not found"}, 404)
        if path == "/api/org/users":
            return self.say(store('SELECT id AS "userId", login, email, role FROM account'))
        if (found := re.fullmatch(r"/api/admin/users/(\d+)/logout", path)) and method == "POST":
            store("DELETE FROM session WHERE account = %s", found[1])
            return self.say({"message": "User logged out"})
        if found := re.fullmatch(r"/api/admin/users/(\d+)/auth-tokens", path):
            rows = store("SELECT account FROM session WHERE account = %s", found[1])
            return self.say([{"userId": row["account"]} for row in rows])
        if (found := re.fullmatch(r"/api/admin/users/(\d+)", path)) and method == "DELETE":
            store("DELETE FROM account WHERE id = %s", found[1])
            return self.say({"message": "User deleted"})
        return self.say({"message": "Not found"}, 404)

    def person(self) -> dict[str, Any] | None:
        """Return who asks: by password, or by session."""
        store = self.grafana.store
        proof = self.headers.get("Authorization", "")
        if proof.startswith("Basic "):
            name, _, password = base64.b64decode(proof[6:]).decode().partition(":")
            rows = store("SELECT * FROM account WHERE login = %s AND password = %s", name, hashed(password))
        else:
            token = SimpleCookie(self.headers.get("Cookie", "")).get("grafana_session")
            rows = store(
                "SELECT account.* FROM account JOIN session ON session.account = account.id WHERE token = %s",
                token.value if token else "",
            )
        return rows[0] if rows else None

    def oauth(self, query: dict[str, str]) -> None:
        """Send a browser to the sign-in, or take up one that comes from there."""
        if "code" not in query:
            address, state = self.grafana.sign_in_page()
            return self.lead(address, f"oauth_state={state}; Path=/; Secure; HttpOnly; SameSite=Lax")
        state = SimpleCookie(self.headers.get("Cookie", "")).get("oauth_state")
        if not state or state.value != query.get("state"):
            return self.say("state", 400, kind="text/plain")
        token = self.grafana.sign_in(query["code"], query["state"])
        if not token:
            return self.say("refused: no role", 401, kind="text/plain")
        return self.lead("/", f"grafana_session={token}; Path=/; Secure; HttpOnly; SameSite=Lax")

    def sign_out(self) -> None:
        """End a session here, and then at the sign-in."""
        token = SimpleCookie(self.headers.get("Cookie", "")).get("grafana_session")
        rows = self.grafana.store(
            "DELETE FROM session WHERE token = %s RETURNING id_token", token.value if token else ""
        )
        out = self.grafana.settings("auth.generic_oauth", "signout_redirect_url")
        hint = f"&id_token_hint={rows[0]['id_token']}" if rows else ""
        return self.lead(out + hint, "grafana_session=; Path=/; Max-Age=0")

    def lead(self, to: str, cookie: str = "") -> None:
        """Redirect."""
        self.send_response(302)
        self.send_header("Location", to)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def say(self, content: Any, status: int = 200, kind: str = "application/json") -> None:
        """Answer."""
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve() -> None:
    """Serve until stopped."""
    grafana = Handler.grafana = Grafana()
    grafana.start()
    place = (grafana.settings("server", "http_addr"), int(grafana.settings("server", "http_port")))
    server = http.server.ThreadingHTTPServer(place, Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if notify := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as said:
            said.sendto(b"READY=1", notify.replace("@", "\0", 1))
    while True:
        time.sleep(3600)


def reset_password() -> None:
    """Give the administrator the password on standard input."""
    store = Store(Settings(flag("config")))
    store("UPDATE account SET password = %s WHERE login = 'admin'", hashed(sys.stdin.read().strip()))
    print("Admin password changed successfully (stand-in)")


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve()
    elif sys.argv[1] == "cli" and "--password-from-stdin" in sys.argv and "reset-admin-password" in sys.argv:
        reset_password()
    else:
        sys.exit(f"stand-in: knows no {' '.join(sys.argv[1:])}")
