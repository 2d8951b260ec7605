"""``school host``: test hosts from the command line."""

from __future__ import annotations

import argparse
import subprocess
import time

from schoolstack.errors import SchoolError
from schoolstack.hosts import image
from schoolstack.hosts.lab import Lab


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``school host`` and its verbs."""
    host = subparsers.add_parser("host", help="throwaway Debian machines for tests and lessons")
    verbs = host.add_subparsers(required=True, metavar="VERB")

    up = verbs.add_parser("up", help="make hosts run; those that exist keep what is on them")
    up.add_argument("names", nargs="+", metavar="NAME", help="<scenario>-<host>, for example demo-server")
    up.add_argument("--suite", choices=image.SUITES, default="", help="Debian release (default: trixie)")
    up.add_argument("--arch", choices=tuple(image.ARCHITECTURES), default="", help="default: this machine's")
    up.add_argument(
        "--group", action="append", default=[], metavar="GROUP", help="inventory group, repeatable"
    )
    up.set_defaults(run=_up)

    down = verbs.add_parser("down", help="remove hosts with all that is on them")
    down.add_argument("names", nargs="*", metavar="NAME")
    down.add_argument("--all", action="store_true", help="all hosts")
    down.add_argument(
        "--everything",
        action="store_true",
        help="afterwards also images, caches and the Debian packages that .ci/bootstrap added",
    )
    down.set_defaults(run=_down)

    listing = verbs.add_parser("list", help="show the hosts")
    listing.set_defaults(run=_list)

    ssh = verbs.add_parser("ssh", help="open a shell on a host, or run a command there")
    ssh.add_argument("name", metavar="NAME")
    ssh.add_argument("remote", nargs=argparse.REMAINDER, metavar="COMMAND")
    ssh.set_defaults(run=_ssh)

    reset = verbs.add_parser("reset", help="throw away what happened on a host and boot it")
    reset.add_argument("name", metavar="NAME")
    point = reset.add_mutually_exclusive_group()
    point.add_argument("--to", default="", metavar="SNAPSHOT", help="only what happened since this snapshot")
    point.add_argument("--fresh", action="store_true", help="also what it began with: a new disk with Debian")
    reset.set_defaults(run=_reset)

    snapshot = verbs.add_parser("snapshot", help="keep a host's disk under a name to return to")
    snapshot.add_argument("name", metavar="NAME")
    snapshot.add_argument("snapshot", metavar="SNAPSHOT")
    snapshot.set_defaults(run=_snapshot)

    forward = verbs.add_parser("forward", help="show a host's pages at this machine's own 127.0.0.1")
    forward.add_argument("name", metavar="NAME")
    forward.add_argument(
        "ports", nargs="*", type=int, default=[80, 443], metavar="PORT", help="default: 80 443"
    )
    forward.set_defaults(run=_forward)

    inventory = verbs.add_parser(
        "inventory", help="print where hosts' inventory fragments are, for ansible -i"
    )
    inventory.add_argument("names", nargs="+", metavar="NAME")
    inventory.set_defaults(run=_inventory)


def _up(arguments: argparse.Namespace) -> int:
    for name in arguments.names:
        started = time.monotonic()
        host = Lab().up(name, arguments.suite, arguments.arch, arguments.group)
        print(f"{name} answers at {host.address} after {time.monotonic() - started:.1f} s.")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    lab = Lab()
    if bool(arguments.names) == arguments.all:
        raise SchoolError("say which test hosts to remove: their names, or --all")
    for name in arguments.names or [host.name for host in lab.hosts()]:
        lab.down(name)
        print(f"{name} is gone.")
    if arguments.everything:
        print("\n".join(lab.remove_everything() or ["Images, caches and added Debian packages are gone."]))
    return 0


def _list(_: argparse.Namespace) -> int:
    lab = Lab()
    for host in lab.hosts():
        state = "running" if lab.running(host.name) else "stopped"
        snapshots = ", ".join(lab.snapshots(host.name))
        line = f"{host.name:24} {state:8} {host.address:15} {host.suite} {host.arch}"
        print(line + (f"  snapshots: {snapshots}" if snapshots else ""))
    return 0


def _ssh(arguments: argparse.Namespace) -> int:
    return subprocess.run([*Lab().ssh_command(arguments.name), *arguments.remote], check=False).returncode


def _reset(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    Lab().reset(arguments.name, arguments.to, fresh=arguments.fresh)
    point = "a fresh Debian" if arguments.fresh else arguments.to or "its beginning"
    print(f"{arguments.name} is back at {point} after {time.monotonic() - started:.1f} s.")
    return 0


def _snapshot(arguments: argparse.Namespace) -> int:
    Lab().snapshot(arguments.name, arguments.snapshot)
    print(f"{arguments.name} can return to {arguments.snapshot}.")
    return 0


def _forward(arguments: argparse.Namespace) -> int:
    Lab().forward(arguments.name, arguments.ports)
    ports = " and ".join(str(port) for port in arguments.ports)
    print(f"Port {ports} of this machine's 127.0.0.1 leads to {arguments.name}.")
    return 0


def _inventory(arguments: argparse.Namespace) -> int:
    for name in arguments.names:
        print(Lab().inventory(name))
    return 0
