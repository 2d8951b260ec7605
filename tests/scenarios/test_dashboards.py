"""Dashboards on a real Prometheus, with real tokens of Keycloak; Grafana, Loki and Alloy are stand-ins.

What is shown of Grafana is the role's wiring: the package from a signed repository, configuration, database,
sign-in, rotation, backup, upgrade and removal, with programs in the packages' shape (grafana_stand_in.py,
loki_stand_in.py, alloy_stand_in.py). The journals that are searched are real. None of the three can be had
where these tests run; what they do with all this, the tests do not show.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import jmespath
import pytest
from lab_school import Ended, play, school_on, wait_for_sign_in
from vendor_repository import add_grafana, add_loki

from schoolstack.dashboards import metrics, queries
from schoolstack.deployment import ROOT, Deployment, playbook_command
from schoolstack.hosts.state import run
from schoolstack.signin import Browser, SignIn, Totp, claims, sign_in, tokens
from schoolstack.stand_ins.repository import Repository

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
    # A school with all its metrics, and Grafana's role from installation to removal.
    pytest.mark.slow,
]

SERVER = "boards-server"
FIRST, NEXT, BROKEN = "13.2.3", "13.2.4", "13.2.5"
LOKI, LOKI_NEXT, ALLOY = "3.7.6", "3.7.7", "1.18.1-1"
BOARDS = "/etc/prometheus/school/dashboards"
PASSWORDS = {role: secrets.token_urlsafe(12) for role in ("ict", "teacher", "pupil")}
# With these everything is measured within seconds.
FAST = {"monitoring_interval_s": 2, "monitoring_health_interval_s": 5}
# Seconds until Prometheus has asked a new thing twice.
MEASURED_S = 60


class School(Deployment):
    """A school with dashboards, and what its inventory says beyond the demo's."""

    def __init__(self, plain: Deployment, repository: Repository) -> None:
        """Take over a school that has nothing on its server yet."""
        super().__init__(plain.inventory, plain.name, plain.lab)
        self.repository = repository
        self.totp: dict[str, Totp] = {}
        key = repository.folder / "key.asc"
        key.write_text(repository.public_key, encoding="utf-8")
        pin = {
            "name": "grafana-key",
            "version": repository.fingerprint[:16],
            "file": f"stand-in-{repository.fingerprint}.asc",
            "fingerprint": repository.fingerprint,
            "sources": [{"kind": "url", "url": key.as_uri()}],
        }
        self.settings = {**FAST, "grafana_apt_url": "http://127.0.0.1:2590", "grafana_artefacts": [pin]}

    def run(self, playbook: str, **variables: Any) -> Ended:
        """Run a playbook with these settings, to its end, good or bad."""
        return play(self, playbook, **{**self.settings, **variables})

    def offer(self) -> None:
        """Bring the repository to the server, where it is served as a vendor's would be."""
        self.repository.publish()
        pack = ["tar", "-C", str(self.repository.folder), "-cf", "-", "dists", "pool"]
        packed = subprocess.run(pack, check=True, capture_output=True).stdout
        unpack = "mkdir -p /root/vendor && tar -C /root/vendor -xf -"
        subprocess.run([*self.lab.ssh_command(self.name), unpack], input=packed, check=True)

    def enter(self, browser: Browser, role: str) -> SignIn:
        """Sign a person in to the dashboards."""
        given = (f"test-{role}", PASSWORDS[role])
        done = sign_in(browser, self.url("grafana"), *given, totp=self.totp.get(role))
        if done.totp:
            self.totp[role] = done.totp
        return done

    def sql(self, statement: str) -> str:
        """Return what a statement gives in Grafana's database."""
        return self.shell(f'psql -U postgres -XAtc "{statement}" grafana').strip()

    def boards(self) -> dict[str, Any]:
        """Return the dashboards on the server, by the name of their file."""
        read = (
            "import json, pathlib; print(json.dumps({p.parent.name + '/' + p.stem: json.loads(p.read_text()) "
            f"for p in pathlib.Path({BOARDS!r}).glob('*/*.json')}}))"
        )
        boards: dict[str, Any] = json.loads(run([*self.lab.ssh_command(self.name), "python3 -"], stdin=read))
        return boards

    def version(self) -> str:
        """Return the version of the package that is installed; empty when it is not."""
        query = "dpkg-query --show --showformat='${db:Status-Abbrev}${Version}' grafana 2>/dev/null || true"
        said = self.shell(query)
        return said[3:] if said.startswith("ii") else ""

    def with_also(self, application: str) -> None:
        """Put the server into a group of the inventory."""
        members = json.loads((self.inventory / "hosts.yml").read_text(encoding="utf-8"))
        members["all"]["children"][application] = {"hosts": {"server": None}}
        (self.inventory / "hosts.yml").write_text(json.dumps(members), encoding="utf-8")

    def without(self, application: str) -> None:
        """Take the server out of a group of the inventory."""
        members = json.loads((self.inventory / "hosts.yml").read_text(encoding="utf-8"))
        members["all"]["children"].pop(application, None)
        (self.inventory / "hosts.yml").write_text(json.dumps(members), encoding="utf-8")

    def fresh(self) -> School:
        """Return the same school, with its records read anew."""
        other = School(self, self.repository)
        other.totp = self.totp
        return other


