"""Dashboards for Grafana, made from what the project and an application's declaration say."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase

from schoolstack.dashboards import of_application, of_school
from schoolstack.messages import speaking

DOCUMENTATION = r"""
name: school_dashboards
short_description: Dashboards as Grafana reads them
description:
    - With a declaration, the dashboard of that application; without, those that every school has.
author: Schoolstack contributors
options:
    _terms:
        description: An application's declaration, resolved.
    language:
        description: The language of what stands on them.
        type: str
        choices: [en, nl]
        required: true
    server:
        description: The server on which the application runs, as the inventory calls it.
        type: str
        default: ""
"""

RETURN = r"""
_list:
    description:
        - Of each its C(name), its C(content) as JSON, and its C(folder).
        - The folder is C(everybody) or, for coordinators only, C(ict).
    type: list
"""


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(
        self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, str]]:
        """Return the dashboards."""
        self.set_options(var_options=variables, direct=kwargs)
        with speaking(self.get_option("language")):
            boards = [of_application(one, self.get_option("server")) for one in terms] or of_school()
            return [
                {
                    "name": board.uid,
                    "folder": "everybody" if board.everybody else "ict",
                    "content": board.json(),
                }
                for board in boards
            ]
