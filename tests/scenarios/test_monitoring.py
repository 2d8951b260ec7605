"""A school that watches itself: everything is asked, and what goes wrong arrives where it should.

Of the first run that made it is looked, before all else, that no secret shows.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_string
from email.policy import default as mail_policy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from first_run import FirstRun, first_run, shell
from lab_school import school_on, wait_for_sign_in
from matrix_server import Account, serving

from schoolstack.deployment import ROOT, Deployment, playbook_command
from schoolstack.hosts import network
from schoolstack.hosts.lab import Lab
from schoolstack.hosts.state import run
from schoolstack.messages import say
from schoolstack.safe import vault_key

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

SERVER = "dials-server"
KEPT = "/root/alerts"
# Seconds. With these an alert of six looks waits 10 s.
INTERVAL_S, HEALTH_INTERVAL_S = 2, 5
# Seconds until an alert, or its end, has to have arrived; a silent exporter is told of after 20 looks.
ARRIVES_S = 120
SETTINGS: dict[str, Any] = {
    "monitoring_interval_s": INTERVAL_S,
    "monitoring_health_interval_s": HEALTH_INTERVAL_S,
    "monitoring_quiet": [],
    "monitoring_webhooks": ["http://127.0.0.1:2580/alerts"],
    "monitoring_heartbeat_url": "http://127.0.0.1:2580/heartbeat",
    "monitoring_mail": {
        "to": ["ict@voorbeeldschool.example"],
        "host": "127.0.0.1",
        "port": 2525,
        "from": "server@voorbeeldschool.example",
        "encryption": "none",
    },
}
# Of each program the port that it answers on.
PORTS = {9090, 9093, 9096, 9100, 9113, 9115, 9187, 9256}


@dataclass
class Room:
    """A room of Matrix, as a coordinator sees it."""

    coordinator: Account
    servers: Account
    id: str

    def said(self) -> list[str]:
        """Return what was said there."""
        return [str(message["body"]) for message in self.coordinator.messages(self.id)]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """On a server beside the school's, which its servers reach."""
    address = str(network.ensure(Lab().state).gateway)
    with serving(tmp_path_factory.mktemp("matrix"), address) as matrix:
        coordinator, servers = matrix.account("coordinator"), matrix.account("servers")
        room = coordinator.make_room(servers)
        servers.join(room)
        yield Room(coordinator, servers, room)


def tell_in(room: Room, folder: Path) -> None:
    """Write into an inventory that alerts go into a room, and the token as a coordinator does."""
    hosts = json.loads((folder / "hosts.yml").read_text())
    hosts["all"]["vars"] = {"monitoring_matrix": {"homeserver": room.servers.url, "room": room.id}}
    (folder / "hosts.yml").write_text(json.dumps(hosts))
    key = vault_key.made()
    (folder / ".vault-key").write_bytes(key)
    (folder / ".vault-key").chmod(0o600)
    (folder / "secrets").mkdir()
    token = VaultLib([("default", VaultSecret(key.strip()))]).encrypt(f"{room.servers.token}\n")
    (folder / "secrets" / "monitoring_matrix.vault").write_bytes(token)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, room: Room) -> Iterator[FirstRun]:
    folder = tmp_path_factory.mktemp("school")
    with school_on(SERVER, folder, "monitoring", "keycloak", "portal") as school:
        tell_in(room, folder)
        receiver = (Path(__file__).parent / "alert_receiver.py").read_text(encoding="utf-8")
        run([*school.lab.ssh_command(SERVER), "cat >/root/alert_receiver.py"], stdin=receiver)
        school.shell(f"systemd-run --quiet --unit=receiver python3 /root/alert_receiver.py {KEPT}")
        # As somebody would who wants to see first what it does.
        dry_run = [*playbook_command("site", school.inventories, SETTINGS), "--check"]
        assert subprocess.run(dry_run, cwd=ROOT, check=False).returncode == 0
        yield first_run(school, SETTINGS)


