"""The module that matches what Nextcloud keeps: what it does, in which order, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plugin import load

nextcloud_state = load("modules/nextcloud_state.py")

WANTED: dict[str, Any] = {
    "apps_on": ["user_oidc", "notify_push"],
    "apps_off": ["survey_client"],
    "settings": {"core": {"backgroundjobs_mode": "cron"}, "files": {"default_quota": "5 GB"}},
    "provider": "school",
    "provider_options": {"clientid": "nextcloud", "unique-uid": "0", "mapping-groups": "school_groups"},
    "client_secret_file": "/etc/nextcloud/secrets/client",
    "admin": "schoolstack",
    "push_url": "https://files.myschool.example/push",
    "office_url": "https://office.myschool.example",
    "url": "https://files.myschool.example",
}
SECRET, PASSWORD = "the client's", "the administrator's"
APPS: dict[str, dict[str, Any]] = {
    "core": {"backgroundjobs_mode": "cron"},
    "files": {"default_quota": "5 GB", "enabled": "yes"},
    "user_oidc": {"enabled": "yes"},
    "notify_push": {"enabled": "yes", "base_endpoint": WANTED["push_url"]},
    "survey_client": {"enabled": "no"},
    "richdocuments": {"wopi_url": WANTED["office_url"]},
    "schoolstack": {
        "admin": nextcloud_state.digest(PASSWORD),
        "client": nextcloud_state.digest(SECRET),
        "office": nextcloud_state.digest(WANTED["office_url"], WANTED["url"]),
    },
}
PROVIDER = {
    "id": 1,
    "clientId": "nextcloud",
    "settings": {"uniqueUid": False, "mappingGroups": "school_groups"},
}


def done(
    apps: dict[str, Any] | None = None, provider: dict[str, Any] | None = None, **wanted: Any
) -> list[list[str]]:
    """Return the commands that a state leads to; of what is imported, the settings."""
    found = nextcloud_state.Found({**APPS, **(apps or {})}, PROVIDER if provider is None else provider)
    made = nextcloud_state.steps({**WANTED, **wanted}, found, SECRET, PASSWORD)
    return [[*step.words, step.given] if step.given else [*step.words] for step in made]


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert done() == []


def test_on_a_new_server_all_is_done_and_what_it_was_given_noted_last() -> None:
    found = nextcloud_state.Found({"survey_client": {"enabled": "yes"}}, {})
    made = list(nextcloud_state.steps(WANTED, found, SECRET, PASSWORD))
    assert [step.words[0] for step in made] == [
        "app:enable",
        "app:disable",
        "user:resetpassword",
        "user_oidc:provider",
        "config:import",
        "notify_push:setup",
        "richdocuments:activate-config",
        "config:import",
    ]
    assert json.loads(made[-1].given) == {"apps": {"schoolstack": APPS["schoolstack"]}}
    # No secret is in anything that a list of processes shows.
    shown = " ".join(word for step in made for word in step.words)
    assert SECRET not in shown
    assert PASSWORD not in shown
    assert made[2].environment == {"OC_PASS": PASSWORD}


@pytest.mark.parametrize(
    ("apps", "command"),
    [
        ({"user_oidc": {"enabled": "no"}}, ["app:enable", "user_oidc"]),
        ({"survey_client": {"enabled": "yes"}}, ["app:disable", "survey_client"]),
        # For one group only: it is on.
        ({"survey_client": {"enabled": '["teachers"]'}}, ["app:disable", "survey_client"]),
        ({"files": {}}, ["config:import", '{"apps": {"files": {"default_quota": "5 GB"}}}']),
        (
            {"notify_push": {"enabled": "yes", "base_endpoint": "https://old.example/push"}},
            ["notify_push:setup", WANTED["push_url"]],
        ),
    ],
)
def test_one_thing_that_differs_is_one_command(apps: dict[str, Any], command: list[str]) -> None:
    assert done(apps) == [command]


def test_another_secret_is_given_together_with_the_client_it_belongs_to() -> None:
    (made, noted) = done({"schoolstack": {**APPS["schoolstack"], "client": "another"}})
    assert made[:2] == ["user_oidc:provider", "school"]
    assert "--clientid=nextcloud" in made
    assert made[-1] == "--clientsecret-file=/etc/nextcloud/secrets/client"
    assert json.loads(noted[1]) == {"apps": {"schoolstack": {"client": APPS["schoolstack"]["client"]}}}


def test_yes_and_no_are_what_upstream_shows_them_as() -> None:
    assert (
        done(provider={**PROVIDER, "settings": {**PROVIDER["settings"], "uniqueUid": True}})[0][0]
        == "user_oidc:provider"
    )


def test_another_address_of_its_own_connects_the_office_anew() -> None:
    (made, _) = done(url="https://cloud.myschool.example")
    assert made == [
        "richdocuments:activate-config",
        "--wopi-url=https://office.myschool.example",
        "--callback-url=https://cloud.myschool.example",
    ]


def test_without_an_office_nothing_is_connected() -> None:
    assert done({"richdocuments": {}, "schoolstack": APPS["schoolstack"]}, office_url="") == []


def test_only_what_upstream_shows_again_may_be_compared() -> None:
    """An option that is not shown would be set at every run."""
    assert set(WANTED["provider_options"]) <= set(nextcloud_state.SHOWN)


def command(tmp_path: Path, script: str) -> nextcloud_state.Nextcloud:
    occ = tmp_path / "occ"
    occ.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    occ.chmod(0o755)
    return nextcloud_state.Nextcloud(str(occ))


def test_the_whole_state_is_two_questions(tmp_path: Path) -> None:
    apps = json.dumps({"apps": APPS | {"empty": []}})
    said = json.dumps(PROVIDER)
    asked = command(
        tmp_path,
        f"echo \"$1\" >>{tmp_path}/asked\ncase $1 in config:list) cat <<'E'\n{apps}\nE\n;;"
        f"*) echo '{said}';; esac",
    )
    found = asked.read("school")
    assert (tmp_path / "asked").read_text().split() == ["config:list", "user_oidc:provider"]
    assert found.provider == PROVIDER
    assert found.apps["empty"] == {}


def test_what_failed_is_told_in_one_sentence(tmp_path: Path) -> None:
    asked = command(tmp_path, "echo 'Could not find'; echo 'app x' >&2; exit 1")
    with pytest.raises(nextcloud_state.OccError, match="`occ app:enable` failed: Could not find app x"):
        asked.run(["app:enable", "x"])
