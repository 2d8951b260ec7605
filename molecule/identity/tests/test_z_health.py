"""What the server says of its own health. Comes last, since it breaks things; each test puts them back."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from testinfra.host import Host

from schoolstack.deployment import ROOT, Deployment
from schoolstack.roster import sheets
from schoolstack.signin import sign_in

CERTIFICATE = "/etc/schoolstack/certificates/portal/fullchain.pem"
SETTINGS = "/etc/nginx/conf.d/schoolstack.conf"
KEPT = "/var/lib/schoolstack/health"

# (state, key, application) of each finding
Findings = set[tuple[str, str, str]]


@pytest.fixture
def look(host: Host) -> Callable[[], Findings]:
    """What the server's program finds."""

    def look() -> Findings:
        answer = json.loads(host.check_output("schoolstack-health findings"))
        return {(one["state"], one["key"], one["application"]) for one in answer["findings"]}

    return look


@contextmanager
def broken(host: Host, command: str, cure: str) -> Iterator[None]:
    """Break something on the server, and put it back."""
    try:
        host.check_output(command)
        yield
    finally:
        host.check_output(cure)


def asked(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Ask the school's servers as a coordinator does."""
    command = [Path(sys.executable).with_name("school"), "health", *words]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def of(school: Deployment) -> list[str]:
    """Return the options that name the school's inventories."""
    return [word for inventory in school.inventories for word in ("-i", str(inventory))]


def test_a_server_on_which_all_is_well_says_so(look: Callable[[], Findings]) -> None:
    found = look()
    assert {state for state, _, _ in found} <= {"good", "look"}
    for application in ("keycloak", "portal"):
        said = {key for state, key, name in found if state == "good" and name == application}
        assert {"runs", "answer", "page", "certificate"} <= said


def test_a_stopped_service_is_wrong(host: Host, look: Callable[[], Findings]) -> None:
    with broken(host, "systemctl stop portal", "systemctl start portal"):
        assert ("wrong", "runs_not", "portal") in look()


def test_a_page_that_does_not_open_is_wrong(host: Host, look: Callable[[], Findings]) -> None:
    with broken(host, "systemctl stop nginx", "systemctl start nginx"):
        assert {("wrong", "page_not", "portal"), ("wrong", "page_not", "keycloak")} <= look()


def test_a_certificate_that_has_ended_is_wrong(host: Host, look: Callable[[], Findings]) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    ended = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(now - datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )
    replace = f"cp -p {CERTIFICATE} /root/kept.pem && printf %s '{ended}' > {CERTIFICATE}"
    with broken(host, replace, f"mv /root/kept.pem {CERTIFICATE}"):
        assert ("wrong", "certificate_ended", "portal") in look()


def test_a_failed_unit_and_a_wanted_restart_are_to_be_looked_at(
    host: Host, look: Callable[[], Findings]
) -> None:
    fail = "touch /run/reboot-required; systemd-run --quiet --wait --unit=breaks false || true"
    with broken(host, fail, "rm /run/reboot-required; systemctl reset-failed breaks.service"):
        assert {("look", "units_failed", ""), ("look", "reboot_wanted", "")} <= look()


def test_a_wrong_password_counts_as_a_failed_sign_in(school: Deployment, host: Host) -> None:
    def count() -> int:
        found = json.loads(host.check_output("schoolstack-health findings"))["findings"]
        (one,) = (one for one in found if (one["check"], one["application"]) == ("sign_ins", "keycloak"))
        return int(one["values"]["count"])

    before = count()
    username, _ = sheets.read_all(school.inventory)["pupil"][0]
    assert not sign_in(school.browser(), school.url("portal"), username, "wrong").arrived
    assert count() == before + 1


def test_many_more_failed_sign_ins_than_usual_are_to_be_looked_at(
    school: Deployment, host: Host, look: Callable[[], Findings]
) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    days = {str(today - datetime.timedelta(days=n)): {"keycloak": 0} for n in range(1, 7)}
    samples = json.dumps({"disks": [], "sign_ins": days})
    host.check_output(f"mkdir -p {KEPT} && touch {KEPT}/samples.json")
    replace = f"mv {KEPT}/samples.json {KEPT}/before.json && printf %s '{samples}' > {KEPT}/samples.json"
    with broken(host, replace, f"mv {KEPT}/before.json {KEPT}/samples.json"):
        for number in range(21):
            assert not sign_in(school.browser(), school.url("portal"), f"nobody.{number}", "wrong").arrived
        assert ("look", "sign_ins_unusual", "keycloak") in look()


def test_the_timer_keeps_samples(host: Host) -> None:
    assert host.service("schoolstack-health.timer").is_running
    host.check_output("systemctl start schoolstack-health.service")
    samples = json.loads(host.file(f"{KEPT}/samples.json").content_string)
    assert samples["disks"][-1]["disks"]["/"]["size"] > 0
    assert set(max(samples["sign_ins"].items())[1]) == {"keycloak", "ssh"}


def test_what_was_changed_by_hand_is_drift(school: Deployment, host: Host) -> None:
    change = f"cp -p {SETTINGS} /root/kept.conf && echo '# by hand' >> {SETTINGS}"
    with broken(host, change, f"mv /root/kept.conf {SETTINGS}"):
        done = asked(*of(school), "--drift", "--json")
    (drift,) = (
        one for one in json.loads(done.stdout)["servers"]["server"]["findings"] if one["check"] == "drift"
    )
    assert (drift["state"], drift["values"]) == ("look", {"count": 1, "list": "Write nginx's settings"})


def test_a_server_that_is_off_is_one_line(school: Deployment, tmp_path: Path) -> None:
    gone = tmp_path / "gone.yml"
    gone.write_text("all: {hosts: {gone: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n", encoding="utf-8")
    done = asked(*of(school), "-i", gone, "--json", "--language", "nl")
    report = json.loads(done.stdout)
    assert (done.returncode, report["state"], done.stderr) == (2, "wrong", "")
    (away,) = report["servers"]["gone"]["findings"]
    assert (away["key"], away["sentence"][:20]) == ("unreachable", "is niet bereikbaar (")
    assert len(report["servers"]["server"]["findings"]) > 1


def test_an_inventory_that_is_none_is_wrong_and_says_why() -> None:
    done = asked("-i", "nowhere.yml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere.yml" in done.stderr
