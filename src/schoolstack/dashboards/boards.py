"""Which dashboards there are, and what stands on them.

Each panel asks one question, and one that always has an answer: what may be absent, as a count of alerts,
ends with ``or vector(0)``. Texts stand in the catalogue, below ``dashboard``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schoolstack.dashboards.board import OPEN, RUNS, Board
from schoolstack.messages import language, say
from schoolstack.preflight import unit

# What counts as full, busy or late, in percent, where nothing else has an opinion.
BUSY, FULL = 80, 95
FIRING = 'count(ALERTS{alertstate="firing",severity!="none"}) or vector(0)'
CERTIFICATE_DAYS = '(min by (title) (probe_ssl_earliest_cert_expiry{job="page"}) - time()) / 86400'


def of_school() -> list[Board]:
    """Return the dashboards that every school has, in the language of the process."""
    return [at_a_glance(), attention(), servers(), database(), backup(), room()]


def at_a_glance() -> Board:
    """The school on one screen: lights and words, no numbers that have to be understood."""
    board = Board("school", say("dashboard.school.title"), everybody=True)
    board.lights(say("dashboard.school.all"), "max(schoolstack_finding)", width=6, height=5)
    board.lights(
        say("dashboard.school.applications"),
        'max by (title) (schoolstack_finding{application!=""})',
        "{{title}}",
        width=18,
        height=5,
    )
    board.lights(
        say("dashboard.school.pages"),
        'min by (title) (probe_success{job="page"})',
        "{{title}}",
        words=OPEN,
        width=24,
        height=5,
    )
    for check in ("backup", "drill", "disk", "updates", "certificate", "clock"):
        board.lights(
            say(f"dashboard.check.{check}"), f'max(schoolstack_finding{{check="{check}"}})', width=4, height=4
        )
    board.lights(
        say("dashboard.school.servers"),
        "max by (server) (schoolstack_finding)",
        "{{server}}",
        width=16,
        height=4,
    )
    board.number(say("dashboard.school.alerts"), FIRING, "short", look=1, width=4)
    board.number(
        say("dashboard.school.looked"),
        "max(time() - node_textfile_mtime_seconds)",
        "s",
        look=1800,
        width=4,
    )
    return board


def attention() -> Board:
    """What somebody has to look at, in sentences."""
    board = Board("attention", say("dashboard.attention.title"), since="now-7d")
    board.findings(say("dashboard.attention.findings"), height=14)
    board.states(
        say("dashboard.attention.over_time"), "max by (check) (schoolstack_finding)", "{{check}}", height=9
    )
    board.number(say("dashboard.school.alerts"), FIRING, "short", look=1)
    board.number(
        say("dashboard.attention.restarts"),
        "sum(increase(node_systemd_service_restart_total[1d]))",
        "short",
        look=1,
    )
    board.number(say("dashboard.attention.silent"), "count(up == 0) or vector(0)", "short", look=1)
    board.number(say("dashboard.attention.certificate"), f"min({CERTIFICATE_DAYS})", "d", width=6)
    return board


def servers() -> Board:
    """Each server: whether it is busy, full, or short of memory."""
    board = Board("servers", say("dashboard.servers.title"))
    used = "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)"
    # Of memory, pictures of disks and what is lent by others, nothing can be cleaned up.
    real = 'fstype!~"tmpfs|ramfs|devtmpfs|squashfs|iso9660|autofs|fuse.*"'
    full = f"100 * (1 - node_filesystem_avail_bytes{{{real}}} / node_filesystem_size_bytes{{{real}}})"
    busy = '100 * (1 - avg by (server) (rate(node_cpu_seconds_total{mode="idle"}[5m])))'
    board.number(say("dashboard.servers.busy"), busy, "percent", "{{server}}", look=BUSY, wrong=FULL)
    board.number(say("dashboard.servers.memory"), used, "percent", "{{server}}", look=BUSY, wrong=FULL)
    board.number(
        say("dashboard.servers.disk"),
        f"max by (server) ({full})",
        "percent",
        "{{server}}",
        look=BUSY,
        wrong=FULL,
    )
    board.number(say("dashboard.servers.up"), "node_time_seconds - node_boot_time_seconds", "s", "{{server}}")
    board.lines(say("dashboard.servers.busy"), busy, "percent", "{{server}}", most=100)
    board.lines(say("dashboard.servers.memory"), used, "percent", "{{server}}", most=100)
    board.lines(
        say("dashboard.servers.disk"),
        f"max by (server, mountpoint) ({full})",
        "percent",
        "{{server}} {{mountpoint}}",
        most=100,
    )
    board.lines(
        say("dashboard.servers.waits"),
        '100 * avg by (server) (rate(node_cpu_seconds_total{mode="iowait"}[5m]))',
        "percent",
        "{{server}}",
        most=100,
    )
    board.lines(
        say("dashboard.servers.network"),
        'sum by (server) (rate(node_network_receive_bytes_total{device!="lo"}[5m]))',
        "Bps",
        "{{server}}",
    )
    board.lines(
        say("dashboard.servers.programs"),
        'topk(8, sum by (server, groupname) (namedprocess_namegroup_memory_bytes{memtype="resident"}))',
        "bytes",
        "{{server}} {{groupname}}",
    )
    return board


def database() -> Board:
    """The database server: whether connections and room suffice."""
    board = Board("database", say("dashboard.database.title"))
    connections = (
        "100 * sum by (server) (pg_stat_activity_count) / max by (server) (pg_settings_max_connections)"
    )
    board.lights(say("dashboard.database.runs"), "min by (server) (pg_up)", "{{server}}", words=RUNS)
    board.number(
        say("dashboard.database.connections"), connections, "percent", "{{server}}", look=BUSY, wrong=FULL
    )
    board.number(
        say("dashboard.database.memory"),
        "100 * sum by (server) (pg_stat_database_blks_hit) / "
        "(sum by (server) (pg_stat_database_blks_hit) + sum by (server) (pg_stat_database_blks_read))",
        "percent",
        "{{server}}",
    )
    board.number(
        say("dashboard.database.longest"),
        "max by (server) (pg_stat_activity_max_tx_duration)",
        "s",
        "{{server}}",
        look=600,
    )
    board.lines(say("dashboard.database.connections"), connections, "percent", "{{server}}", most=100)
    board.lines(
        say("dashboard.database.size"), "max by (datname) (pg_database_size_bytes)", "bytes", "{{datname}}"
    )
    board.lines(
        say("dashboard.database.work"),
        'sum by (datname) (rate(pg_stat_database_xact_commit{datname!~"template.*|"}[5m]))',
        "ops",
        "{{datname}}",
    )
    board.lines(
        say("dashboard.database.deadlocks"),
        "sum by (server) (increase(pg_stat_database_deadlocks[1h]))",
        "short",
        "{{server}}",
    )
    return board


def backup() -> Board:
    """Backups and the drills that prove them."""
    board = Board("backup", say("dashboard.backup.title"), since="now-30d")
    for check in ("backup", "drill"):
        board.lights(
            say(f"dashboard.check.{check}"),
            f'max by (server) (schoolstack_finding{{check="{check}"}})',
            "{{server}}",
            width=12,
        )
    board.findings(say("dashboard.backup.said"), 'check=~"backup|drill"', height=6)
    board.states(
        say("dashboard.backup.over_time"),
        'max by (server, check) (schoolstack_finding{check=~"backup|drill"})',
        "{{server}} {{check}}",
    )
    return board


def room() -> Board:
    """A room of seats, by their numbers: what ``school lab room report --metrics`` wrote."""
    board = Board("room", say("dashboard.labs.title"), since="now-3h")
    seats = "count(schoolstack_seat_steps) or vector(0)"
    done = "count(schoolstack_seat_passed >= schoolstack_seat_steps) or vector(0)"
    passed = (
        'max by (lesson, seat) (schoolstack_seat_passed) or label_replace(vector(0), "seat", "-", "", "")'
    )
    board.number(say("dashboard.labs.seats"), seats, "short")
    board.number(say("dashboard.labs.passed"), done, "short")
    board.number(say("dashboard.labs.hints"), "sum(schoolstack_seat_hints) or vector(0)", "short")
    board.number(
        say("dashboard.labs.looked"),
        'max(time() - node_textfile_mtime_seconds{file=~".*schoolstack_room.*"}) or vector(0)',
        "s",
    )
    return board.lines(
        say("dashboard.labs.where"), passed, "short", "{{lesson}} {{seat}}", width=24, height=14
    )


def of_application(declaration: Mapping[str, Any], server: str) -> Board:
    """Return the dashboard of an application, from what it declares.

    Args:
        declaration: the application's declaration, resolved.
        server: the server on which it runs, as the inventory calls it.
    """
    name, title = declaration["name"], declaration["title"]
    board = Board(f"app-{name}".replace("_", "-"), title)
    about = f'application="{name}"'
    board.lights(say("dashboard.application.state"), f"max(schoolstack_finding{{{about}}})")
    if "site" in declaration:
        page = f'job="page",{about}'
        board.lights(say("dashboard.application.page"), f"min(probe_success{{{page}}})", words=OPEN)
        board.number(
            say("dashboard.application.certificate"),
            f"(min(probe_ssl_earliest_cert_expiry{{{page}}}) - time()) / 86400",
            "d",
        )
    names = [unit(service).replace(".", "[.]") for service in declaration["services"]]
    names += [f"{cache['name']}-{cache['engine']}[.]service" for cache in declaration.get("caches", [])]
    units = "|".join(names)
    state = f'server="{server}",name=~"{units}"'
    board.lights(
        say("dashboard.application.services"),
        f'min by (name) (node_systemd_unit_state{{{state},state="active"}})',
        "{{name}}",
        words=RUNS,
    )
    board.findings(say("dashboard.application.findings"), about, height=7)
    if "site" in declaration:
        board.lines(say("dashboard.application.takes"), f"max(probe_duration_seconds{{{page}}})", "s", title)
    for kept in declaration.get("databases", []):
        board.lines(
            say("dashboard.application.size", name=kept["name"]),
            f'max(pg_database_size_bytes{{server="{server}",datname="{kept["name"]}"}})',
            "bytes",
            kept["name"],
        )
    for panel in declaration.get("dashboard", []):
        board.lines(
            panel["title"][language()],
            panel["expr"],
            panel.get("unit", "short"),
            f"{{{{{panel['by']}}}}}" if "by" in panel else title,
        )
    return board
