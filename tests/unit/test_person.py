"""One person's data: who may not be erased, what is typed first, and a zip for one reader."""

from __future__ import annotations

import importlib.util
import json
import stat
import zipfile
from pathlib import Path

import pytest

from schoolstack.messages import LANGUAGES
from schoolstack.person.dossier import Dossier

MODULE = Path(__file__).parents[2] / "plugins/modules/keycloak_person.py"
spec = importlib.util.spec_from_file_location("keycloak_person", MODULE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)


def kept(**person):
    known = {
        "name": "Noor",
        "enabled": False,
        "roles": ["pupil"],
        "classes": ["1A"],
        "protected": "",
        **person,
    }
    return {
        "title": "Sign-in",
        "found": True,
        "person": known,
        "holds": {"account": 1, "sessions": 0, "loans": 2},
        "stays": [{"en": "noted sign-ins", "nl": "genoteerde aanmeldingen"}],
        "data": {"account": {"username": "noor"}},
    }


def dossier(application=None, **said):
    return Dossier(
        "noor", {"server": {"applications": {"keycloak": application or kept()}, "doorless": [], **said}}
    )


@pytest.mark.parametrize(
    ("application", "erases", "typed", "refused"),
    [
        (kept(), False, "", ""),
        (kept(), True, "noor", ""),
        (kept(enabled=True), True, "noor", ""),
        (kept(), True, "", "typ"),
        (kept(), True, "Noor", "typ"),
        (kept(protected="coordinator"), True, "noor", "coordinator"),
        (kept(protected="program"), True, "noor", "program"),
        (kept(protected="coordinator"), False, "", ""),
        ({**kept(), "found": False}, False, "", "nobody"),
        ({**kept(), "found": False}, True, "noor", "nobody"),
    ],
)
def test_what_is_refused(monkeypatch, application, erases, typed, refused):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    says = {"typ": "type the username noor", "coordinator": "looks after the school's accounts",
            "program": "account of a program", "nobody": "no application knows noor"}  # fmt: skip
    found = list(dossier(application).refusals(erases=erases, typed=typed))
    assert len(found) == bool(refused)
    assert says.get(refused, "") in "".join(found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_would_be_erased_is_shown_and_what_stays(monkeypatch, language):
    monkeypatch.setenv("SCHOOL_LANGUAGE", language)
    shown = dossier(kept(enabled=True), doorless=["Old library"]).text(erases=True)
    assert "Noor (pupil, 1A)" in shown
    assert "loans: 2" in shown
    assert kept()["stays"][0][language] in shown
    assert "Old library" in shown
    assert len(dossier(kept(enabled=True)).text(erases=True)) > len(dossier().text(erases=True))
    assert kept()["stays"][0][language] not in dossier().text(erases=False)


def test_the_zip_is_for_its_owner_only_and_stays_out_of_git(tmp_path):
    folder = tmp_path / "people"
    for _ in range(2):  # a second one replaces the first
        path = dossier().write_zip(folder, "2026-11-22")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text(encoding="utf-8") == "*\n"
    assert sorted(one.name for one in folder.iterdir()) == [".gitignore", "noor-2026-11-22.zip"]
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("keycloak (server).json")) == kept()["data"]
        assert len(archive.namelist()) == 1 + len(LANGUAGES)


class Admin:
    """As much of Keycloak as the module asks."""

    def __init__(self, roles=("pupil",), administers=()):
        self.roles, self.administers, self.done = roles, administers, []

    def get(self, realm, *path, **query):
        if path[0] == "clients":
            return [{"id": "rm"}]
        match path[2:]:
            case ("role-mappings", "realm", "composite"):
                return [{"name": name} for name in self.roles]
            case ("role-mappings", "clients", "rm", "composite"):
                return [{"name": name} for name in self.administers]
            case ("groups",):
                return [{"path": "/role/pupil"}, {"path": "/class/1A"}]
            case ("credentials",):
                return [{"type": "otp", "secretData": "s3cr3t", "credentialData": "{}", "createdDate": 1}]
        return []

    def post(self, *path):
        self.done.append(("post", *path))

    def delete(self, *path):
        self.done.append(("delete", *path))


@pytest.mark.parametrize(
    ("admin", "username", "protected"),
    [
        (Admin(), "noor", ""),
        (Admin(roles=("pupil", "ict")), "noor", "coordinator"),
        (Admin(administers=("manage-users",)), "noor", "coordinator"),
        (Admin(), "service-account-schoolstack", "program"),
    ],
)
def test_who_may_not_be_erased(admin, username, protected):
    person = module.Person(admin, "school", {"id": "1", "username": username, "enabled": False})
    assert person.describe()["protected"] == protected


def test_what_proves_who_somebody_is_is_never_exported():
    person = module.Person(Admin(), "school", {"id": "1", "username": "noor", "enabled": False})
    assert "s3cr3t" not in json.dumps(person.data())
    assert person.data()["credentials"] == [{"type": "otp", "userLabel": None, "createdDate": 1}]


def test_sessions_end_before_the_account_does():
    admin = Admin()
    module.Person(admin, "school", {"id": "1", "username": "noor", "enabled": True}).erase()
    assert admin.done == [("post", "school", "users", "1", "logout"), ("delete", "school", "users", "1")]
