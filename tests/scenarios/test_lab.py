"""Test hosts for real: machines are made, killed at bad moments and made again.

They live in a state folder of their own, which borrows the images and packages of the usual one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from schoolstack.errors import SchoolError
from schoolstack.hosts import image, network
from schoolstack.hosts.lab import Lab
from schoolstack.hosts.machine import SLICE, Machine, hierarchies, systemd_runs
from schoolstack.hosts.state import State, make_folder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root")

# Seconds, from the project's own promises, for two cores.
SSH_WITHIN = 10
RESET_WITHIN = 5


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    usual = Lab().state
    image.ensure(usual, "trixie", image.native_architecture())
    own = State(usual.root / "selftest")
    place = Lab(own)
    clear(place)
    with own.lock("hosts"):
        for shared in ("bases", "packages"):
            make_folder(usual.root / shared, 0o755)
            (own.root / shared).symlink_to(usual.root / shared)
    yield place
    clear(place)


def clear(place: Lab) -> None:
    for host in place.hosts():
        place.down(host.name)
    place.remove_everything()


@pytest.fixture(scope="module")
def server(lab: Lab) -> str:
    lab.up("selftest-server")
    return "selftest-server"


def on(lab: Lab, name: str, command: str) -> str:
    done = subprocess.run([*lab.ssh_command(name), command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def seconds_since(started: float) -> float:
    return time.monotonic() - started


def controller(lab: Lab, code: str) -> subprocess.Popen[bytes]:
    """Start a second Python that works on the same state folder, to be killed."""
    program = (
        f"from schoolstack.hosts import image; from schoolstack.hosts.lab import Lab\n{textwrap.dedent(code)}"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "SCHOOLSTACK_STATE": str(lab.state.root)},
        stdout=subprocess.DEVNULL,
    )


def test_a_host_answers_within_ten_seconds(lab: Lab) -> None:
    started = time.monotonic()
    lab.up("selftest-server")
    assert seconds_since(started) < SSH_WITHIN


def test_it_is_a_whole_debian_without_a_failed_unit(lab: Lab, server: str) -> None:
    assert on(lab, server, "systemctl is-system-running --wait") == "running"
    assert on(lab, server, "hostname") == "server"
    assert on(lab, server, ". /etc/os-release; echo $VERSION_CODENAME") == "trixie"
    assert on(lab, server, "systemctl start network-online.target && echo online") == "online"


def test_up_again_changes_nothing(lab: Lab, server: str) -> None:
    boot = on(
        lab,
        server,
        "cat /proc/sys/kernel/random/boot_id; systemctl show -p InactiveExitTimestampMonotonic ssh",
    )
    lab.up(server)
    assert boot == on(
        lab,
        server,
        "cat /proc/sys/kernel/random/boot_id; systemctl show -p InactiveExitTimestampMonotonic ssh",
    )


def test_a_host_has_all_processors_whoever_starts_it(lab: Lab) -> None:
    """Playbooks start hosts, too, and Mitogen ties what they run to one processor."""
    name = "selftest-tied"
    program = [sys.executable, "-m", "schoolstack.cli", "host", "up", name]
    environment = {**os.environ, "SCHOOLSTACK_STATE": str(lab.state.root)}
    subprocess.run(["taskset", "--cpu-list", "0", *program], env=environment, check=True)
    try:
        assert int(on(lab, name, "nproc")) == len(os.sched_getaffinity(1))
    finally:
        lab.down(name)


def test_ansible_reaches_it_and_checks_its_host_key(lab: Lab, server: str) -> None:
    ansible = Path(sys.executable).with_name("ansible")
    command = [str(ansible), "--inventory", str(lab.inventory(server)), "server", "--module-name", "ping"]
    environment = {**os.environ, "PATH": f"{ansible.parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert '"pong"' in done.stdout, done.stderr
    known_hosts = lab.folder(server) / "known_hosts"
    right = known_hosts.read_text()
    known_hosts.write_text(
        right.replace(right.split()[2], (lab.state.key.with_suffix(".pub")).read_text().split()[1])
    )
    done = subprocess.run([*lab.ssh_command(server), "true"], capture_output=True, text=True, check=False)
    known_hosts.write_text(right)
    assert "Host key verification failed" in done.stderr


def test_hosts_of_two_scenarios_run_side_by_side(lab: Lab, server: str) -> None:
    together = [controller(lab, f"Lab().up({name!r})") for name in ("selftest-client", "otherlab-server")]
    assert [process.wait() for process in together] == [0, 0]
    try:
        addresses = {host.name: host.address for host in lab.hosts()}
        assert len(set(addresses.values())) == 3
        assert on(lab, server, "getent hosts client").split()[0] == addresses["selftest-client"]
        assert on(lab, "selftest-client", "getent hosts server").split()[0] == addresses[server]
        assert on(lab, "otherlab-server", "grep -c 'test host' /etc/hosts") == "1"
        # Each has control groups of its own: stopping a service of one leaves the other's alone.
        on(
            lab,
            "otherlab-server",
            "systemctl stop dbus.socket dbus.service systemd-networkd.socket; echo done",
        )
        assert on(lab, server, "systemctl is-active dbus ssh") == "active\nactive"
        with pytest.raises(SchoolError, match="exists and is trixie"):
            lab.up("otherlab-server", suite="bookworm")
    finally:
        lab.down("selftest-client")
        lab.down("otherlab-server")
    assert on(lab, server, "systemctl is-active ssh") == "active"


def test_two_hosts_install_at_once_and_download_once(lab: Lab, server: str) -> None:
    lab.up("otherlab-server")
    try:
        install = "DEBIAN_FRONTEND=noninteractive apt-get -qq install tree >/dev/null && tree --version"
        both = [
            subprocess.Popen(
                [*lab.ssh_command(name), install], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            for name in (server, "otherlab-server")
        ]
        errors = [process.communicate()[1].decode() for process in both]
        assert [process.returncode for process in both] == [0, 0], errors
        lab.down("otherlab-server")
        lab.reset(server)
        # What the other has now came from the pool.
        lab.up("otherlab-server")
        assert on(lab, "otherlab-server", "ls /var/cache/apt/archives/tree_*.deb")
    finally:
        lab.down("otherlab-server")


def test_a_snapshot_is_returned_to_and_a_reset_is_quick(lab: Lab, server: str) -> None:
    on(lab, server, "echo kept >/root/work")
    lab.snapshot(server, "worked")
    assert on(lab, server, "cat /root/work; rm /root/work; echo lost >/root/mistake") == "kept"
    started = time.monotonic()
    lab.reset(server, "worked")
    assert seconds_since(started) < RESET_WITHIN
    assert on(lab, server, "cat /root/work; ls /root") == "kept\nwork"
    started = time.monotonic()
    lab.reset(server)
    assert seconds_since(started) < RESET_WITHIN
    assert on(lab, server, "ls /root") == ""
    assert lab.snapshots(server) == ["worked"]


def test_a_host_that_began_with_anothers_disk_can_get_a_fresh_one(lab: Lab, server: str) -> None:
    on(lab, server, "echo shared >/root/work")
    lab.snapshot(server, "shared")
    second = lab.clone("selftest-second", server, "shared")
    try:
        assert on(lab, second.name, "cat /root/work") == "shared"
        lab.snapshot(second.name, "kept")
        assert lab.reset(second.name, fresh=True).address == second.address
        assert on(lab, second.name, "ls /root; cat /etc/hostname") == "second"
        # What it had can still be returned to, so the other one stays.
        with pytest.raises(SchoolError, match="share its disk"):
            lab.down(server)
        lab.reset(second.name, "kept")
        assert on(lab, second.name, "cat /root/work") == "shared"
    finally:
        lab.down(second.name)
        lab.reset(server)
        lab.forget(server, "shared")


SPEAK = """
import contextlib, socket, time
while True:
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as line:
        line.sendto(b"here", ("{gateway}", 9))
    time.sleep(0.02)
