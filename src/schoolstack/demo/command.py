"""``school demo``: a whole school on this machine, tried out, and away again."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from schoolstack.demo.people import People
from schoolstack.deployment import ROOT, Deployment
from schoolstack.errors import SchoolError
from schoolstack.hosts.lab import Lab
from schoolstack.messages import say
from schoolstack.preflight.checks import MEMORY_SHOWN
from schoolstack.roster import sheets
from schoolstack.signin.browser import Page
from schoolstack.stand_ins.choice import stand_ins_for
from schoolstack.stand_ins.office import least_memory_mb

INVENTORY = ROOT / "inventories" / "demo"
SERVER = "demo-server"

# The people who try it, by role; they are in the demo's class list.
VISITORS = ("ict", "teacher", "pupil")

# Where a browser on this machine finds the school.
HERE = "127.0.0.1"

# Seconds within which all that is watched has been asked: Prometheus asks each minute or more often.
ASKED_S = 150

# Nextcloud's own command on its server, and what of documents the demo looks for: OpenDocument's text, table
# and slides.
OCC = "/usr/local/lib/schoolstack/nextcloud/occ"
KINDS = ("odt", "ods", "odp")


@dataclass
class Row:
    """A line of the closing table: what was checked, where, and what was seen."""

    what: str
    where: str
    seen: str
    good: bool


@dataclass
class Report:
    """What the demo did and saw."""

    took: list[tuple[str, float]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    changed: int = 0

    @contextmanager
    def part(self, key: str) -> Iterator[None]:
        """Announce a part, and keep how long it took."""
        title = say(f"demo.{key}")
        print(f"\n== {title}", flush=True)
        started = time.monotonic()
        yield
        self.took.append((title, time.monotonic() - started))

    def check(self, what: str, where: str, look: Callable[[], str]) -> None:
        """Add a row with what ``look`` saw; a refusal makes the row, and the demo, fail."""
        try:
            self.rows.append(Row(what, where, look(), good=True))
        except SchoolError as error:
            self.rows.append(Row(what, where, str(error), good=False))

    def show(self) -> None:
        """Print the closing tables."""
        print()
        _table(
            [say("demo.head_what"), say("demo.head_where"), say("demo.head_seen")],
            [[("✓ " if row.good else "✗ ") + row.what, row.where, row.seen] for row in self.rows],
        )
        print()
        _table(
            [say("demo.head_part"), say("demo.head_took")],
            [[title, f"{seconds:.0f} s"] for title, seconds in self.took],
        )


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school demo``."""
    parser = subparsers.add_parser("demo", help="run the demo school on this machine")
    parser.add_argument("--down", action="store_true", help="remove it and all it brought")
    parser.set_defaults(run=lambda arguments: down() if arguments.down else up())


def up() -> int:
    """Deploy the demo school, try its sign-in, and tell what was seen.

    Returns:
        0 when every row of the closing table is good, else 1.
    """
    report = Report()
    lab = Lab()
    office = ["collabora"] if _office_fits() else []
    with report.part("host"):
        lab.up(SERVER, groups=office)
        lab.forward(SERVER)
        school = Deployment(INVENTORY, SERVER, lab)
        stand_ins = stand_ins_for(school, ["nextcloud", *office])
    pins = {name: value for variables in stand_ins.values() for name, value in variables.items()}
    with report.part("site"):
        report.changed += school.play("site", **pins).changed
    with report.part("roster"):
        report.changed += school.play("roster", roster_apply=True, **pins).changed
    with report.part("visit"):
        _visit(school, report, stand_ins)
        report.check(say("demo.dials"), say("demo.dials_where", about="Prometheus"), lambda: _dials(school))
    report.show()
    return _close(school, report)


