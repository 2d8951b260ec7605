"""Where addresses are and whether that may be, and the register: out of what roles declare, asking nobody."""

from __future__ import annotations

import re

import pytest
import yaml

from schoolstack.deployment import ROOT
from schoolstack.messages import LANGUAGES
from schoolstack.privacy.endpoints import EEA, host_of, locate, sentence
from schoolstack.privacy.register import Register

WHAT = {"en": "mail", "nl": "mail"}


def located(address, *, people=False, own=None, kind=""):
    said = {"role": "library", "address": address, "what": WHAT, "people": people, "kind": kind}
    (one,) = locate([("server", said)], own or {})
    return one


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://acme.authority.example/directory", "acme.authority.example"),
        ("mail.myschool.example:587", "mail.myschool.example"),
        ("http://[2001:db8::1]:80/x", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.7", "192.0.2.7"),
        ("maven", "maven"),
        ("", ""),
    ],
)
def test_the_host_is_found_in_whatever_names_it(address, host):
    assert host_of(address) == host


def test_a_distributions_archive_is_known_at_any_address_and_a_schools_own_is_at_home():
    mirror = "packages.mirror.example"
    assert located(mirror, kind="distribution").place == "world"
    assert located(mirror).place == ""
    assert located(mirror, kind="distribution", own={"mirror.example": "BE"}).place == "BE"
    assert located("192.168.10.3", kind="distribution").state == "good"


@pytest.mark.parametrize(
    ("address", "people", "own", "state"),
    [
        ("mail.provider.example", True, {"provider.example": "BE"}, "good"),
        ("mail.provider.example", True, {"mail.provider.example": "here"}, "good"),
        # The longer name says more.
        ("mail.provider.example", True, {"provider.example": "BE", "mail.provider.example": "US"}, "wrong"),
        ("mail.provider.example", True, {"provider.example": "US"}, "wrong"),
        ("mail.provider.example", False, {"provider.example": "US"}, "look"),
        ("mail.provider.example", True, {}, "wrong"),
        ("mail.provider.example", False, {}, "look"),
        # The end of a name is a part of it, not of a word in it.
        ("mail.otherprovider.example", True, {"provider.example": "BE"}, "wrong"),
        ("192.168.10.3", True, {}, "good"),
        ("198.51.100.3", True, {"198.51.100.3": "NL"}, "good"),
        ("198.51.100.3", True, {}, "wrong"),
        ("fd00::3", True, {}, "good"),
        ("mail.provider.example", True, {"provider.example": "GB"}, "wrong"),
        ("mail.provider.example", True, {"provider.example": "NO"}, "good"),
        ("github.com", False, {}, "look"),
        ("github.com", True, {}, "wrong"),
    ],
)
def test_an_address_is_judged_by_its_place_and_by_what_goes_there(address, people, own, state):
    one = located(address, people=people, own=own)
    assert one.state == state
    assert sentence(one)


def test_what_ships_with_the_project_has_a_place_and_a_reason_in_every_language():
    places = yaml.safe_load((ROOT / "src/schoolstack/privacy/places.yml").read_text(encoding="utf-8"))
    for name, known in places.items():
        assert known["place"] not in EEA, f"{name} needs no reason"
        assert set(known["why"]) == set(LANGUAGES), name


def test_an_address_that_two_roles_of_a_server_use_is_listed_for_each_and_once():
    said = {"role": "library", "address": "a.example", "what": WHAT}
    found = locate([("server", said), ("server", dict(said)), ("server", {**said, "role": "host"})], {})
    assert [(one.role, one.address) for one in found] == [("host", "a.example"), ("library", "a.example")]


def text(word):
    return {"en": f"{word} in English", "nl": f"{word} in het Nederlands"}


RECORD = {
    "name": "library",
    "title": "Library",
    "personal_data": [
        {
            "what": text("loans | <returns>"),
            "purpose": text("lending"),
            "whose": ["pupil"],
            "where": text("database"),
            "kept": text("a year"),
        },
    ],
}
SCHOOL = {"name": "My <school>", "contact": "ict@myschool.example", "grounds": {}}


@pytest.mark.parametrize(("language", "title"), [("en", "Journals"), ("nl", "Logboeken")])
def test_what_is_no_application_has_a_title_in_each_language(monkeypatch, language, title):
    monkeypatch.setenv("SCHOOL_LANGUAGE", language)
    record = {**RECORD, "name": "logs", "title": {"en": "Journals", "nl": "Logboeken"}}
    assert f"## {title} (server)" in Register(SCHOOL, {"server": [record]}, []).as_markdown()


@pytest.mark.parametrize(("language", "whose"), [("en", "pupils"), ("nl", "leerlingen")])
def test_the_register_says_what_is_declared_in_the_readers_language(monkeypatch, language, whose):
    monkeypatch.setenv("SCHOOL_LANGUAGE", language)
    page = Register(SCHOOL, {"server": [RECORD, {**RECORD, "personal_data": []}]}, [])
    for entry in ("purpose", "where", "kept"):
        assert RECORD["personal_data"][0][entry][language] in page.as_markdown()
    assert f"| {whose} |" in page.as_markdown()
    assert r"loans \| <returns>" in page.as_markdown()
    assert page.as_markdown().count("## Library (server)") == 1
    assert "school_legal_grounds, library" in page.as_markdown()
    assert f"<td>{whose}</td>" in page.as_html()
    assert "My &lt;school&gt;" in page.as_html()
    assert not {"<school>", "<returns>"} & set(re.findall("<[a-z]+>", page.as_html()))


def test_the_register_keeps_what_a_removed_application_left(monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    page = Register(SCHOOL, {"server": [{**RECORD, "removed": True}]}, []).as_markdown()
    assert "## Library, removed; its data was kept (server)" in page


def test_the_register_says_the_legal_ground_and_who_receives(monkeypatch):
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    mail = located("mail.provider.example", people=True, own={"provider.example": "BE"})
    page = Register(
        {**SCHOOL, "grounds": {"library": "article 6.1.e"}}, {"server": [RECORD]}, [mail]
    ).as_markdown()
    assert "| article 6.1.e |" in page
    assert "mail.provider.example (BE)" in page
    assert "school_legal_grounds" not in page
