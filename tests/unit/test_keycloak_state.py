"""The comparison of a realm with its description, and the writes that follow from it."""

from __future__ import annotations

import copy

import pytest
from ansible.module_utils.keycloak_state import Change, Realm, differences, flow_tree, merged, report

STEPS = [
    {"step": "auth-cookie", "requirement": "ALTERNATIVE"},
    {
        "flow": "password",
        "requirement": "ALTERNATIVE",
        "steps": [
            {"step": "auth-username-password-form", "requirement": "REQUIRED"},
            {"step": "conditional-user-role", "requirement": "REQUIRED", "config": {"condUserRole": "ict"}},
        ],
    },
]
EXPORT = {
    "realm": "school",
    "failureFactor": 5,
    "attributes": {"adminEventsExpiration": "60", "other": "stays"},
    "roles": {
        "realm": [
            {"id": "r1", "name": "ict", "composites": {"client": {"realm-management": ["view-users"]}}}
        ],
        "client": {"alpha": [{"id": "r2", "name": "user"}]},
    },
    "groups": [
        {
            "id": "g1",
            "name": "role",
            "subGroups": [
                {
                    "id": "g2",
                    "name": "ict",
                    "realmRoles": ["ict"],
                    "attributes": {"school_group": ["role-ict"], "room": ["12"]},
                    "subGroups": [],
                }
            ],
        },
        {"id": "g3", "name": "class", "subGroups": [{"id": "g4", "name": "3A", "subGroups": []}]},
    ],
    "clientScopes": [
        {
            "id": "s1",
            "name": "school",
            "protocolMappers": [{"id": "m1", "name": "roles", "config": {"a": "1"}}],
        },
        {"id": "s2", "name": "roles"},
    ],
    "scopeMappings": [{"clientScope": "school", "roles": ["ict"]}],
    "clients": [
        {
            "id": "c1",
            "clientId": "alpha",
            "redirectUris": ["https://alpha.example/b", "https://alpha.example/a"],
            "secret": "**********",
            "protocolMappers": [],
            "defaultClientScopes": ["school"],
        }
    ],
    "requiredActions": [{"alias": "CONFIGURE_TOTP", "enabled": True, "priority": 10}],
    "authenticationFlows": [
        {
            "id": "f1",
            "alias": "sign-in",
            "authenticationExecutions": [
                {"authenticator": "auth-cookie", "requirement": "ALTERNATIVE"},
                {"flowAlias": "password", "requirement": "ALTERNATIVE"},
            ],
        },
        {
            "id": "f2",
            "alias": "password",
            "authenticationExecutions": [
                {"authenticator": "auth-username-password-form", "requirement": "REQUIRED"},
                {
                    "authenticator": "conditional-user-role",
                    "requirement": "REQUIRED",
                    "authenticatorConfig": "school 1",
                },
            ],
        },
    ],
    "authenticatorConfig": [{"id": "a1", "alias": "school 1", "config": {"condUserRole": "ict"}}],
    "localizationTexts": {"nl": {"refused": "Nee", "own": "stays"}},
}
WANTED = {
    "failureFactor": 5,
    "attributes": {"adminEventsExpiration": "60"},
    "roles": {
        "realm": [{"name": "ict", "composites": {"client": {"realm-management": ["view-users"]}}}],
        "client": {"alpha": [{"name": "user"}]},
    },
    "groups": [
        {
            "name": "role",
            "subGroups": [
                {"name": "ict", "realmRoles": ["ict"], "attributes": {"school_group": ["role-ict"]}}
            ],
        },
        {"name": "class"},
    ],
    "clientScopes": [{"name": "school", "protocolMappers": [{"name": "roles", "config": {"a": "1"}}]}],
    "scopeMappings": [{"clientScope": "school", "roles": ["ict"]}],
    "clients": [
        {
            "clientId": "alpha",
            "redirectUris": ["https://alpha.example/a", "https://alpha.example/b"],
            "secret": "right",
            "protocolMappers": [],
            "defaultClientScopes": ["school"],
        }
    ],
    "requiredActions": [{"alias": "CONFIGURE_TOTP", "enabled": True}],
    "authenticationFlows": [{"alias": "sign-in", "steps": STEPS}],
    "localizationTexts": {"nl": {"refused": "Nee"}},
}
EXECUTIONS = {
    "sign-in": [
        {
            "id": "e1",
            "level": 0,
            "providerId": "auth-cookie",
            "displayName": "Cookie",
            "requirement": "ALTERNATIVE",
        },
        {"id": "e2", "level": 0, "displayName": "password", "requirement": "ALTERNATIVE"},
    ],
    "password": [
        {
            "id": "e3",
            "level": 0,
            "providerId": "auth-username-password-form",
            "displayName": "Form",
            "requirement": "REQUIRED",
        },
        {
            "id": "e4",
            "level": 0,
            "providerId": "conditional-user-role",
            "displayName": "Condition",
            "requirement": "REQUIRED",
            "authenticationConfig": "a1",
        },
    ],
}
for steps in EXECUTIONS.values():
    for number, step in enumerate(steps, start=1):
        step["priority"] = number


