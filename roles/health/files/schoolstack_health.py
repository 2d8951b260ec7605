#!/usr/bin/python3
"""Say how this server and the applications on it are.

``findings`` looks and prints; ``metrics`` says the same to Prometheus; ``sample``, which a timer calls daily,
remembers how full the disks are and how many sign-ins failed, so that a trend can be told from a number.

What runs here is read from the records that applications leave, so that one added later needs no line here.
A finding is a state (``good``, ``look``, ``wrong``), the key of a sentence and the values in it; the
sentences themselves are in the catalogue of the machine that asks.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import hashlib
import http.client
import itertools
import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

RECORDS = Path("/etc/ansible/facts.d")
CERTIFICATES = Path("/etc/schoolstack/certificates")
RUN = Path("/run")
SAMPLES = Path("/var/lib/schoolstack/health/samples.json")
BACKUP = Path("/usr/local/sbin/schoolstack-backup")
REBOOT = Path("/run/reboot-required")
# Whichever of these is newest says when lists of packages were last asked for.
LISTS = (
    Path("/var/lib/apt/periodic/update-success-stamp"),
    Path("/var/lib/apt/periodic/update-stamp"),
    Path("/var/lib/apt/lists"),
)
# What apt's answer about updates follows from, and where the answer is kept until one of them changes.
APT_READS = tuple(
    Path(path)
    for path in (
        "/var/lib/dpkg/status", "/var/lib/apt/lists", "/var/lib/apt/extended_states", "/etc/apt/apt.conf.d",
        "/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/preferences", "/etc/apt/preferences.d",
    )
)  # fmt: skip
APT_SAID = Path("/run/schoolstack-health/updates.json")
# Where data grows; those on the same file system are one disk.
PLACES = ("/", "/var", "/var/lib", "/var/lib/postgresql", "/var/log", "/opt", "/srv")

DAY_S = 86_400
ANSWER_S = 10
KEPT_DAYS = 90
# A trend needs samples of so many days, and looks back no further than that.
TREND_DAYS, TREND_BACK_DAYS = 3, 30
# What is usual can be said after so many days. So few failures are no matter anywhere.
USUAL_DAYS, FEW_FAILURES, UNUSUAL_TIMES = 5, 20, 4
# Security updates install themselves within a day; those that wait longer have met some trouble.
UPDATES_WAIT_DAYS = 4
LISTS_DAYS = 7
# A drill each term.
DRILL_DAYS = 130

SSH = {
    "name": "ssh",
    "units": ["ssh.service"],
    "pattern": "^(Failed|Invalid user|Connection closed by authenticating)",
}

# What a finding is as a number, the worse the higher.
STATES = ("good", "look", "wrong")
# Values that say which of several things of a kind a finding is about.
ABOUT = ("mount", "unit", "name")

Finding = dict[str, Any]
Seen = dict[str, Any]


def finding(check: str, state: str, key: str, **values: Any) -> Finding:
    """Return one finding; *values* are those in the sentence *key*."""
    return {"check": check, "state": state, "key": key, "values": values}


# --- what is judged: plain values in, findings out


def judge(seen: Seen, samples: Mapping[str, Any], now: float) -> Iterator[Finding]:
    """Yield what is to be said of this server.

    Args:
        seen: what :func:`look` saw.
        samples: what :func:`sample` remembers.
        now: the present, in seconds since 1970.
    """
    for application in seen["applications"]:
        for one in judge_application(application, samples, now):
            yield {**one, "application": application["name"], "title": application["title"]}
    for one in judge_server(seen, samples, now):
        yield {**one, "application": "", "title": ""}


def judge_application(seen: Seen, samples: Mapping[str, Any], now: float) -> Iterator[Finding]:
    """Yield what is to be said of one application."""
    stopped = [unit for unit in seen["units"] if not runs(unit)]
    for unit in stopped:
        yield finding("service", "wrong", "runs_not", unit=unit["unit"], found=unit["active"])
    # What does not run does not answer either: one thing is wrong, not three.
    if not stopped:
        yield finding("service", "good", "runs", units=", ".join(unit["unit"] for unit in seen["units"]))
        for cache in seen.get("caches", []):
            yield judge_cache(cache)
        yield judge_answer("answer", seen["answer"])
        if "page" in seen:
            yield judge_answer("page", seen["page"])
    if certificate := seen.get("certificate"):
        yield judge_certificate(certificate, now)
    if "failed_sign_ins" in seen:
        yield judge_sign_ins(seen["name"], seen["failed_sign_ins"], samples, now)


def judge_cache(seen: Seen) -> Finding:
    """Say how full the memory is in which an application keeps something, and takes locks."""
    state = "wrong" if seen["percent"] >= 95 else "look" if seen["percent"] >= 80 else "good"
    return finding("cache", state, "cache" if state == "good" else "cache_full", **seen)


def runs(unit: Mapping[str, Any]) -> bool:
    """Tell whether a unit does what it should."""
    return unit["active"] in ("active", "reloading") or (unit["oneshot"] and unit["active"] != "failed")


def judge_answer(check: str, seen: Mapping[str, str]) -> Finding:
    """Say whether an application answers, asked beside nginx (``answer``) or through it (``page``)."""
    if seen["said"]:
        return finding(check, "wrong", f"{check}_not", url=seen["url"], said=seen["said"])
    return finding(check, "good", check, url=seen["url"])


def judge_certificate(seen: Seen, now: float) -> Finding:
    """Say how long a certificate holds, and whether it is the one that is shown."""
    name, begins, ends = seen["name"], seen["begins"], seen["ends"]
    if not ends:
        return finding("certificate", "wrong", "certificate_unreadable", name=name)
    left, life = ends - now, ends - begins
    values = {"name": name, "days": int(left // DAY_S), "date": iso(ends)[:10]}
    if left <= 0:
        return finding("certificate", "wrong", "certificate_ended", **values)
    # Renewed a month before its end, or at two thirds of a short life: what still waits then has met trouble.
    if left < min(7 * DAY_S, life / 8):
        return finding("certificate", "wrong", "certificate_ends", **values)
    if left < min(21 * DAY_S, life / 4):
        return finding("certificate", "look", "certificate_ends", **values)
    if seen["shown"] is False:
        return finding("certificate", "look", "certificate_not_shown", **values)
    return finding("certificate", "good", "certificate", **values)


def judge_sign_ins(name: str, count: int, samples: Mapping[str, Any], now: float) -> Finding:
    """Compare the failed sign-ins of the last 24 hours with those of earlier days."""
    today = iso(now)[:10]
    days = [day[name] for date, day in samples.get("sign_ins", {}).items() if name in day and date < today]
    if len(days) < USUAL_DAYS:
        return finding("sign_ins", "good", "sign_ins_unknown", count=count, days=USUAL_DAYS)
    usual = round(statistics.median(days))
    if count > max(FEW_FAILURES, UNUSUAL_TIMES * usual):
        return finding("sign_ins", "look", "sign_ins_unusual", count=count, usual=usual)
    return finding("sign_ins", "good", "sign_ins", count=count, usual=usual)


def judge_server(seen: Seen, samples: Mapping[str, Any], now: float) -> Iterator[Finding]:
    """Yield what is to be said of the server itself."""
    for mount, disk in sorted(seen["disks"].items()):
        yield judge_disk(mount, disk, samples, now)
    if said := seen["database"]:
        yield finding("database", "wrong", "database_not", said=said)
    yield from judge_backup(seen["backup"], now)
    yield judge_clock(seen["clock"])
    yield judge_updates(seen["updates"], samples, now)
    if seen["failed_units"]:
        yield finding("units", "look", "units_failed", units=", ".join(seen["failed_units"]))
    else:
        yield finding("units", "good", "units")
    if seen["reboot"]:
        yield finding("reboot", "look", "reboot_wanted")
    for certificate in seen["certificates"]:
        yield judge_certificate(certificate, now)
    yield judge_sign_ins(SSH["name"], seen["failed_sign_ins"], samples, now)


def judge_disk(mount: str, disk: Mapping[str, int], samples: Mapping[str, Any], now: float) -> Finding:
    """Say how full a disk is, and when it will be full if it goes on like this."""
    percent = round(100 - 100 * disk["free"] / disk["size"])
    days = days_until_full(mount, disk, samples, now)
    values = {"mount": mount, "percent": percent}
    state = "good"
    if percent >= 85 or (days is not None and days < 30):
        state = "look"
    if percent >= 95 or (days is not None and days < 7):
        state = "wrong"
    if days is None:
        key = "disk_unknown" if state == "good" else "disk_full"
        return finding("disk", state, key, **values)
    # Beyond a year nobody plans, and a disk that empties never fills.
    if days > 365:
        return finding("disk", state, "disk_steady" if state == "good" else "disk_full", **values)
    return finding("disk", state, "disk" if state == "good" else "disk_fills", days=int(days), **values)


def days_until_full(
    mount: str, disk: Mapping[str, int], samples: Mapping[str, Any], now: float
) -> float | None:
    """Return in how many days a disk is full, for ever when it does not fill; None when that is not known.

    The trend is the median of the trends between any two samples (Theil and Sen), so that one day on which
    something large came, or went, does not make it.
    """
    points = [
        (one["time"], one["disks"][mount]["free"])
        for one in samples.get("disks", [])
        # A disk that was made larger begins anew.
        if one["disks"].get(mount, {}).get("size") == disk["size"]
        and now - TREND_BACK_DAYS * DAY_S <= one["time"] <= now
    ]
    points.append((now, disk["free"]))
    if points[-1][0] - points[0][0] < TREND_DAYS * DAY_S:
        return None
    pairs = itertools.combinations(points, 2)
    trend = statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs if b[0] - a[0] >= DAY_S / 2)
    return disk["free"] / -trend / DAY_S if trend < 0 else float("inf")


def judge_backup(seen: Seen, now: float) -> Iterator[Finding]:
    """Yield what is to be said of this server's backup and of the last drill."""
    if not seen:
        yield finding("backup", "look", "backup_none")
        yield finding("drill", "look", "drill_none")
        return
    good = seen.get("last_good", {}).get("time")
    hours = max(0, round((now - epoch(good)) / 3600)) if good else 0
    if moment := seen.get("restoring"):
        yield finding("backup", "look", "restore_unfinished", time=moment)
    if seen.get("alarm"):
        yield finding("backup", "wrong", "backup_alarm", said=seen["alarm"])
    elif not good:
        yield finding("backup", "look", "backup_none")
    elif said := seen.get("last", {}).get("sentence"):
        yield finding("backup", "look", "backup_failed", hours=hours, said=said)
    else:
        yield finding("backup", "good", "backup", hours=hours, where=seen.get("where", ""))
    drill = seen.get("drill", {})
    if not drill:
        yield finding("drill", "look", "drill_none")
        return
    days = max(0, round((now - epoch(drill["time"])) / DAY_S))
    state, key = ("good", "drill") if days <= DRILL_DAYS else ("look", "drill_old")
    yield finding("drill", state, key, days=days, date=drill["time"][:10])