"""


def test_a_host_that_gets_the_address_of_another_answers_at_once(lab: Lab, server: str) -> None:
    assert lab.running(server)  # so that the network stays
    went = lab.up("selftest-went")
    # As the kernel does until connections have faded away: keep the network of who went, and speak from it.
    net = network.load(lab.state)
    assert net
    kept = f"/proc/{Machine(f'{net.bridge}-{went.name}').init()}/ns/net"
    speak = SPEAK.format(gateway=net.gateway)
    speaker = subprocess.Popen(["nsenter", f"--net={kept}", sys.executable, "-c", speak])
    time.sleep(0.5)
    lab.down(went.name)
    started = time.monotonic()
    came = lab.up("selftest-came")
    try:
        assert came.address == went.address
        assert seconds_since(started) < SSH_WITHIN
    finally:
        speaker.kill()
        speaker.wait()
        lab.down(came.name)


def test_after_a_power_cut_it_boots_with_what_was_on_its_disk(lab: Lab, server: str) -> None:
    on(lab, server, "echo written >/root/work; sync; (sleep 1000 </dev/null >/dev/null 2>&1 &)")
    lab.power_cut(server)
    assert not lab.running(server)
    assert on_this_machine("selftest-server") == []
    lab.up(server)
    assert on(lab, server, "cat /root/work") == "written"


def test_after_a_reboot_of_this_machine_the_host_comes_back(lab: Lab, server: str) -> None:
    lab.power_cut(server)
    net = network.load(lab.state)
    assert net
    network.remove(net)
    lab.up(server)
    assert on(lab, server, "systemctl is-system-running --wait") == "running"


def test_a_controller_killed_while_bringing_up_is_no_obstacle(lab: Lab) -> None:
    try:
        for delay in (0.15, 0.3, 0.45, 0.6, 0.9):
            process = controller(lab, "Lab().up('killed-server')")
            time.sleep(delay)
            process.kill()
            process.wait()
        lab.up("killed-server")
        assert on(lab, "killed-server", "systemctl is-system-running --wait") == "running"
    finally:
        lab.down("killed-server")
    assert on_this_machine("killed-server") == []


def test_a_host_whose_supervisor_was_killed_is_still_shut_down_in_order(lab: Lab, server: str) -> None:
    for pid in on_this_machine(server):
        os.kill(pid, signal.SIGKILL)
    on(lab, server, "systemd-run -q --unit=farewell -p ExecStop='/bin/touch /root/farewell' sleep infinity")
    lab.snapshot(server, "orphaned")
    assert on(lab, server, "ls /root/farewell; systemctl is-system-running --wait").endswith("running")


def test_a_build_killed_half_way_leaves_no_process_and_is_begun_again(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("dash",)
    own = Lab(State(tmp_path))
    arch = image.native_architecture()
    smaller = f"image.PACKAGES = {small!r}; image.FINISH = 'true'"
    process = controller(own, f"{smaller}\nimage.ensure(Lab().state, 'trixie', {arch!r})")
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob("bases/.*.partial/var")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()
    process.wait()
    time.sleep(0.5)
    assert not [line for line in processes() if str(tmp_path) in line]
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    monkeypatch.setattr(image, "PACKAGES", small)
    monkeypatch.setattr(image, "FINISH", "true")
    built = image.ensure(own.state, "trixie", arch)
    assert (built / "usr/bin/dash").exists()
    assert [path.name for path in own.state.bases.iterdir()] == [built.name]


def test_its_pages_open_at_this_machines_own_address(lab: Lab, server: str) -> None:
    page = "from http.server import *; HTTPServer(('', 8099), SimpleHTTPRequestHandler).serve_forever()"
    on(
        lab,
        server,
        f"cd /usr/share/doc; systemd-run -q -p WorkingDirectory=/usr/share/doc python3 -c {page!r}",
    )
    lab.forward(server, [8099])
    assert "Directory listing" in page_at("http://127.0.0.1:8099/")
    lab.reset(server)
    assert lab.host(server).forwards == [8099]


def page_at(url: str) -> str:
    """Return a page, waiting up to 5 seconds for its server to listen."""
    for _ in range(50):
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(url, timeout=5, proxies={"http": ""}).text
        time.sleep(0.1)
    return "nothing answers"


def test_a_port_somebody_has_is_refused_by_name(lab: Lab, server: str) -> None:
    listen = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    )
    listen += "; s.accept()"
    with subprocess.Popen([sys.executable, "-c", listen], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        port = int(holder.stdout.readline())
        with pytest.raises(SchoolError, match=f"port {port} of this machine is taken by python"):
            lab.forward(server, [port])
        holder.kill()


def test_a_host_cannot_reach_what_listens_on_this_machines_loopback(lab: Lab, server: str) -> None:
    net = network.load(lab.state)
    assert net
    lab.forward(server, [8098])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(1)
        bend = (
            "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip route flush table local type local dev lo"
        )
        send = f"bash -c 'echo knock >/dev/udp/127.0.0.1/{listener.getsockname()[1]}'"
        on(lab, server, f"{bend} && ip route add 127.0.0.1/32 via {net.gateway} && {send}")
        with pytest.raises(TimeoutError):
            listener.recv(8)


def test_the_last_host_takes_the_network_with_it(lab: Lab, server: str) -> None:
    net = network.load(lab.state)
    assert net
    assert lab.remove_everything() == [f"Images and packages stay, because {server} still exist."]
    # What a machine leaves that somebody killed, with all that knew of it; systemd removes it by itself.
    left = [] if systemd_runs() else [hierarchy / SLICE / "gone" for hierarchy in hierarchies()]
    left = [group.with_name(f"schoolstack-{net.bridge}-gone-server.service") for group in left]
    for group in left:
        (group / "payload").mkdir(parents=True)
    lab.down(server)
    assert not Path("/sys/class/net", net.bridge).exists()
    tables = subprocess.run(
        ["nft", "-j", "list", "tables"], capture_output=True, text=True, check=True
    ).stdout
    assert net.table not in {item.get("table", {}).get("name") for item in json.loads(tables)["nftables"]}
    assert on_this_machine(server) == []
    own = f"schoolstack-{net.bridge}-{server}.service"
    assert [group for group in left if group.exists()] == []
    assert not list(Path("/sys/fs/cgroup").rglob(own))
    assert lab.hosts() == []


def test_a_firewall_that_forwards_nothing_gets_an_exception_and_loses_it_again(tmp_path: Path) -> None:
    """Docker's and ufw's way, in a network of its own so that this machine's stays as it is."""
    program = f"""
    import ipaddress, pathlib, subprocess
    from schoolstack.hosts import network
    network.RUN = pathlib.Path({str(tmp_path)!r})
    network.FORMER_FORWARDING = network.RUN / "ip_forward"
    def nft(*words):
        return subprocess.run(["nft", *words], capture_output=True, text=True, check=True).stdout
    nft("add table ip filter")
    nft("add chain ip filter FORWARD {{ type filter hook forward priority 0; policy drop; }}")
    before = nft("list ruleset")
    net = network.Network("school9", ipaddress.IPv4Network("10.213.9.0/24"))
    subprocess.run(["ip", "link", "add", "school9", "type", "bridge"], check=True)
    network.FORWARDING.write_text("1")
    network.FORMER_FORWARDING.write_text("0")
    network.apply_rules(net, {{}})
    network.apply_rules(net, {{443: "10.213.9.2"}})
    chain = nft("list chain ip filter FORWARD")
    assert chain.count("accept") == 2 and 'iifname "school9" accept' in chain, chain
    network.remove(net)
    assert nft("list ruleset") == before
    assert network.FORWARDING.read_text().strip() == "0"
    """
    command = ["unshare", "--net", sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def processes() -> list[str]:
    return subprocess.run(
        ["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def on_this_machine(name: str) -> list[int]:
    """Return the processes that supervise a host."""
    return [int(line.split()[0]) for line in processes() if "systemd-nspawn" in line and f"-{name} " in line]
