"""Files and office: Nextcloud's role from installation to removal, with real PHP, database and sign-in.

Nextcloud itself is a **stand-in** (src/schoolstack/stand_ins) wherever its archives are not at hand. Who puts
the pinned archives into the artefacts' folder has the same scenario run with them. With the stand-in, what is
shown is the role's wiring, and nothing about Nextcloud itself.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import secrets
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from lab_school import Ended, kill, listen, not_good, play, school_on, start, until, wait_for_sign_in

from schoolstack.deployment import ROOT, Deployment, playbook_command
from schoolstack.reference.declarations import resolved
from schoolstack.signin import Browser, SignIn, Totp, claims, sign_in, tokens
from schoolstack.stand_ins import at_hand, make_nextcloud, nextcloud_pins

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
    # A school with all that its files need.
    pytest.mark.slow,
]

SERVER = "files-server"
BEFORE, HERE, NEXT = "33.0.9", "34.0.4", "35.0.1"
PASSWORDS = {role: secrets.token_urlsafe(12) for role in ("ict", "teacher", "pupil", "guardian")}
OCC = "/usr/local/lib/schoolstack/nextcloud/occ"


class School(Deployment):
    """A school with files, and what its inventory says beyond the demo's."""

    def __init__(self, plain: Deployment, pins: list[dict[str, Any]] | None) -> None:
        """Take over a school that has nothing on its server yet.

        Args:
            plain: the school.
            pins: stand-ins in place of what the role pins; none where the real archives are at hand.
        """
        super().__init__(plain.inventory, plain.name, plain.lab)
        self.pins = pins
        self.settings: dict[str, Any] = {"nextcloud_version": BEFORE}
        if pins:
            self.settings["nextcloud_artefacts"] = pins
        self.totp: dict[str, Totp] = {}
        self.devices: dict[str, str] = {}

    def run(self, playbook: str, **variables: Any) -> Ended:
        """Run a playbook with these settings, to its end, good or bad."""
        return play(self, playbook, **{**self.settings, **variables})

    def enter(self, browser: Browser, role: str) -> SignIn:
        """Sign a person in to the files."""
        given = (f"test-{role}", PASSWORDS[role])
        done = sign_in(browser, self.url("nextcloud"), *given, totp=self.totp.get(role))
        if done.totp:
            self.totp[role] = done.totp
        return done

    def occ(self, words: str) -> Any:
        """Return what Nextcloud's command says, as JSON where it is."""
        said = self.shell(f"{OCC} {words}")
        return json.loads(said) if said.lstrip().startswith(("{", "[")) else said

    def users(self) -> set[str]:
        """Return the ids of all accounts."""
        return set(self.occ("user:list --limit=1000 --output=json"))

    def groups(self, user: str) -> set[str]:
        """Return somebody's groups."""
        return set(self.occ(f"user:info {user} --output=json")["groups"])

    def apps(self) -> dict[str, str]:
        """Return the apps that are on, with their versions."""
        on: dict[str, str] = self.occ("app:list --output=json")["enabled"]
        return on

    def folders(self) -> dict[str, dict[str, Any]]:
        """Return all group folders, by the place where people see them."""
        return {one["mountPoint"]: one for one in self.occ("groupfolders:list --output=json")}

    def all_of_it(self) -> list[Any]:
        """Return what a class list might change: accounts, groups and group folders."""
        users = self.occ("user:list --limit=1000 --info --output=json")
        # Who was here last is no change of anybody's, and these tests ask as an administrator themselves.
        known = {
            user: {key: value for key, value in told.items() if key != "last_seen"}
            for user, told in users.items()
        }
        return [known, self.occ("group:list --limit=1000 --output=json"), self.folders()]

    def device(self, user: str) -> str:
        """Return the password of somebody's device, as people make themselves one in their settings."""
        if user not in self.devices:
            self.devices[user] = self.shell(f"{OCC} user:auth-tokens:add {user}").split()[-1]
        return self.devices[user]

    def fresh(self) -> School:
        """Return the same school, with its records read anew."""
        other = School(self, self.pins)
        other.settings, other.totp, other.devices = self.settings, self.totp, self.devices
        return other