class Keycloak:
    """Answers from an export and remembers what is written."""

    def __init__(self, export):
        self.export = copy.deepcopy(export)
        self.writes = []

    def sign_in(self):
        pass

    def get(self, *path, **query):
        if not self.export:
            return None
        match path:
            case ("school",):
                return self.export
            case ("school", "clients", _, "client-secret"):
                return {"value": "right"}
            case ("school", "authentication", "flows", flow, "executions"):
                return copy.deepcopy(EXECUTIONS.get(flow))
            case ("school", "authentication", "config", _):
                return copy.deepcopy(self.export["authenticatorConfig"][0])
            case (*_, "roles", name):
                return {"id": f"id of {name}", "name": name}
        return None

    def post(self, *path, body=None, **query):
        if path[-1:] == ("partial-export",):
            return self.export
        self.writes.append(("post", *path))
        return "new-id"

    def put(self, *path, body=None):
        self.writes.append(("put", *path))
        self.sent = body

    def delete(self, *path, body=None):
        self.writes.append(("delete", *path))


def converge(export, wanted, check=False):
    keycloak = Keycloak(export)
    realm = Realm(keycloak, "school", check)
    realm.converge(wanted)
    return keycloak, [str(change) for change in realm.changes]


def changed(path, value, source=EXPORT):
    """Return a copy of the export with one value replaced."""
    export = copy.deepcopy(source)
    place = export
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return export


def test_a_realm_as_described_is_left_alone():
    keycloak, changes = converge(EXPORT, WANTED)
    assert changes == []
    assert keycloak.writes == []


@pytest.mark.parametrize(
    ("path", "value", "line", "write"),
    [
        (["failureFactor"], 30, "failureFactor: 30 -> 5", ("put", "school")),
        (
            ["roles", "realm", 0, "composites", "client", "realm-management"],
            ["view-users", "realm-admin"],
            "role.ict.brings.realm-management: remove realm-admin",
            ("delete", "school", "roles", "ict", "composites"),
        ),
        (
            ["groups", 0, "subGroups", 0, "realmRoles"],
            [],
            "group./role/ict.roles: add ict",
            ("post", "school", "groups", "g2", "role-mappings", "realm"),
        ),
        (
            ["groups", 0, "subGroups", 0, "attributes"],
            {"room": ["12"]},
            'group./role/ict.school_group: add ["role-ict"]',
            ("put", "school", "groups", "g2"),
        ),
        (
            ["clientScopes", 0, "protocolMappers"],
            [],
            'client scope.school.claim.roles: add {"a": "1"}',
            ("post", "school", "client-scopes", "s1", "protocol-mappers", "models"),
        ),
        (
            ["scopeMappings"],
            [],
            "client scope.school.roles: add ict",
            ("post", "school", "client-scopes", "s1", "scope-mappings", "realm"),
        ),
        (
            ["clients", 0, "redirectUris"],
            ["*"],
            'client.alpha.redirectUris: ["*"] -> ["https://alpha.example/a", "https://alpha.example/b"]',
            ("put", "school", "clients", "c1"),
        ),
        (
            ["clients", 0, "defaultClientScopes"],
            ["school", "roles"],
            "client.alpha.defaultClientScopes: remove roles",
            ("delete", "school", "clients", "c1", "default-client-scopes", "s2"),
        ),
        (
            ["requiredActions", 0, "enabled"],
            False,
            "required action.CONFIGURE_TOTP.enabled: false -> true",
            ("put", "school", "authentication", "required-actions", "CONFIGURE_TOTP"),
        ),
        (
            ["authenticatorConfig", 0, "config"],
            {"condUserRole": "nobody"},
            "flow.password.conditional-user-role.condUserRole: nobody -> ict",
            ("put", "school", "authentication", "config", "a1"),
        ),
        (
            ["localizationTexts", "nl", "refused"],
            "Ja",
            "text.nl.refused: Ja -> Nee",
            ("post", "school", "localization", "nl"),
        ),
    ],
)
def test_what_was_changed_by_hand_is_put_back(path, value, line, write):
    keycloak, changes = converge(changed(path, value), WANTED)
    assert changes == [line]
    assert keycloak.writes == [write]


