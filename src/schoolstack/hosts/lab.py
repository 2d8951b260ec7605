"""What one does with test hosts. ``school host`` and the demo are thin fronts over :class:`Lab`."""

from __future__ import annotations

import ipaddress
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.hosts import image, names, network, packages
from schoolstack.hosts.layers import Disk
from schoolstack.hosts.machine import Machine, forget_dead
from schoolstack.hosts.state import (
    State,
    generate_key,
    read_json,
    remove_tree,
    require_root_and_programs,
    run,
    write_json,
)

# Seconds a machine may take to answer on SSH; an emulated one is some fifty times slower.
BOOT_LIMIT = 60
EMULATED_BOOT_LIMIT = 900

# Ends the lines in a host's /etc/hosts that are kept here.
MARK = "# test host"


@dataclass
class Host:
    """What is remembered of one test host, in ``hosts/<name>/host.json``."""

    name: str
    suite: str
    arch: str
    address: str
    groups: list[str] = field(default_factory=list)
    forwards: list[int] = field(default_factory=list)
    # <host>/<snapshot> that it began with; empty when it began with the image.
    over: str = ""

    @property
    def scenario(self) -> str:
        """The first part of the name: hosts of one scenario know each other by name."""
        return names.split(self.name)[0]

    @property
    def short(self) -> str:
        """The rest of the name: the host's own name, and its name in the inventory."""
        return names.split(self.name)[1]