def add_person(school: Deployment, role: str, classes: tuple[str, ...] = ()) -> None:
    """Make an account with a role and classes, without a mail address, as class lists have them."""
    person = {
        "username": f"test-{role}",
        "enabled": True,
        "firstName": "Test",
        "lastName": role,
        "groups": [f"/role/{role}", *(f"/class/{name}" for name in classes)],
        "credentials": [{"type": "password", "value": PASSWORDS[role]}],
    }
    school.ask_keycloak(f"admin.post('school', 'partialImport', body={{'users': [{person!r}]}})")


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    folder = tmp_path_factory.mktemp("school")
    with school_on(SERVER, folder, "keycloak", "portal", "nextcloud") as plain:
        real = at_hand(nextcloud_pins(), plain.lab.state.root / "artefacts")
        school = School(plain, None if real else make_nextcloud(tmp_path_factory.mktemp("archives")))
        # As somebody would who wants to see first what it does.
        dry_run = [*playbook_command("site", school.inventories, school.settings), "--check"]
        assert subprocess.run(dry_run, cwd=ROOT, check=False).returncode == 0
        made = school.run("site")
        assert made.code == 0, made.text[-3000:]
        wait_for_sign_in(school)
        school.ask_keycloak(
            "[admin.post('school', 'groups', g['id'], 'children', "
            "body={'name': '3A', 'attributes': {'class': ['3A'], 'school_group': ['class-3A']}}) "
            "for g in admin.get('school', 'groups') if g['name'] == 'class']"
        )
        add_person(school, "pupil", ("3A",))
        for role in ("ict", "teacher", "guardian"):
            add_person(school, role)
        yield school


def in_no_class(school: School) -> None:
    """Take the pupil out of every class, as a class list does."""
    school.ask_keycloak(
        "[admin.delete('school', 'users', u['id'], 'groups', g['id']) "
        "for u in admin.get('school', 'users', username='test-pupil', exact='true') "
        "for g in admin.get('school', 'users', u['id'], 'groups') if g['path'].startswith('/class/')]"
    )


@contextlib.contextmanager
def first_in_php(school: School, program: str) -> Iterator[None]:
    """Have PHP on the command line, whatever it is given, run a program of ours before."""
    file, setting = "/usr/local/share/first.php", "$(php -r 'echo PHP_CONFIG_FILE_SCAN_DIR;')/99-first.ini"
    school.shell(f"echo {shlex.quote(f'<?php {program}')} >{file}; echo auto_prepend_file={file} >{setting}")
    try:
        yield
    finally:
        school.shell(f"rm {setting} {file}")


# What a run does


def test_a_second_run_changes_nothing_and_asks_nextcloud_two_things(school: School) -> None:
    school.shell("install -o nextcloud -m 0600 /dev/null /srv/nextcloud/asked")
    taken_down = (
        "file_put_contents('/srv/nextcloud/asked', implode(' ', $argv ?? []) . PHP_EOL, FILE_APPEND);"
    )
    with first_in_php(school, taken_down):
        again = school.run("site")
        asked = [line.split() for line in school.shell("cat /srv/nextcloud/asked").splitlines()]
    school.shell("rm /srv/nextcloud/asked")
    assert again.code == 0, again.text[-3000:]
    assert "changed=0" in again.text
    commands = [next(word for word in words[1:] if word[0] != "-") for words in asked if words[0] == "occ"]
    assert sorted(commands) == ["config:list", "user_oidc:provider"]


