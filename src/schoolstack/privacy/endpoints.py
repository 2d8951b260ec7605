"""Which outside addresses are configured, where they are, and whether that may be. Nothing is looked up."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from schoolstack.messages import language, say

# Where GDPR applies: the European Union, and the three countries of the European Economic Area beside it.
EEA = frozenset({
    "EU", "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT",
    "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK", "IS", "LI", "NO",
})  # fmt: skip
# At the school itself.
HERE = "here"
# Addresses that nobody has on the internet (RFC 1918, 1122, 3927, 4193, 4291).
OWN_NETWORKS = [
    ipaddress.ip_network(network)
    for network in [
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    ]
]


@dataclass(frozen=True)
class Endpoint:
    """One address that something is sent to, or fetched from.

    Attributes:
        server: the server that does.
        role: the role that configures it.
        address: its name or IP address.
        what: what happens there, by language.
        people: whether what is sent there is about people.
        place: country (ISO 3166), ``EU``, ``here``, ``world``; empty when nobody stated it.
        why: the reason why it may be outside, where this project states one.
    """

    server: str
    role: str
    address: str
    what: Mapping[str, str]
    people: bool
    place: str
    why: str = ""

    @property
    def state(self) -> str:
        """``good`` inside the EEA; outside or unknown: ``wrong`` where it is about people, else ``look``."""
        if self.place in EEA or self.place == HERE:
            return "good"
        return "wrong" if self.people else "look"


def locate(found: Iterable[tuple[str, Mapping[str, Any]]], own: Mapping[str, str]) -> list[Endpoint]:
    """Return what roles configure, with its place.

    Args:
        found: server, and what one of its roles says: ``role``, ``address``, ``what``, ``people``, and
            ``kind`` where it is one of those whose place does not hang on the address.
        own: places that the school states, by address or by what an address ends in.
    """
    located = {
        (server, one["role"], name): Endpoint(
            server,
            one["role"],
            name,
            one["what"],
            bool(one.get("people")),
            *_place(name, one.get("kind", ""), own),
        )
        for server, one in found
        if (name := host_of(one["address"]))
    }
    return sorted(located.values(), key=lambda one: (one.server, one.role, one.address))


def host_of(address: str) -> str:
    """Return the host in an address, a URL or ``host:port``; empty where there is none."""
    address = address.strip()
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return (urlsplit(address if "//" in address else f"//{address}").hostname or "").rstrip(".")


def _place(name: str, kind: str, own: Mapping[str, str]) -> tuple[str, str]:
    """Return the place of an address, and why it may be there."""
    if place := _longest(name, own):
        return place.strip(), ""
    try:
        address = ipaddress.ip_address(name)
        return (HERE if any(address in network for network in OWN_NETWORKS) else ""), ""
    except ValueError:
        pass
    known = _longest(name, _shipped()) or _shipped().get(kind)
    return (known["place"], known["why"][language()]) if known else ("", "")


def _longest(name: str, places: Mapping[str, Any]) -> Any:
    """Return what is said of a name, or of the longest domain that it is in."""
    parts = name.split(".")
    return next((places[end] for n in range(len(parts)) if (end := ".".join(parts[n:])) in places), None)


@functools.cache
def _shipped() -> dict[str, Any]:
    places: dict[str, Any] = yaml.safe_load(
        Path(__file__).with_name("places.yml").read_text(encoding="utf-8")
    )
    return places


def sentence(one: Endpoint) -> str:
    """Return what is to be said of an address."""
    if one.state == "good":
        place = say("privacy.here") if one.place == HERE else one.place
        return say("privacy.endpoint.good", what=one.what[language()], place=place)
    key = "unknown" if not one.place else "outside"
    place = say("privacy.world") if one.place == "world" else one.place
    said = say(f"privacy.endpoint.{key}", what=one.what[language()], place=place, address=one.address)
    people = say("privacy.endpoint.people") if one.people else one.why or say("privacy.endpoint.no_people")
    return f"{said}: {people}"
