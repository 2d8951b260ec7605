"""What Nextcloud is given: keys exist upstream with their type, and what is pinned fits together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from schoolstack.reference.declarations import resolve, resolved
from schoolstack.upgrade import Room, make_plan

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles" / "nextcloud"
PHP = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "list": list,
    "map": dict,
    "list of {path,url,writable}": list,
    "string or null": str,
}
# The majors of Nextcloud that each version is for: from appinfo/info.xml at these tags or, where one could
# not be had, at the nearest before it.
FITS = {
    "user_oidc": {"8.11.0": (29, 35)},
    "richdocuments": {"10.3.2": (33, 33), "11.1.2": (34, 34), "12.0.0": (35, 35)},
    "groupfolders": {"21.0.15": (33, 33), "22.0.6": (34, 34), "23.0.1": (35, 35)},
    "notify_push": {"1.4.1": (30, 35)},
    "calendar": {"6.6.1": (32, 35), "6.6.2": (32, 35)},
    "contacts": {"8.9.0": (33, 35), "8.9.1": (33, 35)},
    "deck": {"1.17.5": (33, 33), "1.18.5": (34, 34), "1.19.0": (35, 35)},
}


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """What stands in school.config.php."""
    # Plain values, without what Ansible remembers of where they came from.
    found: dict[str, Any] = json.loads(json.dumps(resolved(ROOT, "__nextcloud_config")))
    return found


@pytest.fixture(scope="module")
def pins() -> list[dict[str, Any]]:
    text = (ROLE / "vars" / "artefacts.yml").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = yaml.safe_load(text)["nextcloud_artefacts"]
    return found


def test_every_key_exists_with_its_type(config: dict[str, Any], published: Callable[[str], Any]) -> None:
    known = {entry["key"]: entry["type"] for entry in published("nextcloud_config_keys")["keys"]}
    assert set(config) <= set(known)
    wrong = {
        key: (value, known[key])
        for key, value in config.items()
        if not any(type(value) is PHP.get(kind) for kind in re.split(r" or |\|", known[key]))
    }
    assert not wrong


def test_the_sign_in_is_set_up_with_options_that_exist(published: Callable[[str], Any]) -> None:
    vector = published("user_oidc_keys")
    options = {entry["option"] for entry in vector["provider_options"]}
    assert {f"--{name}" for name in resolved(ROOT, "__nextcloud_provider")} <= options
    assert set(resolved(ROOT, "__nextcloud_config")["user_oidc"]) <= set(vector["config_php_user_oidc_keys"])
    assert set(resolved(ROOT, "__nextcloud_settings")["user_oidc"]) <= set(vector["app_config_keys"])
    site = resolve(ROOT, "nextcloud")["sign_in"]
    ends = {path.removeprefix("<nc>") for path in vector["endpoints"]["redirect_uri"]}
    assert set(site["redirect_paths"]) == ends
    back = vector["endpoints"]["backchannel_logout"].removeprefix("<nc>").replace("<identifier>", "school")
    assert site["backchannel_logout_path"] == back


def test_the_office_is_set_up_with_keys_that_exist(published: Callable[[str], Any]) -> None:
    keys = {entry["key"] for entry in published("richdocuments_keys")["keys"]}
    assert set(resolved(ROOT, "__nextcloud_office_settings")) <= keys


def test_groups_that_the_sign_in_tells_are_of_two_kinds_and_no_other() -> None:
    """Who signs in is taken out of each group of these kinds that was not told: administrators' is none."""
    expression = resolved(ROOT, "__nextcloud_provider")["group-whitelist-regex"]
    assert expression[0] == expression[-1] == "/"
    kinds = re.compile(expression[1:-1])
    assert all(kinds.search(name) for name in ("class-3A", "role-teacher"))
    assert not any(kinds.search(name) for name in ("admin", "teachers", "subclass-3A", "a role-x"))


def test_each_version_has_each_app_once_and_one_that_fits(pins: list[dict[str, Any]]) -> None:
    versions = [pin["version"] for pin in pins if pin["name"] == "nextcloud"]
    assert versions[0] == resolved(ROOT, "nextcloud_version")
    for version in versions:
        major = int(version.split(".")[0])
        apps = [pin for pin in pins if version in pin.get("within", {}).get("versions", ())]
        assert sorted(app["name"] for app in apps) == sorted(FITS)
        for app in apps:
            oldest, newest = FITS[app["name"]][app["version"]]
            assert oldest <= major <= newest, (app["name"], app["version"], version)
    assert {v for pin in pins if "within" in pin for v in pin["within"]["versions"]} == set(versions)


