"""The checks themselves: plain values in, sentences out. Nothing here reads a file or a host."""

from __future__ import annotations

import difflib
import ipaddress
import re
import zoneinfo
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schoolstack.messages import language, say

Declaration = Mapping[str, Any]

# What the roles are written for and tested on, as Ansible names them.
SUPPORTED: dict[str, tuple[str, ...]] = {"Debian": ("12", "13"), "Ubuntu": ("24.04",)}

# Ansible's name of a processor -> Debian's.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

# Left to the system beside the applications, in MB: kernel, systemd, SSH, caches.
SYSTEM_MEMORY_MB = 512

# A board sold as "4 GB" shows somewhat less to programs; the firmware and the kernel keep the rest.
MEMORY_SHOWN = 0.9

# RFC 1123 labels, at least two of them.
DOMAIN = re.compile(r"(?=.{4,200}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")

MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

# A platform role that applications need, by the part of their declaration that asks for it.
NEEDS = {"databases": ("postgresql",), "site": ("nginx", "certificates")}

# Parts of a site that stand for locations, which it may write itself instead.
LOCATIONS = ("expose", "restricted", "redirect_root")

WEB_PORTS = (80, 443)


@dataclass(frozen=True)
class Server:
    """One server as it is before the first change.

    Attributes:
        name: its name in the inventory.
        groups: the inventory groups it is in.
        distribution: Ansible's name of its distribution, such as ``Debian``.
        release: the distribution's version, such as ``13`` or ``24.04``.
        machine: its processor as Ansible names it, such as ``x86_64``.
        memory_mb: memory that programs see, in MB.
        clock_ahead_s: how far its clock is ahead of ours, in seconds.
        free_mb: free space by path, in MB.
        listeners: listening sockets: ``port``, ``address``, ``program``, ``unit``.
    """

    name: str
    groups: Collection[str]
    distribution: str
    release: str
    machine: str
    memory_mb: int
    clock_ahead_s: float
    free_mb: Mapping[str, int]
    listeners: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


@dataclass(frozen=True)
class Page:
    """One application's pages.

    Attributes:
        name: their DNS name.
        server: the inventory's name of the server that has them.
        address: where the school's other servers reach that one.
    """

    name: str
    server: str
    address: str


