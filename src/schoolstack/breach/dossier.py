"""The folder of one suspected breach, on the machine that runs Ansible."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schoolstack.errors import SchoolError
from schoolstack.messages import say

# The data agreement with suppliers and authorities: whoever learns of a breach reports it within a day.
REPORT_HOURS = 24
# GDPR, article 33: the supervisory authority learns of it within three days.
AUTHORITY_HOURS = 72
# What of an inventory is no evidence and must not lie in more places: secrets, people, other breaches.
LEFT_OUT = (".vault-key", "secrets", "sheets", "class-list", "people", "breaches", "files", ".git")
FORMS = ("checklist", "notice")


@dataclass(frozen=True)
class Dossier:
    """One breach's folder.

    Attributes:
        folder: where it is.
        known: since when the school knows.
    """

    folder: Path
    known: datetime.datetime

    @classmethod
    def open(cls, parent: Path, known: str, now: datetime.datetime) -> Dossier:
        """Make the folder of a new breach, for its owner only and kept out of git.

        Args:
            parent: where breaches are kept.
            known: since when the school knows, as ISO 8601 in local time; since now when empty.
            now: the present.

        Raises:
            SchoolError: *known* is no moment, or one to come; or there is a folder of this minute.
        """
        try:
            since = datetime.datetime.fromisoformat(known).astimezone() if known else now
        except ValueError:
            raise SchoolError(say("breach.moment", found=known)) from None
        if since > now:
            raise SchoolError(say("breach.future", found=known))
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (parent / ".gitignore").write_text("*\n", encoding="utf-8")
        folder = parent / now.strftime("%Y-%m-%dT%H%M")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise SchoolError(say("breach.exists", path=folder)) from None
        dossier = cls(folder, since)
        dossier.evidence.mkdir(mode=0o700)
        return dossier

    @property
    def evidence(self) -> Path:
        """Where the evidence is."""
        return self.folder / "evidence"

    def write_forms(self, school: Mapping[str, str], servers: list[str]) -> None:
        """Write the checklist and the draft of the notice, to be filled in; one that exists is left alone."""
        values = {
            "school": school["name"],
            "contact": school["contact"],
            "known": _spoken(self.known),
            "deadline": _spoken(self.known + datetime.timedelta(hours=REPORT_HOURS)),
            "authority": _spoken(self.known + datetime.timedelta(hours=AUTHORITY_HOURS)),
            "servers": ", ".join(servers),
            "folder": str(self.folder),
        }
        for form in FORMS:
            path = self.folder / say(f"breach.{form}_name")
            if not path.exists():
                path.touch(mode=0o600)
                path.write_text(say(f"breach.{form}", **values), encoding="utf-8")

    def freeze(self, inventory: Path, project: Path, servers: Mapping[str, Any]) -> None:
        """Add what this machine knows, write ``SHA256SUMS``, and let nobody write any more.

        Args:
            inventory: the school's inventory.
            project: this project's folder.
            servers: what became of each server's evidence.
        """
        shutil.copytree(
            inventory, self.evidence / "inventory", ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True
        )
        version = subprocess.run(
            ["git", "-C", project, "log", "-1", "--format=%H %cI"],
            check=False,
            capture_output=True,
            text=True,
        ).stdout.strip()
        about = {"known": self.known.isoformat(), "project": version, "servers": servers}
        text = json.dumps(about, ensure_ascii=False, indent=2)
        (self.evidence / "about.json").write_text(text + "\n", encoding="utf-8")
        kept = sorted(path for path in self.evidence.rglob("*") if path.is_file() and not path.is_symlink())
        sums = [f"{_sha256(path)}  {path.relative_to(self.evidence)}\n" for path in kept]
        (self.evidence / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
        for path in sorted(self.evidence.rglob("*"), reverse=True):
            if not path.is_symlink():
                path.chmod(0o500 if path.is_dir() else 0o400)
        self.evidence.chmod(0o500)

    def text(self, servers: Mapping[str, Any]) -> str:
        """Return what was done and what comes next, for people."""
        lines = []
        for server, evidence in servers.items():
            if "said" in evidence:
                lines.append(say("breach.no_evidence", server=server, said=evidence["said"]))
                continue
            lines.append(say("breach.frozen", server=server, megabytes=round(evidence["bytes"] / 1e6, 1)))
            lines += [say("breach.missing", server=server, what=what) for what in evidence["missing"]]
        deadline = _spoken(self.known + datetime.timedelta(hours=REPORT_HOURS))
        lines.append(
            say("breach.next", folder=self.folder, deadline=deadline, checklist=say("breach.checklist_name"))
        )
        return "\n".join(lines)


def _spoken(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
