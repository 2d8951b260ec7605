"""What `make demo` says of the office: seen where browsers find it, and where Nextcloud looks for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from schoolstack.demo import command
from schoolstack.errors import SchoolError
from schoolstack.signin.browser import Page

OFFICE = "https://office.voorbeeldschool.localhost"
KINDS = ("odt", "ods", "odp")


class School:
    """A school whose office answers as told."""

    def __init__(self, kinds: tuple[str, ...] = KINDS, at: str = OFFICE, known: str = OFFICE) -> None:
        """Take what its discovery names, and where Nextcloud thinks that it is."""
        self.known = known
        actions = "".join(f'<app><action ext="{kind}" urlsrc="{at}/browser/x?"/></app>' for kind in kinds)
        self.found = f"<wopi-discovery><net-zone>{actions}</net-zone></wopi-discovery>"
        self.status = 200

    def browser(self, through: str) -> School:
        assert through == command.HERE
        return self

    def get(self, url: str) -> Page:
        assert url == f"{OFFICE}/hosting/discovery"
        answer = requests.Response()
        answer.url, answer.status_code, answer._content = url, self.status, self.found.encode()
        return Page(answer)

    def url(self, name: str, path: str = "/") -> str:
        return f"https://{ {'collabora': 'office'}[name] }.voorbeeldschool.localhost{path}"

    def shell(self, said: str) -> str:
        assert said == f"{command.OCC} config:list --output=json"
        keys: Any = {"wopi_url": self.known} if self.known else []
        return json.dumps({"apps": {"richdocuments": keys} if self.known else {}})


def test_an_office_that_nextcloud_knows_opens_documents() -> None:
    assert command._documents(School(), "collabora").endswith("odt, ods, odp of the files")


@pytest.mark.parametrize(
    ("school", "said"),
    [
        (School(kinds=("odt",)), "does not open ods, odp"),
        (School(at="http://127.0.0.1:9980"), "does not open odt, ods, odp"),
        (School(known=""), 'the files look for it at ""'),
        (School(known="https://elsewhere.example"), "https://elsewhere.example"),
    ],
)
def test_an_office_that_would_open_nothing_is_no_good_row(school: School, said: str) -> None:
    with pytest.raises(SchoolError) as refused:
        command._documents(school, "collabora")
    assert said in str(refused.value)


def test_an_office_that_answers_with_an_error_is_no_good_row() -> None:
    school = School()
    school.status = 502
    with pytest.raises(SchoolError, match="502"):
        command._documents(school, "collabora")


def test_the_office_is_left_out_of_a_machine_that_it_would_be_refused_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = {"SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(command.os, "sysconf", memory.__getitem__)
    # Sold as 8 GB, of which the firmware keeps some.
    for megabytes, fits in ((24152, True), (7700, True), (7300, False), (3900, False)):
        memory["SC_PHYS_PAGES"] = megabytes * 256
        assert command._memory_mb() == megabytes
        assert command._office_fits() is fits