def add_person(school: Deployment, role: str) -> None:
    """Make an account with a role and without a mail address, as class lists have them."""
    person = {
        "username": f"test-{role}",
        "enabled": True,
        "firstName": "Test",
        "lastName": role,
        "groups": [f"/role/{role}"],
        "credentials": [{"type": "password", "value": PASSWORDS[role]}],
    }
    school.ask_keycloak(f"admin.post('school', 'partialImport', body={{'users': [{person!r}]}})")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A vendor's repository, with the stand-in and with something that nobody asked for."""
    made = Repository(tmp_path_factory.mktemp("vendor"))
    add_grafana(made, FIRST)
    add_grafana(made, NEXT)
    add_loki(made, LOKI, ALLOY)
    return made


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory, repository: Repository) -> Iterator[School]:
    folder = tmp_path_factory.mktemp("school")
    with school_on(SERVER, folder, "monitoring", "keycloak", "portal", "grafana") as plain:
        school = School(plain, repository)
        school.offer()
        school.shell(
            "systemd-run --quiet --unit=vendor python3 -m http.server 2590 --bind 127.0.0.1 "
            "--directory /root/vendor"
        )
        # As somebody would who wants to see first what it does.
        dry_run = [*playbook_command("site", school.inventories, school.settings), "--check"]
        assert subprocess.run(dry_run, cwd=ROOT, check=False).returncode == 0
        made = school.run("site")
        assert made.code == 0, made.text[-3000:]
        wait_for_sign_in(school)
        for role in PASSWORDS:
            add_person(school, role)
        yield school


# What the dashboards ask


def test_every_query_of_every_dashboard_has_an_answer(school: School) -> None:
    boards = school.boards()
    expected = {"everybody/school", *(f"ict/{name}" for name in ("attention", "servers", "database"))}
    expected |= {f"ict/{name}" for name in ("backup", "room", "app-keycloak", "app-portal", "app-grafana")}
    assert set(boards) == expected
    asked = [query for board in boards.values() for query in queries(board)]
    assert len(asked) > 60
    left, deadline = asked, time.monotonic() + MEASURED_S
    while left:
        left = [query for query in left if not school.ask_prometheus("query", query=query.expr)["result"]]
        assert time.monotonic() < deadline, left
    known = set(school.ask_prometheus("label/__name__/values"))
    # Of a room nothing is told where there is none.
    unknown = {name for query in asked for name in metrics(query.expr)} - known
    assert {name for name in unknown if not name.startswith("schoolstack_seat_")} == set()


def test_a_light_on_the_first_screen_is_what_health_says(school: School) -> None:
    (state,) = [
        query.expr for query in queries(school.boards()["everybody/school"]) if query.panel == "Back-up"
    ]
    school.shell("schoolstack-backup run >/dev/null; systemctl start schoolstack-findings")
    deadline = time.monotonic() + MEASURED_S
    while school.ask_prometheus("query", query=state)["result"][0]["value"][1] != "0":
        assert time.monotonic() < deadline
        time.sleep(1)


def test_a_question_without_an_answer_is_found_at_the_next_run(school: School) -> None:
    panel = {"title": "Nothing", "targets": [{"expr": "no_such"}]}
    board = {"title": "Probe", "uid": "probe", "panels": [panel]}
    run(
        [*school.lab.ssh_command(SERVER), f"cat >{BOARDS}/ict/probe.json"],
        stdin=json.dumps(board),
    )
    try:
        ended = school.run("site")
        assert ended.code != 0
        assert "On the dashboard Probe, Nothing gets no answer from Prometheus (no_such)" in ended.text
    finally:
        school.shell(f"rm {BOARDS}/ict/probe.json")
    assert "changed=0" in school.run("site").text


