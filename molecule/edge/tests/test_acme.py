"""Certificates by ACME from an authority that really asks: issued, served, renewed, and when it is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import INVENTORY, Server
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from handed_in import DAY, HandedIn, hand_in
from testinfra.backend.base import CommandResult

from schoolstack.signin import Browser

FOLDER = "/etc/schoolstack/certificates/page"
RENEWAL = "schoolstack-certificates.service"


def pebble_root(authority: Server) -> str:
    """Return the root certificate that Pebble made when it started, as visitors would have to trust it."""
    ca = INVENTORY / "files" / "authority-root.pem"
    return (
        Browser({"authority": authority.deployment.address}, ca).get("https://authority:15000/roots/0").text
    )


def renewal(public: Server) -> CommandResult:
    """Do what the timer does every day; systemd would refuse a fifth start within ten seconds."""
    return public.host.run(f"systemctl reset-failed {RENEWAL}; systemctl start {RENEWAL}")


def come_back(authority: Server) -> None:
    """Start the authority, if it is away, and wait until it answers."""
    listens = "until ss --no-header --listening --tcp 'sport = :14000' | grep -q .; do sleep 0.1; done"
    authority.host.check_output(f'systemctl start pebble && timeout 30 sh -c "{listens}"')


@pytest.fixture
def old(public: Server, authority: Server) -> Iterator[HandedIn]:
    """A certificate for the page's key that is still good for a day, in force on the server."""
    key = public.host.check_output(f"openssl pkey -in {FOLDER}/privkey.pem -pubout")
    old = hand_in(public.page, 89 * DAY, DAY, load_pem_public_key(key.encode()))
    put = public.host.run(
        f"printf %s %s >{FOLDER}/fullchain.pem && systemctl reload nginx", "%s", old.fullchain.decode()
    )
    assert put.rc == 0, put.stderr
    assert public.comes_to_show(old.root.decode())
    yield old
    come_back(authority)
    assert renewal(public).rc == 0


def test_visitors_are_shown_what_the_authority_signed(
    public: Server, authority: Server, tmp_path: Path
) -> None:
    root = tmp_path / "root.pem"
    root.write_text(pebble_root(authority))
    page = Browser({public.page: public.deployment.address}, root).get(f"https://{public.page}/")
    assert page.status == 200
    assert public.page in page.words
    assert public.shown(root.read_text()) == public.installed


def test_keys_are_for_root_only(public: Server) -> None:
    for key in (f"{FOLDER}/privkey.pem", "/etc/schoolstack/acme/account.key"):
        assert public.host.check_output(f"stat -c '%U:%G %a' {key}") == "root:root 600"
        assert public.host.run(f"runuser -u www-data -- cat {key}").rc != 0


def test_a_name_that_leads_elsewhere_gets_none(public: Server, inside: Server) -> None:
    """Which shows, too, that the authority looks before it signs."""
    asked = public.host.run(f"schoolstack-certificates issue stray {inside.page}")
    assert asked.rc == 1
    assert f"gave no certificate for {inside.page}: Challenge did not pass" in asked.stderr
    assert not public.host.file("/etc/schoolstack/certificates/stray/wanted.json").exists
    public.host.check_output("rm -r /etc/schoolstack/certificates/stray")


def test_renewal_is_looked_at_daily(public: Server) -> None:
    timer = "schoolstack-certificates.timer"
    show = f"systemctl show {timer} --value --property"
    assert public.host.check_output(f"{show}=Triggers") == RENEWAL
    assert (
        public.host.check_output(f"systemctl is-enabled {timer} && systemctl is-active {timer}")
        == "enabled\nactive"
    )
    left = f'echo $(($(date --date="$({show}=NextElapseUSecRealtime)" +%s) - $(date +%s)))'
    # A day, and the hours by which schools are spread.
    assert 0 < int(public.host.check_output(left)) <= 30 * 3600


def test_what_is_due_is_renewed_and_served_without_a_restart(
    public: Server, authority: Server, old: HandedIn
) -> None:
    before, key = public.nginx, public.host.file(f"{FOLDER}/privkey.pem").content
    assert renewal(public).rc == 0
    assert public.comes_to_show(pebble_root(authority)) == public.installed
    assert public.nginx == before
    assert public.host.file(f"{FOLDER}/privkey.pem").content == key


def test_what_is_not_due_is_left_alone(public: Server) -> None:
    before = public.installed
    assert renewal(public).rc == 0
    assert public.installed == before


def test_while_the_authority_is_away_the_old_stays_and_systemd_knows(
    public: Server, authority: Server, old: HandedIn
) -> None:
    before = public.nginx
    authority.host.check_output("systemctl stop pebble")
    begun = public.host.check_output("date +%s")
    assert renewal(public).rc != 0
    assert public.host.check_output(f"systemctl is-failed {RENEWAL}") == "failed"
    assert RENEWAL in public.host.check_output("systemctl list-units --state=failed --no-legend --plain")
    journal = public.host.check_output(
        f"journalctl --unit={RENEWAL} --since=@{begun} --output=cat --no-pager"
    )
    assert "https://authority:14000/dir" in journal
    assert "does not answer: [Errno 111] Connection refused. Check that this server reaches it." in journal
    assert "Traceback" not in journal
    assert public.shown(old.root.decode()) == public.installed
    assert public.nginx == before

    come_back(authority)
    assert renewal(public).rc == 0
    assert public.comes_to_show(pebble_root(authority)) == public.installed
    assert public.host.run(f"systemctl is-failed {RENEWAL}").rc != 0