@pytest.fixture(scope="module")
def school(first: FirstRun) -> Deployment:
    wait_for_sign_in(first.deployment)
    return first.deployment


@pytest.fixture(scope="module")
def secrets(first: FirstRun) -> dict[str, str]:
    """Every secret of the school, in clear."""
    found = first.secrets()
    assert {"keycloak_database", "monitoring_matrix"} <= set(found)
    assert all(len(secret) >= 24 for secret in found.values())
    return found


def get(school: Deployment, url: str, **parameters: str) -> Any:
    """Return what a program answers, asked on the server, where alone it answers."""
    question = f"{url}?{urlencode(parameters)}"
    return json.loads(
        school.shell(
            f"python3 -c 'import urllib.request as r; print(r.urlopen(\"{question}\").read().decode())'"
        )
    )


def value(school: Deployment, query: str) -> float:
    """Return the one number that a query gives."""
    [found] = school.ask_prometheus("query", query=query)["result"]
    return float(found["value"][1])


def wait_until(school: Deployment, question: Callable[[Deployment], Any], seconds: float = ARRIVES_S) -> Any:
    """Return the first answer that is something."""
    deadline = time.monotonic() + seconds
    while not (answer := question(school)):
        assert time.monotonic() < deadline, school.shell(f"tail -n 20 {KEPT} 2>/dev/null || true")
        time.sleep(1)
    return answer


def received(school: Deployment, way: str) -> list[Any]:
    """Return what has arrived by one way."""
    lines = school.shell(f"cat {KEPT} 2>/dev/null || true").splitlines()
    return [one["content"] for one in map(json.loads, lines) if one["way"] == way]


def text_of(message: Any) -> str:
    """Return what a mail says."""
    return str(message.get_body(("plain",)).get_content())


def alerts(school: Deployment, status: str) -> list[dict[str, str]]:
    """Return the alerts that have arrived: their labels, and the sentence as one of them."""
    return [
        alert["labels"] | {"sentence": alert["annotations"]["sentence"]}
        for message in received(school, "/alerts")
        for alert in message["alerts"]
        if alert["status"] == status
    ]


def arrived(school: Deployment, status: str, labels: dict[str, str], words: str = "") -> bool:
    """Return whether an alert with these labels and words has arrived."""
    return any(
        labels.items() <= alert.items() and words in alert["sentence"] for alert in alerts(school, status)
    )


def test_a_school_has_no_secret_of_what_it_does_not_have(secrets: dict[str, str]) -> None:
    """A task that is skipped still evaluates what it would loop over."""
    has = {"backup", "certificates", "keycloak", "monitoring", "portal"}
    assert {name.split("_")[0] for name in secrets} <= has


def test_no_secret_stands_in_a_process_list(first: FirstRun, secrets: dict[str, str]) -> None:
    assert len(first.commands) > 100
    assert [
        name for name, value in secrets.items() for seen in first.commands if value.encode() in seen
    ] == []


def test_no_secret_stands_in_what_ansible_says_at_its_loudest(
    first: FirstRun, secrets: dict[str, str]
) -> None:
    assert len(first.output.text) > 100_000
    assert [name for name, value in secrets.items() if value in first.output.text] == []


def test_no_secret_stands_in_the_journal(first: FirstRun, secrets: dict[str, str]) -> None:
    journal = shell(first.deployment, "journalctl --output=cat --no-pager")
    assert len(journal) > 10_000
    assert [name for name, value in secrets.items() if value in journal] == []


def test_no_secret_stands_in_a_file_that_others_may_read(first: FirstRun, secrets: dict[str, str]) -> None:
    found = shell(
        first.deployment,
        "cat >/run/secrets-to-find; chmod 600 /run/secrets-to-find; "
        "find / -xdev -type f -perm -o=r -print0 | "
        "xargs -0 grep --files-with-matches --fixed-strings --file=/run/secrets-to-find || true; "
        "rm /run/secrets-to-find",
        "\n".join(secrets.values()) + "\n",
    )
    assert found == ""