def judge_clock(seen: Seen) -> Finding:
    """Say whether somebody keeps the clock right; how far off it is, the machine that asks can tell."""
    if seen["container"]:
        return finding("clock", "good", "clock_shared")
    if seen["synchronized"]:
        return finding("clock", "good", "clock")
    return finding("clock", "look", "clock_alone")


def judge_updates(seen: Seen, samples: Mapping[str, Any], now: float) -> Finding:
    """Say which security updates wait, going by the lists of packages that are here."""
    if now - seen["lists"] > LISTS_DAYS * DAY_S:
        return finding("updates", "look", "updates_unknown", days=LISTS_DAYS)
    if not seen["security"]:
        return finding("updates", "good", "updates")
    count, names = len(seen["security"]), ", ".join(seen["security"][:5])
    recent = [one for one in samples.get("disks", []) if one["time"] >= now - UPDATES_WAIT_DAYS * DAY_S]
    long = len(recent) >= UPDATES_WAIT_DAYS - 1 and all(one["updates"] for one in recent)
    key = "updates_stuck" if long else "updates_wait"
    return finding("updates", "wrong" if long else "look", key, count=count, names=names)


def iso(moment: float) -> str:
    """Return a moment as ISO 8601, in UTC."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="seconds")


def epoch(text: str) -> float:
    """Return a moment written as ISO 8601 in seconds since 1970; UTC where it names no zone."""
    moment = datetime.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


# --- what is looked at


def look() -> Seen:
    """Return what there is to be seen on this server now."""
    records = read_records()
    failed = output("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager")
    told = {unit["unit"] for record in records for unit in units(record)}
    owned = {record["name"] for record in records if "site" in record}
    return {
        "applications": [look_at(record) for record in records],
        "disks": disks([path for record in records for path in record["paths"].values()]),
        "database": database(records),
        "backup": backup(),
        "clock": {
            "container": output("systemd-detect-virt", "--container").strip() not in ("", "none"),
            "synchronized": output("timedatectl", "show", "--property=NTPSynchronized", "--value").strip()
            == "yes",
        },
        "updates": {"security": security_updates(), "lists": max(changed(path) for path in LISTS)},
        "failed_units": sorted({line.split()[0] for line in failed.splitlines()} - told),
        "reboot": REBOOT.exists(),
        "certificates": [
            certificate(folder.name, "")
            for folder in sorted(CERTIFICATES.glob("*"))
            if folder.is_dir() and folder.name not in owned
        ],
        "failed_sign_ins": sum(failures(SSH["units"], SSH["pattern"], time.time() - DAY_S).values()),
    }


def look_at(record: Mapping[str, Any]) -> Seen:
    """Return what there is to be seen of one application."""
    seen: Seen = {
        "name": record["name"],
        "title": record["title"],
        "units": units(record),
        "caches": caches(record),
        "answer": {"url": record["health"]["url"], "said": answer(**record["health"])},
    }
    if host := record.get("site", {}).get("host"):
        path = record["health"].get("page", "/")
        said, shown = page(host, path)
        seen["page"] = {"url": f"https://{host}{path}", "said": said}
        seen["certificate"] = certificate(record["name"], shown)
    if pattern := record.get("failed_sign_ins"):
        names = [unit["unit"] for unit in seen["units"]]
        seen["failed_sign_ins"] = sum(failures(names, pattern, time.time() - DAY_S).values())
    return seen


def read_records() -> list[dict[str, Any]]:
    """Return the records of the applications that run here."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDS.glob("*.fact"))]
    return [record for record in found if "services" in record]


