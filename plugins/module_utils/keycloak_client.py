"""Turn an application, as its role declares it, into what Keycloak needs to know of it.

What the application gets:

- OpenID Connect: a confidential client with PKCE, exact redirect addresses, and in its tokens ``roles`` (the
  school's roles), ``groups`` (names of classes), ``school_groups`` (both, as ``role-…`` and ``class-…``),
  ``app_roles`` (the application's own names for the roles), and itself as the only audience, so that another
  application refuses the token;
- SAML: signed assertions over POST, with the attributes ``Roles`` (the application's own names), ``groups``,
  ``username``, ``firstName``, ``lastName`` and ``email``;
- whoever has none of the roles it names is refused at the sign-in page, before the application hears of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Keycloak separates the addresses in one attribute so (Constants.CFG_DELIMITER upstream).
DELIMITER = "##"

# The role scope "roles" is left out: its audience resolver would name other applications in the token.
OIDC_SCOPES = ["acr", "basic", "email", "profile", "school"]


def refusals(client: Mapping[str, Any], school_roles: Sequence[str]) -> list[str]:
    """Return what is wrong with a declaration, one plain sentence each.

    Args:
        client: the application.
        school_roles: every role people can have at school.
    """
    name = client["name"]
    found = [
        f"{name}: the address {uri} has a *; name each address in full."
        for uri in [*client["redirect_uris"], *client["post_logout_redirect_uris"]]
        if "*" in uri
    ]
    found += [
        f"{name}: the address {uri} does not lie below {client['root_url']}; name its own addresses."
        for uri in [*client["redirect_uris"], *client["post_logout_redirect_uris"]]
        if not uri.startswith(client["root_url"].rstrip("/") + "/")
    ]
    found += [
        f"{name}: {role} is no role of the school; use {', '.join(school_roles)}."
        for role in client["roles"]
        if role not in school_roles
    ]
    if not client["roles"]:
        found.append(f"{name}: no role may use it; name at least one of {', '.join(school_roles)}.")
    return found


def flow_name(name: str) -> str:
    """Return what the steps of the sign-in to one application are called."""
    return f"sign-in to {name}"


def describe(
    client: Mapping[str, Any], school_roles: Sequence[str], sign_in_steps: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the part of a realm's description that is about one application.

    Args:
        client: the application.
        school_roles: every role people can have at school.
        sign_in_steps: the steps of the school's sign-in, for the flow of an application not all may use.
    """
    protocol = _saml(client) if client["protocol"] == "saml" else _oidc(client)
    client_id = protocol["clientId"]
    flow = flow_name(client["name"])
    restricted = set(client["roles"]) != set(school_roles)
    return {
        "authenticationFlows": [{"alias": flow, "steps": _steps(client, sign_in_steps)}]
        if restricted
        else [],
        "clients": [
            {
                "name": client["title"],
                "rootUrl": client["root_url"],
                "baseUrl": client["root_url"],
                "redirectUris": client["redirect_uris"],
                "webOrigins": [],
                "enabled": True,
                "consentRequired": False,
                "fullScopeAllowed": False,
                "optionalClientScopes": [],
                "authenticationFlowBindingOverrides": {"browser": flow if restricted else ""},
                **protocol,
            }
        ],
        "roles": {
            "client": {client_id: [{"name": role} for role in sorted(set(client["roles"].values()))]},
            # A role of the school brings the application's role along; a role left out brings none.
            "realm": [
                {
                    "name": role,
                    "composites": {
                        "client": {client_id: [client["roles"][role]] if role in client["roles"] else []}
                    },
                }
                for role in school_roles
            ],
        },
    }