class Lab:
    """The test hosts of one state folder."""

    def __init__(self, state: State | None = None) -> None:
        """Use the given state folder, or this machine's usual one.

        Raises:
            SchoolError: without root, or without the programs hosts are made with.
        """
        require_root_and_programs()
        self.state = state or State.of_this_machine()

    # -- asking ----------------------------------------------------------------------------------

    def hosts(self) -> list[Host]:
        """Return all hosts, running or not, by name."""
        saved = (read_json(path) for path in sorted(self.state.hosts.glob("[a-z]*/host.json")))
        return [Host(**values) for values in saved if values]

    def host(self, name: str) -> Host:
        """Return one host.

        Raises:
            SchoolError: when there is none of this name.
        """
        names.split(name)
        values = read_json(self.folder(name) / "host.json")
        if not values:
            known = ", ".join(host.name for host in self.hosts()) or "none yet"
            raise SchoolError(f'there is no test host "{name}"; there are: {known}')
        return Host(**values)

    def folder(self, name: str) -> Path:
        """Return the folder that holds a host."""
        return self.state.hosts / name

    def running(self, name: str) -> bool:
        """Return whether the host's machine runs."""
        net = network.load(self.state)
        return net is not None and self._machine(name, net).running()

    def snapshots(self, name: str) -> list[str]:
        """Return the names of a host's snapshots, oldest first."""
        return Disk(self.folder(name)).snapshots()

    def inventory(self, name: str) -> Path:
        """Return the inventory fragment with a host's address and key, for a second ``-i``."""
        self.host(name)
        return self.folder(name) / "inventory.yml"

    def ssh_command(self, name: str) -> list[str]:
        """Return the command that opens a shell on a host, to which a remote command may be added."""
        host = self.host(name)
        return ["ssh", "-i", str(self.state.key), *self._ssh_options(name), f"root@{host.address}"]

    # -- doing -----------------------------------------------------------------------------------

    def up(self, name: str, suite: str = "", arch: str = "", groups: Iterable[str] = ()) -> Host:
        """Make a host answer on SSH: a new one, or one that exists, with all that is on it.

        Args:
            name: ``<scenario>-<host>``.
            suite: Debian's name of the release; trixie when not given, bookworm in emulation.
            arch: Debian's name of the architecture; this machine's own when not given.
            groups: inventory groups the fragment puts the host in.

        Raises:
            SchoolError: when the name, the wish or this machine does not allow it.
        """
        return self._up(name, suite, arch, groups)

    def clone(self, name: str, source: str, snapshot: str) -> Host:
        """Make a host that begins with what another one had at a snapshot; the disk holds that once.

        Its address, host key and machine-id are its own. The other one stays as long as this one is there.

        Args:
            name: ``<scenario>-<host>``.
            source: the other host.
            snapshot: the name of its snapshot.

        Raises:
            SchoolError: there is no such snapshot, or a host of this name that began with something else.
        """
        other = self.host(source)
        Disk(self.folder(source)).snapshot(snapshot)
        return self._up(name, other.suite, other.arch, other.groups, f"{source}/{snapshot}")

    def _up(self, name: str, suite: str, arch: str, groups: Iterable[str], over: str = "") -> Host:
        names.split(name)
        with self.state.lock(f"host-{name}"):
            with self.state.lock("hosts"):
                net = network.ensure(self.state)
                host = self._remember(name, suite, arch, list(groups), net, over)
                self._apply_rules(net)
            machine = self._machine(name, net)
            if not machine.running():
                machine.kill()
                self._boot(host, machine, net)
            self._wait_for_ssh(host, machine)
        self._introduce(host)
        return host

    def reset(self, name: str, snapshot: str = "", *, fresh: bool = False) -> Host:
        """Throw away what happened on a host, and boot it; snapshots stay.

        Args:
            name: ``<scenario>-<host>``.
            snapshot: only what happened since this one.
            fresh: also what it had from another host's snapshot, for a new disk with Debian.

        Raises:
            SchoolError: there is no such host or snapshot.
        """
        host = self.host(name)
        with self.state.lock(f"host-{name}"):
            net = network.ensure(self.state)
            disk = Disk(self.folder(name))
            lower = disk.snapshot(snapshot) if snapshot else None
            self._machine(name, net).kill()
            if lower:
                disk.create(lower)
            elif fresh:
                alone = replace(host, over="")
                disk.create(self._beginning(alone), self._first_files(alone, net))
            else:
                disk.discard()
        return self.up(name)

    def snapshot(self, name: str, snapshot: str) -> Host:
        """Shut a host down, keep its disk under a name, and boot it again."""
        names.check_snapshot(snapshot)
        self.host(name)
        with self.state.lock(f"host-{name}"):
            disk = Disk(self.folder(name))
            disk.check_free(snapshot)
            self._machine(name, network.ensure(self.state)).shut_down()
            disk.freeze(snapshot)
        return self.up(name)

    def forget(self, name: str, snapshot: str) -> None:
        """Delete a snapshot, if there is one of this name, that nothing lies upon."""
        self.host(name)
        with self.state.lock(f"host-{name}"):
            Disk(self.folder(name)).forget(snapshot)

    def shut_down(self, name: str) -> None:
        """Shut a host down in order. ``up`` boots it again with what is on its disk."""
        self.host(name)
        with self.state.lock(f"host-{name}"):
            self._machine(name, network.ensure(self.state)).shut_down()

    def power_cut(self, name: str) -> None:
        """Kill a host at once, as a power cut would. ``up`` boots it again with what was on its disk."""
        self.host(name)
        self._machine(name, network.ensure(self.state)).kill()

    def forward(self, name: str, ports: Sequence[int] = (80, 443)) -> None:
        """Let this machine's own 127.0.0.1 lead to a host, so that its pages open in a browser here.

        Raises:
            SchoolError: naming who has the port, when it is taken.
        """
        self.host(name)
        with self.state.lock("hosts"):
            for port in ports:
                other = next((host.name for host in self.hosts() if port in host.forwards), name)
                holder = f"test host {other}" if other != name else network.port_holder(port)
                if holder:
                    raise SchoolError(f"port {port} of this machine is taken by {holder}: stop that first")
            host = self.host(name)
            host.forwards = sorted({*host.forwards, *ports})
            self._save(host)
            self._apply_rules(network.ensure(self.state))

    def down(self, name: str) -> None:
        """Remove a host with all that was on it; the last one takes the network with it.

        Raises:
            SchoolError: others began with what it had and share that.
        """
        names.split(name)
        if sharing := [host.name for host in self.hosts() if host.over.split("/")[0] == name]:
            raise SchoolError(
                f"{name} stays, because {', '.join(sharing)} share its disk: remove those first"
            )
        with self.state.lock(f"host-{name}"):
            net = network.load(self.state)
            if net:
                self._machine(name, net).kill()
            remove_tree(self.folder(name))
        self._release_network()

    def share_packages(self, host: Host) -> Path:
        """Share what a host has fetched with the others, and what they have with it.

        Returns:
            The folder with its packages.
        """
        archives = self.folder(host.name) / "archives"
        with self.state.lock("packages"):
            packages.share(self.state.packages / f"{host.suite}-{host.arch}", archives)
        return archives

    def remove_everything(self) -> list[str]:
        """Remove images, packages and this machine's added Debian packages, unless a host still needs them.

        Returns:
            Sentences about what had to stay.
        """
        left = [host.name for host in self.hosts()]
        if left:
            return [f"Images and packages stay, because {', '.join(left)} still exist."]
        self._release_network()
        stays = packages.remove_installed(self.state)
        shutil.rmtree(self.state.root, ignore_errors=True)
        return stays

    # -- inside ----------------------------------------------------------------------------------

    def _machine(self, name: str, net: network.Network) -> Machine:
        return Machine(f"{net.bridge}-{name}")

    def _save(self, host: Host) -> None:
        write_json(self.folder(host.name) / "host.json", asdict(host))

    def _remember(
        self, name: str, suite: str, arch: str, groups: list[str], net: network.Network, over: str = ""
    ) -> Host:
        """Return the host's record, giving it an address and a host key when it is new."""
        folder = self.folder(name)
        values = read_json(folder / "host.json")
        if values:
            host = Host(**values)
            for wish, has in ((suite, host.suite), (arch, host.arch), (over, host.over)):
                if wish and wish != has:
                    raise SchoolError(f"{name} exists and is {has}: take it down first to have {wish}")
            host.groups = groups or host.groups
        else:
            address = network.free_address(net, (other.address for other in self.hosts()))
            arch = arch or image.native_architecture()
            host = Host(name, suite or image.default_suite(arch), arch, address, groups, over=over)
        image.require_emulation(host.suite, host.arch)
        folder.mkdir(parents=True, exist_ok=True)
        self._save(host)
        key = folder / "host_key"
        if not key.exists():
            generate_key(key, host.short)
        public = key.with_suffix(".pub").read_text()
        (folder / "known_hosts").write_text(f"{host.address} {public}")
        (folder / "inventory.yml").write_text(self._inventory(host))
        return host

    def _boot(self, host: Host, machine: Machine, net: network.Network) -> None:
        folder = self.folder(host.name)
        disk = Disk(folder)
        if not disk.recover():
            disk.create(self._beginning(host), self._first_files(host, net))
        archives = self.share_packages(host)
        root = folder / "root"
        root.mkdir(exist_ok=True)
        options = [f"--hostname={host.short}", f"--network-bridge={net.bridge}"]
        options += [f"--resolv-conf={network.resolver()}", f"--bind={archives}:/var/cache/apt/archives"]
        bundle = self.state.bundle / f"{host.suite}-{host.arch}"
        if bundle.exists():
            options += packages.offered(bundle)
        machine.start(root, disk.mount_options(), options, folder / "console.log")
        if image.emulated(host.arch):
            connect_from_outside(host.address, net, machine)

    def _beginning(self, host: Host) -> Path:
        """Return what lies under all of a host: the image, or another host's snapshot."""
        if not host.over:
            return image.ensure(self.state, host.suite, host.arch)
        source, snapshot = host.over.split("/")
        return Disk(self.folder(source)).snapshot(snapshot)

    def _first_files(self, host: Host, net: network.Network) -> dict[str, tuple[int, str]]:
        """Return what makes a copy of what lies under it this host: path to mode and text."""
        key = self.folder(host.name) / "host_key"
        own = {
            "etc/hostname": (0o644, f"{host.short}\n"),
            "etc/ssh/ssh_host_ed25519_key": (0o600, key.read_text()),
            "etc/ssh/ssh_host_ed25519_key.pub": (0o644, key.with_suffix(".pub").read_text()),
            "etc/systemd/network/10-schoolstack.network": (0o644, network_file(host.address, net)),
        }
        if host.over:
            # Filled at the next boot, as in the image.
            return own | {"etc/machine-id": (0o644, "")}
        return own | {
            "etc/hosts": (0o644, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"),
            "root/.ssh/authorized_keys": (0o600, self.state.key.with_suffix(".pub").read_text()),
        }

    def _wait_for_ssh(self, host: Host, machine: Machine) -> None:
        limit = EMULATED_BOOT_LIMIT if image.emulated(host.arch) else BOOT_LIMIT
        deadline = time.monotonic() + limit
        log = self.folder(host.name) / "console.log"
        while time.monotonic() < deadline:
            if not machine.running():
                last = (log.read_text(errors="replace").strip() or "no word of it").splitlines()[-1]
                raise SchoolError(f"{host.name} stopped while booting ({last}); its console is in {log}")
            if answers(host.address) and self._ssh(host, "true").returncode == 0:
                return
            time.sleep(0.05)
        raise SchoolError(f"{host.name} did not answer on SSH within {limit} s; its console is in {log}")

    def _ssh(self, host: Host, command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        words = [*self.ssh_command(host.name), command]
        return subprocess.run(
            words, input=stdin, capture_output=True, encoding="utf-8", errors="replace", check=False
        )

    def _introduce(self, newcomer: Host) -> None:
        """Write the names of a scenario's hosts into /etc/hosts of those that run."""
        with self.state.lock("names"):
            scenario = [host for host in self.hosts() if host.scenario == newcomer.scenario]
            lines = "".join(f"{host.address} {host.short} {MARK}\n" for host in scenario)
            for host in scenario:
                if self.running(host.name):
                    self._ssh(host, f"sed -i '/{MARK}$/d' /etc/hosts && cat >>/etc/hosts", lines)

    def _ssh_options(self, name: str) -> list[str]:
        known = self.folder(name) / "known_hosts"
        options = ("StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}", "IdentitiesOnly=yes")
        return [word for option in (*options, "ConnectTimeout=5") for word in ("-o", option)]

    def _inventory(self, host: Host) -> str:
        """Return the fragment as YAML, of which JSON is a part."""
        connection = {
            "ansible_host": host.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.state.key),
            "ansible_ssh_common_args": " ".join(self._ssh_options(host.name)),
        }
        groups = {group: {"hosts": {host.short: None}} for group in host.groups}
        fragment = {"all": {"hosts": {host.short: connection}, "children": groups}}
        return json.dumps(fragment, indent=2) + "\n"

    def _apply_rules(self, net: network.Network) -> None:
        """Make NAT and forwarded ports those of the remembered hosts; the lock "hosts" is held."""
        network.apply_rules(net, {port: host.address for host in self.hosts() for port in host.forwards})

    def _release_network(self) -> None:
        """Forget a removed host's forwarded ports, and remove the network when there is no host left."""
        with self.state.lock("hosts"):
            net = network.load(self.state)
            if net and self.hosts():
                self._apply_rules(net)
            elif net:
                network.remove(net)
                forget_dead(f"{net.bridge}-")
                (self.state.root / "network.json").unlink(missing_ok=True)


def network_file(address: str, net: network.Network) -> str:
    """Return systemd-networkd's file for a host: everything fixed, so that being online takes no time."""
    return f"""[Match]
Name=host0

[Link]
MACAddress={hardware_address(address)}

[Network]
Address={address}/{net.subnet.prefixlen}
Gateway={net.gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""


def hardware_address(address: str) -> str:
    """Return the hardware address that goes with an IPv4 address.

    A host that gets the address of one that went has its hardware address too. Otherwise this machine and the
    other hosts would call the old one for up to a minute, until their ARP caches give it up.
    """
    # 02: administered locally, for one station (IEEE 802, clause 8).
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x00, *ipaddress.IPv4Address(address).packed))


def connect_from_outside(address: str, net: network.Network, machine: Machine) -> None:
    """Give an emulated host its address, because systemd-networkd does not run in QEMU's user emulation."""
    while machine.running() and not machine.init():
        time.sleep(0.05)
    inside = ["nsenter", f"--target={machine.init()}", "--net", "ip"]
    run([*inside, "link", "set", "host0", "address", hardware_address(address)])
    run([*inside, "address", "replace", f"{address}/{net.subnet.prefixlen}", "dev", "host0"])
    run([*inside, "link", "set", "host0", "up"])
    run([*inside, "route", "replace", "default", "via", str(net.gateway)])


def answers(address: str) -> bool:
    """Return whether an SSH server introduces itself at the address."""
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
