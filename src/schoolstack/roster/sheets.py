"""The sheets with initial passwords: one printable page per class, encrypted with the school's vault key.

They are written **before** the accounts are made, into ``pending``, and get their dated folder afterwards. A
run that was killed in between finds ``pending`` again and uses the same passwords, so that every sheet is
true whatever happened, and there is one per class.
"""

from __future__ import annotations

import datetime
import html
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ansible.parsing.vault import AnsibleVaultError, VaultLib, VaultSecret
from lxml import html as parser

from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.roster.model import ROLES, Person
from schoolstack.safe import vault_key

PENDING = "pending"
SUFFIX = ".html.vault"
PARTS = ("name", "username", "password")
STYLE = (
    "body{font-family:sans-serif;margin:2cm}table{border-collapse:collapse;width:100%}"
    "td,th{border:1px solid #999;padding:.5em;text-align:left}tr{break-inside:avoid}"
    ".username,.password{font-family:monospace;font-size:1.2em}"
)


@dataclass(frozen=True)
class Line:
    """What one person needs for their first sign-in."""

    sheet: str
    name: str
    username: str
    password: str


def sheet_of(person: Person) -> str:
    """Return whose sheet someone is on: a pupil's class; for others their role, for pupils see their own."""
    if "pupil" in person.roles:
        return min(person.classes, default="pupil")
    return next(role for role in reversed(ROLES) if role in person.roles)


def _vault(key_file: Path) -> VaultLib:
    vault_key.finish(key_file)
    try:
        key = key_file.read_bytes().strip()
    except OSError:
        raise SchoolError(say("roster.no_vault_key", path=key_file)) from None
    return VaultLib([("default", VaultSecret(key))])


@dataclass(frozen=True)
class Page:
    """One sheet: whose it is, the day it was made, and its lines."""

    sheet: str
    day: str
    lines: tuple[Line, ...]

    @property
    def html(self) -> str:
        """The sheet as a page to print."""
        title = html.escape(say("roster.sheet.title", sheet=self.sheet))
        headings = "".join(f"<th>{html.escape(say(f'roster.sheet.{part}'))}</th>" for part in PARTS)
        rows = "\n".join(
            "<tr>"
            + "".join(f'<td class="{part}">{html.escape(getattr(line, part))}</td>' for part in PARTS)
            + "</tr>"
            for line in self.lines
        )
        return (
            f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{STYLE}</style></head>\n"
            f'<body data-sheet="{html.escape(self.sheet)}" data-day="{self.day}"><h1>{title}</h1>\n'
            f"<p>{html.escape(say('roster.sheet.advice', day=self.day))}</p>\n"
            f"<table><tr>{headings}</tr>\n{rows}\n</table></body></html>\n"
        )

    @property
    def text(self) -> str:
        """The sheet as text for a screen."""
        width = max(len(line.name) for line in self.lines)
        rows = [f"  {line.name:{width}}  {line.username:30}  {line.password}" for line in self.lines]
        return "\n".join([say("roster.sheet.title", sheet=self.sheet) + f" ({self.day})", *rows, ""])

    @classmethod
    def from_html(cls, text: str) -> Page:
        """Return the sheet that a page to print holds."""
        tree = parser.document_fromstring(text)
        sheet, day = (str(tree.xpath(f"string(//body/@data-{what})")) for what in ("sheet", "day"))
        rows = [
            [str(row.xpath(f"string(td[@class='{part}'])")) for part in PARTS]
            for row in tree.xpath("//tr[td]")
        ]
        return cls(sheet, day, tuple(Line(sheet, *row) for row in rows))


def _read_folder(folder: Path, vault: VaultLib) -> list[Page]:
    pages = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            pages.append(Page.from_html(vault.decrypt(path.read_bytes()).decode()))
        except AnsibleVaultError:
            raise SchoolError(say("roster.wrong_vault_key", path=path)) from None
    return pages


def pending(directory: Path, key_file: Path) -> dict[str, Line]:
    """Return, by username, what a run that did not finish had already written."""
    pages = _read_folder(directory / PENDING, _vault(key_file))
    return {line.username: line for page in pages for line in page.lines}


def write_pending(directory: Path, key_file: Path, lines: Iterable[Line], day: datetime.date) -> None:
    """Write the sheets of a run that is about to make accounts.

    Killed halfway, every password that was already in use is still on one of the sheets: each file is
    replaced in one step, and holds what it held before for accounts that exist.

    Args:
        directory: where a school keeps its sheets.
        key_file: the school's vault key.
        lines: everyone who gets, or in the interrupted run before this one got, a password.
        day: the date on the sheets.
    """
    vault = _vault(key_file)
    by_sheet: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_sheet[line.sheet].append(line)
    folder = directory / PENDING
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = set()
    for sheet, own in by_sheet.items():
        target = folder / f"{quote(sheet, safe=' ')}{SUFFIX}"
        draft = target.with_suffix(".draft")
        draft.touch(mode=0o600)
        ordered = tuple(sorted(own, key=lambda line: line.name.casefold()))
        draft.write_bytes(vault.encrypt(Page(sheet, day.isoformat(), ordered).html))
        draft.replace(target)
        written.add(target)
    for path in set(folder.iterdir()) - written:
        path.unlink()


def finish(directory: Path, now: datetime.datetime) -> Path | None:
    """Give the pending sheets their dated folder, and return it; nothing where none are pending."""
    folder = directory / PENDING
    if not folder.is_dir():
        return None
    dated = directory / now.strftime("%Y-%m-%d-%H%M%S")
    folder.rename(dated)
    return dated


def pages(directory: Path, key_file: Path, sheet: str = "") -> list[Page]:
    """Return the sheets of every run, oldest first.

    Args:
        directory: where a school keeps its sheets.
        key_file: the school's vault key.
        sheet: the class or role whose sheets are wanted; all when not given.

    Raises:
        SchoolError: when there is none, or the key is missing or does not fit.
    """
    vault = _vault(key_file)
    folders = sorted(path for path in directory.glob("*") if path.is_dir())
    found = [page for folder in folders for page in _read_folder(folder, vault) if sheet in ("", page.sheet)]
    if not found:
        raise SchoolError(say("roster.no_sheets", path=directory))
    return found


def read(directory: Path, key_file: Path) -> dict[str, str]:
    """Return the initial password of everyone on the sheets, by username; the newest sheet counts."""
    return {line.username: line.password for page in pages(directory, key_file) for line in page.lines}


def folder(inventory: Path) -> Path:
    """Return where a school keeps its sheets, beside its inventory (the default of ``roster_sheets_dir``)."""
    return inventory / "sheets"


def read_all(inventory: Path) -> dict[str, list[tuple[str, str]]]:
    """Return usernames and initial passwords by role, of a school whose files lie where the defaults say."""
    people: dict[str, dict[str, str]] = {role: {} for role in ROLES}
    for page in pages(folder(inventory), inventory / ".vault-key"):
        role = page.sheet if page.sheet in ROLES else "pupil"
        people[role] |= {line.username: line.password for line in page.lines}
    return {role: list(entries.items()) for role, entries in people.items()}