def _steps(client: Mapping[str, Any], sign_in_steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the sign-in's steps, followed by a refusal of whoever has none of the roles."""
    name = client["name"]
    conditions = [
        {
            "step": "conditional-user-role",
            "requirement": "REQUIRED",
            "config": {"condUserRole": role, "negate": "true"},
        }
        for role in sorted(client["roles"])
    ]
    refuse = {
        "step": "deny-access-authenticator",
        "requirement": "REQUIRED",
        "config": {"denyErrorMessage": "schoolAccessDenied"},
    }
    return [
        {"flow": f"{name}: who", "requirement": "REQUIRED", "steps": _renamed(sign_in_steps, name)},
        {"flow": f"{name}: may they", "requirement": "CONDITIONAL", "steps": [*conditions, refuse]},
    ]


def _renamed(steps: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return steps whose inner flows carry the application's name: no two flows may have one name."""
    return [
        {**step, "flow": f"{name}: {step['flow']}", "steps": _renamed(step["steps"], name)}
        if "flow" in step
        else dict(step)
        for step in steps
    ]


def _oidc(client: Mapping[str, Any]) -> dict[str, Any]:
    name = client["name"]
    in_tokens = {"access.token.claim": "true", "introspection.token.claim": "true"}
    return {
        "clientId": name,
        "protocol": "openid-connect",
        "publicClient": False,
        "clientAuthenticatorType": "client-secret",
        "secret": client["secret"],
        "standardFlowEnabled": True,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "serviceAccountsEnabled": False,
        "frontchannelLogout": False,
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "post.logout.redirect.uris": DELIMITER.join(sorted(client["post_logout_redirect_uris"])),
            "backchannel.logout.url": client["backchannel_logout_url"],
            "backchannel.logout.session.required": "true",
        },
        "defaultClientScopes": OIDC_SCOPES,
        "protocolMappers": [
            {
                "name": "audience",
                "protocol": "openid-connect",
                "protocolMapper": "oidc-audience-mapper",
                "config": {"included.client.audience": name, "id.token.claim": "false", **in_tokens},
            },
            {
                "name": "app_roles",
                "protocol": "openid-connect",
                "protocolMapper": "oidc-usermodel-client-role-mapper",
                "config": {
                    "usermodel.clientRoleMapping.clientId": name,
                    "claim.name": "app_roles",
                    "multivalued": "true",
                    "jsonType.label": "String",
                    "id.token.claim": "true",
                    "userinfo.token.claim": "true",
                    **in_tokens,
                },
            },
        ],
    }


def _saml(client: Mapping[str, Any]) -> dict[str, Any]:
    consumer = client["redirect_uris"][0]
    return {
        "clientId": client["entity_id"] or client["name"],
        "protocol": "saml",
        "frontchannelLogout": True,
        "attributes": {
            "saml.assertion.signature": "true",
            "saml.server.signature": "true",
            "saml.signature.algorithm": "RSA_SHA256",
            "saml.client.signature": "false",
            "saml.authnstatement": "true",
            "saml.force.post.binding": "true",
            "saml_assertion_consumer_url_post": consumer,
            "saml_single_logout_service_url_redirect": next(iter(client["post_logout_redirect_uris"]), ""),
            "saml_name_id_format": client["name_id"],
            "saml_force_name_id_format": "true",
        },
        "defaultClientScopes": [],
        "protocolMappers": [
            {
                "name": "Roles",
                "protocol": "saml",
                "protocolMapper": "saml-role-list-mapper",
                "config": {"single": "true", "attribute.name": "Roles", "attribute.nameformat": "Basic"},
            },
            *(
                _saml_attribute(attribute, attribute, "false")
                for attribute in ("username", "firstName", "lastName", "email")
            ),
            _saml_attribute("groups", "class", "true"),
        ],
    }


def _saml_attribute(name: str, source: str, from_groups: str) -> dict[str, Any]:
    return {
        "name": name,
        "protocol": "saml",
        "protocolMapper": "saml-user-attribute-mapper",
        "config": {
            "user.attribute": source,
            "attribute.name": name,
            "attribute.nameformat": "Basic",
            "aggregate.attrs": from_groups,
        },
    }