# Who sees what


def test_roles_are_what_keycloaks_own_tokens_say(school: School) -> None:
    """The expression on the server, by an independent JMESPath, on tokens of the real sign-in."""
    ini = school.shell("cat /etc/grafana/school.ini")
    settings = dict(line.split(" = ", 1) for line in ini.splitlines() if " = " in line)
    issuer = school.url("keycloak", "/realms/school")
    redirect = school.url("grafana", "/login/generic_oauth")
    secret = school.shell("cat /etc/grafana/secrets/client")
    # The first time, a coordinator sets up one-time codes.
    assert school.enter(school.browser(), "ict").arrived
    for role, expected in (("ict", "Admin"), ("teacher", "Viewer")):
        given = tokens(
            *(school.browser(), issuer, "grafana", redirect, f"test-{role}", PASSWORDS[role]),
            client_secret=secret,
            scope=settings["scopes"],
            totp=school.totp.get(role),
        )
        told = claims(given.id)
        assert jmespath.search(settings["role_attribute_path"], told) == expected
        assert jmespath.search(settings["login_attribute_path"], told) == f"test-{role}"
        mail = jmespath.search(settings["email_attribute_path"], told)
        assert mail == f"test-{role}@voorbeeldschool.localhost"


def test_a_pupil_is_refused_at_the_sign_in(school: School) -> None:
    done = school.enter(school.browser(), "pupil")
    assert not done.arrived
    assert "niet bedoeld voor uw rol" in done.message
    # And were one let through, by another application's token, the expression names no role.
    ini = school.shell("grep ^role_attribute_path /etc/grafana/school.ini").split(" = ", 1)[1].strip()
    issuer = school.url("keycloak", "/realms/school")
    secret = school.shell("sed -n 's/^OIDCClientSecret //p' /etc/portal/secrets.conf").strip()
    back = school.url("portal", "/sign-in")
    given = tokens(
        *(school.browser(), issuer, "portal", back, "test-pupil", PASSWORDS["pupil"]), client_secret=secret
    )
    assert not isinstance(jmespath.search(ini, claims(given.id)), str)
    assert not isinstance(jmespath.search(ini, claims(given.access)), str)


@pytest.mark.parametrize(("role", "name"), [("teacher", "Viewer"), ("ict", "Admin")])
def test_people_sign_in_with_their_role(school: School, role: str, name: str) -> None:
    browser = school.browser()
    done = school.enter(browser, role)
    assert done.arrived
    assert "Stand-in" in done.page.words
    assert done.page.element("role").text_content() == name
    seen = {one["uid"] for one in json.loads(browser.get(school.url("grafana", "/api/search")).text)}
    if name == "Viewer":
        assert seen == {"school"}
        assert browser.get(school.url("grafana", "/api/dashboards/uid/attention")).status == 404
    else:
        assert {"school", "attention", "app-keycloak"} <= seen
    # The data source leads to the real Prometheus.
    path = "/api/datasources/proxy/uid/school/api/v1/query?query=max(up)"
    assert json.loads(browser.get(school.url("grafana", path)).text)["data"]["result"]


def test_signing_out_ends_both_sides(school: School) -> None:
    browser = school.browser()
    assert school.enter(browser, "teacher").arrived
    browser.get(school.url("grafana", "/logout"))
    assert browser.get(school.url("grafana")).element("kc-form-login") is not None


def test_its_own_administration_is_closed_from_outside(school: School) -> None:
    browser = school.browser()
    for path in ("/metrics", "/api/admin/users/1/auth-tokens"):
        assert browser.get(school.url("grafana", path)).status == 404


# What is on the server


def test_only_what_is_pinned_comes_from_the_vendor(school: School) -> None:
    assert school.version() == FIRST
    assert school.records["grafana"]["version"] == FIRST
    policy = school.shell("apt-cache policy loki grafana")
    loki, _, grafana = policy.partition("grafana:")
    # The vendor's is there and passed over; what Debian calls so may be had.
    assert f"{LOKI} -1" in loki
    assert f"Candidate: {LOKI}" not in loki
    assert f"Candidate: {FIRST}" in grafana
    assert NEXT in grafana
    kept = school.shell("ls /var/lib/schoolstack/packages/grafana").split()
    assert kept == [f"grafana_{FIRST}_all.deb"]


