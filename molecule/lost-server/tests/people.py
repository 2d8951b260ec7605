"""Make a class and a teacher, on the server itself; read after Keycloak's Admin API client.

What they sign in with is no secret: they exist on practice machines only.
"""

# ruff: noqa: F821
PUPILS = {"anna": "Peeters", "bilal": "Amrani", "chloe": "Maes", "dries": "Claes"}

admin = KeycloakAdmin.with_secret_from("/etc/keycloak/automation.secret", "schoolstack")
parent = next(one for one in admin.get("school", "groups") if one["name"] == "class")
admin.post("school", "groups", parent["id"], "children", body={"name": "3A"})
people = {name: (family, ["/role/pupil", "/class/3A"]) for name, family in PUPILS.items()}
people["noor"] = ("Practice", ["/role/teacher"])
for name, (family, groups) in people.items():
    admin.post(
        "school",
        "users",
        body={
            "username": f"{name}.{family.lower()}",
            "firstName": name.title(),
            "lastName": family,
            "enabled": True,
            "groups": groups,
            "credentials": [{"type": "password", "value": "Practice-makes-1"}],
        },
    )