def units(record: Mapping[str, Any]) -> list[Seen]:
    """Return an application's units and their state, with those that keep something in memory for it."""
    found: list[Seen] = []
    for service in record["services"]:
        unit = f"{service['name']}.service"
        active = unit_state(unit)
        if "every_s" in service and active != "failed":
            # It is away most of the time; its timer is there.
            unit = f"{service['name']}.timer"
            active = unit_state(unit)
        found.append({"unit": unit, "oneshot": service.get("type") == "oneshot", "active": active})
    for unit in map(cache_unit, record.get("caches", [])):
        found.append({"unit": unit, "oneshot": False, "active": unit_state(unit)})
    return found


def unit_state(unit: str) -> str:
    """Return a unit's state, in systemd's word."""
    return output("systemctl", "show", "--property=ActiveState", "--value", unit).strip()


def cache_unit(cache: Mapping[str, Any]) -> str:
    """Return the unit that keeps something in memory for an application."""
    return f"{cache['name']}-{cache['engine']}.service"


def caches(record: Mapping[str, Any]) -> list[Seen]:
    """Return how full the memory is that is kept for an application, where that can be told."""
    found: list[Seen] = []
    for cache in record.get("caches", []):
        place = RUN / f"{cache['name']}-{cache['engine']}" / f"{cache['engine']}.sock"
        # What does not run is told by its unit.
        with contextlib.suppress(OSError, KeyError, ValueError, ZeroDivisionError):
            told = dict(re.findall(r"^(\w+):(\d+)\s*$", asked(place, "INFO memory"), re.MULTILINE))
            percent = round(100 * int(told["used_memory"]) / int(told["maxmemory"]))
            found.append({"unit": cache_unit(cache), "percent": percent})
    return found