def test_a_dry_run_on_what_is_there_changes_nothing(school: School) -> None:
    command = [*playbook_command("site", school.inventories, school.settings), "--check"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "changed=0" in done.stdout


def test_what_php_reads_is_what_is_meant(school: School) -> None:
    read = (
        'php -r \'putenv("NEXTCLOUD_CONFIG_DIR=/nowhere"); include "/etc/nextcloud/school.config.php"; '
        "echo json_encode($CONFIG);'"
    )
    given = json.loads(school.shell(read))
    assert given.pop("mail_smtppassword") == ""
    meant = json.loads(json.dumps(resolved(ROOT, "__nextcloud_config")))
    assert list(given) == list(meant)
    assert {key: type(value) for key, value in given.items()} == {
        key: type(value) for key, value in meant.items()
    }
    assert given["memcache.local"] == "\\OC\\Memcache\\APCu"
    host = school.records["nextcloud"]["site"]["host"]
    assert given["trusted_domains"] == [host]
    assert given["redis"]["port"] == 0


def test_its_programs_can_do_little_harm(school: School) -> None:
    for service in school.records["nextcloud"]["services"]:
        line = school.shell(f"systemd-analyze security --no-pager {service['name']}.service | tail -1")
        assert float(line.split(": ")[1].split()[0]) < 4.0, line
        assert school.shell(f"systemctl show -P User {service['name']}").strip() == "nextcloud"
    # Debian's own server of PHP never ran.
    assert school.shell("systemctl is-enabled php8.4-fpm || true").strip() == "masked"
    assert school.shell("ls /run/php/*.sock 2>/dev/null || true") == ""
    listening = school.shell("ss -Hltn 'sport = :7867 or sport = :8010' | awk '{print $4}' | sort").split()
    assert listening == ["127.0.0.1:7867", "127.0.0.1:8010"]
    # Who is on the server, but is neither it nor root, reads neither files nor secrets.
    for path in ("/srv/nextcloud", "/var/lib/nextcloud", "/etc/nextcloud", "/run/nextcloud-valkey"):
        assert school.shell(f"runuser -u nobody -- ls {path} 2>&1 || true").endswith("Permission denied\n")


def test_its_jobs_run_by_themselves(school: School) -> None:
    school.shell("systemctl start nextcloud-jobs.service")
    assert school.shell("systemctl is-active nextcloud-jobs.timer").strip() == "active"
    began = school.shell("systemctl show --property=ExecMainStatus --value nextcloud-jobs.service")
    assert began.strip() == "0"


# Who gets in, and as what


def test_roles_and_classes_are_groups_from_the_first_visit(school: School) -> None:
    for role in ("pupil", "teacher", "ict"):
        browser = school.browser()
        done = school.enter(browser, role)
        assert done.arrived, done.message
        assert f"role-{role}" in school.groups(f"test-{role}")
    assert "class-3A" in school.groups("test-pupil")
    assert "class-3A" not in school.groups("test-teacher")
    # A coordinator at school is no administrator in here.
    assert school.groups("schoolstack") == {"admin"}
    assert "admin" not in school.groups("test-ict")


def test_who_the_files_are_not_for_is_refused_at_the_sign_in(school: School) -> None:
    done = school.enter(school.browser(), "guardian")
    assert not done.arrived
    assert "niet bedoeld voor uw rol" in done.message
    assert "test-guardian" not in school.users()


def test_who_left_a_class_leaves_its_group_and_no_other(school: School) -> None:
    school.shell(
        f"{OCC} group:add chess; {OCC} group:adduser chess test-pupil; {OCC} group:adduser admin test-pupil"
    )
    in_no_class(school)
    assert school.enter(school.browser(), "pupil").arrived
    assert school.groups("test-pupil") == {"role-pupil", "chess", "admin"}
    school.shell(f"{OCC} group:removeuser admin test-pupil")


def test_what_an_independent_program_learns_of_them(school: School) -> None:
    """The registered client, used by our own relying party: nothing of the stand-in in between."""
    secret = school.shell("cat /etc/nextcloud/secrets/client")
    issuer = school.url("keycloak", "/realms/school")
    for path in school.records["nextcloud"]["sign_in"]["redirect_paths"]:
        given = tokens(
            *(school.browser(), issuer, "nextcloud", school.url("nextcloud", path), "test-teacher"),
            PASSWORDS["teacher"],
            client_secret=secret,
            scope=resolved(ROOT, "__nextcloud_provider")["scope"],
        )
        told = claims(given.id)
        mapping = resolved(ROOT, "__nextcloud_provider")
        assert told[mapping["mapping-uid"]] == "test-teacher"
        assert told[mapping["mapping-display-name"]] == "Test teacher"
        assert set(told[mapping["mapping-groups"]]) == {"role-teacher"}


def test_who_signs_out_at_school_is_out_of_the_files(school: School) -> None:
    browser = school.browser()
    assert school.enter(browser, "teacher").arrived
    assert browser.get(school.url("nextcloud", "/apps/files/")).status == 200
    school.ask_keycloak(
        "[admin.post('school', 'users', u['id'], 'logout') "
        "for u in admin.get('school', 'users', username='test-teacher', exact='true')]"
    )
    deadline = time.monotonic() + 20
    while "kc-form-login" not in browser.get(school.url("nextcloud", "/apps/files/")).text:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_who_signs_out_of_the_files_is_out_at_school(school: School) -> None:
    browser = school.browser()
    assert school.enter(browser, "teacher").arrived
    # The address that its pages give somebody of this sign-in to go by (user_oidc, Backend::getLogoutUrl).
    found = re.search(
        'data-requesttoken="([^"]+)"', browser.get(school.url("nextcloud", "/apps/files/")).text
    )
    assert found
    token = quote(html.unescape(found[1]), safe="")
    browser.get(school.url("nextcloud", f"/apps/user_oidc/sls?requesttoken={token}"))
    page = browser.get(school.url("portal"))
    assert "kc-form-login" in page.text


# The class list

PUPILS = "f1;Noor;Bestand;{noor};\nf2;Zoë;Bestand;5A;\n"
REST = "f3;Els;Bestand;5A;leraar\n" + "".join(f"f{n};Kind;Bestand;5B;\n" for n in range(10, 25))


def bring_in(school: School, folder: Path, people: str, **variables: Any) -> Ended:
    """Bring a class list of its own few people in."""
    file = folder / "list.csv"
    file.write_text("id;voornaam;achternaam;klas;rol\n" + people, encoding="utf-8")
    given = {"roster_source": str(file), "roster_list": "files", "roster_sheets_dir": str(folder / "sheets")}
    return school.run("roster", **(given | {"roster_apply": True} | variables))


def dav(school: School, user: str, method: str, path: str, data: str = "") -> int:
    """Return with what WebDAV answers somebody's device."""
    url = school.url("nextcloud", f"/remote.php/dav/files/{user}/{quote(path)}")
    session = school.browser().session
    answer = session.request(method, url, data=data.encode(), auth=(user, school.device(user)), timeout=60)
    return int(answer.status_code)


@pytest.fixture(scope="module")
def class_list(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("class-list")


def test_a_plan_shows_what_would_follow_and_changes_nothing(school: School, class_list: Path) -> None:
    before = school.all_of_it()
    shown = bring_in(school, class_list, PUPILS.format(noor="5A") + REST, roster_apply=False)
    assert shown.code == 0, shown.text[-3000:]
    assert "Noor Bestand (noor.bestand)" in shown.text
    assert "Klas 5A: made (folders to hand in: 2)" in shown.text
    assert "Lerarenkamer: made" in shown.text
    assert school.all_of_it() == before


def test_accounts_groups_and_folders_are_there_before_anybody_signs_in(
    school: School, class_list: Path
) -> None:
    done = bring_in(school, class_list, PUPILS.format(noor="5A") + REST)
    assert done.code == 0, done.text[-3000:]
    assert school.occ("user:info noor.bestand --output=json")["quota"] == "5 GB"
    assert school.occ("user:info els.bestand --output=json")["quota"] == "20 GB"
    assert school.groups("noor.bestand") == {"class-5A", "role-pupil"}
    assert "admin" not in school.groups("els.bestand")
    assert "chess" in school.groups("test-pupil")
    folders = school.folders()
    assert {"Klas 5A", "Klas 5B", "Lerarenkamer"} <= folders.keys()
    assert "class-5A" in folders["Klas 5A"]["groups_list"]
    assert "class-5A" not in folders["Klas 5B"]["groups_list"]
    again = bring_in(school, class_list, PUPILS.format(noor="5A") + REST)
    assert "There is nothing to change in Nextcloud." in again.text
    assert "changed=0" in again.text
    # Who signs in finds that account, and the sign-in tells the same groups.
    had = school.groups("test-teacher")
    assert school.enter(school.browser(), "teacher").arrived
    assert school.groups("test-teacher") == had == {"role-teacher"}


@pytest.mark.usefixtures("class_list")
def test_pupils_hand_in_and_read_nobody_elses(school: School) -> None:
    noor, zoe, els = ("noor.bestand", "zoe.bestand", "els.bestand")
    handed_in = f"Klas 5A/Inleveren/{noor}/taak 1.odt"
    assert dav(school, noor, "PUT", handed_in, "mine") == 201
    assert dav(school, noor, "GET", handed_in) == 200
    assert dav(school, zoe, "GET", handed_in) == 404
    assert dav(school, zoe, "PUT", f"Klas 5A/Inleveren/{noor}/x", "x") in (403, 409)
    assert dav(school, noor, "DELETE", handed_in) == 403
    assert dav(school, els, "GET", handed_in) == 200
    assert dav(school, els, "PUT", "Klas 5A/les.odt", "lesson") == 201
    assert dav(school, zoe, "GET", "Klas 5A/les.odt") == 200
    assert dav(school, zoe, "GET", "Lerarenkamer") == 404


def test_half_a_list_is_refused_before_anything_changes(school: School, class_list: Path) -> None:
    before = school.all_of_it()
    refused = bring_in(school, class_list, PUPILS.format(noor="5A"))
    assert refused.code != 0
    assert "--allow-mass-leave" in refused.text
    assert school.all_of_it() == before


def test_a_new_school_year_leaves_the_old_folder_to_its_readers(school: School, class_list: Path) -> None:
    later = {"nextcloud_school_year": "2090-2091"}
    moved = "f1;Noor;Bestand;6A;\nf2;Zoë;Bestand;6A;\n" + REST + "f30;Lea;Bestand;5A;\n"
    done = bring_in(school, class_list, moved, **later)
    assert done.code == 0, done.text[-3000:]
    assert "its school year is over" in done.text
    paths = school.folders().keys()
    (old,) = [path for path in paths if path.endswith("/Klas 5A")]
    assert {"Klas 5A", "Klas 6A"} <= paths
    assert dav(school, "noor.bestand", "GET", f"{old}/les.odt") == 200
    assert dav(school, "noor.bestand", "GET", f"{old}/Inleveren/noor.bestand/taak 1.odt") == 200
    assert dav(school, "zoe.bestand", "GET", f"{old}/Inleveren/noor.bestand/taak 1.odt") == 404
    assert dav(school, "els.bestand", "PUT", f"{old}/les.odt", "x") == 403
    assert "changed=0" in bring_in(school, class_list, moved, **later).text


@pytest.mark.usefixtures("class_list")
def test_one_persons_files_are_shown_and_erased(school: School) -> None:
    assert dav(school, "zoe.bestand", "PUT", "own.odt", "12345") == 201
    shown = school.run("person", person="zoe.bestand", person_do="show")
    assert shown.code == 0, shown.text[-2000:]
    assert "their size in bytes: 5" in shown.text
    erased = school.run("person", person="zoe.bestand", person_do="erase", person_typed="zoe.bestand")
    assert erased.code == 0, erased.text[-2000:]
    assert "zoe.bestand" not in school.users()
    assert school.shell("ls /srv/nextcloud | grep -c zoe.bestand || true").strip() == "0"


# What may change


def test_secrets_are_replaced_and_proven(school: School) -> None:
    before = school.shell("sha256sum /etc/nextcloud/secrets/*")
    rotated = school.run("rotate", rotate="nextcloud_admin,nextcloud_client,nextcloud_database")
    assert rotated.code == 0, rotated.text[-3000:]
    assert school.shell("sha256sum /etc/nextcloud/secrets/*") != before
    assert school.enter(school.browser(), "pupil").arrived
    assert "changed=0" in school.run("site").text


def test_mail_goes_out_by_the_schools_server(school: School) -> None:
    refused = school.run("site", nextcloud_mail={"host": "mail.example"})
    assert refused.code != 0
    assert "nextcloud_mail lacks from" in refused.text
    key = (school.inventory / ".vault-key").read_bytes()
    password = VaultLib().encrypt("of-the-mail-server", VaultSecret(key.strip()))
    (school.inventory / "secrets" / "nextcloud_mail.vault").write_bytes(password)
    mail = {"host": "mail.example", "from": "files@school.example", "user": "files"}
    done = school.run("site", nextcloud_mail=mail)
    assert done.code == 0, done.text[-3000:]
    assert "of-the-mail-server" not in done.text
    assert school.occ("config:system:get mail_smtppassword").strip() == "of-the-mail-server"
    assert school.occ("config:system:get mail_smtphost").strip() == "mail.example"
    # Nobody's any more: what Nextcloud copied into its own file has no say.
    assert school.run("site").code == 0
    assert school.occ("config:system:get mail_smtppassword").strip() == ""
    assert school.shell("ls /etc/nextcloud/secrets").split() == ["admin", "client"]


def test_another_address_installs_nothing_anew(school: School) -> None:
    before = school.users(), school.shell(f"{OCC} config:system:get instanceid")
    moved = school.run("site", nextcloud_host="cloud.voorbeeldschool.localhost")
    assert moved.code == 0, moved.text[-3000:]
    there = school.fresh()
    assert there.url("nextcloud").startswith("https://cloud.")
    assert there.enter(there.browser(), "teacher").arrived
    assert school.run("site").code == 0
    assert (school.users(), school.shell(f"{OCC} config:system:get instanceid")) == before
    assert "changed=0" in school.run("site").text


# Backed up and put back


def test_what_is_lost_comes_back_from_one_moment(school: School) -> None:
    file = "/srv/nextcloud/test-teacher/files/essay.txt"
    school.shell(f"install -D -o nextcloud -g nextcloud /dev/stdin {file} <<<essay")
    kept = {
        key: school.shell(f"{OCC} config:system:get {key}")
        for key in ("secret", "passwordsalt", "instanceid")
    }
    before = school.users(), school.occ("user_oidc:provider school --output=json")["id"]
    done = school.run("backup")
    assert done.code == 0, done.text[-3000:]
    # Nobody was let in while it ran, and everybody is now.
    assert school.occ("status --output=json")["maintenance"] is False
    assert school.shell("ls /var/lib/nextcloud/window 2>/dev/null || true") == ""

    # One file, as it was.
    found = school.run("extract", extract_to="/root/look", extract_file=file)
    assert found.code == 0, found.text[-2000:]
    assert school.shell(f"cat /root/look{file}; rm -r /root/look") == "essay\n"

    # And all of it.
    school.shell(f"rm {file}; rm -r /var/lib/nextcloud/config/config.php")
    school.shell("psql -U postgres -Xqc 'DROP SCHEMA public CASCADE' nextcloud")
    back = school.run("restore", restore_app="nextcloud", restore_overwrite=True)
    assert back.code == 0, back.text[-3000:]
    assert school.shell(f"cat {file}") == "essay\n"
    assert {key: school.shell(f"{OCC} config:system:get {key}") for key in kept} == kept
    assert (school.users(), school.occ("user_oidc:provider school --output=json")["id"]) == before
    # Devices are told that their files are older than what they know.
    assert school.shell(f"{OCC} config:system:get data-fingerprint").strip() != ""
    assert school.enter(school.browser(), "teacher").arrived
    assert "changed=0" in school.run("site").text


# A disk of their own, with 20 MB of room.
FILES = "/srv/nextcloud"
UNITS = "nextcloud-jobs.timer nextcloud-jobs nextcloud-push nextcloud nextcloud-ready"
SMALL_DISK = f"""
systemctl stop {UNITS}; cp -a {FILES} /root/kept
room=$(($(du -sm {FILES} | cut -f1) + 20))
mount -t tmpfs -o size=${{room}}m,mode=0750,uid=nextcloud,gid=nextcloud none {FILES}
cp -a /root/kept/. {FILES}; systemctl start nextcloud nextcloud-push nextcloud-jobs.timer"""


def test_a_full_disk_is_named_and_nothing_on_it_is_lost(school: School) -> None:
    file = f"{FILES}/test-teacher/files/essay.txt"
    school.shell(f"install -D -o nextcloud -g nextcloud /dev/stdin {file} <<<essay")
    usual = not_good(school)
    school.shell(SMALL_DISK)
    school.shell(f"dd if=/dev/zero of={FILES}/full bs=1M 2>/dev/null || true")
    assert not_good(school) - usual == {("wrong", "disk_full", "")}
    # People still get in, and a run has nothing to do there.
    assert school.enter(school.browser(), "teacher").arrived
    assert "changed=0" in school.run("site").text
    school.shell(f"rm {FILES}/full")
    assert not_good(school) == usual
    assert school.shell(f"cat {file}") == "essay\n"
    school.shell(f"systemctl stop {UNITS}; umount {FILES}; rm -r /root/kept")
    school.shell("systemctl start nextcloud nextcloud-push nextcloud-jobs.timer")


# Upgraded


def test_an_app_without_a_version_for_it_keeps_an_upgrade_from_beginning(school: School) -> None:
    own = {
        "name": "forms",
        "version": "5.1.0",
        "sha256": "0" * 64,
        "url": "https://apps.example/forms.tar.gz",
    }
    refused = school.run(
        "upgrade", app="nextcloud", nextcloud_version=HERE, nextcloud_apps=[{**own, "majors": [33]}]
    )
    assert refused.code != 0
    assert "The app forms 5.1.0 (nextcloud_apps) is for Nextcloud 33, and this is 34" in refused.text
    assert school.shell("readlink /opt/nextcloud/current").strip() == BEFORE
    assert school.enter(school.browser(), "pupil").arrived


def test_tables_that_are_not_what_they_should_be_keep_an_upgrade_from_beginning(school: School) -> None:
    # Nextcloud's own answer to its schema check, which versions before 35 do not have.
    asked = "in_array('db:schema:check', $argv ?? [])"
    found = f"if ({asked}) {{ echo 'the table oc_share lacks the column id'; exit(1); }}"
    with first_in_php(school, found):
        refused = school.run("upgrade", app="nextcloud", nextcloud_version=HERE)
    assert refused.code != 0
    assert "the table oc_share lacks the column id" in refused.text
    assert "nothing was changed" in refused.text
    assert school.shell("readlink /opt/nextcloud/current").strip() == BEFORE
    assert "changed=0" in school.run("site").text


def test_a_later_major_comes_with_its_apps_and_keeps_what_people_have(school: School) -> None:
    before, apps = school.users(), school.apps()
    # What no version changes is not copied for an upgrade.
    school.shell("dd if=/dev/zero of=/srv/nextcloud/large bs=1M count=1500 status=none")
    free = int(school.shell("df --output=avail -B1 /var/lib | tail -1"))
    upgraded = school.run("upgrade", app="nextcloud", nextcloud_version=HERE)
    assert upgraded.code == 0, upgraded.text[-3000:]
    assert free - int(school.shell("df --output=avail -B1 /var/lib | tail -1")) < 10**9
    school.shell("rm /srv/nextcloud/large")
    school.settings["nextcloud_version"] = HERE
    assert "changed=0" in school.run("site").text
    assert school.occ("status --output=json")["versionstring"] == HERE
    assert school.users() == before
    assert school.apps().keys() == apps.keys()
    assert (apps["groupfolders"], school.apps()["groupfolders"]) == ("21.0.15", "22.0.6")
    assert sorted(school.shell("ls /opt/nextcloud").split()) == [BEFORE, HERE, "current"]
    assert school.enter(school.browser(), "teacher").arrived


def test_one_that_fails_goes_back_with_all_there_was(
    school: School, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = school.users(), school.apps()
    school.shell("echo written-meanwhile >/srv/nextcloud/kept")
    # A version that does not work has to be made: this is a stand-in also where the real ones are at hand.
    broken = make_nextcloud(tmp_path_factory.mktemp("broken"), broken=[NEXT])
    failed = school.run("upgrade", app="nextcloud", nextcloud_version=NEXT, nextcloud_artefacts=broken)
    assert failed.code != 0
    assert f"{HERE} runs on server again" in failed.text
    assert school.shell("readlink /opt/nextcloud/current").strip() == HERE
    assert school.shell("cat /srv/nextcloud/kept").strip() == "written-meanwhile"
    assert school.shell("psql -U postgres -XAtc '\\dt oc_half_upgraded' nextcloud") == ""
    assert (school.users(), school.apps()) == before
    assert school.enter(school.browser(), "teacher").arrived
    assert "changed=0" in school.run("site").text


# Installed anew, removed


def test_a_first_installation_that_was_cut_off_begins_anew_and_a_lost_configuration_is_told(
    school: School,
) -> None:
    """As a power cut leaves it: tables half made, and nothing that says they were ever anybody's."""
    kept = "/root/config.php"
    school.shell(
        f"systemctl stop nextcloud nextcloud-ready && mv /var/lib/nextcloud/config/config.php {kept}"
    )
    # A school's tables are never taken for such a beginning.
    assert school.shell("systemctl start nextcloud-ready 2>&1 || true")
    said = school.shell("journalctl -u nextcloud-ready -n 5 --no-pager -o cat")
    assert "which belongs to it, is gone: restore Nextcloud from a backup" in said
    school.shell(f"mv {kept} /var/lib/nextcloud/config/config.php && systemctl reset-failed")
    school.shell("systemctl start nextcloud-ready nextcloud")
    assert school.enter(school.browser(), "teacher").arrived


def test_it_goes_and_comes_back_to_the_same_people(school: School) -> None:
    hosts = (school.inventory / "hosts.yml").read_text(encoding="utf-8")
    people = school.users()
    members = json.loads(hosts)
    del members["all"]["children"]["nextcloud"]
    (school.inventory / "hosts.yml").write_text(json.dumps(members), encoding="utf-8")
    gone = school.run("remove", app="nextcloud")
    assert gone.code == 0, gone.text[-3000:]
    left = school.shell(
        "find /etc /opt /usr/local /run -xdev -iname '*nextcloud*' 2>/dev/null; getent passwd nextcloud; true"
    )
    assert left == ""
    assert school.shell("stat -c '%U %a' /srv/nextcloud /var/lib/nextcloud").split() == ["root", "700"] * 2
    assert school.shell("ss -Hltn 'sport = :7867 or sport = :8010'") == ""
    assert "changed=0" in school.run("site").text

    (school.inventory / "hosts.yml").write_text(hosts, encoding="utf-8")
    again = school.run("site")
    assert again.code == 0, again.text[-3000:]
    assert school.users() == people
    assert school.enter(school.browser(), "teacher").arrived
    (school.inventory / "hosts.yml").write_text(json.dumps(members), encoding="utf-8")
    assert school.run("remove", app="nextcloud", purge="nextcloud").code == 0
    assert school.shell("ls -d /srv/nextcloud /var/lib/nextcloud 2>/dev/null || true") == ""

    # A first installation whose power was cut: its half is nobody's, and it begins anew.
    (school.inventory / "hosts.yml").write_text(hosts, encoding="utf-8")
    process = start(school, "site", **school.settings)
    until(process, "Run the service nextcloud-ready")
    listen(process, 1)
    kill(process)
    school.shell(
        "systemctl stop nextcloud-ready nextcloud; cd /var/lib/nextcloud; rm -f config/config.php; "
        # Its own mark, also where it was cut off before it had made one.
        "runuser -u nextcloud touch installing; "
        "psql -U postgres -Xqc 'CREATE TABLE IF NOT EXISTS half (id int)' nextcloud"
    )
    anew = school.run("site")
    assert anew.code == 0, anew.text[-3000:]
    assert school.shell("psql -U postgres -XAtc '\\dt half' nextcloud") == ""
    assert school.enter(school.browser(), "teacher").arrived
