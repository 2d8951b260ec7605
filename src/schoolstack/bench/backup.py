"""What backups and restores cost, beside restic and pg_restore by themselves."""

from __future__ import annotations

import json
import statistics

from schoolstack.bench.bench import Bench, seconds
from schoolstack.bench.report import Part, Row, spread
from schoolstack.deployment import Deployment

TITLE = "Backups and restores"
RUNS = 3
MEGABYTES = 6000
FILES = 600
HOW = """\
The demo school with {megabytes} MB of files that do not compress, {files} of them, and its database; the
repository in a folder of the server. Each round begins with an empty repository. An unchanged school is one
in which Keycloak runs and nobody does anything. The share of the repository that is checked each night is
not counted. A restore is everything that the program does from choosing the backup until the last
application could be started, comparing every table included; by hand, it is `restic restore` of the same
folders and `restic dump | pg_restore` into an empty database. The applications were stopped beforehand.
What ours takes more hardly depends on how much there is: with a third of the files it is nearly the same, and
the ratio is above its bound. Most of it is opening the repository, half a second each time.
"""

PROGRAM = "SCHOOL_LANGUAGE=en schoolstack-backup"
REPOSITORY = "/var/backups/schoolstack/server"
STATE = "/var/lib/schoolstack/backup/state.json"
RESTIC = f"RESTIC_PASSWORD_FILE=/etc/schoolstack/backup/key restic -q -r {REPOSITORY}"
DUMP = "/var/lib/schoolstack/backup/stage/databases/keycloak.dump"


def measure(bench: Bench) -> Part:
    """Back up, back up again, put back with the program and by hand, in turns."""
    deployment = bench.deployed()
    deployment.play("site")
    write = f"head -c {MEGABYTES * 10**6 // FILES} /dev/urandom >/var/lib/portal/file$i"
    deployment.shell(f"for i in $(seq {FILES}); do {write}; done; sync")
    first: list[float] = []
    again: list[float] = []
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(RUNS):
        deployment.shell(f"rm -rf {REPOSITORY} /var/cache/schoolstack/backup {STATE}; {PROGRAM} start")
        first.append(seconds(lambda: deployment.shell(f"{PROGRAM} backup")))
        again.append(seconds(lambda: deployment.shell(f"{PROGRAM} backup")))
        deployment.shell("systemctl stop portal keycloak")
        bare.append(seconds(lambda: _by_hand(deployment)))
        deployment.shell("rm -rf /root/byhand; psql -qU postgres -c 'drop database byhand'")
        ours.append(seconds(lambda: _restore(deployment)))
        deployment.shell(f"{PROGRAM} restore-finish; systemctl start keycloak portal")
    ratios = [a / b for a, b in zip(again, first, strict=True)]
    overhead = [a / b for a, b in zip(ours, bare, strict=True)]
    return Part(
        rows=[
            Row("first backup", spread(first, "s")),
            Row("backup of the unchanged school", spread(again, "s")),
            Row("ratio", spread(ratios, "", 3), "at most 0.1", statistics.median(ratios) <= 0.1),
            Row("restore", spread(ours, "s")),
            Row("`restic restore` and `pg_restore`", spread(bare, "s")),
            Row("what ours takes more", spread([a - b for a, b in zip(ours, bare, strict=True)], "s")),
            Row(
                "ratio", spread(overhead, "times", 2), "at most 1.5 times", statistics.median(overhead) <= 1.5
            ),
        ],
        how=HOW.format(megabytes=MEGABYTES, files=FILES),
    )


def _by_hand(deployment: Deployment) -> None:
    places = "--include /var/lib/portal --include /var/lib/keycloak --include /etc/schoolstack"
    deployment.shell(
        f"{RESTIC} restore latest --target /root/byhand {places}"
        " && psql -qU postgres -c 'create database byhand template template0'"
        f" && {RESTIC} dump latest {DUMP} | pg_restore -U postgres -d byhand"
    )


def _restore(deployment: Deployment) -> None:
    versions = {name: record["version"] for name, record in deployment.records.items()}
    request = json.dumps({"versions": versions, "overwrite": True})
    applications = "; ".join(
        f"{PROGRAM} restore-application </etc/ansible/facts.d/{name}.fact" for name in deployment.records
    )
    source = json.dumps({"name": "certificates"})
    deployment.shell(
        f"set -e; echo '{request}' | {PROGRAM} restore-begin; echo '{source}' | {PROGRAM} restore-source"
        f"; {applications}"
    )