def asked(place: Path, question: str) -> str:
    """Return what a program answers at its socket to a question in RESP, as Redis and Valkey speak it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(str(place))
        connection.sendall(f"{question}\r\n".encode())
        with connection.makefile("rb") as answer:
            # "$<bytes>", and as many bytes.
            return answer.read(int(answer.readline()[1:])).decode(errors="replace")


def answer(url: str, expect: str, **_: Any) -> str:
    """Return what is wrong with an application's answer; empty when it is what it should be."""
    parts = urllib.parse.urlsplit(url)
    try:
        connection = http.client.HTTPConnection(parts.netloc, timeout=ANSWER_S)
        connection.request("GET", parts._replace(scheme="", netloc="").geturl())
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return short(error)
    if response.status >= 400:
        return f"HTTP {response.status}"
    return "" if re.search(expect, body) else short(body)


def page(host: str, path: str) -> tuple[str, str]:
    """Ask for the page that tells whether an application works, as a browser would, but at this server.

    Whatever a DNS says.

    Returns:
        What is wrong, empty when nothing is; and the SHA-256 of the certificate that was shown.
    """
    context = ssl.create_default_context()
    # What is shown is to be looked at, also when it has ended; nothing is told or believed here.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    shown = ""
    try:
        with socket.create_connection(("127.0.0.1", 443), ANSWER_S) as plain:
            connection = http.client.HTTPConnection(host, timeout=ANSWER_S)
            connection.sock = tls = context.wrap_socket(plain, server_hostname=host)
            shown = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
            connection.request("GET", path)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return short(error), shown
    return (f"HTTP {status}" if status >= 500 else ""), shown


