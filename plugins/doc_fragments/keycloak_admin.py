"""Options of every module that signs in to Keycloak's Admin API."""


class ModuleDocFragment:
    """Documentation that modules share."""

    DOCUMENTATION = r"""
options:
    client_id:
        description: The service account, in the realm C(master), that this signs in as.
        type: str
        required: true
    secret_file:
        description: File on Keycloak's own host, where this runs, with its secret.
        type: path
        required: true
"""
