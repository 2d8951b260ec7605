"""The journal of one server is kept on the other: it arrives, only from who may send, and goes in time."""

from __future__ import annotations

import json
import re
import secrets
import shlex

import pytest
from prometheus import wait_until

from schoolstack.deployment import Deployment, answers

KEPT = "/var/log/journal/remote"
OLD = f"{KEPT}/remote-127.0.0.1@20260101T000000Z.journal"


def tell(server: Deployment) -> str:
    """Have a server write something into its journal."""
    word = secrets.token_hex(8)
    server.shell(f"logger -t schooltest {word}")
    return word


def arrived(sso: Deployment, word: str) -> str:
    """Return from which server a word has come."""
    found = sso.shell(f"journalctl --directory {KEPT} -t schooltest -o json --no-pager 2>/dev/null || true")
    lines = [json.loads(line) for line in found.splitlines()]
    return next((one["_HOSTNAME"] for one in lines if one["MESSAGE"] == word), "")


def test_what_is_written_on_one_server_is_kept_on_the_other(sso: Deployment, web: Deployment) -> None:
    word = tell(web)
    assert wait_until(lambda: arrived(sso, word)) == web.shell("hostname").strip()
    # What the server that keeps them writes itself stays with its own journal.
    own = tell(sso)
    assert own in sso.shell("journalctl -t schooltest --no-pager")
    assert not arrived(sso, own)


# Sends something with a certificate, if any, and says with what status it was answered.
SEND = """
import ssl, sys, urllib.error, urllib.request
url, folder = sys.argv[1:]
context = ssl.create_default_context()
if folder:
    context.load_cert_chain(f"{folder}/fullchain.pem", f"{folder}/privkey.pem")
kind = {"Content-Type": "application/vnd.fdo.journal"}
try:
    sent = urllib.request.Request(url + "/upload", b"MESSAGE=no", kind)
    print(urllib.request.urlopen(sent, context=context).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
CERTIFICATES = "/etc/schoolstack/certificates"


def test_only_who_may_send_is_taken_from(sso: Deployment, web: Deployment) -> None:
    [url] = [
        line.removeprefix("URL=")
        for line in web.shell("cat /etc/systemd/journal-upload.conf.d/schoolstack.conf").splitlines()
        if line.startswith("URL=")
    ]
    assert url.startswith("https://sso.servers.")

    def sent(name: str) -> int:
        folder = f"{CERTIFICATES}/{name}" if name else ""
        return int(web.shell(shlex.join(["python3", "-c", SEND, url, folder])))

    # What is no whole entry it does not keep; that it looks at it is what counts.
    assert sent("logs") not in (400, 403, 404)
    assert sent("") == 400, "no certificate"
    assert sent("portal") == 400, "that of a page"
    other = url.removeprefix("https://sso").rpartition(":")[0]
    web.shell(f"schoolstack-certificates issue other other{other} --between")
    try:
        assert sent("other") == 403, "another name than its own"
    finally:
        web.shell("schoolstack-certificates forget other")


def test_what_was_written_while_nobody_took_it_arrives_later(sso: Deployment, web: Deployment) -> None:
    sso.shell("systemctl stop nginx")
    try:
        words = [tell(web), tell(web)]
        # It is tried again and again, and never given up.
        wait_until(
            lambda: "failed" in web.shell("journalctl -u systemd-journal-upload --since=-20s --no-pager")
        )
    finally:
        sso.shell("systemctl start nginx")
    for word in words:
        wait_until(lambda word=word: arrived(sso, word))
    assert web.shell("systemctl is-enabled systemd-journal-upload").strip() == "enabled"


def test_what_is_old_goes_and_nothing_is_lost_by_it(sso: Deployment, web: Deployment) -> None:
    before = tell(web)
    wait_until(lambda: arrived(sso, before))
    sso.shell(f"cp $(ls {KEPT}/remote-*.journal | head -1) {OLD}; touch -d '40 days ago' {OLD}")
    sso.shell("systemctl start schoolstack-logs.service")
    left = sso.shell(f"ls {KEPT}").split()
    assert OLD.rpartition("/")[2] not in left
    # What comes meanwhile is written to a new one.
    assert [name for name in left if re.search(r"@\d{8}T\d{6}Z\.journal$", name)], "set aside"
    assert arrived(sso, before)
    after = tell(web)
    wait_until(lambda: arrived(sso, after))
    assert "schoolstack-logs.timer" in sso.shell("systemctl list-timers --no-legend")


@pytest.mark.parametrize("server", ["sso", "web"])
def test_the_register_says_how_long_it_is_kept(sso: Deployment, web: Deployment, server: str) -> None:
    found = answers("privacy", [sso.inventory])["servers"][server]["records"]
    names = {one["name"]: one for one in found}
    assert "30 days" in names["host"]["personal_data"][0]["kept"]["en"]
    assert ("logs" in names) == (server == "sso")
    if server == "sso":
        [entry] = names["logs"]["personal_data"]
        assert entry["kept"]["nl"].startswith("30 dagen nadat het aankwam, en korter als het meer dan")
        assert entry["where"]["en"] == f"{KEPT} (sso)"
