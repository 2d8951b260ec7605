"""From the backups and their keys to the school and its people: what has to be so after a loss."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from schoolstack.deployment import CA_ON_SERVER
from schoolstack.labs.checks import NotYetError
from schoolstack.signin import Browser, SignInError, sign_in

if TYPE_CHECKING:
    from conftest import Machine

TEACHER, PUPIL, PASSWORD = "noor.practice", "anna.peeters", "Practice-makes-1"
TIMERS = (
    "for timer in schoolstack-backup schoolstack-backup-alarm; do"
    " echo $timer.timer: $(systemctl is-enabled $timer.timer) $(systemctl is-active $timer.timer); done"
)
SHEET, LOGBOOK, NOTES = "/root/recovery-sheet.txt", "/root/logbook.txt", "/root/notes.txt"
# What the inventory at the desk holds as the key of the backups, opened with the key in a file.
OPEN = (
    "cd /root/schoolstack/inventories/myschool &&"
    " ../../.venv/bin/ansible-vault view secrets/backup_key.vault --vault-password-file "
)
# The port of SSH, by which backups are brought.
REACH = "python3 -c 'import socket; socket.create_connection((\"vault\", 22), 5).close()'"
CLASS = (
    'psql -U postgres -d keycloak -AtF= -c "select p.username, p.id from user_entity p'
    " join user_group_membership m on m.user_id = p.id join keycloak_group g on g.id = m.group_id"
    " where g.name = '3A'\""
)
# As near as somebody writes down the moment of a backup.
NEAR = timedelta(minutes=1)


def test_the_backups_can_be_reached(server: Machine) -> None:
    _, refused = server.run(REACH)
    if refused:
        raise NotYetError("closed", refused)


def test_the_sheet_is_right(desk: Machine, locked: Callable[[str], str]) -> None:
    sheet, gone = desk.run(f"cat {SHEET}")
    keys = re.findall(r"^  (\S+)$", sheet, re.MULTILINE)
    if len(keys) != 2:
        raise NotYetError("no-sheet", gone or sheet.partition("\n")[0])
    if refused := desk.run(f"{OPEN} /dev/stdin", keys[0])[1]:
        raise NotYetError("vault-key", refused)
    if refused := locked(keys[1]):
        raise NotYetError("old-key", refused)


def test_the_desk_opens_the_secrets(desk: Machine, locked: Callable[[str], str]) -> None:
    key, refused = desk.run(f"{OPEN} .vault-key")
    if refused:
        raise NotYetError("not-opened", refused)
    if refused := locked(key):
        raise NotYetError("wrong-key", refused)


def test_the_school_answers(witness: dict[str, Any], browser: Browser) -> None:
    sign_in_page = f"https://{witness['sites']['keycloak']}"
    try:
        page = browser.get(f"https://{witness['sites']['portal']}/", until=sign_in_page)
    except SignInError as error:
        raise NotYetError("no-answer", error) from None
    if not page.url.startswith(sign_in_page):
        raise NotYetError("status", page.tree.findtext(".//title") or page.status)


def test_it_is_the_same_school(server: Machine, witness: dict[str, Any], browser: Browser) -> None:
    authority, missing = server.run(f"cat {CA_ON_SERVER}")
    if authority != witness["authority"].strip():
        raise NotYetError("other-authority", missing or CA_ON_SERVER)
    certificates = f"https://{witness['sites']['keycloak']}/realms/school/protocol/openid-connect/certs"
    try:
        keys = json.loads(browser.get(certificates).content)["keys"]
    except (SignInError, ValueError) as error:
        raise NotYetError("away", error) from None
    if not set(witness["keys"]) <= (found := {key["kid"] for key in keys}):
        raise NotYetError("other-keys", ", ".join(sorted(found)))


def test_people_sign_in(witness: dict[str, Any], browser: Browser) -> None:
    for username in (TEACHER, PUPIL):
        browser.session.cookies.clear()
        try:
            result = sign_in(browser, f"https://{witness['sites']['portal']}/", username, PASSWORD)
        except SignInError as error:
            raise NotYetError("away", error) from None
        if not result.arrived:
            raise NotYetError("refused", f"{username}: {result.message or result.waiting_for}")
        if result.page.status >= 500:
            raise NotYetError("away", result.page.tree.findtext(".//title") or result.page.status)


def test_the_class_is_complete(server: Machine, witness: dict[str, Any]) -> None:
    lines, failed = server.run(CLASS)
    if failed:
        raise NotYetError("away", failed)
    found = dict(line.split("=") for line in lines.split())
    known = [name for name, subject in witness["class"].items() if found.get(name) == subject]
    if len(known) < len(witness["class"]):
        code = "others" if witness["class"].keys() <= found.keys() else "gone"
        raise NotYetError(code, f"3A: {len(known)} of {len(witness['class'])}")


def test_it_is_backed_up_again(server: Machine) -> None:
    status, missing = server.run("schoolstack-backup status")
    if missing:
        raise NotYetError("away", missing)
    state = json.loads(status)
    if state["restoring"]:
        raise NotYetError("restoring", state["restoring"])
    if why := state["last"].get("sentence"):
        raise NotYetError("failed", why)
    for line in server.run(TIMERS)[0].splitlines():
        if not line.endswith(": enabled active"):
            raise NotYetError("off", line)
    if not state["last_good"]:
        raise NotYetError("none")


def test_what_was_lost_is_noted(desk: Machine, server: Machine) -> None:
    happened = [datetime.fromisoformat(line[:19]) for line in desk.run(f"cat {LOGBOOK}")[0].splitlines()]
    if not happened:
        return  # nothing was ever lost
    form = [line.partition(":")[2].strip() for line in desk.run(f"cat {NOTES}")[0].splitlines()]
    if len(form) < 2 or not all(form[:2]):
        raise NotYetError("blank", NOTES)
    backups, missing = server.run("schoolstack-backup list")
    if missing:
        raise NotYetError("away", missing)
    times = [datetime.fromisoformat(one["time"]) for one in json.loads(backups)["backups"]]
    good = max(time for time in times if time < happened[0])
    try:
        restored = datetime.fromisoformat(form[0])
    except ValueError as error:
        raise NotYetError("unreadable", error) from None
    if abs(restored.replace(tzinfo=None) - good) >= NEAR:
        raise NotYetError("moment", form[0])
    if not form[1].isdigit() or abs(timedelta(hours=int(form[1])) - (happened[-1] - good)) > timedelta(
        hours=1
    ):
        raise NotYetError("hours", form[1])
