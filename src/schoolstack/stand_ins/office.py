"""A stand-in for Collabora Online: packages of the same shape in a signed repository, as its makers have."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from schoolstack.deployment import ROOT, Deployment
from schoolstack.errors import SchoolError
from schoolstack.stand_ins import reachable
from schoolstack.stand_ins.repository import Repository

# The program that stands for coolwsd, and the settings that it knows.
PROGRAM = Path(__file__).parent / "collabora" / "coolwsd"
KEYS = Path(__file__).with_name("coolwsd_keys.py")

# Where the repository lies on the server, and what serves it there, to the server alone. A source in a folder
# would do for apt, but not for the pins that the role apt_source writes: to them all folders are one place.
ON_SERVER = "/srv/stand-ins/collabora"
PORT = 2591
SERVICE = f"""[Unit]
Description=Repository of the stand-in for Collabora Online
[Service]
DynamicUser=yes
ExecStart=/usr/bin/python3 -m http.server {PORT} --bind 127.0.0.1 --directory {ON_SERVER}
[Install]
WantedBy=multi-user.target
"""

# What coolwsd's does, as debian/coolwsd.postinst.in of CollaboraOnline/online has it, and below what
# debhelper adds to it: its own unit, started at once. The template of jails is one file here.
COOLWSD_POSTINST = """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
adduser --quiet --system --group --home /opt/cool cool
chown cool: /etc/coolwsd/coolwsd.xml
chmod 640 /etc/coolwsd/coolwsd.xml
rm -rf /opt/cool
mkdir -p /opt/cool/child-roots /opt/cool/cache /opt/cool/systemplate
chown cool: /opt/cool /opt/cool/child-roots /opt/cool/cache
cp /usr/share/coolwsd/version /opt/cool/systemplate/version
[ -e /etc/coolwsd/proof_key ] || openssl genrsa -out /etc/coolwsd/proof_key 2048 2>/dev/null
chown cool: /etc/coolwsd/proof_key
cat >/etc/apt/apt.conf.d/25coolwsd <<EOF
DPkg::Post-Invoke { "echo Updating coolwsd systemplate; true"; };
EOF
deb-systemd-helper unmask coolwsd.service >/dev/null || true
if deb-systemd-helper --quiet was-enabled coolwsd.service; then
    deb-systemd-helper enable coolwsd.service >/dev/null || true
fi
systemctl --system daemon-reload >/dev/null || true
if [ -n "$2" ]; then do=restart; else do=start; fi
deb-systemd-invoke $do coolwsd.service >/dev/null || true
"""
COOLWSD_POSTRM = """#!/bin/sh
set -e
rm -f /etc/apt/apt.conf.d/25coolwsd
"""
# As its coolwsd.service has it: it looks for certificates that nobody has made.
COOLWSD_UNIT = """[Unit]
Description=Collabora Online WebSocket Daemon (stand-in)
[Service]
ExecStart=/usr/bin/coolwsd --version --o:sys_template_path=/opt/cool/systemplate \\
    --o:child_root_path=/opt/cool/child-roots --o:file_server_root_path=/usr/share/coolwsd
User=cool
Restart=always
[Install]
WantedBy=multi-user.target
"""


def _role(part: str) -> dict[str, Any]:
    """Return what the role says, as it is written."""
    file = ROOT / "roles" / "collabora" / part / "main.yml"
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def least_memory_mb() -> int:
    """Return how much memory the role wants a server to have, in MB."""
    return int(_role("vars")["collabora_app"]["memory_mb"]["server"]["least"])


def office_within_reach() -> bool:
    """Return whether this machine reaches the repository of Collabora Online's makers."""
    return reachable(f"{_role('defaults')['collabora_apt_url']}/InRelease")