def check_school(school: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each fact about the school that cannot be right.

    Args:
        school: the ``school_*`` variables.
    """
    for name in ("school_name", "school_domain", "school_contact"):
        if not str(school.get(name) or "").strip():
            yield say("preflight.missing_value", name=name)
    domain = school.get("school_domain")
    if domain and not DOMAIN.fullmatch(str(domain)):
        yield say("preflight.domain", found=domain)
    contact = school.get("school_contact")
    if contact and not MAIL.fullmatch(str(contact)):
        yield say("preflight.contact", found=contact)
    if school["school_timezone"] not in zoneinfo.available_timezones():
        yield say(
            "preflight.timezone",
            found=school["school_timezone"],
            near=near(school["school_timezone"], zoneinfo.available_timezones()),
        )
    for network in school["school_admin_networks"]:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            yield say("preflight.network", found=network)
    if not COLOUR.fullmatch(str(school["school_colour"])):
        yield say("preflight.colour", found=school["school_colour"])
    if not 1 <= int(school["school_public_port"]) <= 65535:
        yield say("preflight.public_port", found=school["school_public_port"])
    if school["school_language"] not in school["school_languages"]:
        yield say(
            "preflight.language", found=school["school_language"], known=", ".join(school["school_languages"])
        )


def check_inventory(
    groups: Mapping[str, Sequence[str]], roles: Collection[str], own_groups: Collection[str]
) -> Iterator[str]:
    """Yield a sentence for each group that means nothing here, or holds what it cannot.

    Args:
        groups: the hosts of each inventory group.
        roles: names of the roles.
        own_groups: groups of the school's own making.
    """
    known = {*roles, *own_groups, "all", "ungrouped"}
    for group in sorted(groups):
        if group not in known:
            yield say("preflight.group", group=group, near=near(group, roles))
    if not groups.get("all"):
        yield say("preflight.no_servers")
    if len(groups.get("keycloak", ())) > 1:
        yield say("preflight.one_keycloak", found=", ".join(groups["keycloak"]))


def check_pages(pages: Sequence[Page], *, in_dns: bool) -> Iterator[str]:
    """Yield a sentence for each name that could not lead to one server.

    Args:
        pages: those of all the school's servers.
        in_dns: whether the servers find the names in a DNS.
    """
    servers: dict[str, str] = {}
    for page in pages:
        if servers.setdefault(page.name, page.server) != page.server:
            yield say("preflight.page_twice", name=page.name, one=servers[page.name], other=page.server)
    if in_dns or len(set(servers.values())) < 2:
        return
    for server, address in {page.server: page.address for page in pages}.items():
        if not _reachable(address):
            yield say("preflight.address", server=server, found=address)


def check_watched(groups: Mapping[str, Sequence[str]], addresses: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each server that the one that watches could not ask, or not safely.

    Args:
        groups: the hosts of each inventory group.
        addresses: where the school's other servers reach each of its servers.
    """
    watching = groups.get("monitoring", ())
    if len(watching) > 1:
        yield say("preflight.one_monitoring", found=", ".join(watching))
    if status := [server for server in groups.get("statuspage", ()) if server not in watching[:1]]:
        yield say("preflight.statuspage_server", found=", ".join(status))
    if not watching or len(addresses) < 2:
        return
    for server in addresses:
        if server not in groups.get("certificates", ()):
            yield say("preflight.watched_certificates", server=server)
        if not _reachable(addresses[server]):
            yield say("preflight.watched_address", server=server, found=addresses[server])


def _reachable(address: str) -> bool:
    """Return whether an address is one by which other servers may reach a server, without a DNS."""
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def check_server(
    server: Server, declarations: Sequence[Declaration], domain: str, tolerance_s: float
) -> Iterator[str]:
    """Yield a sentence for each reason why this server cannot hold what the inventory gives it.

    Args:
        server: the server as it is.
        declarations: those of the applications it shall hold, resolved and valid.
        domain: the school's domain.
        tolerance_s: how far the clock may be off, in seconds.
    """
    if server.release not in SUPPORTED.get(server.distribution, ()):
        yield say(
            "preflight.distribution", server=server.name, found=f"{server.distribution} {server.release}"
        )
    arch = ARCHITECTURES.get(server.machine, server.machine)
    if arch not in ARCHITECTURES.values():
        yield say("preflight.architecture", server=server.name, found=server.machine)
    if abs(server.clock_ahead_s) > tolerance_s:
        yield say(
            "preflight.clock",
            server=server.name,
            seconds=round(abs(server.clock_ahead_s)),
            direction=say("preflight.ahead" if server.clock_ahead_s > 0 else "preflight.behind"),
        )
    yield from _places(server, declarations, arch)
    yield from _room(server, declarations)
    yield from _ports(server, declarations)
    yield from _sites(server, declarations, domain)


def _places(server: Server, declarations: Sequence[Declaration], arch: str) -> Iterator[str]:
    for declaration in declarations:
        if arch in ARCHITECTURES.values() and arch not in declaration["arch"]:
            yield say(
                "preflight.application_architecture",
                server=server.name,
                title=declaration["title"],
                found=arch,
                known=", ".join(declaration["arch"]),
            )
        releases = declaration.get("releases")
        if releases and server.release not in releases.get(server.distribution, ()):
            yield say(
                "preflight.application_release",
                server=server.name,
                title=f"{declaration['title']} {declaration['version']}",
                found=f"{server.distribution} {server.release}",
                known=", ".join(f"{name} {release}" for name, known in releases.items() for release in known),
            )
        wanted = [role for part, roles in NEEDS.items() if declaration.get(part) for role in roles]
        for role in (*wanted, *declaration.get("needs", ())):
            if role not in server.groups:
                yield say("preflight.needs", server=server.name, title=declaration["title"], role=role)


def _room(server: Server, declarations: Sequence[Declaration]) -> Iterator[str]:
    for declaration in declarations:
        least = declaration["memory_mb"].get("server")
        if least and server.memory_mb < least["least"] * MEMORY_SHOWN:
            yield say(
                "preflight.memory_server",
                server=server.name,
                found=server.memory_mb,
                title=declaration["title"],
                wanted=least["least"],
                because=least["because"][language()],
                group=declaration["name"],
            )
    wanted = sum(declaration["memory_mb"]["min"] for declaration in declarations)
    if declarations and server.memory_mb < (wanted + SYSTEM_MEMORY_MB) * MEMORY_SHOWN:
        yield say(
            "preflight.memory",
            server=server.name,
            found=server.memory_mb,
            wanted=wanted + SYSTEM_MEMORY_MB,
            titles=", ".join(f"{d['title']} {d['memory_mb']['min']} MB" for d in declarations),
        )
    space = sum(declaration["disk_mb"] for declaration in declarations)
    for path, free in server.free_mb.items():
        if free < space:
            yield say("preflight.disk", server=server.name, path=path, found=free, wanted=space)
            break


def _ports(server: Server, declarations: Sequence[Declaration]) -> Iterator[str]:
    owners: dict[int, str] = {}
    units: dict[int, set[str]] = {}
    for declaration in declarations:
        for listening in declaration.get("ports", ()):
            port = listening["port"]
            if port in owners:
                yield say(
                    "preflight.port_shared",
                    server=server.name,
                    port=port,
                    one=owners[port],
                    other=declaration["title"],
                )
            owners[port] = declaration["title"]
            units[port] = {f"{service['name']}.service" for service in declaration["services"]}
            if port == declaration.get("site", {}).get("port"):
                units[port] = {"nginx.service"}
    if "nginx" in server.groups:
        for port in WEB_PORTS:
            owners[port], units[port] = "nginx", {"nginx.service"}
    for listener in server.listeners:
        port = listener["port"]
        if port in owners and listener["unit"] not in units[port]:
            yield say(
                "preflight.port_taken",
                server=server.name,
                port=port,
                title=owners[port],
                program=listener["program"] or "?",
            )
            units[port].add(listener["unit"])  # IPv4 and IPv6 of one program are one problem


def _sites(server: Server, declarations: Sequence[Declaration], domain: str) -> Iterator[str]:
    hosts = Counter(declaration["site"]["host"] for declaration in declarations if "site" in declaration)
    for declaration in declarations:
        host = declaration.get("site", {}).get("host")
        if host and host != domain and not host.endswith(f".{domain}"):
            yield say("preflight.site_domain", title=declaration["title"], host=host, domain=domain)
        both = [part for part in LOCATIONS if declaration.get("site", {}).get(part)]
        if both and "locations" in declaration["site"]:
            yield say("preflight.site_locations", name=declaration["name"], both=", ".join(both))
    for host, count in hosts.items():
        if count > 1:
            yield say("preflight.site_shared", server=server.name, host=host)


def near(word: str, words: Collection[str]) -> str:
    """Return the likeliest meant word, as a half-sentence, or nothing."""
    near = difflib.get_close_matches(str(word), list(words), n=1)
    return say("preflight.near", word=near[0]) if near else ""
