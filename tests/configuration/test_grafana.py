"""What Grafana is given: keys exist upstream with their type, provisioning follows its rules, roles map."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import jmespath
import pytest
import yaml

from schoolstack.reference.declarations import resolved

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles" / "grafana"
# A switch that is off or on by itself, depending on other things; its default in the list is empty.
SWITCHES = {("unified_alerting", "enabled")}
# Numbers whose default, no limit, is empty.
NUMBERS = {("database", "max_open_conn")}
DURATION = re.compile(r"\d+(ms|s|m|h|d|w|M|y)")

# What provisioning may hold, from Grafana's samples (conf/provisioning/*/sample.yaml) and its documentation.
DATA_SOURCE = {
    *("name", "type", "access", "orgId", "uid", "url", "user", "database", "basicAuth", "basicAuthUser"),
    *("withCredentials", "isDefault", "jsonData", "secureJsonData", "version", "editable"),
}
PROMETHEUS = {
    *("httpMethod", "timeInterval", "manageAlerts", "queryTimeout", "prometheusType", "prometheusVersion"),
    *("cacheLevel", "disableRecordingRules", "incrementalQueryOverlapWindow", "exemplarTraceIdDestinations"),
}
LOKI = {"maxLines", "timeout", "derivedFields", "manageAlerts", "alertmanagerUid", "keepCookies"}
PROVIDER = {
    *("name", "orgId", "type", "folder", "folderUid", "allowUiUpdates", "disableDeletion"),
    *("updateIntervalSeconds", "options"),
}


def render(name: str, **otherwise: Any) -> str:
    """Return a template of the role as a school has it, or with some values otherwise."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=jinja2.select_autoescape(default_for_string=False)
    )
    environment.filters["to_json"] = json.dumps
    names = [
        *("__grafana_ini", "__grafana_provisioning", "__grafana_secrets", "__grafana_url"),
        *("__grafana_issuer", "__grafana_role", "__grafana_mail", "__grafana_folders"),
        *("grafana_host", "grafana_session_idle", "school_name", "school_language", "school_timezone"),
        *("monitoring_interval_s", "__grafana_searches"),
    ]
    values = {name: resolved(ROOT, name) for name in names}
    text = (ROLE / "templates" / name).read_text(encoding="utf-8")
    return environment.from_string(text).render({**values, **otherwise}, ansible_managed="")