def test_another_key_is_refused_before_the_first_change(school: School) -> None:
    (pin,) = school.settings["grafana_artefacts"]
    other = {**pin, "fingerprint": "B53AE77BADB630A683046005963FA27710458545", "file": "stand-in-other.asc"}
    ended = play(school, "site", **{**school.settings, "grafana_artefacts": [other]})
    assert ended.code != 0
    assert f"fingerprint {other['fingerprint']} expected, {pin['fingerprint']} found" in ended.text
    assert "changed=0" in ended.text


def test_no_secret_can_be_read_by_others(school: School) -> None:
    owned = "find /etc/grafana ! -group grafana -o -perm /o=r -type f -o ! -user root"
    assert school.shell(owned) == ""
    words = school.shell("cat /etc/grafana/secrets/*")
    assert len(words) == 5 * 32
    ini = school.shell("cat /etc/grafana/school.ini /etc/systemd/system/grafana-server.service")
    assert not [word for word in (words[n : n + 32] for n in range(0, 160, 32)) if word in ini]


def test_it_may_do_no_more_than_it_has_to(school: School) -> None:
    line = school.shell("systemd-analyze security --no-pager grafana-server.service | tail -1")
    assert float(line.split(": ")[1].split()[0]) < 4.0, line
    listening = school.shell("ss -Hltn 'sport = :3000' | awk '{print $4}'").split()
    assert listening == ["127.0.0.1:3000"]