def test_a_dry_run_tells_the_same_and_writes_nothing():
    keycloak, changes = converge(changed(["failureFactor"], 30), WANTED, check=True)
    assert changes == ["failureFactor: 30 -> 5"]
    assert keycloak.writes == []


def test_a_dry_run_of_a_realm_that_does_not_exist_writes_nothing():
    keycloak, changes = converge({}, WANTED, check=True)
    assert changes[0] == "realm: add school"
    assert keycloak.writes == []


def test_settings_beside_ours_are_kept():
    keycloak, _ = converge(changed(["attributes", "adminEventsExpiration"], "1"), WANTED)
    assert keycloak.sent["attributes"] == {"adminEventsExpiration": "60", "other": "stays"}
    assert keycloak.sent["realm"] == "school"


def test_what_a_group_has_beside_ours_is_kept():
    keycloak, _ = converge(changed(["groups", 0, "subGroups", 0, "attributes"], {"room": ["12"]}), WANTED)
    assert keycloak.sent == {"name": "ict", "attributes": {"room": ["12"], "school_group": ["role-ict"]}}


def test_a_step_that_is_missing_is_added_before_one_too_many_goes(monkeypatch):
    export = copy.deepcopy(EXPORT)
    export["authenticationFlows"][1]["authenticationExecutions"].pop()
    steps = [step for step in EXECUTIONS["password"] if step["id"] != "e4"]
    extra = {
        "id": "e9",
        "level": 0,
        "providerId": "x",
        "displayName": "X",
        "requirement": "REQUIRED",
        "priority": 9,
    }
    monkeypatch.setitem(EXECUTIONS, "password", [*steps, extra])
    keycloak, changes = converge(export, WANTED)
    kinds = [write[0] for write in keycloak.writes]
    assert kinds.index("post") < kinds.index("delete")
    assert "flow.password.X: remove REQUIRED" in changes


def test_secrets_are_not_shown():
    lines = report([Change("client.alpha.secret", "old", "new"), Change("realm", None, "school")])["changes"]
    assert lines == ["client.alpha.secret: (hidden) -> (hidden)", "realm: add school"]


@pytest.mark.parametrize(
    ("wanted", "found", "count"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, 0),
        ({"a": {"b": 1}}, {"a": None}, 1),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, 0),
        ({"a": ["x"]}, {}, 1),
        ({"a": []}, {}, 0),
        ({"a": ""}, {}, 0),
        ({"a": False}, {}, 1),
        ({"passwordPolicy": "length(8) and notUsername"}, {"passwordPolicy": "notUsername and length(8)"}, 0),
        ({"passwordPolicy": "length(8)"}, {}, 1),
    ],
)
def test_only_what_is_described_is_compared(wanted, found, count):
    assert len(differences(wanted, found, "")) == count


def test_what_is_wanted_is_laid_over_what_was_found():
    assert merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [2]}) == {
        "a": {"b": 3, "c": 2},
        "d": [2],
    }


def test_a_flow_is_compared_with_its_settings_and_inner_steps():
    assert flow_tree(STEPS) == [
        ("auth-cookie", "ALTERNATIVE", {}, []),
        (
            "password",
            "ALTERNATIVE",
            {},
            [
                ("auth-username-password-form", "REQUIRED", {}, []),
                ("conditional-user-role", "REQUIRED", {"condUserRole": "ict"}, []),
            ],
        ),
    ]


def test_a_client_goes_with_the_flow_that_only_it_used():
    export = copy.deepcopy(EXPORT)
    export["clients"] = [{"id": "c1", "clientId": "portal"}, {"id": "c2", "clientId": "other"}]
    export["authenticationFlows"].append({"id": "f9", "alias": "sign-in to portal"})
    keycloak = Keycloak(export)
    realm = Realm(keycloak, "school", False)
    realm.remove_client("portal", "sign-in to portal")
    assert keycloak.writes == [
        ("delete", "school", "clients", "c1"),
        ("delete", "school", "authentication", "flows", "f9"),
    ]
    assert [str(change) for change in realm.changes] == [
        "client.portal: remove portal",
        "flow.sign-in to portal: remove sign-in to portal",
    ]


def test_what_is_gone_already_is_not_deleted_again():
    keycloak = Keycloak(EXPORT)
    Realm(keycloak, "school", False).remove_client("never-there", "sign-in to never-there")
    assert keycloak.writes == []
