"""One server watches both: what it sees of the other, who is let in, what is left when none watches."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from prometheus import series, wait_until

from schoolstack.deployment import Deployment, run_playbook
from schoolstack.signin import SignInError

METRICS = "/etc/schoolstack/certificates/metrics"
UNITS = (
    "prometheus*.service schoolstack-findings.timer systemd-journal-remote.* systemd-journal-upload.service"
)


def test_everything_of_both_servers_is_asked_and_answers(sso: Deployment) -> None:
    expected = sorted(
        [
            *[(job, server, "") for job in ("server", "processes", "web") for server in ("sso", "web")],
            ("database", "sso", ""),
            ("keycloak", "sso", "keycloak"),
            # Told on the other server's own loopback address.
            ("samlpage", "web", "samlpage"),
            ("page", "sso", "keycloak"),
            ("page", "sso", "statuspage"),
            ("page", "web", "portal"),
            ("page", "web", "samlpage"),
        ]
    )

    def answering() -> bool:
        targets = sso.ask_prometheus("targets", state="active")["activeTargets"]
        labels = [one["labels"] for one in targets]
        found = sorted((one["job"], one["server"], one.get("application", "")) for one in labels)
        return found == expected and all(one["health"] == "up" for one in targets)

    wait_until(answering)
    assert not [one for one in series(sso, "probe_success") if one["value"][1] != "1"]
    [told] = series(sso, "samlpage_up")
    assert (told["metric"]["server"], told["metric"]["instance"]) == ("web", "web")


def test_what_the_other_server_finds_of_itself_arrives_and_is_an_alert(
    sso: Deployment, web: Deployment
) -> None:
    web.shell("systemctl stop portal")
    try:
        wrong = 'ALERTS{alertname="Finding",alertstate="firing",severity="wrong",application="portal"}'
        [alert] = wait_until(lambda: series(sso, wrong))
        assert alert["metric"]["server"] == "web"
        wait_until(lambda: "Startpagina: werkt nu niet" in status(sso))
        assert "Aanmelden: werkt" in status(sso)
    finally:
        web.shell("systemctl start portal")
    wait_until(lambda: not series(sso, wrong))
    wait_until(lambda: "Startpagina: werkt" in status(sso) and "werkt nu niet" not in status(sso))


def status(sso: Deployment) -> str:
    """Return what the status page says, as people see it."""
    page = sso.browser().get(sso.url("statuspage", "/nl"))
    return " ".join(page.tree.text_content().split())


def test_the_status_page_opens_from_the_school_only(sso: Deployment, web: Deployment) -> None:
    url = sso.url("statuspage")
    assert "Alles werkt." in wait_until(lambda: "Alles werkt." in status(sso) and status(sso))
    assert not {sso.address, web.address, "sso", "web"} & set(status(sso).split())
    # This machine is in the school's network; nobody else is when that is taken away.
    site = "/etc/nginx/sites-enabled/statuspage.conf"
    sso.shell(f"cp {site} /root/; sed -i '/allow 10/d' {site}; systemctl reload nginx")
    try:
        wait_until(lambda: sso.browser().get(url).status == 403)
    finally:
        sso.shell(f"cp -p /root/statuspage.conf {site}; systemctl reload nginx")


def port_of(web: Deployment) -> str:
    return f"https://{web.address}:9999/proxy?module=server"


@pytest.mark.parametrize(
    ("certificate", "let_in"),
    [("metrics", True), ("keycloak", False), ("", False), ("forged", False)],
)
def test_only_who_shows_the_certificate_of_the_server_that_watches_is_told(
    sso: Deployment, web: Deployment, certificate: str, let_in: bool
) -> None:
    """Tried from the address that the firewall lets in."""
    name = sso.shell(f"openssl x509 -in {METRICS}/fullchain.pem -noout -subject -nameopt multiline").split()[
        -1
    ]
    if certificate == "forged":
        # What somebody who broke into the other server could sign for the same name.
        web.shell(f"schoolstack-certificates issue forged {name} --between")
        for file in ("fullchain", "privkey"):
            text = web.shell(f"cat /etc/schoolstack/certificates/forged/{file}.pem")
            sso.shell(f"mkdir -p /root/forged; cat >/root/forged/{file}.pem <<'END'\n{text}\nEND")
        web.shell("schoolstack-certificates forget forged")
    folder = "/root/forged" if certificate == "forged" else f"/etc/schoolstack/certificates/{certificate}"
    program = (
        "import ssl, sys, urllib.request as r; c = ssl.create_default_context(); c.check_hostname = False; "
        "folder, url = sys.argv[1:]; "
        "folder and c.load_cert_chain(folder + '/fullchain.pem', folder + '/privkey.pem'); "
        "print(r.urlopen(url, context=c).status)"
    )
    shown = folder if certificate else ""
    said = sso.shell(f'python3 -c "{program}" "{shown}" "{port_of(web)}" 2>&1 || true')
    assert (said.strip() == "200") is let_in, said
    if not let_in:
        assert "alert" in said or "EOF" in said or "reset" in said, said


def test_a_renewed_certificate_is_shown_at_once(sso: Deployment, web: Deployment) -> None:
    """By the daily timer, without Ansible."""

    def shown() -> str:
        # Who shows no certificate is still shown the server's.
        return sso.shell(
            f"openssl s_client -connect {web.address}:9999 </dev/null 2>/dev/null"
            " | openssl x509 -noout -serial"
        )

    before = shown()
    web.shell(f"rm {METRICS}/fullchain.pem; systemctl start schoolstack-certificates.service")
    wait_until(lambda: shown() != before)
    wait_until(lambda: [one["value"][1] for one in series(sso, 'up{job="server",server="web"}')] == ["1"])


def test_a_school_in_which_nobody_watches_any_more_has_nothing_of_it_open(
    sso: Deployment, web: Deployment, tmp_path: Path
) -> None:
    inventory = tmp_path / "inventory"
    shutil.copytree(sso.inventory, inventory)
    groups = yaml.safe_load((inventory / "hosts.yml").read_text(encoding="utf-8"))
    del groups["statuspage"]
    (inventory / "hosts.yml").write_text(json.dumps(groups), encoding="utf-8")
    run_playbook("remove", [inventory], {"app": "statuspage"})
    with pytest.raises(SignInError):
        sso.browser().get(sso.url("statuspage"))
    del groups["monitoring"]
    (inventory / "hosts.yml").write_text(json.dumps(groups), encoding="utf-8")
    # As some do now and then, one ends badly when it is told to end.
    badly = "/run/systemd/system/prometheus-nginx-exporter.service.d"
    web.shell(f"mkdir -p {badly} && printf '[Service]\\nExecStop=/bin/false\\n' >{badly}/badly.conf")
    web.shell("systemctl daemon-reload")
    run_playbook("site", [inventory])
    assert sso.shell("ls /var/log/journal/remote"), "what names people still has to go in time"
    assert "schoolstack-logs.timer" in sso.shell("systemctl list-timers --no-legend")
    for server in (sso, web):
        assert server.shell("ls /etc/nftables.d").split() == ["nginx.nft"]
        assert server.shell(f"systemctl list-units --plain --no-legend {UNITS}") == ""
        assert (
            server.shell("ls -d /etc/prometheus/school /etc/nftables.d/monitoring.nft 2>/dev/null || true")
            == ""
        )
        assert not {"metrics", "logs"} & set(server.shell("ls /etc/schoolstack/certificates").split())
        assert not re.search(r":(9999|1953[12])\b", server.shell("ss -Hltn"))
        assert "servers." not in server.shell("cat /etc/hosts")
        assert server.shell("systemctl list-units --plain --no-legend --state=failed") == ""
        enabled = "systemctl list-unit-files --state=enabled --no-legend 'prometheus*' 'systemd-journal-*'"
        assert server.shell(f"{enabled} || true") == ""
    assert run_playbook("site", [inventory]).changed == 0
