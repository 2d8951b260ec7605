"""What a backup holds, who may remove it, and what is noticed when something is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError
from schoolstack.safe import Store

MAX_EXPOSURE = 4.0  # of 10, in systemd-analyze security; the house's bound for a unit of its own
MANIFEST = "/var/lib/schoolstack/backup/stage/manifest.json"
STATE = "/var/lib/schoolstack/backup/state.json"
# restic with the program's own settings.
RESTIC = (
    "env RESTIC_PASSWORD_FILE=/etc/schoolstack/backup/key restic -r rclone: --no-cache"
    " -o rclone.program='ssh -F /etc/schoolstack/backup/ssh_config repository' -o rclone.args=serve"
)
REPOSITORY = "/var/lib/schoolstack-backup/repositories/voorbeeldschool.localhost/server"


@pytest.fixture(scope="module")
def made(school: Deployment) -> dict:
    """The manifest of a backup made as the timer makes it, and the paths in it."""
    school.shell("systemctl start schoolstack-backup.service")
    state = json.loads(school.shell(f"cat {STATE}"))
    snapshot = state["last_good"]["snapshot"]
    manifest = json.loads(school.shell(f"{RESTIC} dump --no-lock {snapshot} {MANIFEST}"))
    listed = school.shell(f"{RESTIC} ls --no-lock --quiet {snapshot}").splitlines()
    return {"state": state, "manifest": manifest, "paths": set(listed)}


def test_it_holds_what_every_record_declares(school: Deployment, made: dict) -> None:
    assert set(made["manifest"]["applications"]) == set(school.records) == {"keycloak", "portal"}
    for name, record in school.records.items():
        assert record["paths"]["data"] in made["paths"], name
        assert record["paths"]["config"] in made["paths"], name
        for database in record.get("databases", []):
            assert f"/var/lib/schoolstack/backup/stage/databases/{database['name']}.dump" in made["paths"]


def test_it_holds_the_schools_authority_and_certificates(made: dict) -> None:
    assert {
        "/etc/schoolstack/authority/root.key",
        "/etc/schoolstack/certificates/portal/privkey.pem",
    } <= made["paths"]


def test_it_holds_every_account(made: dict) -> None:
    contents = made["manifest"]["applications"]["keycloak"]["databases"][0]["contents"]
    assert int(contents["public.user_entity"][0]) >= 69
    assert int(contents["public.credential"][0]) >= 69


def test_it_holds_no_key_of_its_own(made: dict) -> None:
    """Whoever reads a backup learns nothing that opens others."""
    assert not [path for path in made["paths"] if path.startswith("/etc/schoolstack/backup")]


def test_nothing_of_the_databases_is_left_lying_about(school: Deployment, made: dict) -> None:
    assert school.shell("find /var/lib/schoolstack -name '*.dump' -o -name stage") == ""


def test_it_is_counted_as_good_and_a_share_was_checked(made: dict) -> None:
    assert made["state"]["last"]["sentence"] == ""
    assert made["state"]["check"]["sentence"] == ""
    assert 1 <= made["state"]["check"]["share"] <= made["state"]["check"]["of"]


def test_another_share_is_checked_each_time(school: Deployment, program: Callable, made: dict) -> None:
    assert program("check").code == 0
    share = json.loads(school.shell(f"cat {STATE}"))["check"]["share"]
    assert share == made["state"]["check"]["share"] % made["state"]["check"]["of"] + 1


def test_the_server_cannot_remove_a_backup(school: Deployment, vault: Deployment, made: dict) -> None:
    count = f"find {REPOSITORY} -type f ! -path '*/locks/*' | sort | xargs sha256sum"
    before = vault.shell(count)
    snapshot = made["state"]["last_good"]["snapshot"]
    # Interrupted alone, without the connection that it speaks through, restic takes its lock away.
    stopped_after = "timeout --foreground --signal=INT"
    said = school.shell(f"{stopped_after} 60 {RESTIC} forget {snapshot} 2>&1 || true")
    assert "403 Forbidden" in said
    school.shell(f"{stopped_after} 20 {RESTIC} key passwd --new-password-file /etc/hostname 2>&1 || true")
    after = vault.shell(count).splitlines()
    assert set(before.splitlines()) <= set(after)


@pytest.mark.parametrize("wish", ["id", "cat /etc/shadow", "rm -rf /", "sftp", "-N -L 8022:127.0.0.1:22"])
def test_the_server_can_do_nothing_else_there(school: Deployment, wish: str) -> None:
    said = school.shell(
        f"timeout 5 ssh -F /etc/schoolstack/backup/ssh_config repository {wish} </dev/null 2>&1 || true"
    )
    assert "uid=" not in said
    assert "root:" not in said


def test_another_servers_repository_is_out_of_reach(school: Deployment) -> None:
    """The path is the keeper's choice, whatever is asked for."""
    asked = "ssh -F /etc/schoolstack/backup/ssh_config repository serve-repository other.example/server"
    said = school.shell(
        f"(printf 'GET /config HTTP/1.0\\r\\n\\r\\n'; sleep 1) | timeout 5 {asked} 2>&1 || true"
    )
    assert "other.example" not in said


def test_the_recovery_sheet_holds_where_the_keys_and_the_command(school: Deployment, store: Store) -> None:
    sheet = school.play("recovery-sheet").said
    assert REPOSITORY in sheet
    assert store.get("backup_key", None) in sheet
    assert store.key_file.read_text(encoding="utf-8").strip() in sheet
    assert f"ansible-playbook -i {school.inventory} playbooks/restore.yml" in sheet


