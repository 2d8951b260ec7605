"""Make the teacher of the lesson, on the server itself; read after Keycloak's Admin API client.

What she signs in with is no secret: she exists on practice machines only.
"""

# ruff: noqa: F821
admin = KeycloakAdmin.with_secret_from("/etc/keycloak/automation.secret", "schoolstack")
admin.post(
    "school",
    "users",
    body={
        "username": "practice.teacher",
        "firstName": "Noor",
        "lastName": "Practice",
        "enabled": True,
        "groups": ["/role/teacher"],
        "credentials": [{"type": "password", "value": "Practice-makes-1"}],
    },
)
