"""An empty Debian becomes a safe server: who comes in, which ports answer, what runs, what room there is."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from testinfra.host import Host

from schoolstack.deployment import CA_ON_SERVER
from schoolstack.labs.checks import NotYetError
from schoolstack.signin import Browser, SignInError

if TYPE_CHECKING:
    from conftest import Server

ZONE = "Europe/Brussels"
PERSON = "beheer"
# On the delivery note of the lesson's server; no secret.
SUPPLIER, PASSWORD = "installer", "Welkom-2019"
OPEN = (22, 80, 443)
SCHOOL, PAGE = "Oefenschool", "http://www.oefenschool.test/"
SERVICES = ("ssh", "nftables", "nginx", "page")
FILES = "/srv/files"
# With less than this nobody can save a scan, in MB.
ROOM_MB = 8
# More than this nobody reads back, in bytes: 1 GB.
JOURNAL_MOST = 1024**3
# Of journald's word on the room it takes (SD_MESSAGE_JOURNAL_USAGE in sd-messages.h upstream).
JOURNAL_USAGE = "ec387f577b844b8fa948f33cad9a75e6"
# Of 10: what `systemd-analyze security` still calls "OK" begins below 5, and a bare unit has 9 and more.
EXPOSED = 5.0

# Waits for one connection from outside at a port that nobody has opened for anything.
DOOR = """
import socket
with socket.create_server(("", 0)) as door:
    print(door.getsockname()[1], flush=True)
    door.settimeout(6)
    try:
        door.accept()
    except TimeoutError:
        pass
"""


def starts(host: Host, unit: str) -> str:
    """Return whether a unit starts with the server, in systemd's word: enabled, disabled, not-found."""
    return host.run(f"systemctl is-enabled {unit}").stdout.strip()


def test_the_clock_is_right(host: Host) -> None:
    zone = host.run("readlink -f /etc/localtime").stdout.strip().removeprefix("/usr/share/zoneinfo/")
    if zone != ZONE:
        raise NotYetError("zone", f"{zone.removeprefix('/etc/')}, {host.check_output('date')}")
    if (state := starts(host, "systemd-timesyncd")) != "enabled":
        raise NotYetError("adrift", state)


def test_a_person_looks_after_it(server: Server, host: Host) -> None:
    entered = subprocess.run(
        [*server.ssh(PERSON, "-o", "BatchMode=yes"), "whoami"], capture_output=True, text=True, check=False
    )
    if entered.returncode:
        raise NotYetError("no-entry", entered.stderr.strip().splitlines()[-1])
    may = host.run(f"sudo -l -U {PERSON}").stdout.strip()
    if "ALL) " not in may:
        raise NotYetError("no-sudo", may)


def test_passwords_are_refused(server: Server, tmp_path: Path) -> None:
    tried = server.with_password(SUPPLIER, PASSWORD, tmp_path / "ask")
    if tried.returncode == 0:
        raise NotYetError("let-in", tried.stdout)
    # The answer of the server ends with the ways in that it still offers.
    answer = tried.stderr.strip().splitlines()[-1]
    if "password" in answer or "keyboard-interactive" in answer:
        raise NotYetError("asks", answer)
    if "Permission denied" not in answer:
        raise NotYetError("no-answer", answer)


def test_updates_come_by_themselves(host: Host) -> None:
    if not host.package("unattended-upgrades").is_installed:
        raise NotYetError("missing")
    settings = host.check_output("apt-config dump APT::Periodic")
    for setting in ("Update-Package-Lists", "Unattended-Upgrade"):
        if f'APT::Periodic::{setting} "1";' not in settings:
            raise NotYetError("off", f"APT::Periodic::{setting}")
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        if starts(host, timer) != "enabled":
            raise NotYetError("off", timer)


def test_the_journal_keeps_to_its_room(host: Host) -> None:
    # What runs, not what a file says: journald tells the room it takes when it begins.
    told = host.check_output(
        f"journalctl --quiet --boot --output=json --lines=1 MESSAGE_ID={JOURNAL_USAGE} _PID="
        "$(systemctl show --property=MainPID --value systemd-journald)"
    )
    usage = json.loads(told or "{}")
    if usage.get("JOURNAL_NAME") != "System Journal":
        raise NotYetError("forgets", usage.get("MESSAGE", "-"))
    if int(usage["MAX_USE"]) > JOURNAL_MOST:
        raise NotYetError("greedy", usage["MESSAGE"])


def test_there_is_room_on_the_disk(host: Host) -> None:
    proof = f"{FILES}/.check"
    written = host.run(f"dd if=/dev/zero of={proof} bs=1M count={ROOM_MB} status=none; rm -f {proof}")
    if written.stderr:
        raise NotYetError("full", written.stderr)
    if host.service("supplier-trace").is_running or starts(host, "supplier-trace") == "enabled":
        raise NotYetError("fills", "supplier-trace.service")


def test_only_three_ports_answer(server: Server) -> None:
    command = [*server.ssh("root"), "python3", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as door:
        assert door.stdin
        assert door.stdout
        door.stdin.write(DOOR)
        door.stdin.close()
        port = int(door.stdout.readline())
        try:
            socket.create_connection((server.address, port), 1).close()
            raise NotYetError("open", port)
        except OSError:
            pass
        finally:
            door.kill()
    shut = {port: why for port in OPEN if (why := server.refuses(port))}
    if shut:
        raise NotYetError("shut", ", ".join(f"{port}: {why}" for port, why in shut.items()))


def test_the_page_is_a_service(host: Host) -> None:
    unit = host.service("page")
    if not unit.exists:
        raise NotYetError("missing")
    if not unit.is_running:
        raise NotYetError("stopped", host.run("systemctl is-active page").stdout)
    process = unit.systemd_properties["MainPID"]
    if (user := host.check_output(f"ps -o user= -p {process}")) == "root":
        raise NotYetError("root", user)
    page = host.run("curl --silent --show-error --max-time 5 http://127.0.0.1:8000/")
    if SCHOOL not in page.stdout:
        raise NotYetError("other", page.stderr or page.stdout[:60])
    listens = host.check_output("ss -ltnH 'sport = :8000' | awk '{print $4}'").split()
    if listens != ["127.0.0.1:8000"]:
        raise NotYetError("everywhere", ", ".join(listens))


def test_the_service_can_do_little_harm(host: Host) -> None:
    said = host.run("systemd-analyze security --no-pager page.service 2>&1 | tail -n 1").stdout
    exposure = said.partition(": ")[2].split()
    if not exposure:
        raise NotYetError("missing", said)
    if float(exposure[0]) >= EXPOSED:
        raise NotYetError("exposed", exposure[0])


def test_the_page_answers_in_the_network(server: Server, host: Host, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(host.run(f"cat {CA_ON_SERVER}").stdout, encoding="utf-8")
    name = PAGE.split("/")[2]
    browser = Browser({name: server.address}, authority if authority.stat().st_size else None, timeout=3)
    try:
        page = browser.get(PAGE)
    except SignInError as error:
        raise NotYetError("unreachable", error) from None
    finally:
        browser.close()
    if page.status != 200 or SCHOOL not in page.words:
        raise NotYetError("other", page.tree.findtext(".//title") or page.words[:60] or page.status)


def test_everything_comes_back_after_a_restart(host: Host) -> None:
    missing = [name for name in SERVICES if starts(host, name) != "enabled"]
    if missing:
        raise NotYetError("not-enabled", ", ".join(missing))
