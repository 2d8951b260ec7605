"""Wait until an application answers, and no longer than it can be hoped for."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: application_answers
short_description: Wait until an application says that it is well
description:
    - Asks again and again until the answer is what it should be.
    - Gives up early when a service has failed, or was restarted by systemd several times while this waited.
author: Schoolstack contributors
options:
    url:
        description: Where it is asked.
        type: str
        required: true
    expect:
        description: Regular expression that the answer's body matches.
        type: str
        required: true
    wait_s:
        description: How long it may take, in seconds.
        type: int
        default: 60
    units:
        description: Its units, with their suffixes.
        type: list
        elements: str
        default: []
"""

RETURN = r"""
waited_s:
    description: How long it took, in seconds.
    type: float
"""

PAUSE_S = 0.25
# A service that ends this often while one waits for it will not come up by being waited for.
RESTARTS = 3


def answer(url: str) -> str:
    """Return what is answered at an address; empty when that is an error or nothing."""
    try:
        with urllib.request.build_opener().open(url, timeout=10) as response:
            return str(response.read().decode(errors="replace"))
    except OSError:
        return ""


def unit_state(unit: str) -> tuple[bool, int]:
    """Return whether a unit has failed for good, and how often systemd restarted it by itself."""
    show = ["systemctl", "show", "--property=ActiveState,NRestarts", unit]
    output = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    state = dict(line.split("=", 1) for line in output.splitlines())
    return state["ActiveState"] == "failed", int(state["NRestarts"] or 0)


def last_words(unit: str) -> str:
    """Return the last lines that a unit wrote."""
    command = ["journalctl", "--unit", unit, "--lines=15", "--no-pager", "--output=cat"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "expect": {"type": "str", "required": True},
            "wait_s": {"type": "int", "default": 60},
            "units": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    url, units = module.params["url"], module.params["units"]
    began = time.monotonic()
    before = {unit: unit_state(unit)[1] for unit in units}
    while not re.search(module.params["expect"], answer(url)):
        for unit in units:
            failed, restarts = unit_state(unit)
            if failed or restarts - before[unit] >= RESTARTS:
                module.fail_json(
                    msg=f"{unit} does not stay up: see `journalctl -u {unit}` on this server.",
                    stdout=last_words(unit),
                )
        if time.monotonic() - began > module.params["wait_s"]:
            said = f": see `journalctl -u {units[0]}` on this server." if units else "."
            module.fail_json(
                msg=f"{url} did not answer as it should within {module.params['wait_s']} s{said}"
            )
        time.sleep(PAUSE_S)
    module.exit_json(changed=False, waited_s=round(time.monotonic() - began, 1))


if __name__ == "__main__":
    main()
