"""The school's register of processing activities (GDPR, article 30), out of what runs on its servers."""

from __future__ import annotations

import datetime
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schoolstack.messages import language, say
from schoolstack.privacy.endpoints import Endpoint

Record = Mapping[str, Any]
COLUMNS = ("what", "purpose", "whose", "where", "kept", "ground")


@dataclass(frozen=True)
class Register:
    """What stands in the register.

    Attributes:
        school: the school's ``name``, ``contact`` and its legal ``grounds`` by application.
        records: the applications' records, by server.
        recipients: outside addresses to which something about people goes.
    """

    school: Mapping[str, Any]
    records: Mapping[str, Sequence[Record]]
    recipients: Sequence[Endpoint]

    def as_markdown(self) -> str:
        """Return it as Markdown."""
        parts = [f"# {self._title()}", "", self._head(), "", *(f"- {line}" for line in self._facts()), ""]
        for heading, rows in self._sections():
            parts += [f"## {heading}", "", _row(self._columns()), "|" + "---|" * len(COLUMNS)]
            parts += [_row(row) for row in rows] + [""]
        parts += [f"## {say('privacy.register.safety')}", "", *(f"- {line}" for line in _safety())]
        return "\n".join(parts) + "\n"

    def as_html(self) -> str:
        """Return it as a page to print."""

        def cells(kind: str, row: Sequence[str]) -> str:
            return "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in row) + "</tr>"

        def items(lines: Sequence[str]) -> str:
            return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"

        title = html.escape(self._title())
        body = [f"<h1>{title}</h1>", f"<p>{html.escape(self._head())}</p>", items(self._facts())]
        for heading, rows in self._sections():
            body.append(f"<h2>{html.escape(heading)}</h2><table>{cells('th', self._columns())}")
            body += [cells("td", row) for row in rows] + ["</table>"]
        body += [f"<h2>{html.escape(say('privacy.register.safety'))}</h2>", items(_safety())]
        style = "body{font-family:sans-serif;margin:2cm}table{border-collapse:collapse}td,th{border:1px solid"
        style += " #999;padding:.4em;text-align:left;vertical-align:top}"
        return (
            f'<!doctype html>\n<html lang="{language()}"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{style}</style></head>\n<body>" + "\n".join(body) + "</body></html>\n"
        )

    def _title(self) -> str:
        return say("privacy.register.title", school=self.school["name"])

    def _head(self) -> str:
        return say("privacy.register.head", day=datetime.date.today().isoformat())

    def _columns(self) -> list[str]:
        return [say(f"privacy.register.{column}") for column in COLUMNS]

    def _facts(self) -> list[str]:
        lines = [say("privacy.register.contact", contact=self.school["contact"])]
        if self.recipients:
            lines += [
                say(
                    "privacy.register.recipient",
                    address=one.address,
                    what=one.what[language()],
                    place=one.place or "?",
                )
                for one in self.recipients
            ]
        else:
            lines.append(say("privacy.register.no_recipient"))
        return lines

    def _sections(self) -> list[tuple[str, list[list[str]]]]:
        """Return a heading and the rows of each application on each server."""
        return [
            (
                f"{_title(record)} ({server})",
                [self._entry(record, entry) for entry in record["personal_data"]],
            )
            for server, records in self.records.items()
            for record in records
            if record["personal_data"]
        ]

    def _entry(self, record: Record, entry: Mapping[str, Any]) -> list[str]:
        ground = self.school["grounds"].get(record["name"])
        return [
            entry["what"][language()],
            entry["purpose"][language()],
            ", ".join(say(f"privacy.whose.{whose}") for whose in entry["whose"]),
            entry["where"][language()],
            entry["kept"][language()],
            ground or say("privacy.register.no_ground", name=record["name"]),
        ]


def _title(record: Record) -> str:
    # What is no application is called by words of its own in each language.
    title = record["title"][language()] if isinstance(record["title"], dict) else str(record["title"])
    return say("privacy.register.removed", title=title) if record.get("removed") else title


def _safety() -> list[str]:
    return say("privacy.register.measures").strip().splitlines()


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
