"""Find out whether people can sign in, by doing it."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import http.cookiejar
import secrets
import urllib.error
import urllib.parse
import urllib.request

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keycloak_admin import OPTIONS, KeycloakAdmin, KeycloakError

DOCUMENTATION = r"""
module: keycloak_sign_in_works
short_description: Sign in as somebody made for that moment
description:
    - Makes a person with a password that leaves this process only in the sign-in form, walks through the
      pages over the public address, and deletes the person again, as well as whom an earlier run left.
    - Runs on Keycloak's own host. Changes nothing that stays.
author: Schoolstack contributors
extends_documentation_fragment: [keycloak_admin]
options:
    realm:
        description: The realm people sign in to.
        type: str
        required: true
    address:
        description: Keycloak's address as browsers see it, without a path.
        type: str
        required: true
    url:
        description: A page that wants a sign-in; Keycloak's own account pages when empty.
        type: str
        default: ""
    role:
        description: What the person is at school.
        type: str
        required: true
    visitor:
        description: >-
          The person's username, which begins with C(schoolstack-check-). By it one finds again what an
          application kept of them.
        type: str
        required: true
"""

RETURN = r"""
arrived:
    description: Where the sign-in ended.
    type: str
"""

PREFIX = "schoolstack-check-"
FORM = "kc-form-login"  # Keycloak's template login.ftl
TIMEOUT_S = 30


class SignInError(Exception):
    """The pages could not be walked; the message is one plain sentence."""


class LoginForm(html.parser.HTMLParser):
    """Finds where Keycloak's sign-in form leads."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.action = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        found = dict(attrs)
        if tag == "form" and found.get("id") == FORM:
            self.action = found.get("action") or ""


def account_page(address: str, realm: str) -> tuple[str, str]:
    """Return a page of Keycloak's own that wants a sign-in, and where that leads back to."""
    back = f"{address}/realms/{realm}/account/"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(secrets.token_bytes(32)).digest()).rstrip(b"=")
    query = {
        "client_id": "account-console",
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": back,
        "code_challenge_method": "S256",
        "code_challenge": challenge.decode(),
    }
    return f"{address}/realms/{realm}/protocol/openid-connect/auth?{urllib.parse.urlencode(query)}", back


def walk(url: str, back: str, username: str, password: str) -> str:
    """Sign in as a browser would.

    Args:
        url: a page that wants a sign-in.
        back: how the address begins where that is to end.
        username: the name to give.
        password: the password to give.

    Returns:
        The address where it ended.

    Raises:
        SignInError: it ended elsewhere, or with an error.
    """
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    opener = urllib.request.build_opener(cookies)
    page, _ = _open(opener, url)
    action = LoginForm(page).action
    if not action:
        raise SignInError(f"{url} does not lead to the sign-in page.")
    given = urllib.parse.urlencode({"username": username, "password": password}).encode()
    page, arrived = _open(opener, action, given)
    if not arrived.startswith(back) or "error=" in arrived:
        raise SignInError(f"Signing in at {url} did not lead to {back}: the right password was refused.")
    return arrived.partition("?")[0]


def _open(opener: urllib.request.OpenerDirector, url: str, given: bytes | None = None) -> tuple[str, str]:
    """Return a page and its address, after all that it redirects to."""
    place = url.partition("?")[0]
    try:
        with opener.open(url, given, TIMEOUT_S) as response:
            return response.read().decode(errors="replace"), response.geturl()
    except urllib.error.HTTPError as error:
        raise SignInError(f"{place} answers with the error {error.code}.") from error
    except OSError as error:
        raise SignInError(f"{place} does not answer: {error}") from error


def delete_people(admin: KeycloakAdmin, realm: str) -> None:
    """Delete everybody who was made for such a moment."""
    for user in admin.get(realm, "users", username=PREFIX, max=100) or []:
        if user["username"].startswith(PREFIX):
            admin.delete(realm, "users", user["id"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "realm": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "url": {"type": "str", "default": ""},
            "role": {"type": "str", "required": True},
            "visitor": {"type": "str", "required": True},
        },
        supports_check_mode=False,
    )
    realm, url = module.params["realm"], module.params["url"]
    back = url
    if not url:
        url, back = account_page(module.params["address"], realm)
    username, password = module.params["visitor"], secrets.token_urlsafe(24)
    if not username.startswith(PREFIX):
        module.fail_json(msg=f"{username} could be somebody: the name has to begin with {PREFIX}")
    person = {
        "username": username,
        "enabled": True,
        "firstName": "Schoolstack",
        "lastName": "Check",
        "groups": [f"/role/{module.params['role']}"],
        "credentials": [{"type": "password", "value": password, "temporary": False}],
    }
    try:
        admin = KeycloakAdmin.from_options(module.params)
        try:
            # Whom an earlier run left, since it was cut off.
            delete_people(admin, realm)
            admin.post(realm, "users", body=person)
            arrived = walk(url, back, username, password)
        finally:
            delete_people(admin, realm)
    except (KeycloakError, SignInError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, arrived=arrived)


if __name__ == "__main__":
    main()
