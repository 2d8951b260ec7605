"""What all applications keep of one person: why it may not be erased, what is shown, and the zip."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schoolstack.messages import LANGUAGES, language, say


@dataclass(frozen=True)
class Dossier:
    """What the servers said of one person.

    Attributes:
        username: who it is.
        servers: by server, ``applications`` and ``doorless`` as the action ``person_data`` returns them.
    """

    username: str
    servers: Mapping[str, Mapping[str, Any]]

    @property
    def applications(self) -> dict[str, dict[str, Any]]:
        """What each application keeps, where it keeps anything, by ``application on server``."""
        return {
            f"{name} ({server})": one
            for server, said in self.servers.items()
            for name, one in said["applications"].items()
            if one["found"]
        }

    def refusals(self, *, erases: bool, typed: str) -> Iterator[str]:
        """Yield why nothing may be done.

        Args:
            erases: whether the person shall be erased.
            typed: the name that was typed to confirm it.
        """
        if not self.applications:
            yield say("person.nobody", username=self.username)
            return
        if not erases:
            return
        for one in self.applications.values():
            if reason := one.get("person", {}).get("protected"):
                yield say(f"person.protected.{reason}", username=self.username)
                return
        if typed != self.username:
            yield say("person.typed", username=self.username)

    def text(self, *, erases: bool) -> str:
        """Return what is kept, and what becomes of it, as people read it."""
        known: dict[str, Any] = next(
            (one["person"] for one in self.applications.values() if one.get("person")), {}
        )
        state = say("person.enabled" if known.get("enabled") else "person.disabled")
        groups = ", ".join([*known.get("roles", []), *known.get("classes", [])])
        lines = [f"{self.username}: {known.get('name', '')} ({groups}), {state}"]
        for place, one in self.applications.items():
            holds = ", ".join(
                f"{say(f'person.kind.{kind}') if kind in _KINDS else kind}: {count}"
                for kind, count in one["holds"].items()
                if count
            )
            lines.append(say("person.holds", title=one["title"], place=place, holds=holds))
            if erases:
                lines += [say("person.stays", text=text[language()]) for text in one["stays"]]
        doorless = [title for said in self.servers.values() for title in said["doorless"]]
        lines += [say("person.doorless", title=title) for title in doorless]
        if erases:
            lines += [say("person.elsewhere")]
            lines += [say("person.still_enabled")] if known.get("enabled") else []
        return "\n".join(lines)

    def write_zip(self, folder: Path, day: str) -> Path:
        """Write all of it as a zip that only its owner reads, and return its path.

        Args:
            folder: where to; made when missing, for its owner only and kept out of git.
            day: the date in its name.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for lang in LANGUAGES:
                text = say("person.readme", lang=lang, username=self.username, day=day)
                archive.writestr(say("person.readme_name", lang=lang), text)
            for place, one in self.applications.items():
                data = json.dumps(one["data"], ensure_ascii=False, indent=2)
                archive.writestr(f"{place}.json", data)
        path = folder / f"{self.username}-{day}.zip"
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content.getvalue())
        draft.replace(path)
        return path


_KINDS = (
    "account",
    "groups",
    "credentials",
    "sessions",
    "consents",
    "sign_ins",
    "changes_by_administrators",
    "files",
    "bytes",
    "handed_in",
    "shares",
)
