"""What Nextcloud gets of a server: the table adds up, and the page for coordinators shows it."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SIZES: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / "roles/nextcloud/vars/sizes.yml").read_text(encoding="utf-8")
)["__nextcloud_sizes"]
# A board sold with so many GB shows about this share of it to programs.
SHOWN = 0.9
# Processes at their limit at the same time, beside all others; by preset.
AT_LIMIT = {4: 2, 8: 4, 16: 8, 32: 8}
# Keycloak's (keycloak_database_connections), Nextcloud's jobs and notices, exporters, a backup, reserve.
OTHER_CONNECTIONS = 20 + 1 + 10 + 5 + 5 + 3


def hundreds(number: float) -> int:
    return math.ceil(number / 100) * 100


def shared_buffers(gigabytes: int) -> int:
    """Return what PostgreSQL takes by its own role's template, in MB."""
    text = (ROOT / "roles/postgresql/templates/schoolstack.conf.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=jinja2.select_autoescape(default_for_string=False))
    rendered = environment.from_string(text).render(postgresql_memory_gb=gigabytes)
    line = next(line for line in rendered.splitlines() if line.startswith("shared_buffers"))
    return int(line.split("=")[1].strip().removesuffix("MB"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size['preset']} GB")
def test_a_line_adds_up(size: dict[str, Any]) -> None:
    shared = size["opcache_mb"] + size["apcu_mb"]
    assert size["memory_mb"] == hundreds(size["children"] * 70 + shared + size["valkey_mb"] + 100)
    most = size["children"] * 100 + shared + AT_LIMIT[size["preset"]] * 512
    assert size["memory_max_mb"] == hundreds(most)
    assert size["strings_mb"] < size["opcache_mb"] / 4
    # The database server has its own share, and there are others on the server.
    taken = size["memory_max_mb"] + size["valkey_mb"] + shared_buffers(size["preset"])
    assert taken < size["preset"] * 1024 * 0.65
    assert size["children"] + OTHER_CONNECTIONS <= 100


def test_each_board_finds_its_line() -> None:
    assert [size["preset"] for size in SIZES] == [4, 8, 16, 32]
    assert SIZES[0]["from_mb"] == 0, "the smallest is for all that have less"
    for size, larger in itertools.pairwise(SIZES):
        assert size["preset"] * 1024 < larger["from_mb"] <= larger["preset"] * 1024 * SHOWN


def test_the_page_for_coordinators_shows_the_table() -> None:
    page = (ROOT / "docs/how-to/files-sizes.md").read_text(encoding="utf-8")
    rows = [
        f"| {one['preset']} GB | {one['children']} "
        f"| {one['opcache_mb']}, {one['strings_mb']}, {one['apcu_mb']} MB | "
        f"{one['valkey_mb']} MB | {one['previews']} | {one['memory_mb']} MB | {one['memory_max_mb']} MB | "
        f"{shared_buffers(one['preset'])} MB |"
        for one in SIZES
    ]
    assert [line for line in page.splitlines() if line[:3].strip("| ").isdigit()] == rows
