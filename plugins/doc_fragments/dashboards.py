"""Options of what sees that dashboards have answers."""


class ModuleDocFragment:
    """Documentation that plugins share."""

    DOCUMENTATION = r"""
options:
    folder:
        description: Where the dashboards lie, in folders.
        type: path
        required: true
    url:
        description: Prometheus' address on its own server.
        type: str
        required: true
    wait_s:
        description: How long it may take until everything has an answer, in seconds.
        type: int
        required: true
    before:
        description: Command that has the server look at itself first, so that what is new is measured.
        type: list
        elements: str
        default: []
"""
