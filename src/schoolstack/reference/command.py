"""``school reference``: write the reference from what the roles say about themselves."""

from __future__ import annotations

import argparse
from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.reference.pages import FOLDER, pages

ROOT = Path(__file__).parents[3]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("reference", help="write docs/reference from the roles")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write every page, and drop pages of roles that are gone."""
    if not (ROOT / "roles").is_dir():
        raise SchoolError(
            f"{ROOT} holds no roles: run this command from the project's own environment (make setup)"
        )
    folder = ROOT / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages(ROOT)
    for path in set(folder.glob("*.md")) - {folder / name for name in wanted}:
        path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(wanted)} pages in {FOLDER}")
    return 0
