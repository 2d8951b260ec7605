"""Make the teacher of the lesson, on the server itself, in place of one that another seat made.

Read after Keycloak's Admin API client and the seat's USERNAME and PASSWORD. What she signs in with is no
secret: she exists on practice machines only.
"""

# ruff: noqa: F821
admin = KeycloakAdmin.with_secret_from("/etc/keycloak/automation.secret", "schoolstack")
for other in admin.get("school", "users", lastName="Practice", exact="true"):
    admin.delete("school", "users", other["id"])
admin.post(
    "school",
    "users",
    body={
        "username": USERNAME,
        "firstName": "Noor",
        "lastName": "Practice",
        "enabled": True,
        "groups": ["/role/teacher"],
        "credentials": [{"type": "password", "value": PASSWORD}],
    },
)