def make_office(folder: Path) -> dict[str, Any]:
    """Write a signed repository with stand-ins for what the role installs, in its versions.

    Args:
        folder: where to. What was made there before from the same programs is left as it is, with its key.

    Returns:
        The role's variables that lead to it, once :func:`bring_office` has brought it.
    """
    defaults, version = _role("defaults"), _role("vars")["collabora_version"]
    core, parts = defaults["collabora_core_version"], defaults["collabora_core_packages"]
    # What it is made from, so that other programs have another repository.
    sources = [PROGRAM, KEYS, Path(__file__), Path(__file__).with_name("repository.py")]
    digest = hashlib.sha256(json.dumps([version, core, parts]).encode())
    for source in sources:
        digest.update(source.read_bytes())
    mark = folder / "made-from"
    made = digest.hexdigest()
    if not mark.exists() or mark.read_text(encoding="utf-8") != made:
        shutil.rmtree(folder, ignore_errors=True)
        repository = Repository(folder, flat=True)
        add_collabora(repository, version, core, parts)
        repository.publish()
        (folder / "key.asc").write_text(repository.public_key, encoding="utf-8")
        (folder / "fingerprint").write_text(repository.fingerprint, encoding="utf-8")
        # Last: what was cut off before is made again.
        mark.write_text(made, encoding="utf-8")
    fingerprint = (folder / "fingerprint").read_text(encoding="utf-8")
    pin = {
        "name": "collabora-key",
        "version": fingerprint[:16],
        "file": f"stand-in-{fingerprint}.asc",
        "fingerprint": fingerprint,
        "sources": [{"kind": "url", "url": (folder / "key.asc").as_uri()}],
    }
    return {"collabora_apt_url": f"http://127.0.0.1:{PORT}", "collabora_artefacts": [pin]}


def bring_office(folder: Path, school: Deployment) -> None:
    """Bring a repository to a school's server, in place of an earlier one, and have it served there.

    Args:
        folder: that of :func:`make_office`.
        school: whose server.

    Raises:
        SchoolError: it could not be brought.
    """
    # apt reads it as somebody else than root.
    pack = ["tar", "-C", str(folder), "--mode=a+rX", "-cf", "-", "InRelease", "Packages", "pool"]
    packed = subprocess.run(pack, check=True, capture_output=True).stdout
    unit = "/etc/systemd/system/stand-in-collabora.service"
    steps = [
        f"rm -rf {ON_SERVER}",
        f"mkdir -p {ON_SERVER}",
        f"tar -C {ON_SERVER} -xf -",
        f"printf %s {shlex.quote(SERVICE)} >{unit}",
        "systemctl --quiet enable --now stand-in-collabora.service",
    ]
    command = [*school.lab.ssh_command(school.name), " && ".join(steps)]
    done = subprocess.run(command, input=packed, check=False, capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise SchoolError(f"the stand-in of Collabora Online could not be brought to {school.name}: {said}")


def add_collabora(
    repository: Repository, version: str, core: str, parts: Sequence[str], *, broken: bool = False
) -> None:
    """Add a version of coolwsd's stand-in, in the shape of its package, and of the office's parts.

    Args:
        repository: where to.
        version: that of coolwsd.
        core: that of the parts.
        parts: names of their packages.
        broken: whether it is a version that cannot start.
    """
    program = PROGRAM.read_text(encoding="utf-8").replace("@VERSION@", version)
    program = program.replace("@BROKEN@", "yes" if broken else "no")
    keys = KEYS.read_text(encoding="utf-8")
    needed = ", ".join(name for name in parts if "-dict-" not in name and not name.endswith("-nl"))
    repository.add(
        "coolwsd",
        version,
        {
            "/usr/bin/coolwsd": program,
            "/usr/lib/python3/dist-packages/coolwsd_keys.py": keys,
            "/usr/share/coolwsd/version": f"{version}\n",
            "/lib/systemd/system/coolwsd.service": COOLWSD_UNIT,
            "/etc/coolwsd/coolwsd.xml": "<!-- the package's own (stand-in) -->\n<config/>\n",
        },
        control=f"Depends: adduser, openssl, python3, python3-aiohttp, {needed}\n",
        postinst=COOLWSD_POSTINST,
        postrm=COOLWSD_POSTRM,
    )
    for name in parts:
        repository.add(name, core, {f"/opt/collaboraoffice/share/{name}": f"{core}\n"})
