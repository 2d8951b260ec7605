"""Show what is kept of one person, refuse what may not be, and write the zip."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from schoolstack.messages import say
from schoolstack.person.dossier import Dossier

DOCUMENTATION = r"""
name: person_report
short_description: What all servers keep of one person
description:
    - Shows it on the screen and nowhere else, or writes it as a zip that only its owner reads.
    - Fails, before anything is erased, when there is nobody of that name, when the person may not be erased,
      or when the name was not typed.
author: Schoolstack contributors
options:
    username:
        description: The person's username.
        type: str
        required: true
    servers:
        description: What C(person_data) returned, by server.
        type: dict
        required: true
    erases:
        description: Whether the person shall be erased.
        type: bool
        default: false
    typed:
        description: The username, typed once more to confirm that.
        type: str
        default: ""
    folder:
        description: Where the zip goes; none is written when empty.
        type: str
        default: ""
"""


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Show, refuse, write."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "username": {"type": "str", "required": True},
                "servers": {"type": "dict", "required": True},
                "erases": {"type": "bool", "default": False},
                "typed": {"type": "str", "default": ""},
                "folder": {"type": "str", "default": ""},
            }
        )
        dossier = Dossier(options["username"], options["servers"])
        if options["folder"]:
            day = datetime.date.today().isoformat()
            path = dossier.write_zip(Path(options["folder"]).expanduser(), day)
            Display().display(say("person.exported", path=path), screen_only=True)
            return {"changed": True}
        if dossier.applications:
            Display().display("\n" + dossier.text(erases=options["erases"]), screen_only=True)
        if refused := list(dossier.refusals(erases=options["erases"], typed=options["typed"])):
            raise AnsibleActionFail("\n".join(refused))
        return {"changed": False}
