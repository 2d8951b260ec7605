"""Keep a copy of a stopped application while it is upgraded, and put it back when that fails."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: application_copy
short_description: A copy of a stopped application, to go back to
description:
    - The copy holds all that makes the application what it is on this server. Its folders, units, site and
      record lie in C(/var/lib/schoolstack/upgrade/<app>); each database is copied inside the database server,
      which is the fastest way there and back.
    - Packages of a vendor are no part of it. They lie as they came in C(/var/lib/schoolstack/packages), from
      where the version before is installed again; see the role apt_source.
    - What stands in C(state.json) beside it says how far things are; that file is replaced at once, after
      everything it speaks of is on the disk. So every step can be cut off and taken up again.
author: Schoolstack contributors
options:
    action:
        description:
            - With C(take), stop the application and copy it.
            - With C(back), stop it, put the copy back in its place and start the application again. Where no
              copy was finished, start it only.
            - With C(drop), delete the copy.
        type: str
        choices: [take, back, drop]
        required: true
    record:
        description: The application's record, as it was before.
        type: dict
        required: true
    to:
        description: The version that it is to become; for C(take).
        type: str
        default: ""
"""

RETURN = r"""
went_back:
    description: Whether C(back) put a copy back.
    type: bool
"""

HOME = "/var/lib/schoolstack/upgrade"
FACTS = "/etc/ansible/facts.d"
UNITS = "/etc/systemd/system"
SITES = "/etc/nginx/sites-enabled"
SUFFIX = "_before_upgrade"
PACKAGES = "/var/lib/schoolstack/packages"  # of the role apt_source
PREFERENCES = "/etc/apt/preferences.d"
IN_FORCE = "/usr/local/lib/schoolstack/in-force"  # of the role host


