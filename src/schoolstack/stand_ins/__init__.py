"""Stand-ins for products whose archives cannot be had: programs of the same shape, and labelled so.

A stand-in lets a role's wiring be tried: archive, configuration, database, web server, sign-in, backup,
upgrade. It is never evidence that the product works.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import tarfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import requests
import yaml

from schoolstack.deployment import ROOT

# What stands for Nextcloud, file by file.
NEXTCLOUD = Path(__file__).parent / "nextcloud"

# Seconds after which a place that does not answer is out of reach.
REACH_S = 5

# The machines that notify_push has a program for, as its own archive names them.
MACHINES = ("x86_64", "aarch64")


def nextcloud_pins() -> list[dict[str, Any]]:
    """Return what the role pins: ``nextcloud_artefacts``."""
    file = ROOT / "roles" / "nextcloud" / "vars" / "artefacts.yml"
    pins: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["nextcloud_artefacts"]
    return pins


def at_hand(pins: Collection[Mapping[str, Any]], folder: Path) -> bool:
    """Return whether the real archives lie in a folder, as they are pinned.

    Args:
        pins: entries of ``<app>_artefacts``, each the same for all architectures.
        folder: where artefacts are kept.
    """
    return all(
        (folder / pin["file"]).is_file() and _sha256(folder / pin["file"]) == pin["sha256"]["all"]
        for pin in pins
    )


def within_reach(pins: Collection[Mapping[str, Any]]) -> bool:
    """Return whether this machine reaches the place where the first archive can be had."""
    return reachable(next(s["url"] for pin in pins for s in pin["sources"] if s["kind"] == "url"))


def reachable(url: str) -> bool:
    """Return whether something can be had at an address, from this machine."""
    try:
        return requests.head(url, timeout=REACH_S, allow_redirects=True).ok
    except requests.RequestException:
        return False


def make_nextcloud(folder: Path, broken: Collection[str] = ()) -> list[dict[str, Any]]:
    """Write stand-ins for every pinned archive of Nextcloud.

    Args:
        folder: where to; the archives are named ``stand-in-...``.
        broken: versions whose upgrade fails and that show no page.

    Returns:
        What to pin in place of the real ones: ``nextcloud_artefacts``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for pin in nextcloud_pins():
        files = _app(pin) if "within" in pin else _server(pin["version"], pin["version"] in broken)
        top = pin["name"] if "within" in pin else "nextcloud"
        content = _packed(pin["file"], {f"{top}/{name}": content for name, content in files.items()})
        digest = hashlib.sha256(content).hexdigest()
        # What is in it may be other tomorrow, and an archive by the name of an earlier one would be refused.
        path = folder / f"stand-in-{digest[:8]}-{pin['file']}"
        path.write_bytes(content)
        sources = [{"kind": "url", "url": path.as_uri()}]
        # Nobody signs a stand-in.
        own = {key: value for key, value in pin.items() if key != "signature"}
        made.append({**own, "file": path.name, "sha256": {"all": digest}, "sources": sources})
    return made


def _server(version: str, broken: bool) -> dict[str, bytes]:
    numbers = ", ".join([*version.split("."), "0"])
    files = {
        str(path.relative_to(NEXTCLOUD)): path.read_bytes()
        for path in sorted(NEXTCLOUD.rglob("*"))
        if path.is_file() and path.name != "notify_push"
    }
    files["version.php"] = f"<?php\n$OC_Version = [{numbers}];\n$OC_VersionString = '{version}';\n".encode()
    files["core/css/stand-in.css"] = b"/* stand-in */\n"
    if broken:
        files["broken"] = b"on purpose\n"
    return files


def _app(pin: Mapping[str, Any]) -> dict[str, bytes]:
    majors = sorted(int(version.split(".")[0]) for version in pin["within"]["versions"])
    info = (
        f"<?xml version='1.0'?><info><id>{pin['name']}</id><name>{pin['name']} (stand-in)</name>"
        f"<version>{pin['version']}</version><dependencies>"
        f"<nextcloud min-version='{majors[0]}' max-version='{majors[-1]}'/></dependencies></info>\n"
    )
    files = {"appinfo/info.xml": info.encode()}
    if pin["name"] == "notify_push":
        files |= {
            f"bin/{machine}/notify_push": (NEXTCLOUD / "notify_push").read_bytes() for machine in MACHINES
        }
    return files


def _packed(name: str, files: Mapping[str, bytes]) -> bytes:
    """Return an archive that is the same each time it is made."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o755 if "/bin/" in path or path.endswith("/occ") else 0o644
            archive.addfile(entry, io.BytesIO(content))
    packed = tar.getvalue()
    return bz2.compress(packed) if name.endswith(".bz2") else gzip.compress(packed, mtime=0)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
