"""Packages in the shape of those of Grafana, Loki and Alloy, for an apt repository as a vendor has."""

from __future__ import annotations

from pathlib import Path

from schoolstack.stand_ins.repository import Repository, needs_python

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


def stand_in(name: str, version: str) -> str:
    """Return a program that stands for a vendor's."""
    program = (Path(__file__).parent / f"{name}_stand_in.py").read_text(encoding="utf-8")
    return program.replace("@VERSION@", version)


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