def test_with_the_sheet_alone_the_content_is_rescued(vault: Deployment, store: Store, made: dict) -> None:
    """The inventory is lost as well: what the sheet's last paragraph says, where the backups are kept."""
    key, rescued = store.get("backup_key", None), "/root/rescued"
    try:
        vault.shell(f"echo {key} | restic --repo {REPOSITORY} restore --no-lock latest --target {rescued}")
        dump = f"{rescued}/var/lib/schoolstack/backup/stage/databases/keycloak.dump"
        assert vault.shell(f"head -c 5 {dump}") == "PGDMP"
        assert "<html" in vault.shell(f"cat {rescued}/etc/portal/pages/nl.shtml")
        assert vault.shell(f"ls {REPOSITORY}/locks") == ""
    finally:
        vault.shell(f"rm -rf {rescued} /root/.cache/restic")


@pytest.mark.parametrize("unit", ["schoolstack-backup.service", "schoolstack-backup-alarm.service"])
def test_its_units_are_hardened(school: Deployment, unit: str) -> None:
    lines = school.shell(f"systemd-analyze security --no-pager {unit}").splitlines()
    exposure = float(lines[-1].split(":")[1].split()[0])
    assert exposure < MAX_EXPOSURE, lines[-1]


def test_it_is_made_daily_and_watched_hourly(school: Deployment) -> None:
    shown = school.shell("systemctl list-timers --all --no-legend --no-pager")
    assert "schoolstack-backup.timer" in shown
    assert "schoolstack-backup-alarm.timer" in shown


def test_an_old_backup_is_an_alarm_that_one_cannot_miss(school: Deployment, program: Callable) -> None:
    school.shell(f"cp -p {STATE} /root/state")
    try:
        school.shell(f"sed -i -E '/last_good/,/}}/ s/20[0-9]{{2}}-/2020-/' {STATE}")
        assert "hours old" in program("alarm").sentence
        unit = "schoolstack-backup-alarm.service"
        assert "failed" in school.shell(f"systemctl start {unit} 2>&1; systemctl is-failed {unit}")
        assert "server" in school.shell("cat /run/motd.d/schoolstack-backup")
    finally:
        school.shell(f"mv /root/state {STATE}; systemctl start schoolstack-backup-alarm.service")
    assert school.shell("ls /run/motd.d") == ""


@pytest.fixture
def pausing(school: Deployment) -> Iterator[None]:
    """An application that notes, as its own user, when it is paused and when it goes on."""
    record = json.loads(school.shell("cat /etc/ansible/facts.d/portal.fact"))
    hooks = {
        "before": ["echo paused $(id -un) >>/var/lib/portal/said"],
        "after": ["echo on >>/var/lib/portal/said"],
    }
    changed = json.dumps({**record, "backup": hooks})
    school.shell("cp -p /etc/ansible/facts.d/portal.fact /root/portal.fact")
    school.shell(f"cat >/etc/ansible/facts.d/portal.fact <<'END'\n{changed}\nEND")
    yield
    school.shell("mv /root/portal.fact /etc/ansible/facts.d/portal.fact; rm -f /var/lib/portal/said")


@pytest.mark.usefixtures("pausing")
def test_an_application_is_paused_as_it_declares(school: Deployment) -> None:
    school.shell("systemctl start schoolstack-backup.service")
    assert school.shell("cat /var/lib/portal/said").splitlines() == ["paused portal", "on"]


@pytest.mark.usefixtures("pausing")
def test_what_was_paused_goes_on_although_the_power_went(school: Deployment) -> None:
    """What the program notes before it pauses anything is all that a cut leaves."""
    noted = json.dumps([{"user": "portal", "commands": ["echo on >>/var/lib/portal/said"]}])
    school.shell(f"echo '{noted}' >/var/lib/schoolstack/backup/paused.json")
    school.lab.power_cut(school.name)
    school.lab.up(school.name)
    school.shell("systemctl is-system-running --wait || true")
    assert school.shell("cat /var/lib/portal/said") == "on\n"
    assert school.shell("ls /var/lib/schoolstack/backup/paused.json 2>/dev/null || true") == ""


def test_old_backups_are_thinned_out_by_who_has_the_key(school: Deployment, program: Callable) -> None:
    before = program("list").result["backups"]
    assert len(before) >= 2
    school.play("prune", __backup_keep=["--keep-last=1"])
    assert program("list").result["backups"] == before[-1:]
    assert program("check-all").code == 0


def test_nothing_is_thinned_out_when_a_backup_lies_in_the_future(
    school: Deployment, vault: Deployment, program: Callable
) -> None:
    """Counted back from it, the good ones would all be too old."""
    planted = school.shell(
        f"{RESTIC} backup --json --host server --time '2030-01-01 00:00:00' --tag schoolstack"
        " --tag school=voorbeeldschool.localhost /etc/hostname"
    )
    snapshot = json.loads(planted.splitlines()[-1])["snapshot_id"]
    before = program("list").result["backups"]
    with pytest.raises(SchoolError):
        school.play("prune", __backup_keep=["--keep-within-daily=30d"])
    assert program("list").result["backups"] == before
    vault.shell(f"rm {REPOSITORY}/snapshots/{snapshot}")
