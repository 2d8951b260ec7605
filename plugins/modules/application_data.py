"""Measure what an application has on this server."""

from __future__ import annotations

import os
import subprocess

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: application_data
short_description: Where an application's data lies, and how much it is
description:
    - Measures the folder of data and the databases that a record names. Changes nothing.
author: Schoolstack contributors
options:
    declaration:
        description: The application's record.
        type: dict
        required: true
"""

RETURN = r"""
places:
    description: Each place that is there, as C(what) it is (folder, database), its C(name) and its C(bytes).
    type: list
    elements: dict
"""


def folder_bytes(path: str) -> int:
    """Return the space that a folder with all that is in it takes on the disk."""
    command = ["du", "--summarize", "--one-file-system", "--block-size=1", path]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0])


def database_bytes(name: str) -> int | None:
    """Return the space that a database takes on the disk; None when it is not there."""
    query = "SELECT pg_database_size(oid) FROM pg_database WHERE datname = :'name'"
    command = ["psql", "--username=postgres", "--dbname=postgres", "--no-psqlrc", "--no-align"]
    command += ["--tuples-only", "--set=ON_ERROR_STOP=1", f"--set=name={name}"]
    size = subprocess.run(command, input=query, check=True, capture_output=True, text=True).stdout.strip()
    return int(size) if size else None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"declaration": {"type": "dict", "required": True}}, supports_check_mode=True
    )
    declaration = module.params["declaration"]
    places = []
    data = declaration["paths"].get("data")
    if data and os.path.isdir(data):
        places.append({"what": "folder", "name": data, "bytes": folder_bytes(data)})
    for database in declaration.get("databases") or []:
        size = database_bytes(database["name"])
        if size is not None:
            places.append({"what": "database", "name": database["name"], "bytes": size})
    module.exit_json(changed=False, places=places)


if __name__ == "__main__":
    main()