def test_every_target_answers(school: Deployment) -> None:
    """Servers, applications and pages, without a line of the inventory about any of them."""
    expected = [
        ("database", ""),
        ("keycloak", "keycloak"),
        ("page", "keycloak"),
        ("page", "portal"),
        ("processes", ""),
        ("server", ""),
        ("web", ""),
    ]

    def answering(school: Deployment) -> bool:
        targets = school.ask_prometheus("targets")["activeTargets"]
        found = sorted((one["labels"]["job"], one["labels"].get("application", "")) for one in targets)
        return found == expected and all(one["health"] == "up" for one in targets)

    # Prometheus takes up targets that are new within seconds.
    wait_until(school, answering)
    wait_until(school, lambda s: value(s, "sum(probe_success)") == 2)
    assert value(school, 'min(probe_ssl_earliest_cert_expiry{application="portal"}) - time()') > 0
    assert value(school, "count(pg_up == 1)") == 1
    assert value(school, "count(nginx_up == 1)") == 1


def test_a_server_looks_at_the_page_that_tells_whether_an_application_works(school: Deployment) -> None:
    """The first page of a sign-in server opens, too, when nobody can sign in."""
    said = 'check="page",sentence=~".*/openid-configuration antwoordt"'
    wait_until(school, lambda s: s.ask_prometheus("query", query=f"schoolstack_finding{{{said}}}")["result"])


def test_nothing_of_it_can_be_reached_from_outside(school: Deployment) -> None:
    lines = school.shell("ss -Hltn | awk '{print $4}'").splitlines()
    listening = [tuple(line.rsplit(":", 1)) for line in lines]
    assert {int(port) for _, port in listening} >= PORTS
    assert {address for address, port in listening if int(port) in PORTS} == {"127.0.0.1"}
    assert {int(port) for address, port in listening if not re.match(r"127\.|\[::1\]", address)} <= {
        22,
        80,
        443,
    }


def test_none_of_its_programs_may_do_more_than_it_has_to(school: Deployment) -> None:
    ours = "'prometheus*.service' schoolstack-matrix.service"
    units = school.shell(f"systemctl list-units --plain --no-legend {ours} | cut -d' ' -f1").split()
    assert len(units) == len(PORTS)
    for unit in units:
        line = school.shell(f"systemd-analyze security --no-pager {unit} | tail -1")
        assert float(re.findall(r": (\d+\.\d)", line)[0]) < 4.0, f"{unit}: {line}"
    assert school.shell("systemctl list-units --plain --no-legend --state=failed") == ""


