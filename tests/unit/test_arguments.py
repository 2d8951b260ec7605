"""What the commands of ``school`` understand in the same way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schoolstack.cli import build_parser, main

COMMANDS = [
    "health",
    "rotate",
    "privacy register",
    "person show somebody",
    "breach start",
    "roster plan",
    "roster sheets",
    "artefacts list",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_inventory_that_is_not_there_is_refused(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "nl")
    assert main([*command.split(), "-i", "nowhere"]) == 2
    assert capsys.readouterr().err == (
        "school: er is geen inventaris nowhere: geef na -i het pad van de map van uw school\n"
    )


def test_an_inventory_is_found_from_the_folder_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Playbooks run in the project's own folder."""
    (tmp_path / "myschool").mkdir()
    monkeypatch.chdir(tmp_path)
    arguments = build_parser().parse_args(["health", "-i", "myschool"])
    os.chdir("/")
    assert arguments.inventories == [tmp_path / "myschool"]