class Copy:
    """The copy of one application."""

    def __init__(self, record: dict[str, Any]) -> None:
        """Look at the application that a record describes."""
        self.record = record
        self.folder = f"{HOME}/{record['name']}"
        # In the order in which they are started. What is kept in memory goes too: it knows nothing of what is
        # put back.
        self.units = [f"{cache['name']}-{cache['engine']}.service" for cache in record.get("caches") or []]
        self.units += [unit for service in record["services"] for unit in units_of(service)]
        self.databases = [database["name"] for database in record.get("databases") or []]
        self.apt = record.get("apt") or {"packages": {}}

    @property
    def state(self) -> dict[str, Any]:
        """How far things are; empty when there is no copy."""
        try:
            with open(f"{self.folder}/state.json", encoding="utf-8") as file:
                return dict(json.load(file))
        except FileNotFoundError:
            return {}

    def take(self, to: str) -> None:
        """Stop the application and copy it."""
        self.drop()
        os.makedirs(self.folder, mode=0o700)
        self._note("copying", to)
        for unit in reversed(self.units):
            run("systemctl", "stop", unit)
        for name in self.databases:
            # Whoever still looks into it, a backup perhaps, comes again.
            sql(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'name';
                CREATE DATABASE :"copy" TEMPLATE :"name" OWNER :"name";
                REVOKE ALL ON DATABASE :"copy" FROM PUBLIC;
                """,
                name,
            )
        for number, place in enumerate(self._places()):
            if os.path.lexists(place):
                run(
                    "cp",
                    "--archive",
                    "--reflink=auto",
                    "--no-target-directory",
                    place,
                    f"{self.folder}/{number}",
                )
        os.sync()
        self._note("copied", to)

    def back(self) -> bool:
        """Put the copy back, if there is a finished one, and start the application."""
        state = self.state
        finished = state.get("phase") in ("copied", "back")
        if finished:
            self._note("back", state["to"])
            for unit in reversed(self.units):
                # The new version may have other units, or none of this name.
                run("systemctl", "stop", unit, check=False)
            for name in self.databases:
                # A way back that was cut off may have come as far as here.
                if sql("SELECT 1 FROM pg_database WHERE datname = :'copy';", name):
                    run("dropdb", "--username=postgres", "--force", "--if-exists", name)
                    sql('ALTER DATABASE :"copy" RENAME TO :"name";', name)
            # Before its folders: what a package's own scripts do to those is undone with them.
            self._put_back_packages()
            for unit in reversed(self.units):
                # Those scripts may have started it, with folders that are about to be replaced.
                run("systemctl", "stop", unit, check=False)
            for number, place in enumerate(self._places()):
                remove(place)
                if os.path.lexists(f"{self.folder}/{number}"):
                    run(
                        "cp",
                        "--archive",
                        "--reflink=auto",
                        "--no-target-directory",
                        f"{self.folder}/{number}",
                        place,
                    )
            os.sync()
            run("systemctl", "daemon-reload")
            if "site" in self.record:
                run(IN_FORCE, "nginx.service", "/etc/nginx", "/etc/schoolstack/certificates")
        if state:
            for unit in self.units:
                run("systemctl", "reset-failed", unit, check=False)
                # What runs by a timer is started by it.
                if unit.replace(".service", ".timer") not in self.units or unit.endswith(".timer"):
                    run("systemctl", "start", unit)
            self.drop()
        return finished

    def drop(self) -> bool:
        """Delete the copy; return whether there was one."""
        found = os.path.isdir(self.folder)
        if found:
            # What is half gone must not be put back.
            self._note("done", self.state.get("to", ""))
        for name in self.databases:
            run("dropdb", "--username=postgres", "--force", "--if-exists", f"{name}{SUFFIX}")
        shutil.rmtree(self.folder, ignore_errors=True)
        return found

    def _put_back_packages(self) -> None:
        """Install the versions that were there before, out of what is kept of them."""
        missing = {
            package: version
            for package, version in self.apt["packages"].items()
            if installed(package) != version
        }
        if not missing:
            return
        files = []
        for package, version in missing.items():
            # apt writes a colon in a version so.
            pattern = f"{PACKAGES}/{self.record['name']}/{package}_{version.replace(':', '%3a')}_*.deb"
            found = glob.glob(pattern)
            if not found:
                raise OSError(f"{package} {version} is not kept on this server: there is no {pattern}")
            files += found
        run("dpkg", "--force-confdef", "--force-confold", "--install", *files)

    def _places(self) -> list[str]:
        """Return all that is copied, beside the databases; the record comes last."""
        name, archive = self.record["name"], self.record.get("archive")
        return [
            # No version changes what people keep there.
            *(path for kind, path in self.record["paths"].items() if kind != "files"),
            *(f"{UNITS}/{unit}" for unit in self.units),
            *([f"/opt/{archive}/current"] if archive else []),
            *([f"{PREFERENCES}/{name}.pref"] if self.apt["packages"] else []),
            *([f"{SITES}/{name}.conf"] if "site" in self.record else []),
            f"{FACTS}/{name}.fact",
        ]

    def _note(self, phase: str, to: str) -> None:
        """Write down how far things are, whole or not at all."""
        path = f"{self.folder}/state.json"
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump({"phase": phase, "to": to, "record": self.record}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.new", path)


def units_of(service: dict[str, Any]) -> list[str]:
    """Return the units of a service: its own and, where it runs again and again, the timer that starts it."""
    return [f"{service['name']}.service", *([f"{service['name']}.timer"] if "every_s" in service else [])]


def run(*command: str, check: bool = True, given: str | None = None) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    if check and done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


def sql(statements: str, database: str) -> str:
    """Run statements as the database server's superuser, each by itself, and return what they printed.

    Args:
        statements: SQL, in which ``name`` stands for the database and ``copy`` for its copy.
        database: name of the database.
    """
    options = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]
    options += [f"--set=name={database}", f"--set=copy={database}{SUFFIX}"]
    return run("psql", "--username=postgres", "--dbname=postgres", *options, given=statements)


def installed(package: str) -> str:
    """Return the version of a package that is installed; empty when it is not, or not wholly."""
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Version}", package]
    said = run(*query, check=False)
    return said[3:] if said.startswith("ii") else ""


def remove(place: str) -> None:
    """Delete a folder with all that is in it, a file or a link; nothing when it is gone already."""
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place)
    elif os.path.lexists(place):
        os.unlink(place)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "choices": ["take", "back", "drop"], "required": True},
            "record": {"type": "dict", "required": True},
            "to": {"type": "str", "default": ""},
        },
        supports_check_mode=False,
    )
    copy = Copy(module.params["record"])
    result: dict[str, Any] = {"changed": True}
    try:
        match module.params["action"]:
            case "take":
                copy.take(module.params["to"])
            case "back":
                result["went_back"] = copy.back()
            case "drop":
                result["changed"] = copy.drop()
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
