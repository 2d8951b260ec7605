"""What Loki and Alloy are given: settings that exist, one retention everywhere, nothing that leaves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from schoolstack.reference.declarations import resolved

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles" / "loki"

# Of each section that is written, settings that Loki 3.7 knows and a school might want, from its reference of
# configuration (docs/sources/shared/configuration.md).
LOKI: dict[str, set[str]] = {
    "analytics": {"reporting_enabled", "usage_stats_url", "proxy_url", "tls_config"},
    "server": {
        *("http_listen_address", "http_listen_port", "grpc_listen_address", "grpc_listen_port", "log_level"),
        *("log_format", "http_server_read_timeout", "http_server_write_timeout"),
    },
    "common": {"instance_addr", "path_prefix", "replication_factor", "ring", "storage", "compactor_address"},
    "limits_config": {
        *("retention_period", "retention_stream", "max_query_lookback", "reject_old_samples"),
        *("reject_old_samples_max_age", "ingestion_rate_mb", "volume_enabled", "max_query_length"),
    },
    "compactor": {
        *("working_directory", "compaction_interval", "apply_retention_interval", "retention_enabled"),
        *("retention_delete_delay", "delete_request_store"),
    },
    "schema_config": {"configs"},
}
# Of each kind of block, the arguments that Alloy 1.18 knows (docs/sources/reference/components/loki).
ALLOY: dict[str, set[str]] = {
    "logging": {"level", "format", "write_to"},
    "loki.write": {"endpoint", "external_labels", "max_streams"},
    "endpoint": {"url", "max_backoff_period", "max_backoff_retries", "min_backoff_period", "remote_timeout"},
    "loki.relabel": {"forward_to", "rule", "max_cache_size"},
    "rule": {"source_labels", "target_label", "regex", "replacement", "action", "separator", "modulus"},
    "loki.source.journal": {
        *("forward_to", "relabel_rules", "max_age", "path", "labels", "matches", "format_as_json"),
    },
}


def render(name: str, *, gathered: bool = False) -> str:
    """Return a template of the role as a school has it.

    Args:
        name: the template.
        gathered: whether other servers send their journals.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=jinja2.select_autoescape(default_for_string=False)
    )
    values = {one: resolved(ROOT, one) for one in ("__loki_kept", "__loki_others")}
    text = (ROLE / "templates" / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(values, __loki_gathered={"stat": {"exists": gathered}})


@pytest.fixture(scope="module")
def loki() -> dict[str, Any]:
    given: dict[str, Any] = yaml.safe_load(render("school.yml.j2"))
    return given


def blocks(text: str) -> list[tuple[str, str, list[str]]]:
    """Return the blocks of an Alloy configuration: kind, label, and what is set or begun in each."""
    found: list[tuple[str, str, list[str]]] = []
    open_blocks: list[list[str]] = []
    for line in (re.sub(r"\s*//.*", "", line).strip() for line in text.splitlines()):
        if begun := re.fullmatch(r'([a-z.]+)(?: "([a-z_]+)")? \{', line):
            if open_blocks:
                open_blocks[-1].append(begun[1])
            open_blocks.append([])
            found.append((begun[1], begun[2] or "", open_blocks[-1]))
        elif line == "}":
            open_blocks.pop()
        elif line:
            assigned = re.fullmatch(r"([a-z_]+) +?= .+", line)
            assert assigned, line
            open_blocks[-1].append(assigned[1])
    assert not open_blocks
    return found


def test_every_setting_exists(loki: dict[str, Any]) -> None:
    assert loki.pop("auth_enabled") is False
    assert loki.keys() <= LOKI.keys()
    assert {
        name: given.keys() - LOKI[name] for name, given in loki.items() if given.keys() - LOKI[name]
    } == {}


def test_it_listens_for_this_server_alone(loki: dict[str, Any]) -> None:
    server, declared = loki["server"], resolved(ROOT, "loki_app")["ports"]
    places = {(server[f"{way}_listen_address"], server[f"{way}_listen_port"]) for way in ("http", "grpc")}
    assert places < {(one["address"], one["port"]) for one in declared}
    assert {one["address"] for one in declared} == {"127.0.0.1"}


def test_what_is_too_old_is_deleted_and_not_shown_meanwhile(loki: dict[str, Any]) -> None:
    limits = loki["limits_config"]
    days = resolved(ROOT, "loki_kept_days")
    assert {limits[name] for name in limits} == {f"{24 * int(days)}h"}
    # Without these, a period is written down and nothing is deleted.
    assert loki["compactor"] == {"retention_enabled": True, "delete_request_store": "filesystem"}
    assert loki["schema_config"]["configs"][0]["index"]["period"] == "24h"
    (told,) = resolved(ROOT, "loki_app")["personal_data"]
    assert f"{days} days" in told["kept"]["en"]
    # A backup is kept longer than that.
    assert "data" not in resolved(ROOT, "loki_app")["paths"]


def test_what_is_said_in_place_of_another_role_is_what_that_role_says() -> None:
    """An upgrade runs this role without the others; what they say by themselves is repeated for it."""
    said = "".join((ROLE / part / "main.yml").read_text(encoding="utf-8") for part in ("defaults", "vars"))
    repeated = dict(re.findall(r"(logs_\w+|grafana_\w+) \| default\('?([^')]+)'?\)", said))
    assert repeated.keys() == {"logs_kept_days", "grafana_apt_url", "grafana_apt_suite"}
    assert repeated == {name: str(resolved(ROOT, name)) for name in repeated}


def test_all_it_writes_lies_where_it_may_write(loki: dict[str, Any]) -> None:
    service = resolved(ROOT, "loki_app")["services"][0]
    (place,) = service["write_paths"]
    storage = loki["common"]["storage"]["filesystem"]
    assert all(path.startswith(place) for path in (loki["common"]["path_prefix"], *storage.values()))


def test_nothing_is_reported_home(loki: dict[str, Any]) -> None:
    assert loki["analytics"]["reporting_enabled"] is False
    assert "--disable-reporting" in resolved(ROOT, "loki_app")["services"][1]["exec"].split()


@pytest.mark.parametrize("gathered", [False, True])
def test_alloy_is_given_what_it_knows(gathered: bool) -> None:
    text = render("school.alloy.j2", gathered=gathered)
    found = blocks(text)
    assert {kind for kind, _, _ in found} <= ALLOY.keys()
    assert [(kind, name) for kind, _, given in found for name in given if name not in ALLOY[kind]] == []
    names = {f"{kind}.{label}" for kind, label, _ in found if label}
    assert set(re.findall(r"(loki[.][a-z.]+)[.](?:receiver|rules)", text)) <= names
    # At first, all that may be kept is handed over.
    kept = resolved(ROOT, "__loki_kept")
    assert re.findall(r'max_age *= "(.+)"', text) == [kept] * (2 if gathered else 1)
    journals = [label for kind, label, _ in found if kind == "loki.source.journal"]
    assert journals == (["server", "others"] if gathered else ["server"])


def test_nothing_is_lost_while_loki_is_away() -> None:
    # Ten times is what Alloy does by itself; after that it gives up what it could not hand over.
    assert re.search(r"max_backoff_retries *= 0\n", render("school.alloy.j2"))


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("keycloak.service", "keycloak.service"),
        ("session-12.scope", "session"),
        ("user@1000.service", "user"),
        ("user-runtime-dir@1000.service", "user"),
        ("userdbd.service", "userdbd.service"),
    ],
)
def test_a_sign_in_makes_no_new_name_of_a_unit(unit: str, shown: str) -> None:
    regex = re.search(r'regex *= "(.+)"', render("school.alloy.j2"))
    assert regex
    # Alloy's expressions hold for the whole value.
    assert re.sub(f"^(?:{regex[1]})$", r"\1", unit) == shown
