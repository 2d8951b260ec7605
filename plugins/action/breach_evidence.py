"""Bring one server's evidence here; a server that does not answer keeps nobody else's from coming."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

DOCUMENTATION = r"""
name: breach_evidence
short_description: A server's evidence, brought to the machine that runs Ansible
description:
    - Has C(breach_collect) put it into an archive, copies that in pieces, so that its size does not matter,
      compares its SHA-256, and removes it from the server.
author: Schoolstack contributors
options:
    folder:
        description: Where it goes, on the machine that runs Ansible.
        type: path
        required: true
    days:
        description: How far back the journal and the logs go, in days.
        type: int
        required: true
"""

RETURN = r"""
evidence:
    description: C(sha256), C(bytes) and what is C(missing); or why there is none, as C(said).
    type: dict
"""

# What is copied in one exchange.
PIECE = 4 * 1024 * 1024


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Collect and copy."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {"folder": {"type": "path", "required": True}, "days": {"type": "int", "required": True}}
        )
        variables = task_vars or {}
        target = Path(options["folder"]) / f"{variables['inventory_hostname']}.tar.gz"
        try:
            made = self._execute_module(
                module_name="breach_collect", module_args={"days": options["days"]}, task_vars=variables
            )
            if made.get("failed"):
                return {"changed": False, "evidence": {"said": str(made.get("msg", ""))}}
            self._copy(made, target)
        except AnsibleConnectionFailure as error:
            return {"changed": False, "evidence": {"said": (str(error).strip().splitlines() or ["?"])[-1]}}
        evidence = {name: made[name] for name in ("sha256", "bytes", "missing")}
        return {"changed": True, "evidence": evidence}

    def _copy(self, made: dict[str, Any], target: Path) -> None:
        path, seen = shlex.quote(made["path"]), hashlib.sha256()
        try:
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for number in range(-(-made["bytes"] // PIECE)):
                    answer = self._low_level_execute_command(
                        f"dd if={path} bs={PIECE} skip={number} count=1 status=none | base64"
                    )
                    piece = base64.b64decode(answer["stdout"])
                    seen.update(piece)
                    file.write(piece)
        finally:
            self._low_level_execute_command(f"rm -r {shlex.quote(os.path.dirname(made['path']))}")
        if seen.hexdigest() != made["sha256"]:
            target.unlink()
            raise AnsibleConnectionFailure(f"{target.name} was damaged on its way: give the command again.")