def _memory_mb() -> int:
    """Return how much memory this machine has, which is what its test hosts see, in MB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024**2


def _office_fits() -> bool:
    """Return whether this machine has the memory without which the office is refused on a server."""
    return _memory_mb() >= least_memory_mb() * MEMORY_SHOWN


def _visit(school: Deployment, report: Report, stand_ins: Collection[str]) -> None:
    """Look at every page, and let three people sign in, as a browser on this machine would."""
    for name, record in school.records.items():
        if "site" in record:
            title = f"{record['title']} {record['version']}"
            look = _documents if name == "collabora" else _answers
            report.check(
                say("demo.stand_in", title=title) if name in stand_ins else title,
                school.url(name),
                lambda name=name, look=look: look(school, name),  # type: ignore[misc]
            )
    people = People(school.lab.folder(SERVER) / "people.json")
    passwords = sheets.read_all(INVENTORY)
    start = school.url("portal")
    for role in VISITORS:
        username, initial = next((entry for entry in passwords[role]), ("", ""))
        if not username:
            raise SchoolError(say("demo.nobody", role=role))
        person = people.find(role, username, initial)
        browser = school.browser(HERE)
        report.check(
            say("demo.signs_in", role=say(f"demo.role_{role}"), username=username),
            start,
            lambda person=person, browser=browser: _greeting(  # type: ignore[misc]
                people.sign_in(browser, person, start).page, person.role
            ),
        )
        report.check(
            say("demo.files", username=username),
            school.url("nextcloud"),
            lambda person=person, browser=browser: _in_files(  # type: ignore[misc]
                people.sign_in(browser, person, school.url("nextcloud")).page, person.role
            ),
        )
        allowed = role == "ict"
        report.check(
            say("demo.allowed" if allowed else "demo.refused", username=username),
            school.url("portal", "/coordinator"),
            lambda browser=browser, allowed=allowed: _door(  # type: ignore[misc]
                browser.get(school.url("portal", "/coordinator")), allowed
            ),
        )


def _answers(school: Deployment, name: str) -> str:
    page = school.browser(HERE).get(school.url(name))
    if page.status >= 400:
        raise SchoolError(say("demo.answered", status=page.status))
    return say("demo.page", title=page.tree.findtext(".//title") or "")


def _documents(school: Deployment, name: str) -> str:
    """Return which documents the office opens, if browsers find it and Nextcloud knows it there."""
    page = school.browser(HERE).get(school.url(name, "/hosting/discovery"))
    if page.status >= 400:
        raise SchoolError(say("demo.answered", status=page.status))
    own = school.url(name)
    opened = {
        action.get("ext")
        for action in page.tree.xpath("//action[@urlsrc]")
        if action.get("urlsrc").startswith(own)
    }
    if missing := [kind for kind in KINDS if kind not in opened]:
        raise SchoolError(say("demo.office_opens_not", kinds=", ".join(missing), url=own))
    apps = json.loads(school.shell(f"{OCC} config:list --output=json"))["apps"]
    known = apps.get("richdocuments", {}).get("wopi_url", "")
    if f"{known}/" != own:
        raise SchoolError(say("demo.office_unknown", found=known, url=own))
    return say("demo.office_opens", kinds=", ".join(KINDS))


def _greeting(page: Page, role: str) -> str:
    """Return what the start page says of who signed in, if it shows the role."""
    name = page.element("name")
    roles = page.tree.xpath("//dd/@data-role")
    if name is None or role not in roles:
        raise SchoolError(say("demo.wrong_page", url=page.url))
    return say("demo.greeted", name=name.text_content(), roles=", ".join(roles))


def _in_files(page: Page, role: str) -> str:
    """Return where somebody is who opened the files with the session of the start page."""
    if page.status != 200 or "/apps/files" not in page.url:
        raise SchoolError(say("demo.wrong_page", url=page.url))
    return say("demo.page", title=page.tree.findtext(".//title") or "")


def _door(page: Page, allowed: bool) -> str:
    """Return whether a page opened, if that is as it should be."""
    opened = page.status == 200 and page.element("coordinator") is not None
    if opened != allowed:
        raise SchoolError(say("demo.door", url=page.url, status=page.status))
    return say("demo.open" if opened else "demo.closed")


def _dials(school: Deployment) -> str:
    """Return what the monitoring knows, as soon as everything that it watches has answered."""
    deadline = time.monotonic() + ASKED_S
    while True:
        targets = school.ask_prometheus("targets", state="active")["activeTargets"]
        silent = [target["scrapeUrl"] for target in targets if target["health"] != "up"]
        if not silent:
            break
        if time.monotonic() > deadline:
            raise SchoolError(say("demo.silent", about=", ".join(silent)))
        time.sleep(1)
    told = [
        alert["annotations"]["sentence"]
        for alert in school.ask_prometheus("alerts")["alerts"]
        if alert["state"] == "firing" and "sentence" in alert["annotations"]
    ]
    if told:
        return say("demo.told", count=len(targets), told="; ".join(told))
    return say("demo.watched", count=len(targets))


def _close(school: Deployment, report: Report) -> int:
    """Say in a sentence how it ended, and what to do next."""
    bad = sum(not row.good for row in report.rows)
    print()
    if bad:
        print(say("demo.bad", count=bad))
        return 1
    print(say("demo.unchanged") if not report.changed else say("demo.good", count=report.changed))
    if "collabora" not in school.records:
        print(say("demo.office_left_out", found=_memory_mb(), wanted=least_memory_mb()))
    print(
        say(
            "demo.next",
            start=school.url("portal"),
            status=school.url("statuspage"),
            ca=school.ca,
            sheets=sheets.folder(INVENTORY),
        )
    )
    return 0


def down() -> int:
    """Remove the demo school, its secrets, and what was installed for it."""
    lab = Lab()
    lab.down(SERVER)
    for left in ("secrets", "sheets"):
        shutil.rmtree(INVENTORY / left, ignore_errors=True)
    (INVENTORY / ".vault-key").unlink(missing_ok=True)
    for sentence in lab.remove_everything():
        print(sentence)
    print(say("demo.gone"))
    return 0


def _table(head: list[str], rows: list[list[str]]) -> None:
    """Print rows under a head, in columns as wide as they need."""
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    for line in [head, ["-" * width for width in widths], *rows]:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join(cells).rstrip())
