"""Have a systemd unit enabled and running with its files as they are now."""

from __future__ import annotations

import datetime
import glob
import os
import subprocess

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: unit_started
short_description: A unit that runs with its files as they are now
description:
    - Enables and starts a unit, and restarts it when one of its files has changed since it was last started.
    - That is read from the files and from systemd, never from an earlier task, so that a run cut off
      before the restart is caught up by the next one.
    - In check mode, a unit that is not there yet is reported as one that would be started.
author: Schoolstack contributors
options:
    name:
        description: The unit, with its suffix.
        type: str
        required: true
    files:
        description:
            - Files, folders and links that the unit reads when it starts; what does not exist is passed over.
            - A link to a folder counts for itself, not for what the folder holds.
            - What describes the unit in C(/etc) always counts; of a timer, what describes its service is read
              again.
        type: list
        elements: path
        default: []
    reload_files:
        description:
            - The same of what the unit reads when it is reloaded. A change there is put in force by a reload,
              which interrupts nobody, unless the unit is restarted anyway.
        type: list
        elements: path
        default: []
"""

EXAMPLES = r"""
- name: Run PostgreSQL
  unit_started:
    name: postgresql@17-main.service
    files: [/etc/postgresql/17/main]
"""

RETURN = r"""
done:
    description: What was done, of C(daemon-reload), C(enable), C(start), C(restart) and C(reload).
    type: list
    returned: always
because:
    description: The changed files that wanted the restart or the reload.
    type: list
    returned: always
"""

PROPERTIES = (
    "ActiveState,SubState,FragmentPath,DropInPaths,NeedDaemonReload,UnitFileState,InactiveExitTimestamp,"
    "StateChangeTimestamp"
)
ENABLED = ("enabled", "enabled-runtime", "static", "indirect", "generated", "alias")


def changed_since(moment: float, paths: list[str]) -> list[str]:
    """Return which of the files, or of the files in the folders, changed after a moment.

    Args:
        moment: seconds since 1970.
        paths: files, folders and links. A link to a file counts for both; a link to a folder for itself only,
            since it is switched when the folder is another one.
    """
    entries = set()
    for path in filter(os.path.exists, paths):
        entries.add(path)
        if os.path.isfile(path):
            entries.add(os.path.realpath(path))
        elif not os.path.islink(path):
            for folder, _, names in os.walk(path):
                entries |= {folder, *(os.path.join(folder, name) for name in names)}
    return sorted(entry for entry in entries if os.lstat(entry).st_ctime > moment)


def seconds(timestamp: str) -> float:
    """Turn systemd's "Sat 2026-11-21 10:11:12.131415 UTC" into seconds since 1970; 0 when it is empty."""
    if not timestamp:
        return 0.0
    when = datetime.datetime.strptime(timestamp[4:], "%Y-%m-%d %H:%M:%S.%f UTC")
    return when.replace(tzinfo=datetime.UTC).timestamp()


def needed(
    state: dict[str, str],
    files: list[str],
    reload_files: list[str] | None = None,
    drop_ins: list[str] | None = None,
) -> tuple[list[str], list[str]]:
    """Decide what has to be done.

    Args:
        state: what systemd says of the unit, PROPERTIES.
        files: what the unit reads when it starts.
        reload_files: what it reads when it is reloaded.
        drop_ins: what is laid down in ``/etc`` for the unit beside its own file.

    Returns:
        The systemctl verbs in their order, and the files that want a restart or a reload.
    """
    # The systemd of Debian 12 does not say that it needs a reload when a unit gets its first drop-in.
    unread = set(drop_ins or []) - set(state["DropInPaths"].split())
    described_anew = bool(unread) or state["NeedDaemonReload"] == "yes" or not state["FragmentPath"]
    verbs = ["daemon-reload"] if described_anew else []
    if state["UnitFileState"] not in ENABLED:
        verbs.append("enable")
    own = [
        path for path in (state["FragmentPath"], *state["DropInPaths"].split()) if path.startswith("/etc/")
    ]
    changed = changed_since(seconds(state["InactiveExitTimestamp"]), own + files)
    if state["SubState"] == "auto-restart":  # it keeps failing: try at once, and say so if it fails again
        verbs.append("restart")
    elif state["ActiveState"] not in ("active", "activating", "reloading"):
        return [*verbs, "start"], []
    elif changed or described_anew:
        verbs.append("restart")
    elif reread := changed_since(seconds(state["StateChangeTimestamp"]), reload_files or []):
        return [*verbs, "reload"], reread
    return verbs, changed


def outdated(unit: str) -> bool:
    """Return whether systemd knows a unit otherwise than its file says by now."""
    show = ["systemctl", "show", "--property=NeedDaemonReload", "--value", unit]
    return subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip() == "yes"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "reload_files": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    show = ["systemctl", "show", "--timestamp=us+utc", "--property", PROPERTIES, name]
    output = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    state = dict(line.split("=", 1) for line in output.splitlines())
    if name.endswith(".timer") and outdated(name.replace(".timer", ".service")):
        state["NeedDaemonReload"] = "yes"
    drop_ins = glob.glob(f"/etc/systemd/system/{name}.d/*.conf")
    verbs, because = needed(state, module.params["files"], module.params["reload_files"], drop_ins)
    if verbs and not module.check_mode:
        # Earlier attempts count against the unit's start limit; what was wrong then may have been put right.
        subprocess.run(["systemctl", "reset-failed", name], check=False, capture_output=True)
    for verb in [] if module.check_mode else verbs:
        command = ["systemctl", verb] if verb == "daemon-reload" else ["systemctl", verb, name]
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode:
            for path in because if verb == "reload" else []:
                os.utime(path)  # it still runs with the old: the next attempt must not take it for done
            module.fail_json(
                msg=f"{name} could not be brought up ({verb}): see `journalctl -u {name}` on this server.",
                stderr=ran.stderr,
            )
    module.exit_json(changed=bool(verbs), done=verbs, because=because)


if __name__ == "__main__":
    main()
