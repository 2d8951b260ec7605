"""Test hosts: what can be said without making one."""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path

import pytest

from schoolstack import cli
from schoolstack.errors import SchoolError
from schoolstack.hosts import image, lab, names, network, packages, state
from schoolstack.hosts.layers import Disk

NETWORK = network.Network("school0", ipaddress.IPv4Network("10.213.4.0/24"))


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")


@pytest.mark.parametrize(
    ("name", "parts"),
    [("demo-server", ("demo", "server")), ("identity-mail-2", ("identity", "mail-2")), ("a-b", ("a", "b"))],
)
def test_a_name_is_scenario_and_host(name: str, parts: tuple[str, str]) -> None:
    assert names.split(name) == parts


@pytest.mark.parametrize(
    "name",
    ["", "demo", "Demo-server", "-server", "demo-", "demo-1", "demo server", "demo-../x", "a-" + "b" * 60],
)
def test_other_names_are_refused_with_an_example(name: str) -> None:
    with pytest.raises(SchoolError, match="for example demo-server"):
        names.split(name)


@pytest.mark.parametrize("name", ["", "Fresh", "a/b", "..", "x" * 40])
def test_a_snapshot_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(SchoolError, match="for example before-upgrade"):
        names.check_snapshot(name)


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        ([], "10.213.0.0/24"),
        (["10.213.0.0/24", "192.168.1.0/24"], "10.213.1.0/24"),
        (["10.213.0.0/23"], "10.213.2.0/24"),
        (["10.213.0.7/32"], "10.213.1.0/24"),
    ],
)
def test_the_subnet_overlaps_nothing_that_is_routed(taken: list[str], chosen: str) -> None:
    assert str(network.free_subnet(map(ipaddress.IPv4Network, taken))) == chosen


def test_a_machine_without_a_free_subnet_is_told_so() -> None:
    with pytest.raises(SchoolError, match=r"10\.213\.0\.0/16 is used up"):
        network.free_subnet([ipaddress.IPv4Network("10.0.0.0/8")])


def test_every_host_gets_an_address_of_its_own() -> None:
    assert network.free_address(NETWORK, []) == "10.213.4.2"
    assert network.free_address(NETWORK, ["10.213.4.2", "10.213.4.4"]) == "10.213.4.3"
    everyone = [str(address) for address in NETWORK.subnet.hosts()]
    with pytest.raises(SchoolError, match="take a test host down"):
        network.free_address(NETWORK, everyone)


def test_rules_forward_only_what_was_asked_and_keep_loopback_private() -> None:
    text = network.rules(NETWORK, {443: "10.213.4.2"})
    assert "ip daddr 127.0.0.1 tcp dport 443 dnat to 10.213.4.2" in text
    assert 'iifname "school0" ip daddr 127.0.0.0/8 drop' in text
    assert "dnat" not in network.rules(NETWORK, {})


def test_an_image_changes_its_name_with_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.image_name("trixie", "amd64")
    assert before.startswith("trixie-amd64-")
    assert before == image.image_name("trixie", "amd64")
    monkeypatch.setattr(image, "PACKAGES", (*image.PACKAGES, "tree"))
    assert before != image.image_name("trixie", "amd64")


def test_another_kind_of_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SchoolError, match="this machine is riscv64"):
        image.native_architecture()


def test_a_foreign_architecture_without_emulator_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(image, "ARCHITECTURES", {"amd64": "x86_64", "arm64": "unheard-of"})
    monkeypatch.setattr(image, "BINFMT", tmp_path)
    image.require_emulation("trixie", "amd64")
    with pytest.raises(SchoolError, match="bootstrap emulation"):
        image.require_emulation("bookworm", "arm64")
    with pytest.raises(SchoolError, match="take --suite bookworm"):
        image.require_emulation("trixie", "arm64")
    assert (image.default_suite("amd64"), image.default_suite("arm64")) == ("trixie", "bookworm")


@pytest.mark.usefixtures("as_root")
def test_the_inventory_fragment_checks_the_host_key(tmp_path: Path) -> None:
    place = lab.Lab(state.State(tmp_path))
    (tmp_path / "key").touch()
    host = lab.Host("demo-server", "trixie", "amd64", "10.213.4.2", ["keycloak"])
    fragment = json.loads(place._inventory(host))["all"]
    server = fragment["hosts"]["server"]
    assert server["ansible_host"] == "10.213.4.2"
    assert server["ansible_user"] == "root"
    assert server["ansible_ssh_private_key_file"] == str(tmp_path / "key")
    assert "StrictHostKeyChecking=yes" in server["ansible_ssh_common_args"]
    assert f"UserKnownHostsFile={tmp_path}/hosts/demo-server/known_hosts" in server["ansible_ssh_common_args"]
    assert fragment["children"] == {"keycloak": {"hosts": {"server": None}}}


