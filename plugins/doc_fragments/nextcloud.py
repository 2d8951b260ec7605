"""Options of every module that asks Nextcloud."""


class ModuleDocFragment:
    """Documentation that modules share."""

    DOCUMENTATION = r"""
options:
    url:
        description: Nextcloud's public address, which leads to itself on its own server.
        type: str
        required: true
    account:
        description: The local account that automation has, an administrator of Nextcloud.
        type: str
        default: schoolstack
    password_file:
        description: File with that account's password.
        type: path
        required: true
"""
