"""Certificates that somebody hands in: served, replaced by the next run, or refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from conftest import INVENTORY, Server
from handed_in import DAY, HandedIn, hand_in

from schoolstack.errors import SchoolError
from schoolstack.signin import Browser

FILES = INVENTORY / "files"
# The scenario's own playbook, as seen from the project's.
CONVERGE = "../molecule/edge/converge"

PAGE = "intranet.randschool.test"
EXPIRED = hand_in(PAGE, 90 * DAY, -DAY)
ELSEWHERE = hand_in("www.elsewhere.example")
MIXED = HandedIn(hand_in(PAGE).fullchain, hand_in(PAGE).privkey, b"")


@pytest.fixture
def handed_in() -> Iterator[HandedIn]:
    """What lies in the inventory, put back afterwards."""
    present = HandedIn(*((FILES / f"{name}.pem").read_bytes() for name in ("fullchain", "privkey", "root")))
    yield present
    present.write(FILES)


def test_visitors_are_shown_what_was_handed_in(inside: Server) -> None:
    root: Path = FILES / "root.pem"
    page = Browser({inside.page: inside.deployment.address}, root).get(f"https://{inside.page}/")
    assert page.status == 200
    assert inside.page in page.words
    assert inside.shown(root.read_text()) == inside.installed


def test_its_key_is_for_root_only(inside: Server) -> None:
    key = "/etc/schoolstack/certificates/page/privkey.pem"
    assert inside.host.check_output(f"stat -c '%U:%G %a' {key}") == "root:root 600"


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (MIXED, "The key in certificates_files.privkey is not that of"),
        (EXPIRED, "Ask its authority for a new one."),
        (ELSEWHERE, f"is for www.elsewhere.example and not for {PAGE}."),
    ],
    ids=["another key", "ended", "another name"],
)
def test_what_would_not_work_is_refused_and_changes_nothing(
    inside: Server,
    handed_in: HandedIn,
    capsys: pytest.CaptureFixture[str],
    bad: HandedIn,
    sentence: str,
) -> None:
    bad.write(FILES)
    with pytest.raises(SchoolError):
        inside.deployment.play(CONVERGE)
    told = capsys.readouterr().out
    assert sentence in " ".join(told.split())
    assert set(re.findall(r"\bchanged=(\d+)", told)) == {"0"}
    assert inside.shown(handed_in.root.decode()) == inside.installed


def test_a_newer_one_takes_effect_with_the_next_run_and_its_end_is_announced(
    inside: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its key is encrypted, as the how-to recommends."""
    before, newer = inside.nginx, hand_in(inside.page, left=20.5 * DAY)
    newer.write(FILES)
    password = tmp_path / "password"
    password.write_text("known to the school only")
    vault = VaultLib([("default", VaultSecret(password.read_bytes()))])
    (FILES / "privkey.pem").write_bytes(vault.encrypt(newer.privkey))
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(password))
    assert inside.deployment.play(CONVERGE).changed > 0
    assert "fullchain.pem ends in 20 days" in " ".join(capsys.readouterr().out.split())
    assert inside.comes_to_show(newer.root.decode()) == inside.installed
    assert inside.nginx == before