def test_without_root_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("sys.argv", ["/srv/schoolstack/.venv/bin/school", "host", "up", "demo-server"])
    monkeypatch.setattr(cli, "COMMANDS", ("hosts",))
    assert cli.main(["host", "up", "demo-server"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("school: test hosts need root")
    assert said.endswith("type: sudo /srv/schoolstack/.venv/bin/school host up demo-server\n")


def test_without_its_programs_it_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    absent = {"mmdebstrap", "systemd-nspawn"}
    monkeypatch.setattr("shutil.which", lambda program: None if program in absent else program)
    with pytest.raises(SchoolError, match="apt-get install mmdebstrap systemd-container"):
        lab.Lab(state.State(Path("/nonexistent")))


@pytest.mark.usefixtures("as_root")
def test_an_unknown_host_is_refused_with_those_there_are(tmp_path: Path) -> None:
    place = lab.Lab(state.State(tmp_path))
    with pytest.raises(SchoolError, match="there are: none yet"):
        place.host("demo-server")
    folder = tmp_path / "hosts" / "demo-client"
    folder.mkdir(parents=True)
    state.write_json(folder / "host.json", vars(lab.Host("demo-client", "trixie", "amd64", "10.213.4.2")))
    with pytest.raises(SchoolError, match="there are: demo-client"):
        place.inventory("demo-server")


def test_a_layer_begins_with_its_files_in_their_modes(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.create(
        Path("/base"), {"root/.ssh/authorized_keys": (0o600, "key"), "etc/hostname": (0o644, "server\n")}
    )
    upper = tmp_path / "layer" / "upper"
    assert [oct((upper / name).stat().st_mode & 0o777) for name in ("", "root", "root/.ssh", "etc")] == [
        "0o755",
        "0o700",
        "0o700",
        "0o755",
    ]
    assert (upper / "root/.ssh/authorized_keys").stat().st_mode & 0o777 == 0o600
    assert (upper / "etc/hostname").read_text() == "server\n"


def test_snapshots_stack_up(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.create(Path("/base"))
    disk.freeze("one")
    disk.freeze("two")
    layers = f"{tmp_path}/snapshots/two/upper:{tmp_path}/snapshots/one/upper:/base"
    assert f"lowerdir={layers},upperdir={tmp_path}/layer/upper" in disk.mount_options()
    disk.create(disk.snapshot("one"))
    assert f"lowerdir={tmp_path}/snapshots/one/upper:/base," in disk.mount_options()
    with pytest.raises(SchoolError, match='"two" already'):
        disk.check_free("two")
    with pytest.raises(SchoolError, match="there are: one, two"):
        disk.snapshot("three")


def test_a_snapshot_interrupted_between_its_renames_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path)
    disk.create(Path("/base"))
    rename = Path.rename

    def die_at_the_last(path: Path, target: Path) -> Path:
        if path.name == "layer.next":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", die_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        disk.freeze("one")
    monkeypatch.undo()
    assert Disk(tmp_path).recover()
    assert f"lowerdir={tmp_path}/snapshots/one/upper:/base," in disk.mount_options()


def test_a_first_layer_that_was_half_made_is_not_booted(tmp_path: Path) -> None:
    (tmp_path / ".layer.partial" / "upper").mkdir(parents=True)
    assert not Disk(tmp_path).recover()


def test_packages_are_shared_both_ways_without_copies(tmp_path: Path) -> None:
    pool, one, two = tmp_path / "pool", tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "tree_1_amd64.deb").write_text("package")
    (one / "lock").touch()
    packages.share(pool, one)
    packages.share(pool, two)
    assert [path.name for path in two.iterdir()] == ["tree_1_amd64.deb"]
    assert (two / "tree_1_amd64.deb").samefile(one / "tree_1_amd64.deb")


def test_a_lock_survives_the_removal_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with state.file_lock(path):
        path.unlink()
    with state.file_lock(path):
        assert path.exists()


def test_what_a_program_says_need_not_be_text() -> None:
    """A keeper of backups greets in HTTP/2, whose frames are bytes."""
    assert state.run(["printf", r"a\372\n"]) == "a\N{REPLACEMENT CHARACTER}\n"