@pytest.fixture(scope="module")
def ini() -> dict[tuple[str, str], str]:
    """The rendered configuration, by section and key."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=True)
    parser.read_string(render("school.ini.j2"))
    return {(section, key): parser[section][key] for section in parser.sections() for key in parser[section]}


@pytest.fixture(scope="module")
def defaults(published: Callable[[str], Any]) -> dict[tuple[str, str], str]:
    return {(one["section"], one["key"]): one["default"] for one in published("grafana_defaults")["keys"]}


def fits(place: tuple[str, str], value: str, default: str) -> bool:
    """Tell whether a value is of the kind that the default is."""
    if value.startswith("$__file{"):
        return True
    if default in ("true", "false") or place in SWITCHES:
        return value in ("true", "false")
    if re.fullmatch(r"-?\d+", default) or place in NUMBERS:
        return bool(re.fullmatch(r"-?\d+", value))
    if DURATION.fullmatch(default) or place[1].endswith("_duration"):
        return bool(DURATION.fullmatch(value))
    return True


def test_every_key_exists_with_its_type(
    ini: dict[tuple[str, str], str], defaults: dict[tuple[str, str], str]
) -> None:
    wrong = {
        place: value
        for place, value in ini.items()
        if place not in defaults or not fits(place, value, defaults[place])
    }
    assert not wrong


def test_nothing_is_said_that_is_so_anyway(
    ini: dict[tuple[str, str], str], defaults: dict[tuple[str, str], str]
) -> None:
    # What must never change by a new default is said all the same.
    firm = {
        ("auth.generic_oauth", "allow_assign_grafana_admin"),
        ("auth.generic_oauth", "allow_sign_up"),
        ("users", "allow_org_create"),
        ("users", "allow_sign_up"),
        ("server", "http_port"),
        ("database", "name"),
    }
    assert {place for place, value in ini.items() if defaults[place] == value} <= firm


def test_the_public_secrets_are_replaced(
    ini: dict[tuple[str, str], str], defaults: dict[tuple[str, str], str]
) -> None:
    public = {place for place, value in defaults.items() if place[1] == "secret_key" and value}
    assert public == {("security", "secret_key"), ("secrets_manager.encryption.secret_key.v1", "secret_key")}
    for place in public | {("security", "admin_password")}:
        assert ini[place].startswith("$__file{/etc/grafana/secrets/")
    assert len({ini[place] for place in public}) == 2


def test_no_secret_stands_in_it(ini: dict[tuple[str, str], str]) -> None:
    secret = {key: value for (_, key), value in ini.items() if re.search("password|secret", key)}
    assert secret
    assert all(value.startswith("$__file{/etc/grafana/secrets/") for value in secret.values())


def test_each_secret_is_a_file_that_the_role_writes(ini: dict[tuple[str, str], str]) -> None:
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    files = {value[len("$__file{") : -1] for value in ini.values() if value.startswith("$__file{")}
    assert files == {f"/etc/grafana/secrets/{name}" for name in variables["__grafana_secret_files"]}


def test_nothing_leaves_the_school(ini: dict[tuple[str, str], str]) -> None:
    for section, key, value in [
        ("analytics", "reporting_enabled", "false"),
        ("analytics", "check_for_updates", "false"),
        ("analytics", "check_for_plugin_updates", "false"),
        ("analytics", "feedback_links_enabled", "false"),
        ("news", "news_feed_enabled", "false"),
        ("snapshots", "external_enabled", "false"),
        ("public_dashboards", "enabled", "false"),
        ("cloud_migration", "enabled", "false"),
        ("plugins", "preinstall_disabled", "true"),
        ("plugins", "public_key_retrieval_disabled", "true"),
        ("security", "disable_gravatar", "true"),
    ]:
        assert ini[section, key] == value
    assert "grafana.com" not in " ".join(ini.values())


def test_how_people_sign_in_is_said_here_alone(ini: dict[tuple[str, str], str]) -> None:
    assert ini["sso_settings", "configurable_providers"] == ""
    assert ini["auth", "disable_login_form"] == "true"
    assert ini["auth.generic_oauth", "role_attribute_strict"] == "true"
    assert ini["auth.generic_oauth", "allow_assign_grafana_admin"] == "false"
    out = ini["auth.generic_oauth", "signout_redirect_url"]
    back = "https%3A%2F%2Fdashboards.myschool.example%2Flogin"
    assert out == (
        "https://login.myschool.example/realms/school/protocol/openid-connect/logout"
        f"?client_id=grafana&post_logout_redirect_uri={back}"
    )
    declaration = resolved(ROOT, "grafana_app")
    assert declaration["sign_in"]["logout_paths"] == ["/login"]


def test_it_is_reached_through_the_web_server_alone(ini: dict[tuple[str, str], str]) -> None:
    declaration = resolved(ROOT, "grafana_app")
    assert ini["server", "http_addr"] == "127.0.0.1"
    assert f"127.0.0.1:{ini['server', 'http_port']}" == declaration["site"]["upstream"]
    assert declaration["metrics"]["path"] in declaration["site"]["restricted"]
    assert ini["unified_alerting", "ha_listen_address"] == ""


def test_provisioning_follows_its_rules() -> None:
    sources = yaml.safe_load(render("provisioning/datasources.yaml.j2"))
    assert sources.keys() == {"apiVersion", "prune", "datasources"}
    assert (sources["apiVersion"], sources["prune"]) == (1, True)
    (source,) = sources["datasources"]
    assert source.keys() <= DATA_SOURCE
    assert source["jsonData"].keys() <= PROMETHEUS
    assert (source["uid"], source["type"], source["access"]) == ("school", "prometheus", "proxy")
    assert (source["isDefault"], source["editable"]) == (True, False)

    # Where journals can be searched, one more; nothing leads to it where not.
    both = render("provisioning/datasources.yaml.j2", __grafana_searches=True)
    _, journals = yaml.safe_load(both)["datasources"]
    assert journals.keys() <= DATA_SOURCE
    assert journals["jsonData"].keys() <= LOKI
    assert (journals["type"], journals["access"], journals["isDefault"]) == ("loki", "proxy", False)
    assert journals["url"] == f"http://127.0.0.1:{resolved(ROOT, 'loki_app')['ports'][0]['port']}"

    boards = yaml.safe_load(render("provisioning/dashboards.yaml.j2"))
    assert boards.keys() == {"apiVersion", "providers"}
    assert boards["apiVersion"] == 1
    for provider in boards["providers"]:
        assert provider.keys() <= PROVIDER
        assert provider["type"] == "file"
        assert provider["options"].keys() == {"path"}
        assert (provider["allowUiUpdates"], provider["disableDeletion"]) == (False, False)
        # Grafana takes $ for a variable.
        assert "$" not in json.dumps(provider)
    assert len({one["folderUid"] for one in boards["providers"]}) == len(boards["providers"])
    assert len({one["name"] for one in boards["providers"]}) == len(boards["providers"])


# What Keycloak says in app_roles of people: it names what the declaration calls their roles.
@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"app_roles": ["Admin"]}, "Admin"),
        ({"app_roles": ["Viewer"]}, "Viewer"),
        ({"app_roles": ["Viewer", "Admin"]}, "Admin"),
        ({"app_roles": []}, None),
        ({"app_roles": ["admin"]}, None),
        ({"app_roles": ["pupil"]}, None),
        ({"roles": ["ict"]}, None),
        ({}, None),
    ],
)
def test_roles_are_mapped(ini: dict[tuple[str, str], str], claims: dict[str, Any], role: str | None) -> None:
    # Whatever is no text is no role to Grafana (searchJSONForStringAttr), and who has none is refused.
    found = jmespath.search(ini["auth.generic_oauth", "role_attribute_path"], claims)
    assert (found if isinstance(found, str) else None) == role


def test_whoever_has_no_mail_address_gets_one_that_is_theirs(ini: dict[tuple[str, str], str]) -> None:
    path = ini["auth.generic_oauth", "email_attribute_path"]
    claims = {"preferred_username": "bjork.muller"}
    assert jmespath.search(path, claims) == "bjork.muller@myschool.example"
    assert jmespath.search(path, {**claims, "email": "b@school.example"}) == "b@school.example"