def test_a_second_run_changes_nothing(school: Deployment) -> None:
    assert school.play("site", **SETTINGS).changed == 0


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        (
            {"monitoring_mail": {**SETTINGS["monitoring_mail"], "port": 2526}},
            "unreachable",
            {"host": "127.0.0.1", "port": 2526, "said": "[Errno 111] Connection refused"},
        ),
        ({"monitoring_webhooks": ["127.0.0.1:2580"]}, "address", {"url": "127.0.0.1:2580"}),
    ],
)
def test_who_would_not_take_alerts_is_told_of_before_anybody_counts_on_it(
    school: Deployment, change: dict[str, Any], key: str, words: dict[str, Any]
) -> None:
    kept = "sha256sum /etc/prometheus/school/alertmanager.yml"
    before = school.shell(kept)
    command = [*playbook_command("site", school.inventories, SETTINGS | change), "--tags", "monitoring"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert say(f"alert.receiver.{key}", **words) in done.stdout, done.stdout
    assert school.shell(kept) == before


# Of each alert: what makes it, what it is called, its labels, and the sentence that is then read.
UNIT_TESTS: list[tuple[dict[str, str], str, float, dict[str, str], str]] = [
    (
        {'schoolstack_finding{server="s",application="a",title="A",check="page",sentence="dicht"}': "2x60"},
        "Finding",
        HEALTH_INTERVAL_S,
        {"server": "s", "application": "a", "title": "A", "check": "page", "severity": "wrong"},
        "dicht",
    ),
    (
        {'schoolstack_finding{server="s",check="disk",about="/",sentence="vol"}': "1x60"},
        "Finding",
        HEALTH_INTERVAL_S,
        {"server": "s", "check": "disk", "about": "/", "severity": "look"},
        "vol",
    ),
    (
        {'up{job="server",server="s",instance="s"}': "0x60"},
        "ServerSilent",
        10,
        {"job": "server", "server": "s", "instance": "s", "severity": "wrong"},
        "s antwoordt al minuten niet: kijk of hij aan staat en of het netwerk er raakt; daarna "
        "docs/how-to/monitoring.md",
    ),
    (
        {'probe_success{job="page",application="a",server="s",instance="https://a.test/"}': "0x60"},
        "PageClosed",
        10,
        {
            "job": "page",
            "application": "a",
            "server": "s",
            "instance": "https://a.test/",
            "severity": "wrong",
        },
        "https://a.test/ gaat al minuten niet open, gevraagd zoals een browser het doet: school health zegt "
        "wat de server zelf ziet",
    ),
    (
        {'up{job="web",server="s",instance="s"}': "0x60"},
        "MetricsSilent",
        38,
        {"job": "web", "server": "s", "instance": "s", "severity": "look"},
        "web op s zegt niets meer: op de server zegt systemctl status of de exporter draait; niemand anders "
        "merkt er iets van",
    ),
    (
        {
            'node_textfile_mtime_seconds{server="s",'
            'file="/var/lib/prometheus/node-exporter/schoolstack.prom"}': "0x60"
        },
        "FindingsOld",
        20,
        {
            "server": "s",
            "file": "/var/lib/prometheus/node-exporter/schoolstack.prom",
            "severity": "look",
        },
        "s heeft al een tijd niet naar zichzelf gekeken: journalctl -u schoolstack-findings zegt waarom",
    ),
    (
        {'node_time_seconds{server="s"}': "90+1x60"},
        "ClockOff",
        10,
        {"server": "s", "severity": "wrong"},
        "de klok van s zit er 90 seconden naast, en wie te ver zit kan niet aanmelden: timedatectl set-ntp "
        "true, of zet ze met de hand juist",
    ),
    (
        {
            'pg_stat_activity_count{server="s",state="idle"}': "80x60",
            'pg_stat_activity_count{server="s",state="active"}': "10x60",
            'pg_settings_max_connections{server="s"}': "100x60",
        },
        "DatabaseConnections",
        10,
        {"server": "s", "severity": "look"},
        "90 % van de verbindingen die de databankserver van s toelaat is in gebruik: zoek welke toepassing "
        "ze bezet houdt, of laat er meer toe (postgresql_max_connections)",
    ),
    (
        {'agroal_awaiting_count{server="s"}': "3x60"},
        "SignInWaitsForDatabase",
        10,
        {"server": "s", "application": "keycloak", "severity": "look"},
        "aanmeldingen wachten al een tijd op een verbinding met de databank; is het niet het eerste lesuur "
        "na een vakantie, laat er dan meer toe (keycloak_database_connections) en draai site.yml",
    ),
]
# What is no reason to be told, and comes close to one.
NO_REASON = {
    'schoolstack_finding{server="s",check="clock",sentence="goed"}': "0x60",
    'up{job="server",server="s"}': "1x60",
    'up{job="web",server="s"}': "1x60",
    'probe_success{job="page",application="a",server="s",instance="https://a.test/"}': "0 0 0 0 0 1x55",
    'node_time_seconds{server="s"}': "20+1x60",
    'node_systemd_service_restart_total{server="s",name="a.service"}': "0 1 2 2x57",
    'pg_stat_activity_count{server="s",state="idle"}': "70x60",
    'pg_settings_max_connections{server="s"}': "100x60",
    'agroal_awaiting_count{server="s"}': "0 0 0 3 3 0x55",
}


def test_each_alert_waits_and_then_says_what_to_do(school: Deployment) -> None:
    """promtool, on the rules as they are on the server."""
    files = school.shell("ls -d /etc/prometheus/school/rules/*").split()
    known = {
        rule["alert"]
        for file in files
        for group in yaml.safe_load(school.shell(f"cat {file}"))["groups"]
        for rule in group["rules"]
    }
    cases = []
    for series, name, waits_s, labels, sentence in UNIT_TESTS:
        how_to = "docs/how-to/health.md" if name == "Finding" else "docs/how-to/monitoring.md"
        expected = {"exp_labels": labels, "exp_annotations": {"sentence": sentence, "how_to": how_to}}
        cases.append(
            {
                "interval": "1s",
                "input_series": [{"series": one, "values": given} for one, given in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{waits_s - 1}s", "alertname": name, "exp_alerts": []},
                    {"eval_time": f"{waits_s + 3}s", "alertname": name, "exp_alerts": [expected]},
                ],
            }
        )
    restarts = 'node_systemd_service_restart_total{server="s",name="a.service"}'
    cases.append(
        {
            "interval": "1s",
            "input_series": [{"series": restarts, "values": "0+1x60"}],
            "promql_expr_test": [
                {
                    "expr": 'count(ALERTS{alertname="ServiceRestarts",about="a.service",severity="look"})',
                    "eval_time": "20s",
                    "exp_samples": [{"labels": "{}", "value": 1}],
                }
            ],
        }
    )
    assert {name for _, name, *_ in UNIT_TESTS} | {"ServiceRestarts", "Heartbeat"} == known
    cases.append(
        {
            "interval": "1s",
            "input_series": [{"series": one, "values": given} for one, given in NO_REASON.items()],
            "promql_expr_test": [
                {
                    "expr": 'ALERTS{alertname!="Heartbeat",alertstate="firing"}',
                    "eval_time": "60s",
                    "exp_samples": [],
                }
            ],
        }
    )
    tests = yaml.safe_dump({"rule_files": files, "evaluation_interval": "1s", "tests": cases}, width=10**6)
    run([*school.lab.ssh_command(SERVER), "cat >/root/alerts-test.yml"], stdin=tests)
    assert "SUCCESS" in school.shell("promtool test rules /root/alerts-test.yml 2>&1 || true")


STATE = "/var/lib/schoolstack/backup/state.json"
OLD = "2026-01-07T08:00:00+00:00"
# A repository that offers a newer version of what is installed, labelled as Debian's for security is.
UPDATE = """
mkdir -p /root/updates; cd /root/updates
printf 'Label: Debian-Security\\nSuite: stable-security\\n' >Release
fields="Package tzdata Version 9999 Architecture all Filename ./none.deb Size 1 SHA256 $(printf %064d 0)"
printf '%s: %s\\n' $fields >Packages
list=sources.list.d/updates.list
echo 'deb [trusted=yes] file:/root/updates ./' >/etc/apt/$list
apt-get -q update -o Dir::Etc::sourceparts=- -o Dir::Etc::sourcelist=$list -o APT::Get::List-Cleanup=0"""


def remembered(**changes: Any) -> str:
    """Return the command by which a server remembers something else of its backups."""
    change = f"json.loads(p.read_text()) | {changes!r}"
    return (
        f'python3 -c "import json, pathlib; p = pathlib.Path({STATE!r}); p.write_text(json.dumps({change}))"'
    )


# What is done to the server, how it is mended, the labels of what is then told, and words of it.
BREAKS: dict[str, tuple[str, str, dict[str, str], str]] = {
    "service": (
        "systemctl stop keycloak",
        "systemctl start keycloak",
        {"alertname": "Finding", "check": "service", "title": "Sign-in", "severity": "wrong"},
        "keycloak.service draait niet",
    ),
    # As people see it, while the server itself finds nothing.
    "page": (
        "nft add table inet cut; nft add chain inet cut out '{ type filter hook output priority 0; }';"
        "nft add rule inet cut out meta skuid prometheus tcp dport 443 reject",
        "nft delete table inet cut",
        {"alertname": "PageClosed", "title": "Start page", "severity": "wrong"},
        "gaat al minuten niet open",
    ),
    "disk": (
        "mount -t tmpfs -o size=20m none /srv; dd if=/dev/zero of=/srv/full bs=1M 2>/dev/null || true",
        "umount /srv",
        {"alertname": "Finding", "check": "disk", "about": "/srv", "severity": "wrong"},
        "/srv is 100 % vol",
    ),
    "certificate": (
        "mkdir /etc/schoolstack/certificates/old; openssl req -x509 -newkey ed25519 -nodes -subj /CN=old "
        "-not_before 20260101000000Z -not_after 20260201000000Z -keyout /dev/null "
        "-out /etc/schoolstack/certificates/old/fullchain.pem",
        "rm -r /etc/schoolstack/certificates/old",
        {"alertname": "Finding", "check": "certificate", "about": "old", "severity": "wrong"},
        "2026-02-01",
    ),
    "backup": (
        f"schoolstack-backup run >/dev/null; {remembered(last_good={'time': OLD})}",
        "schoolstack-backup run >/dev/null",
        {"alertname": "Finding", "check": "backup", "severity": "wrong"},
        "laatste goede",
    ),
    "drill": (
        remembered(drill={"time": OLD}),
        "echo '{}' | schoolstack-backup drilled >/dev/null",
        {"alertname": "Finding", "check": "drill", "severity": "look"},
        "2026-01-07",
    ),
    "updates": (
        UPDATE,
        "rm /etc/apt/sources.list.d/updates.list",
        {"alertname": "Finding", "check": "updates", "severity": "look"},
        "tzdata",
    ),
    "database": (
        "systemd-run --quiet --unit=busy sh -c 'for one in $(seq 90); do "
        'psql -U postgres -qc "SELECT pg_sleep(600)" & done; wait\'',
        # The server itself would let them sleep on, though nobody waits for them any more.
        "systemctl stop busy; psql -U postgres -qtAc "
        "\"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'\"",
        {"alertname": "DatabaseConnections", "severity": "look"},
        "verbindingen",
    ),
    "restarts": (
        "systemd-run --quiet --unit=flaky -p Restart=always -p RestartSec=1 -p StartLimitIntervalSec=0 "
        "false || true",
        "systemctl stop flaky",
        {"alertname": "ServiceRestarts", "about": "flaky.service", "severity": "look"},
        "opnieuw gestart",
    ),
    "metrics": (
        "systemctl stop prometheus-nginx-exporter",
        "systemctl start prometheus-nginx-exporter",
        {"alertname": "MetricsSilent", "job": "web", "severity": "look"},
        "web op server zegt niets meer",
    ),
}


@pytest.fixture(scope="class")
def broken(school: Deployment) -> Iterator[Deployment]:
    """A school with everything broken at once; mended afterwards, which is told too."""
    for breaks, _, _, _ in BREAKS.values():
        school.shell(breaks)
    yield school
    for _, mends, _, _ in BREAKS.values():
        school.shell(mends)
    for _, _, labels, _ in BREAKS.values():
        # An hour has to pass before its restarts are forgotten.
        if labels["alertname"] != "ServiceRestarts":
            wait_until(school, lambda s, labels=labels: arrived(s, "resolved", labels), 2 * ARRIVES_S)


class TestBroken:
    """Everything at once."""

    @pytest.mark.parametrize("name", BREAKS)
    def test_what_goes_wrong_is_told(self, broken: Deployment, name: str) -> None:
        _, _, labels, words = BREAKS[name]
        wait_until(broken, lambda s: arrived(s, "firing", labels, words))

    def test_one_thing_is_told_once(self, broken: Deployment) -> None:
        """What does not run has no page either: what the server says of it takes that one's place."""
        wait_until(broken, lambda s: arrived(s, "firing", BREAKS["service"][2]))
        firing = 'count(ALERTS{alertname="PageClosed",application="keycloak",alertstate="firing"})'
        assert value(broken, firing) == 1
        known = get(broken, "http://127.0.0.1:9093/api/v2/alerts", filter='alertname="PageClosed"')
        held_back = [alert for alert in known if alert["status"]["inhibitedBy"]]
        assert [alert["labels"]["application"] for alert in held_back] == ["keycloak"]

    def test_it_comes_by_mail_in_the_schools_language(self, broken: Deployment) -> None:
        def mail(school: Deployment) -> Any:
            messages = [message_from_string(text, policy=mail_policy) for text in received(school, "mail")]
            return next((one for one in messages if "keycloak.service" in text_of(one)), None)

        message = wait_until(broken, mail)
        assert message["To"] == "ict@voorbeeldschool.example"
        assert message["Subject"].startswith("FOUT: ")
        assert "Sign-in (server): keycloak.service draait niet" in text_of(message)
        assert "docs/how-to/health.md" in text_of(message)

    def test_it_comes_into_the_room_in_the_same_words(self, broken: Deployment, room: Room) -> None:
        said = wait_until(
            broken, lambda _: next((one for one in room.said() if "keycloak.service" in one), "")
        )
        assert said.startswith("FOUT: Voorbeeldschool\n")
        assert "Sign-in (server): keycloak.service draait niet" in said


def test_a_server_that_says_nothing_is_told_alone(school: Deployment) -> None:
    """After the rest was mended: what does not look at itself, then what does not answer at all."""
    school.shell("systemctl stop schoolstack-findings.timer")
    wait_until(school, lambda s: arrived(s, "firing", {"alertname": "FindingsOld", "severity": "look"}))
    school.shell("systemctl start schoolstack-findings.timer; systemctl stop prometheus-node-exporter")
    wait_until(school, lambda s: arrived(s, "firing", {"alertname": "ServerSilent", "severity": "wrong"}))
    school.shell("systemctl start prometheus-node-exporter")
    wait_until(school, lambda s: arrived(s, "resolved", {"alertname": "ServerSilent"}))


def test_somebody_outside_hears_that_alerts_work(school: Deployment) -> None:
    assert received(school, "/heartbeat")
    assert not [alert for alert in alerts(school, "firing") if alert["alertname"] == "Heartbeat"]


def test_an_application_that_is_removed_is_watched_no_longer(school: Deployment) -> None:
    members = json.loads((school.inventory / "hosts.yml").read_text())
    del members["all"]["children"]["portal"]
    (school.inventory / "hosts.yml").write_text(json.dumps(members))
    school.play("remove", app="portal")
    wait_until(
        school,
        lambda s: (
            not [
                one for one in s.ask_prometheus("targets")["activeTargets"] if "portal" in str(one["labels"])
            ]
        ),
    )
    assert "portal" not in school.shell("ls /etc/prometheus/school/targets /etc/prometheus/school/rules")


def test_a_room_that_alerts_go_to_no_longer_is_forgotten(school: Deployment) -> None:
    school.play("site", tags=["monitoring"], **SETTINGS, monitoring_matrix={})
    left = "ls /etc/prometheus/school /etc/prometheus/school/secrets /usr/local/sbin /etc/systemd/system"
    assert "matrix" not in school.shell(left)
    assert ":9096" not in school.shell("ss -Hltn; cat /etc/prometheus/school/alertmanager.yml")
    assert school.play("site", tags=["monitoring"], **SETTINGS, monitoring_matrix={}).changed == 0
