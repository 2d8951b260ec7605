"""Tokens of a client, by authorization code with PKCE, for tests of what a client may and may not."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from schoolstack.signin.browser import Browser, SignInError
from schoolstack.signin.totp import Totp
from schoolstack.signin.walk import sign_in, sign_out


@dataclass(frozen=True)
class Tokens:
    """What Keycloak gave a client.

    Attributes:
        issuer: the realm's address.
        access: the access token.
        id: the ID token; empty when ``openid`` was not in the scope.
        refresh: the refresh token; empty when none was given.
        expires_in: seconds that the access token is valid.
    """

    issuer: str
    access: str
    id: str
    refresh: str
    expires_in: int

    def sign_out(self, browser: Browser, return_to: str) -> None:
        """End the session at Keycloak, as the client's sign-out button does.

        Args:
            browser: the browser that signed in.
            return_to: where Keycloak sends the browser next: one of the client's post-logout addresses.

        Raises:
            SignInError: the session could not be ended.
        """
        query = urlencode({"id_token_hint": self.id, "post_logout_redirect_uri": return_to})
        address = endpoints(browser, self.issuer)["end_session_endpoint"]
        page = sign_out(browser, f"{address}?{query}", return_to)
        if not page.url.startswith(return_to):
            raise SignInError(f"signing out did not lead to {return_to} but to status {page.status}")


def tokens(
    browser: Browser,
    issuer: str,
    client_id: str,
    redirect_uri: str,
    username: str,
    password: str,
    *,
    client_secret: str | None = None,
    scope: str = "openid",
    totp: Totp | None = None,
) -> Tokens:
    """Sign in through the login page and return the client's tokens.

    Args:
        browser: the person's browser; the redirect address itself is not visited.
        issuer: the realm's address, ``https://.../realms/<realm>``.
        client_id: the client.
        redirect_uri: one of the client's redirect addresses.
        username: the name to give.
        password: the password to give.
        client_secret: of a confidential client.
        scope: what to ask for, separated by spaces.
        totp: the authenticator, for an account that has one.

    Raises:
        SignInError: Keycloak refused, with what it said.
    """
    known = endpoints(browser, issuer)
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    url = f"{known['authorization_endpoint']}?{urlencode(query)}"
    result = sign_in(browser, url, username, password, totp=totp, until=redirect_uri)
    answer = parse_qs(urlsplit(result.page.url).query)
    if "code" not in answer or answer.get("state") != [state]:
        said = answer.get("error_description") or answer.get("error") or [f"status {result.page.status}"]
        raise SignInError(f"{username} got no code for {client_id}: {result.message or said[0]}")
    grant = {
        "grant_type": "authorization_code",
        "code": answer["code"][0],
        "redirect_uri": redirect_uri,
        "client_id": client_id,
        "code_verifier": verifier,
    }
    if client_secret:
        grant["client_secret"] = client_secret
    given = _json(browser, "POST", known["token_endpoint"], grant)
    return Tokens(
        issuer=issuer,
        access=given["access_token"],
        id=given.get("id_token", ""),
        refresh=given.get("refresh_token", ""),
        expires_in=int(given["expires_in"]),
    )


def claims(token: str) -> dict[str, Any]:
    """Return what a JWT says, without checking its signature: for looking at a token one was just given."""
    payload = token.split(".")[1]
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return content


def endpoints(browser: Browser, issuer: str) -> dict[str, Any]:
    """Return the realm's discovery document.

    Raises:
        SignInError: there is none, or it names another issuer.
    """
    found = _json(browser, "GET", f"{issuer}/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise SignInError(
            f"{issuer} calls itself {found.get('issuer')}: set Keycloak's hostname to what people use"
        )
    return found


def _json(browser: Browser, method: str, url: str, values: dict[str, str] | None = None) -> dict[str, Any]:
    page = browser.request(method, url, values)
    try:
        content: dict[str, Any] = json.loads(page.text)
    except ValueError as error:
        raise SignInError(f"{url} answered no JSON but status {page.status}") from error
    if page.status != requests.codes.ok:
        said = content.get("error_description") or content.get("error") or page.status
        raise SignInError(f"{url} refused: {said}")
    return content
