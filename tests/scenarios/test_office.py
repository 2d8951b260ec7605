"""Collabora Online on a server: its role's wiring, with a stand-in for coolwsd (schoolstack.stand_ins).

Real are apt and a signed flat repository, systemd, nginx with its TLS and websockets, certificates, and a
small WOPI host (wopi_host.py) with a document that is opened, changed and saved. Collabora Online itself
cannot be had where these tests run; docs/how-to/office.md says what they do not show.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab_office
import pytest
from lab_office import status_of
from lab_school import Ended, play, school_on

from schoolstack.deployment import ROOT, Deployment, playbook_command
from schoolstack.reference.declarations import resolved
from schoolstack.stand_ins.office import add_collabora
from schoolstack.stand_ins.repository import Repository

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
    # A server from nothing, an upgrade there and back, and a removal.
    pytest.mark.slow,
]

SERVER = "office-server"
FIRST, NEXT, BROKEN = "26.04.4.2-1", "26.04.4.3-1", "26.04.4.4-1"
CORE, CORE_NEXT = "26.04.4-2", "26.04.4-3"
BRAND = "26.04-7"
PARTS = resolved(ROOT, "collabora_core_packages")
# The WOPI host stands on the server at the office's own name, for which there is a certificate.
WOPI_PORT = 8443


class School(Deployment):
    """A school with an office, and what its inventory says beyond the demo's."""

    def __init__(self, plain: Deployment, repository: Repository) -> None:
        """Take over a school that has nothing on its server yet."""
        super().__init__(plain.inventory, plain.name, plain.lab)
        self.repository = repository
        # As its maker publishes it: a keyring, with an older key in it.
        old = Repository(repository.folder).key.extract_certificate()
        key = repository.folder / "keyring.gpg"
        key.write_bytes(bytes(old) + bytes(repository.key.extract_certificate()))
        pin = {
            "name": "collabora-key",
            "version": repository.fingerprint[:16],
            "file": f"stand-in-{repository.fingerprint}.asc",
            "fingerprint": repository.fingerprint,
            "sources": [{"kind": "url", "url": key.as_uri()}],
        }
        self.settings: dict[str, Any] = {
            "collabora_apt_url": "http://127.0.0.1:2591",
            "collabora_artefacts": [pin],
            "collabora_version": FIRST,
            "collabora_core_version": CORE,
            "collabora_brand_version": BRAND,
            "collabora_wopi_hosts": [f"https://office.voorbeeldschool.localhost:{WOPI_PORT}"],
        }

    def run(self, playbook: str, **variables: Any) -> Ended:
        """Run a playbook with these settings, to its end, good or bad."""
        return play(self, playbook, **{**self.settings, **variables})

    def offer(self) -> None:
        """Bring the repository to the server, where it is served as a vendor's would be."""
        self.repository.publish()
        pack = ["tar", "-C", str(self.repository.folder), "-cf", "-", "InRelease", "Packages", "pool"]
        packed = subprocess.run(pack, check=True, capture_output=True).stdout
        unpack = "mkdir -p /root/vendor && tar -C /root/vendor -xf -"
        subprocess.run([*self.lab.ssh_command(self.name), unpack], input=packed, check=True)

    def version(self) -> str:
        """Return the version of the package that is installed; empty when it is not."""
        query = "dpkg-query --show --showformat='${db:Status-Abbrev}${Version}' coolwsd 2>/dev/null || true"
        said = self.shell(query)
        return said[3:] if said.startswith("ii") else ""

    def put(self, path: str, content: str) -> None:
        """Write a file on the server."""
        lab_office.put(self, path, content)

    def pid(self) -> str:
        """Return the number of the office's main process."""
        return self.shell("systemctl show --property=MainPID --value coolwsd.service").strip()

    def proof(self) -> str:
        """Return the key by which Nextcloud knows the office, as discovery tells it."""
        text = self.browser().get(self.url("collabora", "/hosting/discovery")).text
        found = re.search(r'modulus="([^"]+)"', text)
        assert found
        return found[1]

    def document(self) -> str:
        """Return what stands in the document at its host."""
        return self.shell("cat /root/wopi/document")

    def speak(self, source: str, *words: str, key: str = "good") -> list[str]:
        """Open a document as a browser would, through nginx, and return what was heard."""
        return lab_office.speak(self, source, key, *words)

    @property
    def source(self) -> str:
        """The document's address at its host."""
        return f"https://office.voorbeeldschool.localhost:{WOPI_PORT}/wopi/files/1"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The maker's repository, with the stand-in and with something that nobody asked for."""
    made = Repository(tmp_path_factory.mktemp("vendor"), flat=True)
    add_collabora(made, FIRST, CORE, PARTS)
    add_collabora(made, NEXT, CORE_NEXT, PARTS)
    made.add("code-brand", BRAND, {"/usr/share/coolwsd/browser/branding.css": "/* stand-in */\n"})
    made.add("nginx", "99.0", {"/usr/share/taken-over": "by the vendor\n"})
    return made


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory, repository: Repository) -> Iterator[School]:
    with school_on(SERVER, tmp_path_factory.mktemp("school"), "collabora") as plain:
        school = School(plain, repository)
        school.offer()
        school.shell(
            "systemd-run --quiet --unit=vendor python3 -m http.server 2591 --bind 127.0.0.1 "
            "--directory /root/vendor"
        )
        # As somebody would who wants to see first what it does.
        dry_run = [*playbook_command("site", school.inventories, school.settings), "--check"]
        assert subprocess.run(dry_run, cwd=ROOT, check=False).returncode == 0
        made = school.run("site")
        assert made.code == 0, made.text[-3000:]
        school.shell("mkdir -p /root/wopi")
        school.put("/root/wopi/document", "Once upon a time")
        school.put("/root/wopi_host.py", Path(__file__).with_name("wopi_host.py").read_text())
        lab_office.bring_browser(school)
        school.shell(
            "cd /etc/schoolstack/certificates/collabora && systemd-run --quiet --unit=wopi --same-dir "
            f"python3 /root/wopi_host.py /root/wopi fullchain.pem privkey.pem {WOPI_PORT}"
        )
        school.shell(wait_for(WOPI_PORT))
        yield school


