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

# What Loki's does, as tools/packaging/loki-postinstall.sh of grafana/loki 3.7 has it: the first time, an
# account without a group of its own, and its own unit, started at once with its own configuration.
LOKI_POSTINST = """#!/bin/sh
[ "$1" = configure ] && [ -z "$2" ] || exit 0
id loki >/dev/null 2>&1 || adduser --quiet --system --shell /bin/false loki
systemctl daemon-reload ||:
systemctl enable loki ||:
systemctl restart loki ||:
"""
LOKI_UNIT = """[Service]
User=loki
ExecStart=/usr/bin/loki -config.file /etc/loki/config.yml
Restart=on-failure
[Install]
WantedBy=multi-user.target
"""
LOKI_CONFIG = "{server: {http_listen_port: 3100}, common: {path_prefix: /tmp/loki}}\n"
# What Alloy's does, as packaging/deb/control/postinst of grafana/alloy 1.18 has it.
ALLOY_POSTINST = """#!/bin/sh
set -e
[ -f /etc/default/alloy ] && . /etc/default/alloy
[ "$1" = configure ] || exit 0
[ -n "$ALLOY_USER" ] || ALLOY_USER=alloy
[ -n "$ALLOY_GROUP" ] || ALLOY_GROUP=alloy
getent group "$ALLOY_GROUP" >/dev/null || groupadd -r "$ALLOY_GROUP"
getent passwd "$ALLOY_USER" >/dev/null ||
    useradd -m -r -g "$ALLOY_GROUP" -d /var/lib/alloy -s /sbin/nologin "$ALLOY_USER"
usermod -a -G adm,systemd-journal "$ALLOY_USER"
mkdir -p /var/lib/alloy/data
chown -R "$ALLOY_USER:$ALLOY_GROUP" /var/lib/alloy
chown root:"$ALLOY_GROUP" /etc/alloy
chmod 770 /etc/alloy
[ -z "$2" ] || [ "$RESTART_ON_UPGRADE" != true ] || { systemctl daemon-reload; systemctl restart alloy; }
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


@dataclass
class Repository:
    """A repository in a folder.

    Attributes:
        folder: where it lies.
        flat: whether it has neither suites nor components.
        key: who signs it.
        packages: each package's fields of the index.
    """

    folder: Path
    flat: bool = False
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
        self,
        name: str,
        version: str,
        files: dict[str, str],
        control: str = "",
        postinst: str = "",
        postrm: str = "",
        configuration: list[str] | None = None,
    ) -> None:
        """Make a package and put it there.

        Args:
            name: the package.
            version: its version.
            files: content by path; those in a folder ``bin`` may be run.
            control: further fields, whole lines.
            postinst: what is run when it is configured.
            postrm: what is run when it was removed.
            configuration: those of the files that are its configuration; those below ``/etc`` when not given.
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
        if configuration is None:
            configuration = [path for path in files if path.startswith("/etc/")]
        if configuration:
            (about / "conffiles").write_text("".join(f"{path}\n" for path in configuration))
        for script, words in {"postinst": postinst, "postrm": postrm}.items():
            if words:
                (about / script).write_text(words)
                (about / script).chmod(0o755)
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
        name = "Packages" if self.flat else "main/binary-amd64/Packages"
        top = self.folder if self.flat else self.folder / "dists" / "stable"
        place = top / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(index)
        digest = hashlib.sha256(index).hexdigest()
        now = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
        suite = "Suite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\n"
        about = f"Origin: vendor\n{'' if self.flat else suite}Date: {now}\n"
        release = f"{about}SHA256:\n {digest} {len(index)} {name}\n"
        signed = sign(self.key.signer(), release.encode(), mode=SignatureMode.CLEAR)
        (top / "InRelease").write_bytes(signed)


def stand_in(name: str, version: str) -> str:
    """Return a program that stands for a vendor's."""
    program = (Path(__file__).parent / f"{name}_stand_in.py").read_text(encoding="utf-8")
    return program.replace("@VERSION@", version)


def needs_python(*libraries: str) -> str:
    """Return the field of a package that runs a program of ours."""
    return f"Depends: adduser, python3, {', '.join(f'python3-{name}' for name in libraries)}\n"


def add_loki(repository: Repository, version: str, alloy: str) -> None:
    """Add a version of Loki's stand-in and of Alloy's, in the shape of their packages."""
    files = {
        "/usr/bin/loki": stand_in("loki", version),
        "/etc/systemd/system/loki.service": LOKI_UNIT,
        "/etc/loki/config.yml": LOKI_CONFIG,
    }
    # Of Loki's package, its own unit is no configuration: it comes with every version.
    repository.add(
        *("loki", version, files),
        control=needs_python("yaml"),
        postinst=LOKI_POSTINST,
        configuration=["/etc/loki/config.yml"],
    )
    repository.add(
        "alloy",
        alloy,
        {
            "/usr/bin/alloy": stand_in("alloy", alloy),
            "/usr/lib/systemd/system/alloy.service": "[Service]\nUser=alloy\nExecStart=/usr/bin/alloy run\n",
            "/etc/alloy/config.alloy": "// the package's own (stand-in)\n",
            "/etc/default/alloy": "RESTART_ON_UPGRADE=true\n",
        },
        control=needs_python("requests"),
        postinst=ALLOY_POSTINST,
    )


def add_grafana(repository: Repository, version: str, *, broken: bool = False) -> None:
    """Add a version of Grafana's stand-in, in the shape of Grafana's package."""
    program = stand_in("grafana", version).replace("@BROKEN@", "yes" if broken else "no")
    repository.add(
        "grafana",
        version,
        {
            "/usr/share/grafana/bin/grafana": program,
            "/usr/lib/systemd/system/grafana-server.service": UNIT,
            "/etc/grafana/grafana.ini": "; the package's own (stand-in)\n",
            "/etc/default/grafana-server": "GRAFANA_USER=grafana\n",
        },
        control=needs_python("jmespath", "psycopg2", "requests", "yaml"),
        postinst=POSTINST,
    )


def add_collabora(
    repository: Repository, version: str, core: str, parts: list[str], *, broken: bool = False
) -> None:
    """Add a version of coolwsd's stand-in, in the shape of its package, and of the office's parts.

    Args:
        repository: where to.
        version: that of coolwsd.
        core: that of the parts.
        parts: names of their packages.
        broken: whether it is a version that cannot start.
    """
    program = stand_in("coolwsd", version).replace("@BROKEN@", "yes" if broken else "no")
    keys = Path(__file__).with_name("coolwsd_keys.py").read_text(encoding="utf-8")
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