def test_what_is_pinned_lies_where_it_is_used(pins: list[dict[str, Any]]) -> None:
    for pin in pins:
        assert re.fullmatch("[0-9a-f]{64}", pin["sha256"]["all"])
        assert all(pin["file"] == Path(source["url"]).name for source in pin["sources"])
        if "within" in pin:
            assert pin["within"]["path"] == f"custom_apps/{pin['name']}"
    assert len({pin["sha256"]["all"] for pin in pins}) == len(pins)


def test_no_secret_stands_in_the_configuration(config: dict[str, Any]) -> None:
    """The database knows who asks by the user it runs as; everything else that is secret lies apart."""
    assert config["dbhost"].startswith("/")
    assert config["dbpassword"] == ""
    assert not {"secret", "passwordsalt", "mail_smtppassword"} & set(config)
    assert "password" not in config["redis"]


MAIL = {"host": "mail.myschool.example", "from": "files@myschool.example", "user": "files"}


@pytest.mark.parametrize(
    ("mail", "meant"),
    [
        ({}, {"mail_smtpmode": "null", "mail_smtpauth": False}),
        (
            MAIL,
            {
                "mail_smtpmode": "smtp",
                "mail_smtphost": "mail.myschool.example",
                "mail_smtpport": 465,
                "mail_smtpsecure": "ssl",
                "mail_smtpauth": True,
                "mail_smtpname": "files",
                "mail_from_address": "files",
                "mail_domain": "myschool.example",
            },
        ),
        (MAIL | {"encryption": "starttls"}, {"mail_smtpport": 587, "mail_smtpsecure": ""}),
        (MAIL | {"port": 2465}, {"mail_smtpport": 2465, "mail_smtpsecure": "ssl"}),
        ({"host": "relay.internal", "from": "a@b.example"}, {"mail_smtpauth": False, "mail_smtpname": ""}),
    ],
)
def test_mail_goes_out_as_the_school_says(mail: dict[str, Any], meant: dict[str, Any]) -> None:
    given = resolved(ROOT, "__nextcloud_config", nextcloud_mail=mail)
    assert {key: given[key] for key in meant} == meant


@pytest.mark.parametrize(
    ("mail", "missing"),
    [({}, []), (MAIL, []), ({"host": "x.example"}, ["from"]), ({"port": 25, "from": ""}, ["host", "from"])],
)
def test_half_a_mail_server_is_noticed(mail: dict[str, Any], missing: list[str]) -> None:
    assert sorted(resolved(ROOT, "__nextcloud_mail_missing", nextcloud_mail=mail)) == sorted(missing)


def test_the_mail_server_is_told_among_the_endpoints() -> None:
    assert resolved(ROOT, "nextcloud_endpoints") == []
    (end,) = resolved(ROOT, "nextcloud_endpoints", nextcloud_mail=MAIL)
    assert (end["address"], end["people"]) == ("mail.myschool.example", True)


@pytest.mark.parametrize(("version", "debian"), [("34.0.4", ["12", "13"]), ("35.0.1", ["13"])])
def test_a_version_names_the_releases_whose_php_it_runs_on(version: str, debian: list[str]) -> None:
    assert resolved(ROOT, "__nextcloud_releases", nextcloud_version=version)["Debian"] == debian


@pytest.mark.parametrize(
    ("found", "wanted", "way"),
    [
        ("33.0.9", "34.0.4", ["34.0.4"]),
        # Never two majors at once, and each from the newest of the one before.
        ("33.0.9", "35.0.1", ["34.0.4", "35.0.1"]),
        ("33.0.2", "35.0.1", ["33.0.9", "34.0.4", "35.0.1"]),
        ("34.0.1", "35.0.1", ["34.0.4", "35.0.1"]),
        ("34.0.4", "35.0.1", ["35.0.1"]),
        ("34.0.4", "34.0.4", []),
    ],
)
def test_it_goes_up_one_major_at_a_time(
    pins: list[dict[str, Any]], found: str, wanted: str, way: list[str]
) -> None:
    known = yaml.safe_load((ROLE / "vars" / "upgrades.yml").read_text(encoding="utf-8"))["nextcloud_upgrades"]
    pinned = [pin["version"] for pin in pins if pin["name"] == "nextcloud"]
    declaration = resolve(ROOT, "nextcloud")
    room = Room(data=0, databases=0, free=10**12)
    before, after = ({**declaration, "version": version} for version in (found, wanted))
    plan = make_plan("server", before, after, pinned, known, room)
    assert [step.to for step in plan.steps] == way
    assert len(plan.reasons) == max(len(way) - 1, 0)
