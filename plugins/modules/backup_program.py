"""Call the program that backs a server up, and pass on in its own words what it refuses."""

from __future__ import annotations

import json
import os

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: backup_program
short_description: Call the program that backs a server up
description:
    - Runs one command of C(schoolstack-backup), which the role C(backup) installs.
    - In check mode only what looks is run; where the program is not installed yet, nothing is.
author: Schoolstack contributors
options:
    command:
        description: The command, as C(schoolstack-backup --help) lists them.
        type: str
        required: true
    given:
        description: What the command reads from standard input.
        type: dict
    looks:
        description: Whether the command only looks, so that it may be run in check mode.
        type: bool
        default: false
    language:
        description: The language in which it refuses.
        type: str
        required: true
"""

RETURN = r"""
result:
    description: What the program returned; empty when it was not run.
    type: dict
    returned: always
"""

PROGRAM = "/usr/local/sbin/schoolstack-backup"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "str", "required": True},
            "given": {"type": "dict"},
            "looks": {"type": "bool", "default": False},
            "language": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    if module.check_mode and not (module.params["looks"] and os.path.exists(PROGRAM)):
        module.exit_json(changed=not os.path.exists(PROGRAM), result={})
    given = module.params["given"]
    code, output, error = module.run_command(
        [PROGRAM, module.params["command"]],
        data=None if given is None else json.dumps(given),
        environ_update={"SCHOOL_LANGUAGE": module.params["language"]},
    )
    if code:
        module.fail_json(msg=error.strip())
    result = json.loads(output)
    module.exit_json(changed=result.get("changed", False), result=result)


if __name__ == "__main__":
    main()
