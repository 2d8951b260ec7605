"""Open the folder of a suspected breach, or close it when the evidence is in."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from schoolstack.breach.dossier import Dossier
from schoolstack.deployment import ROOT
from schoolstack.errors import SchoolError

DOCUMENTATION = r"""
name: breach_dossier
short_description: The folder of a suspected breach
description:
    - Without C(servers) it makes the folder with the checklist and the draft of the notice.
    - With C(servers) it freezes the evidence and says what comes next.
author: Schoolstack contributors
options:
    folder:
        description: Where breaches are kept; or, with C(servers), the folder of this one.
        type: path
        required: true
    known:
        description: Since when the school knows, as ISO 8601; since now when empty.
        type: str
        default: ""
    school:
        description: The school's C(name) and C(contact).
        type: dict
        required: true
    inventory:
        description: The school's inventory.
        type: path
        required: true
    names:
        description: The servers.
        type: list
        elements: str
        required: true
    servers:
        description: What became of each server's evidence.
        type: dict
"""

RETURN = r"""
folder:
    description: The folder of this breach.
    type: str
known:
    description: Since when the school knows, as ISO 8601.
    type: str
"""


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Open or close it."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "folder": {"type": "path", "required": True},
                "known": {"type": "str", "default": ""},
                "school": {"type": "dict", "required": True},
                "inventory": {"type": "path", "required": True},
                "names": {"type": "list", "elements": "str", "required": True},
                "servers": {"type": "dict"},
            }
        )
        folder, now = Path(options["folder"]), datetime.datetime.now().astimezone()
        if options["servers"] is not None:
            dossier = Dossier(folder, datetime.datetime.fromisoformat(options["known"]))
            dossier.freeze(Path(options["inventory"]), ROOT, options["servers"])
            Display().display("\n" + dossier.text(options["servers"]), screen_only=True)
            return {"changed": True}
        try:
            dossier = Dossier.open(folder, options["known"], now)
        except SchoolError as error:
            raise AnsibleActionFail(str(error)) from None
        dossier.write_forms(options["school"], options["names"])
        return {"changed": True, "folder": str(dossier.folder), "known": dossier.known.isoformat()}
