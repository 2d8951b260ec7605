"""What the school's own servers are asked for: who has which username, and app passwords to write with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from schoolstack.deployment import answers
from schoolstack.errors import SchoolError
from schoolstack.messages import say
from schoolstack.migrate import mapping
from schoolstack.migrate.journal import write
from schoolstack.migrate.settings import Settings
from schoolstack.roster.files import Row, parse

_PASSWORDS = ("username", "password", "number")


def write_accounts(settings: Settings, inventories: Sequence[Path]) -> int:
    """Write the table of accounts, as Keycloak has them, and return how many there are.

    Raises:
        SchoolError: the settings name no such table, or Keycloak does not answer.
    """
    if "accounts" not in settings.people:
        raise SchoolError(say("migrate.accounts.unnamed", path=settings.file))
    found = answers("migrate", inventories, {"migrate_do": "accounts"})
    rows = [
        (attributes["roster_id"][0], user["username"], user.get("email", ""))
        for user in found["users"]
        if (attributes := user.get("attributes") or {}).get("roster_id")
        and attributes.get("roster_source") == [found["list"]]
    ]
    write(settings.path(settings.people["accounts"]), _table(("number", "username", "email"), sorted(rows)))
    return len(rows)


def make_passwords(settings: Settings, inventories: Sequence[Path]) -> int:
    """Make an app password for everybody who has none yet, and return how many were made.

    Raises:
        SchoolError: Nextcloud does not know somebody, or does not answer.
    """
    there = {row.fields["username"]: row for row in _known(settings)}
    wanted = sorted({move.account for move in mapping.moves(settings)} - set(there))
    if not wanted:
        return 0
    found = answers("migrate", inventories, {"migrate_do": "passwords", "migrate_usernames": wanted})
    rows = [tuple(row.fields.get(name, "") for name in _PASSWORDS) for row in there.values()]
    rows += [(name, one["password"], str(one["number"])) for name, one in found["made"].items()]
    # Written before anything is refused: what was made can then be taken back.
    write(settings.path(settings.target["passwords"]), _table(_PASSWORDS, sorted(rows)))
    refused = [say("migrate.passwords.unknown", username=name) for name in found["unknown"]]
    refused += [say("migrate.passwords.occ", said=found["said"])] if found["said"] else []
    if refused:
        raise SchoolError("\n".join(refused))
    return len(found["made"])


def take_passwords_back(settings: Settings, inventories: Sequence[Path]) -> int:
    """Have the app passwords of the table work no more, remove it, and return how many there were.

    Raises:
        SchoolError: Nextcloud does not answer.
    """
    rows = _known(settings)
    back = {row.fields["username"]: row.fields["number"] for row in rows if row.fields.get("number")}
    if back:
        found = answers("migrate", inventories, {"migrate_do": "back", "migrate_back": back})
        if found["said"]:
            raise SchoolError(say("migrate.passwords.occ", said=found["said"]))
    settings.path(settings.target["passwords"]).unlink(missing_ok=True)
    return len(back)


def _known(settings: Settings) -> tuple[Row, ...]:
    path = settings.path(settings.target["passwords"])
    if not path.exists():
        return ()
    settings.secret_file(settings.target["passwords"])
    return parse(path.name, path.read_bytes(), _PASSWORDS[:2]).rows


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()
