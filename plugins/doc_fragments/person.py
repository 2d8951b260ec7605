"""Options of every door to what is kept of one person."""


class ModuleDocFragment:
    """Documentation that modules share."""

    DOCUMENTATION = r"""
options:
    do:
        description: What to do.
        type: str
        choices: [show, export, erase]
        required: true
    username:
        description: The person's username.
        type: str
        required: true
"""
