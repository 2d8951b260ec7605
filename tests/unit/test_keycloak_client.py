"""What Keycloak is told of an application."""

from __future__ import annotations

import pytest
from ansible.module_utils.keycloak_client import describe, refusals

ROLES = ["pupil", "teacher", "ict"]
STEPS = [
    {
        "flow": "school password",
        "requirement": "ALTERNATIVE",
        "steps": [{"step": "x", "requirement": "REQUIRED"}],
    }
]
CLIENT = {
    "name": "alpha",
    "title": "Alpha",
    "protocol": "oidc",
    "root_url": "https://alpha.example",
    "redirect_uris": ["https://alpha.example/back"],
    "post_logout_redirect_uris": ["https://alpha.example/b", "https://alpha.example/a"],
    "backchannel_logout_url": "https://alpha.example/out",
    "secret": "secret",
    "roles": {"pupil": "user", "teacher": "user", "ict": "admin"},
    "entity_id": None,
    "name_id": "username",
}


def only_client(client):
    return describe(client, ROLES, STEPS)["clients"][0]


def test_an_application_has_to_prove_itself_and_name_its_addresses():
    client = only_client(CLIENT)
    assert not client["publicClient"]
    assert not client["directAccessGrantsEnabled"]
    assert not client["implicitFlowEnabled"]
    assert client["attributes"]["pkce.code.challenge.method"] == "S256"
    assert (
        client["attributes"]["post.logout.redirect.uris"]
        == "https://alpha.example/a##https://alpha.example/b"
    )


def test_a_token_names_no_application_but_its_own():
    client = only_client(CLIENT)
    audience = client["protocolMappers"][0]["config"]
    assert audience["included.client.audience"] == "alpha"
    assert not client["fullScopeAllowed"]
    # Its audience resolver names every application the person has a role in.
    assert "roles" not in client["defaultClientScopes"] + client["optionalClientScopes"]


def test_a_role_at_school_brings_the_applications_role():
    described = describe(CLIENT, ROLES, STEPS)["roles"]
    assert described["client"] == {"alpha": [{"name": "admin"}, {"name": "user"}]}
    brings = {role["name"]: role["composites"]["client"]["alpha"] for role in described["realm"]}
    assert brings == {"pupil": ["user"], "teacher": ["user"], "ict": ["admin"]}


def test_an_application_for_all_uses_the_schools_sign_in():
    described = describe(CLIENT, ROLES, STEPS)
    assert described["authenticationFlows"] == []
    assert described["clients"][0]["authenticationFlowBindingOverrides"] == {"browser": ""}


def test_an_application_for_some_refuses_the_others():
    described = describe({**CLIENT, "roles": {"teacher": "user"}}, ROLES, STEPS)
    (flow,) = described["authenticationFlows"]
    who, may_they = flow["steps"]
    assert who["steps"][0]["flow"] == "alpha: school password"
    assert may_they["requirement"] == "CONDITIONAL"
    assert [step["step"] for step in may_they["steps"]] == [
        "conditional-user-role",
        "deny-access-authenticator",
    ]
    assert may_they["steps"][0]["config"] == {"condUserRole": "teacher", "negate": "true"}
    assert described["clients"][0]["authenticationFlowBindingOverrides"] == {"browser": flow["alias"]}
    brings = {role["name"]: role["composites"]["client"]["alpha"] for role in described["roles"]["realm"]}
    assert brings == {"pupil": [], "teacher": ["user"], "ict": []}


def test_a_saml_application_gets_signed_assertions():
    client = only_client(
        {**CLIENT, "protocol": "saml", "entity_id": "https://alpha.example/meta", "name_id": "email"}
    )
    assert client["clientId"] == "https://alpha.example/meta"
    assert client["attributes"]["saml.assertion.signature"] == "true"
    assert client["attributes"]["saml_name_id_format"] == "email"
    assert client["attributes"]["saml_assertion_consumer_url_post"] == "https://alpha.example/back"
    assert client["protocolMappers"][0]["config"]["attribute.name"] == "Roles"


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"redirect_uris": ["https://alpha.example/*"]}, "*"),
        ({"redirect_uris": ["https://evil.example/back"]}, "evil.example"),
        ({"redirect_uris": ["https://alpha.example.evil.example/back"]}, "evil.example"),
        ({"post_logout_redirect_uris": ["https://evil.example/bye"]}, "evil.example"),
        ({"roles": {"principal": "user"}}, "principal"),
        ({"roles": {}}, "no role"),
    ],
)
def test_a_wrong_declaration_is_refused_in_one_sentence(wrong, word):
    (sentence,) = refusals({**CLIENT, **wrong}, ROLES)
    assert sentence.startswith("alpha: ")
    assert word in sentence


def test_a_right_declaration_is_not_refused():
    assert refusals(CLIENT, ROLES) == []
