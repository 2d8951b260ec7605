"""Bad inventories and servers: each is refused with one sentence that names the place and the cure."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schoolstack.messages import speaking
from schoolstack.preflight import (
    Page,
    Server,
    check_declaration,
    check_inventory,
    check_pages,
    check_school,
    check_server,
    check_watched,
)

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "roles/app/files/declaration.schema.json").read_text(encoding="utf-8"))
ROLES = ["keycloak", "nginx", "postgresql", "certificates", "portal", "host", "firewall"]

SCHOOL = {
    "school_name": "Voorbeeldschool",
    "school_domain": "voorbeeldschool.example",
    "school_contact": "ict@voorbeeldschool.example",
    "school_timezone": "Europe/Brussels",
    "school_admin_networks": ["192.0.2.0/24", "2001:db8::/32"],
    "school_colour": "#1f6f5c",
    "school_public_port": 443,
    "school_language": "nl",
    "school_languages": ["nl", "fr"],
}

DECLARATION: dict[str, Any] = {
    "name": "notes",
    "title": "Notes",
    "version": "1.0",
    "arch": ["amd64"],
    "memory_mb": {"min": 500, "typical": 800},
    "disk_mb": 900,
    "user": "notes",
    "paths": {"data": "/var/lib/notes"},
    "databases": [{"engine": "postgresql", "name": "notes"}],
    "services": [{"name": "notes", "description": "Notes", "exec": "/usr/bin/notes"}],
    "site": {"host": "notes.voorbeeldschool.example", "upstream": "127.0.0.1:8300"},
    "ports": [{"port": 8300, "address": "127.0.0.1", "what": "pages"}],
    "health": {"url": "http://127.0.0.1:8300/", "expect": "ok"},
    "backup": {},
    "personal_data": [],
}

SERVER = Server(
    name="server",
    groups=["nginx", "certificates", "postgresql", "notes"],
    distribution="Debian",
    release="13",
    machine="x86_64",
    memory_mb=4000,
    clock_ahead_s=0.2,
    free_mb={"/opt": 20_000, "/var/lib": 20_000},
    listeners=[{"port": 22, "address": "0.0.0.0", "program": "sshd", "unit": "ssh.service"}],
)


def test_what_is_right_passes() -> None:
    assert list(check_school(SCHOOL)) == []
    assert list(check_inventory({"all": ["server"], "keycloak": ["server"]}, ROLES, [])) == []
    assert check_declaration(DECLARATION, SCHEMA, "notes") == []
    assert list(check_server(SERVER, [DECLARATION], "voorbeeldschool.example", 30)) == []


@pytest.mark.parametrize(
    ("name", "value", "place", "cure"),
    [
        ("school_name", "", "school_name", "school.yml"),
        ("school_name", None, "school_name", "school.yml"),
        ("school_domain", "", "school_domain", "school.yml"),
        ("school_domain", "https://myschool.example", "'https://myschool.example'", "without https://"),
        ("school_domain", "myschool", "'myschool'", "such as myschool.example"),
        ("school_domain", "My School.example", "'My School.example'", "lower case"),
        ("school_domain", "192.0.2.1", "'192.0.2.1'", "such as"),
        ("school_domain", "my_school.example", "'my_school.example'", "such as"),
        ("school_domain", "-school.example", "'-school.example'", "such as"),
        ("school_contact", "the office", "'the office'", "ict@"),
        ("school_timezone", "Europe/Brusels", "'Europe/Brusels'", "did you mean Europe/Brussels"),
        ("school_admin_networks", ["192.168.1.1/24"], "'192.168.1.1/24'", "192.168.10.0/24"),
        ("school_admin_networks", ["office"], "'office'", "prefix length"),
        ("school_colour", "green", "'green'", "#"),
        ("school_public_port", 70000, "70000", "1 to 65535"),
        ("school_language", "de", "'de'", "school_languages"),
    ],
)
def test_a_wrong_fact_about_the_school_is_refused(name: str, value: object, place: str, cure: str) -> None:
    sentences = list(check_school({**SCHOOL, name: value}))
    assert len(sentences) == 1
    assert name in sentences[0]
    assert place in sentences[0]
    assert cure in sentences[0]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"all": ["a"], "keycloack": ["a"]}, ["'keycloack'", "did you mean keycloak?"]),
        ({"all": ["a"], "printers": ["a"]}, ["'printers'", "school_own_groups"]),
        ({"all": []}, ["names no server"]),
        ({"all": ["a", "b"], "keycloak": ["a", "b"]}, ["a, b", "keep one"]),
    ],
)
def test_a_wrong_group_is_refused(groups: dict[str, list[str]], words: list[str]) -> None:
    sentences = list(check_inventory(groups, ROLES, []))
    assert len(sentences) == 1
    assert all(word in sentences[0] for word in words)


def test_a_schools_own_group_is_accepted() -> None:
    assert list(check_inventory({"all": ["a"], "printers": ["a"]}, ROLES, ["printers"])) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"distribution": "Debian", "release": "11"}, ["Debian 11", "install Debian 13"]),
        ({"distribution": "Fedora", "release": "42"}, ["Fedora 42", "not supported"]),
        ({"distribution": "Ubuntu", "release": "22.04"}, ["Ubuntu 22.04", "24.04"]),
        ({"machine": "armv7l"}, ["armv7l", "64-bit"]),
        ({"machine": "aarch64"}, ["Notes", "arm64", "amd64"]),
        ({"memory_mb": 700}, ["700 MB", "1012 MB", "Notes 500 MB", "more memory"]),
        ({"free_mb": {"/opt": 20_000, "/var/lib": 300}}, ["300 MB", "/var/lib", "900 MB", "larger disk"]),
        ({"clock_ahead_s": 95.0}, ["95 seconds ahead", "timedatectl"]),
        ({"clock_ahead_s": -3600.0}, ["3600 seconds behind", "timedatectl"]),
        ({"groups": ["nginx", "certificates"]}, ["postgresql", "add server to the group postgresql"]),
        ({"groups": ["postgresql", "certificates"]}, ["nginx", "add server to the group nginx"]),
        (
            {"listeners": [{"port": 443, "address": "::", "program": "apache2", "unit": "apache2.service"}]},
            ["443", "apache2", "stop and remove"],
        ),
        (
            {
                "listeners": [
                    {"port": 8300, "address": "127.0.0.1", "program": "node", "unit": "other.service"}
                ]
            },
            ["8300", "node", "Notes"],
        ),
    ],
)
def test_a_server_that_cannot_hold_it_is_refused(change: dict[str, Any], words: list[str]) -> None:
    sentences = list(check_server(replace(SERVER, **change), [DECLARATION], "voorbeeldschool.example", 30))
    assert len(sentences) == 1, sentences
    assert "server" in sentences[0]
    assert all(word in sentences[0] for word in words), sentences


def test_a_server_that_is_too_small_whatever_else_it_does_is_refused_with_the_reason() -> None:
    because = {"en": "documents are large", "nl": "documenten groot zijn"}
    memory = {**DECLARATION["memory_mb"], "server": {"least": 8192, "because": because}}
    office = {**DECLARATION, "memory_mb": memory}
    assert check_declaration(office, SCHEMA, "notes") == []
    sentences = list(check_server(SERVER, [office], "voorbeeldschool.example", 30))
    assert len(sentences) == 1
    words = ["server has 4000 MB", "Notes", "8192 MB or more", "documents are large", "in the group notes"]
    assert all(word in sentences[0] for word in words), sentences
    with speaking("nl"):
        (sentence,) = check_server(SERVER, [office], "voorbeeldschool.example", 30)
    assert "want documenten groot zijn" in sentence
    # What is sold as 8 GB shows somewhat less to programs.
    sold = replace(SERVER, memory_mb=7800)
    assert list(check_server(sold, [office], "voorbeeldschool.example", 30)) == []


def test_what_already_runs_there_does_not_block_itself() -> None:
    own = [
        {"port": 443, "address": "0.0.0.0", "program": "nginx", "unit": "nginx.service"},
        {"port": 8300, "address": "127.0.0.1", "program": "notes", "unit": "notes.service"},
    ]
    assert (
        list(check_server(replace(SERVER, listeners=own), [DECLARATION], "voorbeeldschool.example", 30)) == []
    )


def test_a_version_that_the_servers_release_cannot_run_is_refused() -> None:
    notes = {**DECLARATION, "releases": {"Debian": ["13"], "Ubuntu": ["24.04"]}}
    old, new = (replace(SERVER, distribution="Debian", release=release) for release in ("12", "13"))
    assert list(check_server(new, [notes], "voorbeeldschool.example", 30)) == []
    (said,) = check_server(old, [notes], "voorbeeldschool.example", 30)
    assert all(word in said for word in ("Notes", "Debian 12", "Debian 13, Ubuntu 24.04", SERVER.name))


def test_what_the_web_server_answers_for_an_application_is_not_taken_by_it() -> None:
    site = {
        **DECLARATION["site"],
        "upstream": "unix:/run/notes/http.sock",
        "locations": "/etc/notes/nginx.conf",
    }
    ports = [{"port": 8010, "address": "127.0.0.1", "what": "Notes"}]
    notes = {**DECLARATION, "site": {**site, "port": 8010}, "ports": ports}
    listening = {"port": 8010, "address": "127.0.0.1"}
    own = [{**listening, "program": "nginx", "unit": "nginx.service"}]
    other = [{**listening, "program": "python3", "unit": "other.service"}]
    assert list(check_server(replace(SERVER, listeners=own), [notes], "voorbeeldschool.example", 30)) == []
    (said,) = check_server(replace(SERVER, listeners=other), [notes], "voorbeeldschool.example", 30)
    assert "8010" in said


def test_two_applications_may_not_want_one_port_or_one_address() -> None:
    other = {**DECLARATION, "name": "board", "title": "Board"}
    sentences = list(check_server(SERVER, [DECLARATION, other], "voorbeeldschool.example", 30))
    assert len(sentences) == 2
    assert "Notes and Board both want port 8300" in sentences[0]
    assert "notes.voorbeeldschool.example" in sentences[1]


def test_an_address_outside_the_schools_domain_is_refused() -> None:
    sentences = list(check_server(SERVER, [DECLARATION], "otherschool.example", 30))
    assert len(sentences) == 1
    assert "ends in .otherschool.example" in sentences[0]


@pytest.mark.parametrize("part", ["expose", "restricted"])
def test_a_site_that_writes_its_own_locations_has_none_beside_them(part: str) -> None:
    own = {
        **DECLARATION["site"],
        "upstream": "unix:/run/notes/http.sock",
        "locations": "/etc/notes/nginx.conf",
    }
    notes = {**DECLARATION, "site": own}
    assert check_declaration(notes, SCHEMA, "notes") == []
    assert list(check_server(SERVER, [notes], "voorbeeldschool.example", 30)) == []
    notes["site"] = {**own, part: ["/"], "redirect_root": "/login"}
    sentences = list(check_server(SERVER, [notes], "voorbeeldschool.example", 30))
    assert len(sentences) == 1
    assert f"beside {part}, redirect_root," in sentences[0]
    assert "roles/notes/vars/main.yml" in sentences[0]


LOGIN = Page("login.voorbeeldschool.example", "sso", "192.0.2.11")
START = Page("start.voorbeeldschool.example", "web", "192.0.2.12")


def test_pages_on_two_servers_pass() -> None:
    assert list(check_pages([LOGIN, START], in_dns=False)) == []
    assert list(check_pages([LOGIN, replace(START, address="web")], in_dns=True)) == []
    assert list(check_pages([LOGIN, replace(LOGIN, name="start", address="sso")], in_dns=False)) == [], (
        "nobody has to find a single server"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": LOGIN.name}, ["sso and web", LOGIN.name, "keep one"]),
        ({"address": "web.voorbeeldschool.example"}, ["web has", "ansible_host", "school_internal_dns"]),
        ({"address": "127.0.0.1"}, ["web has", "127.0.0.1", "host_address"]),
    ],
)
def test_a_page_that_the_other_servers_would_not_find_is_refused(
    change: dict[str, Any], words: list[str]
) -> None:
    sentences = list(check_pages([LOGIN, replace(START, **change)], in_dns=False))
    assert len(sentences) == 1
    assert all(word in sentences[0] for word in words), sentences


WATCHED: dict[str, list[str]] = {
    "monitoring": ["sso"],
    "certificates": ["sso", "web"],
}
ADDRESSES = {"sso": "192.0.2.11", "web": "192.0.2.12"}


def test_two_servers_of_which_one_watches_pass() -> None:
    assert list(check_watched(WATCHED, ADDRESSES)) == []
    assert list(check_watched(WATCHED, {"sso": "sso.example"})) == [], "a single server asks itself"
    assert list(check_watched({}, dict.fromkeys(ADDRESSES, "name"))) == [], "nobody watches"


@pytest.mark.parametrize(
    ("groups", "addresses", "words"),
    [
        ({"monitoring": ["sso", "web"]}, {}, ["sso, web", "keep one"]),
        ({"certificates": ["sso"]}, {}, ["add web", "certificates"]),
        ({"statuspage": ["web"]}, {}, ["is on web", "groups statuspage and monitoring"]),
        ({}, {"web": "web.voorbeeldschool.example"}, ["web has", "host_address"]),
        ({}, {"sso": "127.0.0.1"}, ["sso has", "127.0.0.1", "ansible_host"]),
    ],
)
def test_a_server_that_could_not_be_watched_is_refused(
    groups: dict[str, list[str]], addresses: dict[str, str], words: list[str]
) -> None:
    sentences = list(check_watched({**WATCHED, **groups}, {**ADDRESSES, **addresses}))
    assert len(sentences) == 1
    assert all(word in sentences[0] for word in words), sentences


def _set(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(declaration: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        node: Any = declaration
        for parent in parents:
            node = node[int(parent)] if parent.isdigit() else node[parent]
        node[last] = value

    return change


ALERT = {
    "name": "Full",
    "expr": "x > 1",
    "severity": "look",
    "says": {"en": "x", "nl": "x"},
    "how_to": "docs/how-to/monitoring.md",
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("user"), ["lacks user", "roles/notes/vars/main.yml"]),
        (lambda d: d["health"].pop("expect"), ["lacks health.expect"]),
        (_set("colour", "red"), ["colour", "means nothing"]),
        (_set("memory_mb.min", "500 MB"), ["memory_mb.min", "'500 MB'", "integer"]),
        (_set("arch", ["amd64", "armhf"]), ["arch.1", "'armhf'", "amd64, arm64"]),
        (_set("site.upstream", "0.0.0.0:8300"), ["site.upstream", "0.0.0.0:8300"]),
        (_set("site.upstream", "unix:/tmp/notes.sock"), ["site.upstream", "unix:/tmp/notes.sock"]),
        (_set("site.locations", "nginx.conf"), ["site.locations", "nginx.conf", "/etc/"]),
        (_set("site.locations", "/etc/notes/x; return 200"), ["site.locations", "return 200"]),
        (_set("services.0.exec", "notes"), ["services.0.exec", "'notes'"]),
        (_set("databases.0.engine", "oracle"), ["databases.0.engine", "'oracle'", "postgresql"]),
        (_set("caches", [{"engine": "valkey", "name": "notes"}]), ["lacks caches.0.memory_mb"]),
        (_set("caches", [{"engine": "memcached", "name": "notes", "memory_mb": 64}]), ["caches.0.engine"]),
        (_set("name", "My Notes"), ["name", "'My Notes'"]),
        (_set("alerts", [{k: v for k, v in ALERT.items() if k != "how_to"}]), ["lacks alerts.0.how_to"]),
        (_set("alerts", [{**ALERT, "how_to": "ask Jan"}]), ["alerts.0.how_to", "'ask Jan'", "docs/how-to"]),
        (_set("dashboard", [{"title": {"en": "x", "nl": "x"}}]), ["lacks dashboard.0.expr"]),
        (_set("apt", {"source": "x", "packages": {"x": 1}}), ["apt.packages.x", "1", "string"]),
    ],
)
def test_a_wrong_field_of_a_declaration_is_one_sentence(
    change: Callable[[dict[str, Any]], None], words: list[str]
) -> None:
    declaration = copy.deepcopy(DECLARATION)
    change(declaration)
    sentences = check_declaration(declaration, SCHEMA, "notes")
    assert len(sentences) == 1, sentences
    assert sentences[0].startswith("notes: ")
    assert all(word in sentences[0] for word in words), sentences
