"""Starting and stopping one machine. Its control group is the only witness of whether it runs.

There are no pid files: a control group knows its processes, also after whoever started them is gone, and
the kernel kills them all at one word. Where systemd runs, the machine is a transient unit of it and the
group is the unit's; elsewhere the group is made here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.hosts.state import run

SLICE = "schoolstack.slice"

# Asks systemd as process 1 to shut down (systemd(1), "SIGNALS").
POWER_OFF = signal.SIGRTMIN + 4

# "$1" are the overlay's mount options, "$2" its mount point, the rest the command. The mount is private to
# the machine's processes, so that it ends with them and nobody can leave it behind.
IN_OWN_MOUNTS = 'mount -t overlay schoolstack -o "$1" "$2"; shift 2; exec "$@"'
# "$1" is a list of control groups to join before going to the background.
IN_OWN_GROUP = 'for group in $1; do echo $$ >"$group/cgroup.procs"; done; shift; exec setsid --fork "$@"'


class Machine:
    """One systemd-nspawn machine, running or not."""

    def __init__(self, name: str) -> None:
        """Refer to the machine ``name``, which need not exist."""
        self.name = name
        self._unit = f"schoolstack-{name}.service"
        self._group = hierarchies()[0] / SLICE / self._unit

    def running(self) -> bool:
        """Return whether any process of the machine is alive."""
        return _populated(self._group)

    def init(self) -> int | None:
        """Return the number that the machine's process 1 has on this machine, or None before it exists."""
        try:
            pids = (self._group / "payload/init.scope/cgroup.procs").read_text().split()
        except OSError:
            return None
        return int(pids[0]) if pids else None

    def start(self, root: Path, mount_options: str, nspawn: list[str], log: Path) -> None:
        """Boot the machine in the background.

        Args:
            root: the empty folder to mount its disk on, in a mount namespace of its own.
            mount_options: overlayfs's options.
            nspawn: further options of systemd-nspawn.
            log: a file for the console.
        """
        # Who starts it may be tied to one processor, as Mitogen ties what playbooks run; a machine is not.
        os.sched_setaffinity(0, os.sched_getaffinity(1))
        command = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-ec",
            IN_OWN_MOUNTS,
            "schoolstack",
        ]
        command += [mount_options, str(root), "systemd-nspawn", "--quiet", "--boot", "--settings=no"]
        command += [f"--directory={root}", f"--machine={self.name}", "--register=no", "--keep-unit"]
        command += ["--console=pipe", "--link-journal=no", "--timezone=off", "--private-users=no", *nspawn]
        if systemd_runs():
            unit = [f"--unit={self._unit}", f"--slice={SLICE}", "--collect", "--quiet"]
            limits = ["--property=Delegate=yes", "--property=TasksMax=16384", "--property=KillMode=mixed"]
            output = [f"--property=StandardOutput=truncate:{log}", "--property=StandardError=inherit"]
            environment = ["--setenv=SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1"]
            run(["systemd-run", *unit, *limits, *output, *environment, *command])
            return
        groups = [hierarchy / SLICE / self._unit for hierarchy in hierarchies()]
        for group in groups:
            group.mkdir(parents=True, exist_ok=True)
        joined = " ".join(str(group) for group in groups)
        with log.open("w") as console:
            subprocess.run(
                ["sh", "-ec", IN_OWN_GROUP, "schoolstack", joined, *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                check=True,
            )

    def kill(self) -> None:
        """Cut the power: every process of the machine dies at once, without a chance to tidy up."""
        with contextlib.suppress(FileNotFoundError):
            (self._group / "cgroup.kill").write_text("1")
        self._wait_for_end(10)
        self._forget()

    def shut_down(self) -> None:
        """Ask the machine to shut down, and cut the power when it has not done so after 20 seconds."""
        pid = self.init()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, POWER_OFF)
            self._wait_for_end(20)
        self.kill()

    def _wait_for_end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _forget(self) -> None:
        """Remove what a machine leaves: its cable, and its unit or the control groups made here.

        The kernel keeps a machine's network for up to a minute after its last process, until connections have
        faded away. While the cable is there, that answers in place of the next machine with its address.
        """
        # What systemd-nspawn calls this end of it, if need be as an alternative name.
        subprocess.run(["ip", "link", "delete", f"vb-{self.name}"], capture_output=True, check=False)
        if systemd_runs():
            subprocess.run(["systemctl", "--quiet", "stop", self._unit], capture_output=True, check=False)
            return
        _remove_groups(self._unit)


def forget_dead(prefix: str) -> None:
    """Remove the control groups of machines whose name begins with ``prefix`` and that run no more.

    A machine that was not ended by :meth:`Machine.kill` leaves them: somebody killed it from outside, or
    its network ended with the namespace it was in. Where systemd runs, it does this by itself.
    """
    if not systemd_runs():
        for group in (hierarchies()[0] / SLICE).glob(f"schoolstack-{prefix}*.service"):
            if not _populated(group):
                _remove_groups(group.name)


def _populated(group: Path) -> bool:
    """Return whether any process lives in a control group or below it."""
    try:
        return "populated 1" in (group / "cgroup.events").read_text()
    except OSError:
        return False


def _remove_groups(unit: str) -> None:
    """Remove a machine's control groups; the kernel keeps those in which anything is alive."""
    for hierarchy in hierarchies():
        group = hierarchy / SLICE / unit
        folders = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
        for folder in (*folders, group, group.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()


def systemd_runs() -> bool:
    """Return whether systemd manages this machine (``sd_booted(3)``)."""
    return Path("/run/systemd/system").is_dir()


def hierarchies() -> list[Path]:
    """Return where control groups are mounted that systemd-nspawn uses: version 2, then systemd's own.

    Raises:
        SchoolError: when version 2 is not mounted.
    """
    second, own = [], []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            second.append(Path(before.split()[4]))
        elif kind == "cgroup" and "name=systemd" in options:
            own.append(Path(before.split()[4]))
    if not second:
        raise SchoolError("test hosts need control groups version 2: mount -t cgroup2 none /sys/fs/cgroup")
    return second[:1] + own[:1]