# How it is installed


def test_a_second_run_changes_nothing(school: School) -> None:
    assert "changed=0" in school.run("site").text
    assert school.records["collabora"]["version"] == FIRST


def test_only_what_is_pinned_comes_from_its_maker(school: School) -> None:
    assert school.version() == FIRST
    policy = school.shell("apt-cache policy nginx coolwsd collaboraofficebasis-core")
    nginx, _, rest = policy.partition("coolwsd:")
    assert "99.0 -1" in nginx
    assert "Candidate: 99.0" not in nginx
    office, _, core = rest.partition("collaboraofficebasis-core:")
    assert f"Candidate: {FIRST}" in office
    assert NEXT in office
    assert f"Candidate: {CORE}" in core
    # Of the keyring, one key.
    keys = school.shell("cat /etc/apt/keyrings/collabora.asc")
    assert keys.count("BEGIN PGP PUBLIC KEY BLOCK") == 1
    assert keys.strip() == school.repository.public_key.strip()


def test_it_never_ran_as_its_package_would_have_it(school: School) -> None:
    said = school.shell("journalctl --unit=coolwsd --output=cat")
    assert f"coolwsd {FIRST} (stand-in)" in said
    assert "there is no certificate" not in said
    assert school.shell("systemctl show --property=NRestarts --value coolwsd.service").strip() == "0"
    assert school.shell("ls /usr/lib/systemd/system/coolwsd.service 2>/dev/null || true") == ""
    assert school.shell("systemctl show --property=FragmentPath --value coolwsd.service").strip() == (
        "/etc/systemd/system/coolwsd.service"
    )
    # What the package brought as its configuration is as it came.
    assert school.shell("dpkg --verify coolwsd | grep -v missing || true") == ""


def test_it_may_do_what_it_has_to(school: School) -> None:
    # The filters of the test host itself are on all that runs there.
    filters = school.shell("sed -n 's/^Seccomp_filters:\\s*//p' /proc/1/status").strip()
    status = school.shell(f"grep -E 'NoNewPrivs|CapBnd|Seccomp_filters' /proc/{school.pid()}/status").split()
    # CAP_CHOWN (0), CAP_FOWNER (3), CAP_SYS_CHROOT (18), CAP_SYS_ADMIN (21)
    wanted = sum(1 << bit for bit in (0, 3, 18, 21))
    assert dict(zip(status[::2], status[1::2], strict=True)) == {
        "NoNewPrivs:": "0",
        "Seccomp_filters:": filters,
        "CapBnd:": f"{wanted:016x}",
    }
    assert school.shell(f"stat --format=%U /proc/{school.pid()}").strip() == "cool"
    listening = school.shell("ss -Hltn 'sport = :9980' | awk '{print $4}'").split()
    assert listening == ["127.0.0.1:9980"]


