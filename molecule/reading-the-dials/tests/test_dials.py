"""What the dials show, whether somebody is told, and whether it was read right."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import yaml
from conftest import Ask
from testinfra.host import Host

from schoolstack.labs.checks import NotYetError

PROGRAMS = (
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-blackbox-exporter",
    "prometheus-nginx-exporter",
    "prometheus-node-exporter",
    "prometheus-postgres-exporter",
    "prometheus-process-exporter",
)
TIMER = "schoolstack-findings.timer"
FINDINGS = "/var/lib/prometheus/node-exporter/schoolstack.prom"
# Seconds after which the server should have looked at itself again; it does so every 20 s.
LATE = 80
RECEIVERS = "/etc/prometheus/school/alertmanager.yml"
FORM = "/root/dials.txt"
# Heartbeat proves that alerts work and always fires, and ServiceRestarts speaks of the last hour, whatever is
# mended. Nobody backs up a practice machine, and its updates wait since it was prepared.
COUNTED = 'alertname!~"Heartbeat|ServiceRestarts",check!~"backup|drill|updates"'
# How far what was written may be from what Prometheus remembers.
MINUTES, PERCENT = 5, 10


def test_everything_answers(ask: Ask) -> None:
    silent = [one for one in ask("targets")["activeTargets"] if one["health"] != "up"]
    if silent:
        raise NotYetError("silent", f"{silent[0]['labels']['job']}: {silent[0]['lastError']}")


def test_every_program_runs(host: Host) -> None:
    for name in PROGRAMS:
        service = host.service(name)
        if not service.is_enabled:
            raise NotYetError("not-enabled", name)
        if not service.is_running:
            # Its own words, not those of systemd about it.
            own = f"journalctl _SYSTEMD_UNIT={name}.service --output cat --no-pager --lines 1"
            raise NotYetError("stopped", f"{name}: {host.check_output(own)}")


def test_the_server_looks_at_itself(host: Host) -> None:
    for question, wrong in (("is-enabled", "not-enabled"), ("is-active", "off")):
        said = host.run(f"systemctl {question} {TIMER}").stdout.strip()
        if said not in ("enabled", "active"):
            raise NotYetError(wrong, said)
    age = float(host.check_output(f"echo $(($(date +%s) - $(stat --format %Y {FINDINGS})))"))
    if age > LATE:
        raise NotYetError("old", f"{age:.0f} s")


def test_alerts_arrive(host: Host) -> None:
    receivers = yaml.safe_load(host.file(RECEIVERS).content_string)["receivers"]
    addresses = [one["url"] for receiver in receivers for one in receiver.get("webhook_configs", [])]
    if not addresses:
        raise NotYetError("none")
    for address in addresses:
        # The phone takes alerts only, and says so: that is an answer, too.
        answer = host.run(f"curl --silent --show-error --max-time 5 --output /dev/null '{address}'")
        if answer.rc:
            raise NotYetError("nobody", answer.stderr)
    failed = host.run("amtool --alertmanager.url http://127.0.0.1:9093 config show")
    if failed.rc:
        raise NotYetError("away", failed.stderr or failed.stdout)


def test_no_alert_is_left(ask: Ask) -> None:
    left = ask("query", query=f"ALERTS{{{COUNTED}}}")["result"]
    if left:
        raise NotYetError("left", ", ".join(sorted({one["metric"]["alertname"] for one in left})))


def test_what_they_say_is_written_down(host: Host, ask: Ask) -> None:
    form = host.file(FORM)
    if not form.exists:
        return
    lines = [line.partition(":")[2].strip() for line in form.content_string.splitlines()]
    if len(lines) < 3 or not all(lines[:3]):
        raise NotYetError("empty", FORM)
    alert, since, percent = lines[:3]
    if not re.fullmatch(r"\w+", alert):
        raise NotYetError("alert", alert)
    named = f'alertname="{alert}",{COUNTED}'
    began = ask("query", query=f"max_over_time(ALERTS_FOR_STATE{{{named}}}[6h])")["result"]
    if not began:
        raise NotYetError("alert", alert)
    found = re.fullmatch(r"(\d{1,2})\D(\d\d)", since)
    zone = ZoneInfo(host.check_output("timedatectl show --property Timezone --value"))
    if not found or not any(near(found.groups(), float(one["value"][1]), zone) for one in began):
        raise NotYetError("since", since)
    used = "100 * (1 - avg_over_time(node_memory_MemAvailable_bytes[15m]) / node_memory_MemTotal_bytes)"
    measured = float(ask("query", query=used)["result"][0]["value"][1])
    number = re.fullmatch(r"(\d+)([.,]\d+)? *%?", percent)
    if not number or abs(int(number[1]) - measured) > PERCENT:
        raise NotYetError("memory", percent)


def near(written: tuple[str, ...], began: float, zone: ZoneInfo) -> bool:
    """Return whether a time of day is that of a moment, in the server's time or in UTC, give or take."""
    for place in (zone, UTC):
        moment = datetime.fromtimestamp(began, place)
        given = moment.replace(hour=int(written[0]) % 24, minute=int(written[1]) % 60)
        apart = abs(given - moment) % timedelta(days=1)
        if min(apart, timedelta(days=1) - apart) <= timedelta(minutes=MINUTES):
            return True
    return False
