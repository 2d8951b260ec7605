"""The keys of the rendered keycloak.conf exist upstream, with values of their type."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles" / "keycloak"
# spi-<spi>--<provider>--<property>, the form since 26.3.
SPI = re.compile(r"spi-[a-z0-9-]+--[a-z0-9-]+--[a-z0-9-]+")
DURATION = re.compile(r"\d+(ms|s|m|h|d)")


@pytest.fixture(scope="module")
def options(published: Callable[[str], Any]) -> dict[str, dict]:
    return {option["option"]: option for option in published("keycloak_options")["options"]}


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    text = (ROLE / "templates" / "keycloak.conf.j2").read_text(encoding="utf-8")
    template = jinja2.Template(text, undefined=jinja2.StrictUndefined)
    values = {
        "ansible_managed": "",
        "keycloak_url": "https://login.example",
        "keycloak_database_connections": 20,
    }
    lines = template.render(values).splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def fits(value: str, option: dict) -> bool:
    """Tell whether a value has the type of an option."""
    if option.get("allowed") and option["type"] != "string":
        return value in option["allowed"]
    match option["type"]:
        case "integer":
            return value.isdigit()
        case "boolean":
            return value in ("true", "false")
        case "duration":
            return bool(DURATION.fullmatch(value))
    return set(value.split(",")) <= set(option.get("allowed") or value.split(","))


def test_every_key_exists_with_its_type(options: dict[str, dict], rendered: dict[str, str]) -> None:
    wrong = {
        key: value
        for key, value in rendered.items()
        if not SPI.fullmatch(key) and (key not in options or not fits(value, options[key]))
    }
    assert not wrong


def test_no_key_is_deprecated(options: dict[str, dict], rendered: dict[str, str]) -> None:
    assert not [key for key in rendered if options.get(key, {}).get("deprecated")]


def test_no_secret_stands_in_it(options: dict[str, dict], rendered: dict[str, str]) -> None:
    assert not [key for key in rendered if options.get(key, {}).get("secret") or "password" in key]


def test_a_build_is_named_after_every_option_it_is_made_for(
    options: dict[str, dict], rendered: dict[str, str]
) -> None:
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    # "cache" was one until 26.6; 26.7.4 says itself that a build passes it over.
    fixed = {key for key in rendered if options.get(key, {}).get("build_time")} - {"cache"}
    assert fixed == set(variables["__keycloak_build_options"])
