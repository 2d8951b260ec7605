"""Report what the preflight needs to know of a server and facts do not tell."""

from __future__ import annotations

import glob
import json
import os
import re
import socket
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: server_state
short_description: Clock, free space and listening programs of a server
description:
    - Reads what has to be known before the first change. Changes nothing.
author: Schoolstack contributors
options: {}
"""

RETURN = r"""
ansible_facts:
    description: What was found, as the fact C(server).
    type: dict
    contains:
        epoch_s:
            description: The server's clock, in seconds since 1970.
            type: float
        free_mb:
            description: Free space for root at the places where applications live, in MB.
            type: dict
        listeners:
            description: Listening TCP sockets, as port, address and the program and unit that hold each.
            type: list
        archives:
            description: Unpacked upstream archives, as name/version.
            type: list
        packages:
            description: Names of the Debian packages that are installed.
            type: list
        removed:
            description: Applications that were removed and left data, by name; what their last records say.
            type: dict
        upgrading:
            description: Applications whose upgrade was cut off, by name; see M(application_copy).
            type: dict
        links:
            description: The version in use of each upstream archive, by its folder below /opt.
            type: dict
        vendor_packages:
            description: The version of each package that came from a vendor's own repository, by name.
            type: dict
        restoring:
            description: What a restore that is under way has still to put back; see the role backup.
            type: list
"""

TCP_LISTEN = "0A"  # TCP_LISTEN in include/net/tcp_states.h of Linux


def free_mb(path: str) -> int:
    """Return the space free on the file system that will hold *path*, in MB."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize // 1_000_000


def address(text: str) -> str:
    """Turn an address of /proc/net/tcp (host-endian words in hexadecimal) into its usual form."""
    raw = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def socket_owners() -> dict[str, tuple[str, str]]:
    """Return the program and the systemd unit that hold each socket, by inode."""
    owners: dict[str, tuple[str, str]] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as comm, open(f"/proc/{pid}/cgroup") as cgroup:
                unit = re.search(r"([^/\n]+\.service)", cgroup.read())
                owner = (comm.read().strip(), unit[1] if unit else "")
            for fd in os.listdir(f"/proc/{pid}/fd"):
                found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
                if found:
                    owners[found[1]] = owner
        except OSError:  # the process has ended meanwhile
            continue
    return owners


def listeners() -> list[dict[str, object]]:
    """Return the listening TCP sockets."""
    owners = socket_owners()
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table) as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == TCP_LISTEN:
                    place, port = fields[1].split(":")
                    program, unit = owners.get(fields[9], ("", ""))
                    found.append(
                        {"port": int(port, 16), "address": address(place), "program": program, "unit": unit}
                    )
    return found


def archives() -> list[str]:
    """Return the unpacked upstream archives, as name/version; see the role archive."""
    return sorted(os.path.relpath(path, "/opt") for path in glob.glob("/opt/*/*") if not os.path.islink(path))


def packages() -> dict[str, str]:
    """Return the versions of the installed Debian packages, by name."""
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${Package} ${Version}\n"]
    lines = subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line[3:].split(" ", 1) for line in lines if line.startswith("ii"))


def of_vendors(installed: dict[str, str]) -> dict[str, str]:
    """Return which of them came from a vendor's own repository; see the role apt_source."""
    kept = glob.glob("/var/lib/schoolstack/packages/*/*.deb")
    names = {os.path.basename(path).split("_")[0] for path in kept}
    return {name: version for name, version in installed.items() if name in names}


def noted(pattern: str) -> list[dict[str, object]]:
    """Return what stands in JSON files of our own."""
    found = []
    for path in sorted(glob.glob(f"/var/lib/schoolstack/{pattern}")):
        with open(path, encoding="utf-8") as file:
            found.append(json.load(file))
    return found


def links() -> dict[str, str]:
    """Return the version in use of each upstream archive, by its folder below /opt; see the role archive."""
    paths = [path for path in glob.glob("/opt/*/current") if os.path.islink(path)]
    return {path.split("/")[2]: os.readlink(path) for path in paths}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    installed = packages()
    found = {
        "epoch_s": time.time(),
        "free_mb": {path: free_mb(path) for path in ("/opt", "/var/lib", "/var/cache")},
        "listeners": listeners(),
        "archives": archives(),
        "packages": sorted(installed),
        "vendor_packages": of_vendors(installed),
        "removed": {record["name"]: record for record in noted("removed/*.json")},
        "upgrading": {state["record"]["name"]: state for state in noted("upgrade/*/state.json")},
        "links": links(),
        "restoring": [left for state in noted("backup/restoring.json") for left in state["left"]],
    }
    module.exit_json(changed=False, ansible_facts={"server": found})


if __name__ == "__main__":
    main()
