"""Base images: small Debian systems, built once and never changed."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.hosts.state import State, remove_tree, run

SUITES = ("trixie", "bookworm")
# systemd 257 (trixie) starts no service under QEMU's user emulation, seen with QEMU 7.2; 252 (bookworm) does.
EMULATED_SUITE = "bookworm"
# Debian's name of an architecture and the kernel's.
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}

# Where the kernel is told which emulator runs a foreign program.
BINFMT = Path("/proc/sys/fs/binfmt_misc")

# What a Debian server has after a minimal installation with SSH, as far as a container needs it.
PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "libpam-systemd",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)

# $1 is the new system's folder. Host keys are made per host; an empty machine-id is filled at first boot
# without the detour of a "first boot" that presets every unit; there is no console to log in at.
FINISH = """
rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/hostname "$1"/etc/resolv.conf
: >"$1"/etc/machine-id
chroot "$1" systemctl --quiet enable systemd-networkd ssh
chroot "$1" systemctl --quiet mask console-getty
"""


def native_architecture() -> str:
    """Return Debian's name of this machine's architecture.

    Raises:
        SchoolError: when there is no test host for it.
    """
    for debian, kernel in ARCHITECTURES.items():
        if platform.machine() == kernel:
            return debian
    raise SchoolError(f"this machine is {platform.machine()}, and test hosts need an amd64 or arm64 machine")


def emulated(arch: str) -> bool:
    """Return whether programs of this architecture run only in QEMU here."""
    return arch != native_architecture()


def default_suite(arch: str) -> str:
    """Return the release a host gets that asked for none: the newest that runs."""
    return EMULATED_SUITE if emulated(arch) else SUITES[0]


def require_emulation(suite: str, arch: str) -> None:
    """Make this machine run programs of another architecture.

    Raises:
        SchoolError: when the release cannot be emulated, or the emulator is not installed.
    """
    if not emulated(arch):
        return
    if suite != EMULATED_SUITE:
        raise SchoolError(f"{suite} cannot be emulated: take --suite {EMULATED_SUITE}, or an {arch} machine")
    if (BINFMT / f"qemu-{ARCHITECTURES[arch]}").exists():
        return
    rule = Path(f"/usr/lib/binfmt.d/qemu-{ARCHITECTURES[arch]}.conf")
    if not rule.exists():
        raise SchoolError(f"an {arch} host needs emulation on this machine, so type: .ci/bootstrap emulation")
    if not (BINFMT / "register").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)])
    # Where systemd runs, it has done this at the emulator's installation.
    if not (BINFMT / rule.stem).exists():
        (BINFMT / "register").write_text(rule.read_text().strip())


def recipe(suite: str, arch: str) -> list[str]:
    """Return the mmdebstrap command without its target, which is also what names the image."""
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--architectures={arch}",
        f"--include={','.join(PACKAGES)}",
        # The package lists stay, so that a host's first "apt update" fetches only what is new.
        "--skip=cleanup/apt/lists",
        # A test host is thrown away; syncing every unpacked file to disk would only cost time.
        "--dpkgopt=force-unsafe-io",
        f"--customize-hook={FINISH}",
        suite,
    ]


def image_name(suite: str, arch: str) -> str:
    """Return the folder name of an image, which changes when the recipe does."""
    digest = hashlib.sha256(json.dumps(recipe(suite, arch)).encode()).hexdigest()
    return f"{suite}-{arch}-{digest[:8]}"


def ensure(state: State, suite: str, arch: str) -> Path:
    """Return the image's folder, building it first when it does not exist.

    The build goes into a temporary folder and dies with its starter, so an interrupted one leaves
    nothing but that folder, which the next build removes.

    Raises:
        SchoolError: when the build fails.
    """
    image = state.bases / image_name(suite, arch)
    with state.lock(image.name):
        if image.exists():
            return image
        partial = image.with_name(f".{image.name}.partial")
        remove_tree(partial)
        partial.parent.mkdir(parents=True, exist_ok=True)
        wait = "a quarter of an hour" if emulated(arch) else "half a minute"
        print(f"Building the {suite} {arch} image, once; this takes about {wait}.", flush=True)
        tie_to_starter = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
        build = subprocess.run(
            [*tie_to_starter, "--kill-child", "--mount-proc", *recipe(suite, arch), str(partial)],
            capture_output=True,
            text=True,
            check=False,
        )
        if build.returncode:
            log = state.root / f"{image.name}.log"
            log.write_text(build.stderr)
            remove_tree(partial)
            raise SchoolError(
                f"the {suite} {arch} image could not be built, see {log}: is Debian's mirror reachable?"
            )
        partial.rename(image)
        return image
