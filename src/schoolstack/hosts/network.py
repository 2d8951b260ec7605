"""The test hosts' own network: a bridge, outbound NAT, and pages shown on this machine's own address."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schoolstack.errors import SchoolError
from schoolstack.hosts.state import State, file_lock, make_folder, read_json, run, write_json

# Where a free /24 is looked for. Private (RFC 1918), and far from what home routers and schools use.
POOL = ipaddress.IPv4Network("10.213.0.0/16")

# Beside the sysctls it speaks of, this does not outlive a reboot.
RUN = Path("/run/schoolstack")
FORMER_FORWARDING = RUN / "ip_forward"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")

TABLE_PREFIX = "schoolstack_"


@dataclass(frozen=True)
class Network:
    """The bridge of one state folder and its subnet; the bridge has the subnet's first address."""

    bridge: str
    subnet: ipaddress.IPv4Network

    @property
    def gateway(self) -> ipaddress.IPv4Address:
        """The address of this machine among its test hosts."""
        return self.subnet[1]

    @property
    def table(self) -> str:
        """The name of the nftables table."""
        return TABLE_PREFIX + self.bridge


def free_subnet(taken: Iterable[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """Return the first /24 of the pool that overlaps nothing.

    Raises:
        SchoolError: when there is none.
    """
    taken = list(taken)
    for subnet in POOL.subnets(new_prefix=24):
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise SchoolError(f"there is no free network for test hosts: {POOL} is used up by this machine's routes")


def free_address(network: Network, taken: Iterable[str]) -> str:
    """Return the first address of the network that no host has.

    Raises:
        SchoolError: when all are given out.
    """
    used = {*taken, str(network.gateway)}
    for address in network.subnet.hosts():
        if str(address) not in used:
            return str(address)
    raise SchoolError(f"all addresses of {network.subnet} are given out: take a test host down")


def routed_networks(except_device: str = "") -> dict[ipaddress.IPv4Network, str]:
    """Return the networks this machine knows a route to and the device each is reached by."""
    found = {}
    for route in json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"])):
        device = route.get("dev", "another route")
        if route["dst"] != "default" and device != except_device:
            found[ipaddress.IPv4Network(route["dst"], strict=False)] = device
    return found


def load(state: State) -> Network | None:
    """Return the network this state folder was given, or None when it has none."""
    saved = read_json(state.root / "network.json")
    return Network(saved["bridge"], ipaddress.IPv4Network(saved["subnet"])) if saved else None


def _devices() -> set[str]:
    """Return the network devices that there are; /sys may tell of another namespace than this one."""
    return {name for _, name in socket.if_nameindex()}


def ensure(state: State) -> Network:
    """Return the network, choosing and making what is missing of it.

    Raises:
        SchoolError: when something else uses its subnet now.
    """
    with machine_lock():
        network = load(state)
        if network is None:
            bridges = (f"school{number}" for number in range(256))
            bridge = next(name for name in bridges if name not in _devices())
            network = Network(bridge, free_subnet(routed_networks()))
            saved = {"bridge": network.bridge, "subnet": str(network.subnet)}
            make_folder(state.root, 0o700)
            write_json(state.root / "network.json", saved)
        for other, device in routed_networks(except_device=network.bridge).items():
            if other.overlaps(network.subnet):
                raise SchoolError(
                    f"{network.subnet}, the network of the test hosts, is used by {device} now: "
                    "throw them away with sudo school host down --all, then start again"
                )
        if network.bridge not in _devices():
            run(["ip", "link", "add", network.bridge, "type", "bridge"])
        address = f"{network.gateway}/{network.subnet.prefixlen}"
        run(["ip", "address", "replace", address, "dev", network.bridge])
        run(["ip", "link", "set", network.bridge, "up"])
        if not FORMER_FORWARDING.exists():
            FORMER_FORWARDING.write_text(FORWARDING.read_text())
        FORWARDING.write_text("1")
        return network


def remove(network: Network) -> None:
    """Remove the bridge and the rules, and give the machine its former forwarding setting back.

    Other state folders may have networks on this machine; the last one gone restores the setting.
    """
    with machine_lock():
        with contextlib.suppress(SchoolError):
            run(["nft", "-f", "-"], stdin=f"{take_back(network)}delete table ip {network.table}\n")
        if network.bridge in _devices():
            run(["ip", "link", "delete", network.bridge])
        names = [item.get("table", {}).get("name", "") for item in listed("tables")]
        if not any(name.startswith(TABLE_PREFIX) for name in names) and FORMER_FORWARDING.exists():
            FORWARDING.write_text(FORMER_FORWARDING.read_text())
            FORMER_FORWARDING.unlink()
            (RUN / "lock").unlink()
            RUN.rmdir()


def rules(network: Network, forwards: Mapping[int, str]) -> str:
    """Return the nftables rules of a network, which replace its former ones in one step.

    Args:
        network: the network.
        forwards: TCP port of 127.0.0.1 to the address of the host that answers there.
    """
    pages = "\n".join(
        f"    ip daddr 127.0.0.1 tcp dport {port} dnat to {address}" for port, address in forwards.items()
    )
    return f"""table ip {network.table}
delete table ip {network.table}
table ip {network.table} {{
  chain guard {{
    type filter hook prerouting priority raw
    iifname "{network.bridge}" ip daddr 127.0.0.0/8 drop comment "what listens on 127.0.0.1 stays private"
  }}
  chain pages {{
    type nat hook output priority -100
{pages}
  }}
  chain outbound {{
    type nat hook postrouting priority srcnat
    ip saddr {network.subnet} ip daddr != {network.subnet} masquerade
    ip saddr 127.0.0.0/8 oifname "{network.bridge}" masquerade
  }}
}}
"""


def apply_rules(network: Network, forwards: Mapping[int, str]) -> None:
    """Make NAT and the forwarded ports as told, whatever they were before."""
    # Without this, the kernel refuses to send a packet from 127.0.0.1 to a bridge.
    local = Path(f"/proc/sys/net/ipv4/conf/{network.bridge}/route_localnet")
    local.write_text("1" if forwards else "0")
    run(["nft", "-f", "-"], stdin=rules(network, forwards) + exceptions(network))


def exceptions(network: Network) -> str:
    """Return nftables commands that let test hosts through firewalls on this machine that forward nothing.

    Docker and ufw set the policy of a forward chain of theirs to "drop", and what one chain drops no other
    can save. The commands first take back what an earlier call put there.
    """
    commands = [take_back(network)]
    for item in listed("chains"):
        chain = item.get("chain", {})
        if (
            chain.get("hook") == "forward"
            and chain.get("policy") == "drop"
            and chain["family"] in {"ip", "inet"}
        ):
            place = f"{chain['family']} {chain['table']} {chain['name']}"
            for match in (
                f'iifname "{network.bridge}"',
                f'oifname "{network.bridge}" ct state established,related',
            ):
                commands.append(f'insert rule {place} {match} accept comment "{network.table}"\n')
    return "".join(commands)


def take_back(network: Network) -> str:
    """Return nftables commands that delete the rules of :func:`exceptions`."""
    ours = (
        item["rule"] for item in listed("ruleset") if item.get("rule", {}).get("comment") == network.table
    )
    return "".join(
        f"delete rule {rule['family']} {rule['table']} {rule['chain']} handle {rule['handle']}\n"
        for rule in ours
    )


def listed(what: str) -> list[dict[str, Any]]:
    """Return nftables' list of ``chains``, ``tables`` or the whole ``ruleset``."""
    found: list[dict[str, Any]] = json.loads(run(["nft", "--json", "--handle", "list", what]))["nftables"]
    return found


def port_holder(port: int) -> str | None:
    """Return who listens on a TCP port of this machine's 127.0.0.1 or ::1, or None when nobody does."""
    for line in run(["ss", "-Hltnp", f"sport = :{port}"]).splitlines():
        shown = line.split()[3].rpartition(":")[0].strip("[]").replace("*", "::")
        address = ipaddress.ip_address(shown.partition("%")[0])
        if address.is_unspecified or str(address) in {"127.0.0.1", "::1"}:
            return line.partition('users:(("')[2].partition('"')[0] or "another program"
    return None


def resolver() -> str:
    """Return systemd-nspawn's choice of how a host gets this machine's name servers.

    A stub on this machine's own 127.0.0.53 (systemd-resolved) is out of a host's reach; its upstream
    servers are not.
    """
    stub = "127.0.0.53" in Path("/etc/resolv.conf").read_text().split()
    return "replace-uplink" if stub else "replace-host"


@contextlib.contextmanager
def machine_lock() -> Iterator[None]:
    """Keep apart those who change this machine's network, whatever their state folder."""
    with file_lock(RUN / "lock"):
        yield