def administrator(school: School, password: str) -> str:
    """Return the HTTP status that Grafana's administrator gets with a password."""
    program = (
        "import base64, sys, urllib.request as r, urllib.error\n"
        f"proof = base64.b64encode(b'admin:{password}').decode()\n"
        "ask = r.Request('http://127.0.0.1:3000/api/user', headers={'Authorization': 'Basic ' + proof})\n"
        "try: print(r.urlopen(ask).status)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    return run([*school.lab.ssh_command(SERVER), "python3 -"], stdin=program).strip()


def test_the_administrators_password_is_replaced(school: School) -> None:
    old = school.shell("cat /etc/grafana/secrets/admin")
    assert administrator(school, old) == "200"
    assert administrator(school, "admin") == "401"
    ended = school.run("rotate", rotate="grafana_admin,grafana_client,grafana_database")
    assert ended.code == 0, ended.text[-3000:]
    new = school.shell("cat /etc/grafana/secrets/admin")
    assert new != old
    assert (administrator(school, new), administrator(school, old)) == ("200", "401")
    assert school.enter(school.browser(), "teacher").arrived
    refused = school.run("rotate", rotate="grafana_secret_key")
    assert "stays as it is, since nothing else opens what the application keeps" in refused.text
    # Whatever somebody chose in its place.
    school.sql("UPDATE account SET password = 'x' WHERE login = 'admin'")
    assert school.run("site").code == 0
    assert administrator(school, new) == "200"
    assert "changed=0" in school.run("site").text


def test_one_person_is_shown_and_erased(school: School) -> None:
    assert school.enter(school.browser(), "teacher").arrived
    shown = play(school, "person", person="test-teacher", person_do="show")
    assert "Dashboards" in shown.text
    find = "SELECT count(*) FROM account WHERE login = 'test-teacher'"
    assert school.sql(find) == "1"
    erased = play(school, "person", person="test-teacher", person_do="erase", person_typed="test-teacher")
    assert erased.code == 0
    assert school.sql(find) == "0"
    add_person(school, "teacher")


# What happens to it


def test_an_upgrade_works_and_a_broken_one_goes_back(school: School, repository: Repository) -> None:
    assert school.enter(school.browser(), "ict").arrived
    people = school.sql("SELECT id, login, role FROM account WHERE login = 'test-ict'")
    refused = school.run("site", grafana_version=NEXT)
    assert f"Dashboards {FIRST} runs on server, and this release brings {NEXT}" in refused.text
    upgraded = school.run("upgrade", app="grafana", grafana_version=NEXT)
    assert upgraded.code == 0, upgraded.text[-3000:]
    assert f"Dashboards {NEXT} runs on server, and people can sign in." in upgraded.text
    assert school.version() == NEXT
    assert school.sql("SELECT id, login, role FROM account WHERE login = 'test-ict'") == people
    school.settings["grafana_version"] = NEXT
    assert "changed=0" in school.run("site").text

    add_grafana(repository, BROKEN, broken=True)
    school.offer()
    ended = school.run("upgrade", app="grafana", grafana_version=BROKEN)
    assert ended.code != 0
    assert f"Dashboards {NEXT} runs on server again, with the data it had before" in ended.text
    assert school.version() == NEXT
    assert school.sql("SELECT max(version) FROM migration_log") == NEXT
    assert f"Candidate: {NEXT}" in school.shell("apt-cache policy grafana")
    assert school.fresh().enter(school.browser(), "ict").arrived
    assert "changed=0" in school.run("site").text


def test_what_it_keeps_comes_back_from_the_backup(school: School) -> None:
    assert school.enter(school.browser(), "ict").arrived
    people = school.sql("SELECT id, login, email, role FROM account ORDER BY id")
    school.shell("echo kept >/var/lib/grafana/kept; schoolstack-backup run >/dev/null")
    school.sql("DELETE FROM account")
    school.shell("rm /var/lib/grafana/kept")
    back = school.run("restore", restore_app="grafana", restore_overwrite=True)
    assert back.code == 0, back.text[-3000:]
    assert school.sql("SELECT id, login, email, role FROM account ORDER BY id") == people
    assert school.shell("cat /var/lib/grafana/kept") == "kept\n"
    assert school.enter(school.browser(), "ict").arrived


# Journals


def found(school: School, browser: Browser, server: str, word: str) -> set[tuple[str, str]]:
    """Return a server's lines that hold a word, each with its unit, as a person finds them."""
    query = urlencode({"query": f'{{server="{server}"}} |= "{word}"'})
    path = f"/api/datasources/proxy/uid/journals/loki/api/v1/query_range?{query}"
    answer = browser.get(school.url("grafana", path))
    assert answer.status == 200
    streams = json.loads(answer.text)["data"]["result"]
    return {(one["stream"].get("unit", ""), line) for one in streams for _, line in one["values"]}


def find(school: School, browser: Browser, server: str, unit: str, word: str) -> None:
    """Wait until what a unit wrote is found."""
    deadline = time.monotonic() + MEASURED_S
    while (unit, word) not in (seen := found(school, browser, server, word)):
        assert time.monotonic() < deadline, seen
        time.sleep(1)


def test_journals_are_searched_where_dashboards_are(school: School) -> None:
    word = secrets.token_hex(8)
    # From before anything reads it.
    school.shell(f"systemd-run --quiet --wait --unit=probe echo {word}")
    teacher = school.browser()
    assert school.enter(teacher, "teacher").arrived
    school.with_also("loki")
    joined = school.run("site")
    assert joined.code == 0, joined.text[-3000:]
    assert "changed=0" in school.run("site").text
    browser = school.browser()
    assert school.enter(browser, "ict").arrived
    find(school, browser, "server", "probe.service", word)
    # Who was in and may only look is not in any more: whoever looks may ask every source.
    path = "/api/datasources/proxy/uid/journals/loki/api/v1/query_range"
    assert teacher.get(school.url("grafana", path)).status == 401


def test_journals_of_other_servers_are_found_by_their_name(school: School) -> None:
    word = secrets.token_hex(8)
    # As the role `logs` has it where there are other servers; what takes their journals runs as this user.
    school.shell("apt-get install -qq systemd-journal-remote >/dev/null")
    user, folder = "systemd-journal-remote", "/var/log/journal/remote"
    school.shell(f"install --directory --owner={user} --group={user} {folder}")
    school.shell("systemd-run --quiet --wait --unit=probe echo probe && journalctl --sync")
    read = "journalctl --output=export --lines=1 _TRANSPORT=stdout _SYSTEMD_UNIT=probe.service"
    other = f"sed 's/^_HOSTNAME=.*/_HOSTNAME=web/; s/^MESSAGE=.*/MESSAGE={word}/'"
    taken = f"/usr/lib/systemd/systemd-journal-remote --output={folder}/remote-web.journal -"
    school.shell(f"{read} | {other} | runuser --user={user} -- {taken}")
    assert school.shell(f"find {folder} -name '*.journal' -perm /o=r") == ""
    assert school.run("site").code == 0
    browser = school.browser()
    assert school.enter(browser, "ict").arrived
    find(school, browser, "web", "probe.service", word)
    assert "changed=0" in school.run("site").text


def test_who_may_only_look_may_not_search_journals(school: School) -> None:
    done = school.enter(school.browser(), "teacher")
    assert not done.arrived
    assert "niet bedoeld voor uw rol" in done.message


def test_what_its_packages_would_do_by_themselves_never_happened(school: School) -> None:
    assert "school.yml" in school.shell("systemctl show --property=ExecStart --value loki.service")
    # With the package's own configuration it would have written there.
    assert school.shell("ls -d /tmp/loki /var/lib/alloy 2>/dev/null || true") == ""
    assert school.shell("getent passwd alloy || true") == ""
    listening = school.shell("ss -Hltn 'sport = :3100' | awk '{print $4}'").split()
    assert listening == ["127.0.0.1:3100"]
    for unit in ("loki.service", "alloy.service"):
        line = school.shell(f"systemd-analyze security --no-pager {unit} | tail -1")
        assert float(line.split(": ")[1].split()[0]) < 4.0, line
    assert school.shell("find /etc/loki /var/lib/loki -maxdepth 0 -perm /o=rwx") == ""


def test_another_version_of_it_keeps_what_it_has(school: School, repository: Repository) -> None:
    add_loki(repository, LOKI_NEXT, f"{ALLOY}~next")
    school.offer()
    upgraded = school.run("upgrade", app="loki", loki_version=LOKI_NEXT)
    assert upgraded.code == 0, upgraded.text[-3000:]
    school.settings["loki_version"] = LOKI_NEXT
    assert "changed=0" in school.run("site").text
    # Its package brought its own unit again.
    assert "school.yml" in school.shell("systemctl show --property=ExecStart --value loki.service")
    assert f'version="{LOKI_NEXT}"' in school.shell(
        "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:3100/metrics\").read().decode())'"
    )
    browser = school.browser()
    assert school.enter(browser, "ict").arrived
    assert found(school, browser, "web", "")


def test_it_goes_and_leaves_grafana_its_repository(school: School) -> None:
    school.without("loki")
    gone = school.run("remove", app="loki")
    assert gone.code == 0, gone.text[-3000:]
    left = "find /etc /usr /var/lib /var/cache -xdev "
    names = "\\( -name '*loki*' -o -name '*alloy*' \\) -not -path '*/python3*' -not -path '/var/lib/dpkg/*'"
    assert school.shell(f"{left} {names}") == ""
    assert school.shell("getent passwd loki || getent group loki || true") == ""
    assert school.shell("ls /etc/apt/sources.list.d/grafana.sources /etc/apt/keyrings/grafana.asc")
    again = school.run("site")
    assert again.code == 0, again.text[-3000:]
    assert "changed=0" in school.run("site").text
    # Nothing to search in: teachers look again.
    assert school.enter(school.browser(), "teacher").arrived


def test_it_goes_and_comes_back_to_the_same_people(school: School) -> None:
    people = school.sql("SELECT id, login FROM account ORDER BY id")
    hosts = (school.inventory / "hosts.yml").read_text(encoding="utf-8")
    school.without("grafana")
    gone = school.run("remove", app="grafana")
    assert gone.code == 0, gone.text[-3000:]
    assert school.version() == ""
    left = "find /etc/apt /etc/grafana /usr/share/grafana /etc/systemd/system /var/lib/schoolstack/packages "
    assert school.shell(f"{left} -iname '*grafana*' 2>/dev/null || true") == ""
    assert "app-grafana" not in school.shell(f"ls {BOARDS}/*")
    assert school.shell("getent passwd grafana || true") == ""
    assert "changed=0" in school.run("site").text

    (school.inventory / "hosts.yml").write_text(hosts, encoding="utf-8")
    again = school.run("site")
    assert again.code == 0, again.text[-3000:]
    assert school.sql("SELECT id, login FROM account ORDER BY id") == people
    assert school.fresh().enter(school.browser(), "ict").arrived
    school.without("grafana")
    assert school.run("remove", app="grafana", purge="grafana").code == 0
    assert school.run("remove", app="grafana", purge="grafana").code != 0
    databases = school.shell("psql -U postgres -XAtc 'SELECT datname FROM pg_database'")
    assert "grafana" not in databases
    assert school.shell("ls -d /var/lib/grafana 2>/dev/null || true") == ""
