"""An apt repository as a vendor has one, signed, with packages made for a test."""

from __future__ import annotations

import datetime
import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from pysequoia import SignatureMode, Tsk, sign

# What Grafana's package does when it is configured, as packaging/deb/control/postinst of grafana/grafana has
# it: the account and its folders; nothing is started.
POSTINST = """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
getent passwd grafana >/dev/null || \\
    adduser --quiet --system --group --home /usr/share/grafana --no-create-home grafana
mkdir -p /var/log/grafana /var/lib/grafana
chown -R grafana:grafana /var/log/grafana /var/lib/grafana
chmod 755 /var/log/grafana /var/lib/grafana
chown -R root:grafana /etc/grafana
chmod 755 /etc/grafana
find /etc/grafana -type f -exec chmod 640 {} ';'
find /etc/grafana -type d -exec chmod 755 {} ';'
"""
UNIT = """[Unit]
Description=Grafana instance (stand-in)
[Service]
User=grafana
ExecStart=/usr/share/grafana/bin/grafana server --config=/etc/grafana/grafana.ini
[Install]
WantedBy=multi-user.target
"""


@dataclass
class Repository:
    """A repository in a folder.

    Attributes:
        folder: where it lies.
        key: who signs it.
        packages: each package's fields of the index.
    """

    folder: Path
    key: Tsk = field(default_factory=lambda: Tsk.generate("Vendor <vendor@vendor.example>"))
    packages: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its key, as people write it."""
        return str(self.key.extract_certificate().fingerprint).upper()

    @property
    def public_key(self) -> str:
        """Its key, as a vendor publishes it."""
        return str(self.key.extract_certificate())

    def add(
        self, name: str, version: str, files: dict[str, str], control: str = "", postinst: str = ""
    ) -> None:
        """Make a package and put it there.

        Args:
            name: the package.
            version: its version.
            files: content by path; those in a folder ``bin`` may be run, those below ``/etc`` are
                configuration.
            control: further fields, whole lines.
            postinst: what is run when it is configured.
        """
        root = self.folder / "made" / f"{name}-{version}"
        for path, content in files.items():
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
            file.chmod(0o755 if "/bin/" in path else 0o644)
        fields = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: Vendor <vendor@vendor.example>\n"
            f"{control}Description: stand-in for {name}, for tests\n"
        )
        about = root / "DEBIAN"
        about.mkdir(parents=True)
        (about / "control").write_text(fields)
        if configuration := [path for path in files if path.startswith("/etc/")]:
            (about / "conffiles").write_text("".join(f"{path}\n" for path in configuration))
        if postinst:
            (about / "postinst").write_text(postinst)
            (about / "postinst").chmod(0o755)
        package = self.folder / "pool" / f"{name}_{version}_all.deb"
        package.parent.mkdir(parents=True, exist_ok=True)
        command = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(package)]
        subprocess.run(command, check=True, capture_output=True)
        content = package.read_bytes()
        self.packages.append(
            f"{fields}Filename: pool/{package.name}\nSize: {len(content)}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
        )

    def publish(self) -> None:
        """Write and sign the index."""
        index = "\n".join(self.packages).encode()
        place = self.folder / "dists" / "stable" / "main" / "binary-amd64" / "Packages"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(index)
        digest = hashlib.sha256(index).hexdigest()
        now = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
        release = (
            "Origin: vendor\nSuite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\n"
            f"Date: {now}\nSHA256:\n {digest} {len(index)} main/binary-amd64/Packages\n"
        )
        signed = sign(self.key.signer(), release.encode(), mode=SignatureMode.CLEAR)
        (place.parents[2] / "InRelease").write_bytes(signed)


def add_grafana(repository: Repository, version: str, *, broken: bool = False) -> None:
    """Add a version of Grafana's stand-in, in the shape of Grafana's package."""
    program = (Path(__file__).parent / "grafana_stand_in.py").read_text(encoding="utf-8")
    program = program.replace("@VERSION@", version).replace("@BROKEN@", "yes" if broken else "no")
    repository.add(
        "grafana",
        version,
        {
            "/usr/share/grafana/bin/grafana": program,
            "/usr/lib/systemd/system/grafana-server.service": UNIT,
            "/etc/grafana/grafana.ini": "; the package's own (stand-in)\n",
            "/etc/default/grafana-server": "GRAFANA_USER=grafana\n",
        },
        control="Depends: adduser, "
        + ", ".join(
            ["python3", *(f"python3-{name}" for name in ("jmespath", "psycopg2", "requests", "yaml"))]
        )
        + "\n",
        postinst=POSTINST,
    )