def certificate(name: str, shown: str) -> Seen:
    """Return when a certificate begins and ends, and whether it is the one *shown*, where that is known."""
    path = CERTIFICATES / name / "fullchain.pem"
    lines = output("openssl", "x509", "-in", str(path), "-noout", "-startdate", "-enddate").splitlines()
    dates = dict(line.split("=", 1) for line in lines if "=" in line)
    seen: Seen = {"name": name, "begins": 0.0, "ends": 0.0, "shown": None}
    # What is no date is no certificate either.
    with contextlib.suppress(KeyError, ValueError):
        seen["begins"], seen["ends"] = (
            float(ssl.cert_time_to_seconds(dates[key])) for key in ("notBefore", "notAfter")
        )
        if shown:
            leaf = path.read_text(encoding="ascii").split("-----END CERTIFICATE-----")[0]
            der = ssl.PEM_cert_to_DER_cert(leaf + "-----END CERTIFICATE-----\n")
            seen["shown"] = hashlib.sha256(der).hexdigest() == shown
    return seen


def disks(places: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return size and free space, in bytes, of each disk that holds one of *places* or of :data:`PLACES`."""
    found: dict[int, tuple[str, dict[str, int]]] = {}
    for place in sorted({*PLACES, *places}, key=len):
        if not Path(place).is_dir():
            continue
        state = os.statvfs(place)
        # What is free for everybody: services are not root.
        size = state.f_frsize * (state.f_blocks - state.f_bfree + state.f_bavail)
        if size:
            found.setdefault(
                Path(place).stat().st_dev, (place, {"size": size, "free": state.f_frsize * state.f_bavail})
            )
    return dict(found.values())


def database(records: Sequence[Mapping[str, Any]]) -> str:
    """Return what is wrong with the database server of the applications here; empty when nothing is."""
    engines = {one["engine"] for record in records for one in record.get("databases", [])}
    if "postgresql" not in engines:
        return ""
    said = output("pg_isready", "--username=postgres").strip()
    return "" if said.endswith("accepting connections") else short(said or "pg_isready")


def backup() -> Seen:
    """Return what is known of this server's backups; empty where none are made."""
    if not BACKUP.exists():
        return {}
    text = output(str(BACKUP), "status")
    return dict(json.loads(text)) if text else {}


def security_updates() -> list[str]:
    """Return the packages for which the lists that are here know a security update.

    Apt takes seconds to say so on a small board, so it is asked again only when something has changed.
    """
    of = [changed(path) for path in APT_READS]
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        said = json.loads(APT_SAID.read_text(encoding="utf-8"))
        if said["of"] == of:
            return list(said["packages"])
    text = output("apt-get", "--simulate", "--option=Debug::NoLocking=true", "dist-upgrade")
    packages = sorted(
        set(re.findall(r"^Inst (\S+) .*(?:Debian-Security:|-security[ ,\])])", text, re.MULTILINE))
    )
    # An apt that says nothing at all could not look.
    if text:
        with contextlib.suppress(OSError):
            APT_SAID.parent.mkdir(mode=0o755, exist_ok=True)
            fresh = APT_SAID.with_name(f"updates.{os.getpid()}")
            fresh.write_text(json.dumps({"of": of, "packages": packages}), encoding="utf-8")
            fresh.replace(APT_SAID)
    return packages


def changed(path: Path) -> float:
    """Return when a file was last changed, in seconds since 1970; 0 when there is none."""
    return path.stat().st_mtime if path.exists() else 0.0


def failures(names: Sequence[str], pattern: str, since: float) -> collections.Counter[str]:
    """Return how many lines of some units' journal match *pattern*, by day."""
    text = output(
        "journalctl", "--quiet", "--no-pager", "--output=short-unix", f"--since=@{int(since)}",
        "--case-sensitive=true", f"--grep={pattern}", *(f"--unit={name}" for name in names),
    )  # fmt: skip
    return collections.Counter(iso(float(line.split(".", 1)[0]))[:10] for line in text.splitlines())


def output(*command: str) -> str:
    """Return what a program prints, whatever its exit code; empty where it cannot be run."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def short(said: object) -> str:
    """Return what somebody said in one line, not too long."""
    return " ".join(str(said).split())[:120] or type(said).__name__


# --- what is remembered


def read_samples() -> dict[str, Any]:
    """Return what was remembered; nothing when that is missing or damaged."""
    try:
        return dict(json.loads(SAMPLES.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def sample() -> dict[str, Any]:
    """Remember how full the disks are, whether updates wait, and how many sign-ins failed until yesterday."""
    now, records, before = time.time(), read_records(), read_samples()
    today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()
    oldest = iso(now - KEPT_DAYS * DAY_S)[:10]
    days = {date: day for date, day in before.get("sign_ins", {}).items() if oldest <= date < iso(now)[:10]}
    watched = [SSH] + [
        {
            "name": record["name"],
            "units": [unit["unit"] for unit in units(record)],
            "pattern": record["failed_sign_ins"],
        }
        for record in records
        if record.get("failed_sign_ins")
    ]
    # Days on which this did not run are caught up; before the first sample nobody knows what there was.
    yesterday = today - datetime.timedelta(days=1)
    first = datetime.date.fromisoformat(max(days)) if days else yesterday
    since = datetime.datetime.combine(first, datetime.time(), datetime.UTC).timestamp()
    for one in watched:
        counts = failures(one["units"], one["pattern"], since)
        for ordinal in range(first.toordinal(), today.toordinal()):
            date = datetime.date.fromordinal(ordinal).isoformat()
            days.setdefault(date, {})[one["name"]] = counts[date]
    disk = {
        "time": round(now),
        "disks": disks([path for record in records for path in record["paths"].values()]),
        "updates": len(security_updates()),
    }
    kept = [one for one in before.get("disks", []) if now - KEPT_DAYS * DAY_S <= one["time"] < now]
    write({"disks": [*kept, disk], "sign_ins": days})
    return {"changed": True}


def write(samples: Mapping[str, Any]) -> None:
    """Replace what is remembered at once, so that a power cut leaves the old or the new."""
    SAMPLES.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = SAMPLES.with_name(f"{SAMPLES.name}.new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(samples, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(SAMPLES)


def findings() -> dict[str, Any]:
    """Return what is to be said of this server, and what its clock shows."""
    now = time.time()
    return {"now": now, "findings": list(judge(look(), read_samples(), now))}


def metrics(found: Sequence[Finding], sentences: Mapping[str, str]) -> str:
    """Return findings in the text format that Prometheus reads.

    Args:
        found: what is to be said of this server.
        sentences: the catalogue's part ``finding`` in one language, by key.
    """
    lines = [
        "# HELP schoolstack_finding How something on this server is: 0 good, 1 look at this, 2 wrong.",
        "# TYPE schoolstack_finding gauge",
    ]
    for one in found:
        values = one["values"]
        labels = {
            "application": one["application"],
            "title": one["title"],
            "check": one["check"],
            "about": next((str(values[name]) for name in ABOUT if name in values), ""),
            "sentence": sentences[one["key"]].format(**values),
        }
        inside = ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items())
        lines.append(f"schoolstack_finding{{{inside}}} {STATES.index(one['state'])}")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return a label's value as it stands between quotes."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", " ").strip()


def publish(to: Path, sentences: Path) -> dict[str, Any]:
    """Replace at once the file in which Prometheus finds what is to be said of this server."""
    text = metrics(findings()["findings"], json.loads(sentences.read_text(encoding="utf-8")))
    # Not *.prom, which would be read before it is whole.
    new = to.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o644)
    new.replace(to)
    return {"changed": True}


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description="Say how this server and the applications on it are.")
    commands = parser.add_subparsers(required=True)
    for command in (findings, sample):
        commands.add_parser(command.__name__, help=command.__doc__).set_defaults(run=command)
    publishing = commands.add_parser("metrics", help=publish.__doc__)
    publishing.add_argument("--to", type=Path, required=True, help="the file, named *.prom")
    publishing.add_argument(
        "--sentences", type=Path, required=True, help="findings' sentences, as JSON by key"
    )
    publishing.set_defaults(run=publish)
    arguments = vars(parser.parse_args())
    print(json.dumps(arguments.pop("run")(**arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