def test_what_makes_names_unreadable_is_seen_by_nobody(school: School) -> None:
    salt = school.shell("cut -d= -f2 /etc/coolwsd/school.env").strip()
    assert re.fullmatch(r"\d{10,20}", salt)
    assert school.shell("stat --format='%a %U' /etc/coolwsd/school.env").strip() == "600 root"
    assert salt not in school.shell(f"tr '\\0' ' ' </proc/{school.pid()}/cmdline")
    assert salt not in school.shell("cat /etc/systemd/system/coolwsd.service; journalctl --unit=coolwsd")


# What it answers, and to whom


def test_discovery_names_the_public_address(school: School) -> None:
    browser = school.browser()
    told = browser.get(school.url("collabora", "/hosting/discovery"))
    addresses = set(re.findall(r'urlsrc="([^"]+)"', told.text))
    assert addresses == {school.url("collabora", "/browser/stand-in/cool.html?")}
    assert all(address.startswith("https://office.") for address in addresses)
    # Where somebody types its name only.
    assert browser.get(school.url("collabora")).text == told.text


def test_its_administration_is_closed(school: School) -> None:
    browser = school.browser()
    for path in ("/browser/dist/admin/admin.html", "/cool/adminws", "/cool/getMetrics", "/anything"):
        assert browser.get(school.url("collabora", path)).status == 404, path
    # From the server itself nginx lets them through; then it is coolwsd that refuses.
    url = school.url("collabora", "/browser/dist/admin/admin.html")
    assert school.shell(status_of(url)).strip() == "403"


def test_only_nextclouds_server_may_have_documents_converted(school: School) -> None:
    url = school.url("collabora", "/cool/convert-to/pdf")
    outside = school.browser().session.post(url, data=b"x", timeout=10)
    assert outside.status_code == 403
    # A claim about where one comes from is overwritten.
    lied = school.browser().session.post(url, data=b"x", headers={"X-Forwarded-For": "127.0.0.1"}, timeout=10)
    assert lied.status_code == 403
    assert school.shell(status_of(url, "x")).strip() == "200"


# Documents


def test_a_document_is_opened_changed_and_saved(school: School) -> None:
    heard = school.speak(school.source, "textinput id=0 text=, in a school", "save")
    assert heard[0].startswith("status: type=text")
    assert '"success": true' in heard[1]
    assert school.document() == "Once upon a time, in a school"
    # Its host refuses whoever has not its token.
    assert school.speak(school.source, key="bad") == ["error: cmd=load kind=unauthorized"]
    # And whoever has it, but is not the office whose key it knows.
    assert school.shell(status_of(f"{school.source}?access_token=good")).strip() == "401"


def test_documents_of_others_are_refused(school: School) -> None:
    for source in (
        f"https://files.voorbeeldschool.localhost:{WOPI_PORT}/wopi/files/1",
        f"https://127.0.0.1:{WOPI_PORT}/wopi/files/1",
        "http://localhost:2591/InRelease",
    ):
        assert school.speak(source) == ["error: cmd=internal kind=unauthorized"], source


def test_a_host_whose_certificate_nobody_vouches_for_is_refused(school: School) -> None:
    school.shell(
        "cd /root && openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 "
        "-subj /CN=office.voorbeeldschool.localhost "
        "-addext subjectAltName=DNS:office.voorbeeldschool.localhost 2>/dev/null; "
        "systemd-run --quiet --unit=other --same-dir "
        "python3 /root/wopi_host.py /root/wopi other.pem other.key 8444"
    )
    school.shell(wait_for(8444))
    source = school.source.replace(str(WOPI_PORT), "8444")
    assert school.speak(source) == ["error: cmd=storage kind=loadfailed"]


def wait_for(port: int) -> str:
    """Return a command that waits until something listens on a port."""
    return f"timeout 30 sh -c 'until ss -Hltn sport = :{port} | grep -q .; do sleep 0.2; done'"


def test_no_name_stands_in_its_journal(school: School) -> None:
    assert school.speak(school.source)[0].startswith("status:")
    said = school.shell("journalctl --unit=coolwsd --output=cat")
    opened = re.findall(r"WRN opened (\S+) for (\S+)", said)
    assert opened
    assert all(re.fullmatch("#[0-9a-f]{8}", one) for pair in opened for one in pair)
    assert "Daan" not in said
    assert "Hermans" not in said


def test_what_is_open_is_saved_before_it_stops(school: School) -> None:
    school.put("/root/wopi/document", "Kept")
    words = ["load url=x", "textinput id=0 text= and saved"]
    given = json.dumps([lab_office.websocket(school, school.source, "good"), words, True])
    school.put("/root/writer.json", given)
    school.shell(
        "systemd-run --quiet --unit=writer sh -c 'exec python3 /root/browser.py \"$(cat /root/writer.json)\"'"
    )
    school.shell("timeout 30 sh -c 'until journalctl --unit=writer | grep -q ready; do sleep 0.2; done'")
    school.shell("systemctl restart coolwsd.service")
    assert school.document() == "Kept and saved"


# What happens to it


def test_its_secret_is_replaced(school: School) -> None:
    before = school.shell("cat /etc/coolwsd/school.env")
    ended = school.run("rotate", rotate="collabora_salt")
    assert ended.code == 0, ended.text[-3000:]
    after = school.shell("cat /etc/coolwsd/school.env")
    assert after != before
    environment = school.shell(f"tr '\\0' '\\n' </proc/{school.pid()}/environ")
    assert after.strip() in environment
    assert before.strip() not in environment
    assert "changed=0" in school.run("site").text


def test_a_host_without_a_scheme_would_let_nobody_in(school: School) -> None:
    wrong = [f"office.voorbeeldschool.localhost:{WOPI_PORT}"]
    refused = school.run("site", collabora_wopi_hosts=wrong)
    assert refused.code != 0
    assert f"collabora_wopi_hosts names {wrong[0]}, which has no scheme or no port" in refused.text
    assert school.speak(school.source)[0].startswith("status:")


def test_an_upgrade_works_and_a_broken_one_goes_back(school: School, repository: Repository) -> None:
    proof = school.proof()
    refused = school.run("site", collabora_version=NEXT, collabora_core_version=CORE_NEXT)
    assert f"Collabora Online {FIRST} runs on server, and this release brings {NEXT}" in refused.text
    newer = {"collabora_version": NEXT, "collabora_core_version": CORE_NEXT}
    upgraded = school.run("upgrade", app="collabora", **newer)
    assert upgraded.code == 0, upgraded.text[-3000:]
    school.settings |= newer
    assert school.version() == NEXT
    assert f'"productVersion": "{NEXT}"' in capabilities(school)
    assert school.shell("cat /opt/cool/systemplate/version").strip() == NEXT
    assert "changed=0" in school.run("site").text
    assert school.proof() == proof
    assert school.speak(school.source)[0].startswith("status:")

    add_collabora(repository, BROKEN, "26.04.4-4", PARTS, broken=True)
    school.offer()
    ended = school.run(
        "upgrade", app="collabora", collabora_version=BROKEN, collabora_core_version="26.04.4-4"
    )
    assert ended.code != 0
    assert f"Collabora Online {NEXT} runs on server again" in ended.text
    assert school.version() == NEXT
    core = "dpkg-query --show --showformat='${Version}' collaboraofficebasis-core"
    assert school.shell(core) == CORE_NEXT
    # The template of documents has to be that of the version that runs.
    assert school.shell("cat /opt/cool/systemplate/version").strip() == NEXT
    assert school.proof() == proof
    assert school.speak(school.source)[0].startswith("status:")
    assert "changed=0" in school.run("site").text


def capabilities(school: School) -> str:
    """Return what the office says that it can do."""
    return school.browser().get(school.url("collabora", "/hosting/capabilities")).text


def test_its_key_is_in_the_backup(school: School) -> None:
    assert school.records["collabora"]["paths"]["config"] == "/etc/coolwsd"
    assert school.shell("stat --format=%U /etc/coolwsd/proof_key").strip() == "cool"


def test_nothing_is_left_when_it_is_removed(school: School) -> None:
    members = json.loads((school.inventory / "hosts.yml").read_text(encoding="utf-8"))
    del members["all"]["children"]["collabora"]
    (school.inventory / "hosts.yml").write_text(json.dumps(members), encoding="utf-8")
    gone = school.run("remove", app="collabora")
    assert gone.code == 0, gone.text[-3000:]
    assert school.version() == ""
    left = "find /etc /opt /usr /var/lib /var/cache -xdev \\( -name '*coolwsd*' -o -name '*collabora*' "
    left += (
        "-o -name cool \\) -not -path '/var/lib/dpkg/*' -not -path '/var/lib/systemd/deb-systemd-helper-*' "
    )
    left += "-not -path '/var/lib/schoolstack/removed/*' -not -path '*/__pycache__/*'"
    assert school.shell(left) == ""
    assert school.shell("getent passwd cool || getent group cool || true") == ""
    assert school.shell("pgrep --list-full coolwsd || ss -Hltn 'sport = :9980'") == ""
    assert "changed=0" in school.run("site").text
