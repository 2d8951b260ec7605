"""Sign in and out through Keycloak's pages.

Everything is found by ids and field names of Keycloak's login theme (templates ``login*.ftl``,
``logout-confirm.ftl`` and ``error.ftl`` of its 26.7 line), never by words: a school reads them in its own
language.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from schoolstack.signin.browser import Browser, Page, SignInError
from schoolstack.signin.totp import Totp

# What one server hands to another in a form that submits itself: OpenID Connect's form_post response
# mode, and SAML's POST binding.
_HANDED_OVER = ({"code", "state"}, {"error", "state"}, {"SAMLRequest"}, {"SAMLResponse"})
# Name, password, one-time code, new password, setting up codes, each handed over: more steps are a loop.
_MAX_STEPS = 15


@dataclass(frozen=True)
class SignIn:
    """How a sign-in ended.

    Attributes:
        page: the last page.
        arrived: whether Keycloak let the person through.
        message: what Keycloak's page said, in its language; empty when it said nothing.
        waiting_for: id of the form that was refused or could not be filled in; None when there is none.
        totp: the authenticator that was set up on the way; None when that was not asked for.
        cookies: the browser's cookies, by name.
        elapsed: seconds from the first request to the last answer.
    """

    page: Page
    arrived: bool
    message: str
    waiting_for: str | None
    totp: Totp | None
    cookies: dict[str, str]
    elapsed: float


def sign_in(
    browser: Browser,
    url: str,
    username: str,
    password: str,
    *,
    totp: Totp | None = None,
    new_password: str | None = None,
    until: str | None = None,
) -> SignIn:
    """Open a protected page and do what is asked until it, or a refusal, is reached.

    One-time codes are set up when Keycloak asks for them; an initial password is replaced by
    ``new_password``.

    Args:
        browser: the person's browser.
        url: a page that wants a sign-in.
        username: the name to give.
        password: the password to give.
        totp: the authenticator, for an account that has one.
        new_password: what to choose when a new password is asked for.
        until: stop before following a redirect to an address that begins so.

    Returns:
        How it ended; a refusal by Keycloak is a result, not an error.

    Raises:
        SignInError: the pages could not be walked.
    """
    start = time.monotonic()
    person = _Person(browser, username, password, totp, new_password, until)
    page = browser.get(url, until)
    for _ in range(_MAX_STEPS):
        following = None if until and page.url.startswith(until) else person.answer(page)
        if following is None:
            break
        page = following
    else:
        raise SignInError(f"signing in as {username} does not come to an end: Keycloak keeps asking")
    at_keycloak = page.element("keycloak-bg") is not None or page.element("kc-error-message") is not None
    form = _form(page) if at_keycloak else None
    return SignIn(
        page=page,
        arrived=not at_keycloak,
        message=_message(page) if at_keycloak else "",
        waiting_for=None if form is None else form.get("id"),
        totp=person.set_up,
        cookies={cookie.name: cookie.value or "" for cookie in browser.session.cookies},
        elapsed=time.monotonic() - start,
    )


def sign_out(browser: Browser, url: str, until: str | None = None) -> Page:
    """Open a sign-out address and confirm if Keycloak asks whether it is meant.

    Args:
        browser: the person's browser.
        url: a relying party's sign-out page, or Keycloak's own.
        until: stop before following a redirect to an address that begins so.

    Raises:
        SignInError: the pages could not be walked.
    """
    page = browser.get(url, until)
    question = page.tree.xpath("//*[@id='kc-logout-confirm']//form")
    return browser.submit(page, question[0], {"confirmLogout": "1"}, until) if question else page


class _Person:
    """Answers one page after the other."""

    def __init__(
        self,
        browser: Browser,
        username: str,
        password: str,
        totp: Totp | None,
        new_password: str | None,
        until: str | None,
    ) -> None:
        self._browser, self._until = browser, until
        self._known = {"username": username, "password": password}
        if new_password is not None:
            self._known |= {"password-new": new_password, "password-confirm": new_password}
        self._totp = totp
        self._tried: Counter[tuple[str, ...]] = Counter()
        self.set_up: Totp | None = None

    def answer(self, page: Page) -> Page | None:
        """Return the page that follows, or None where there is nothing to answer or no answer."""
        for form in page.tree.forms:
            if any(names <= set(form.fields) for names in _HANDED_OVER):
                return self._browser.submit(page, form, {}, self._until)
        if (manual := page.element("mode-manual")) is not None:
            return self._browser.get(urljoin(page.url, manual.get("href")))
        form = _form(page)
        if form is None:
            return None
        asked = _asked(form)
        # A form that comes back was refused. A one-time code deserves a second try: it is good once,
        # and this account may have used it a moment ago.
        earlier = self._tried[asked]
        if earlier > ("otp" in asked):
            return None
        if earlier and self._totp:
            self._totp.wait()
        if page.element("kc-totp-secret-key") is not None:
            self._totp = self.set_up = _shown_totp(page)
        if self._totp:
            self._known |= dict.fromkeys(("otp", "totp"), self._totp.code())
        # The authenticator's name may stay empty.
        values = {name: self._known[name] for name in asked if name in self._known}
        if not values or set(asked) - set(values) - {"userLabel"}:
            return None
        self._tried[asked] += 1
        return self._browser.submit(page, form, values, self._until)


def _form(page: Page) -> Any | None:
    """Return Keycloak's form that wants something typed."""
    return next((form for form in page.tree.forms if form.get("id") and _asked(form)), None)


def _asked(form: Any) -> tuple[str, ...]:
    """Return the names of the fields that a person fills in."""
    return tuple(form.xpath(".//input[not(@type) or @type='text' or @type='password']/@name"))


def _message(page: Page) -> str:
    """Return what Keycloak's page says: its feedback, its remarks on fields, or its error."""
    found = page.tree.xpath(
        "//*[contains(concat(' ', @class, ' '), ' kc-feedback-text ')]"
        " | //*[starts-with(@id, 'input-error-') and not(starts-with(@id, 'input-error-container'))]"
        " | //*[@id='kc-error-message']/p[1]"
    )
    said = (" ".join(element.text_content().split()) for element in found)
    return " ".join(dict.fromkeys(filter(None, said)))


def _shown_totp(page: Page) -> Totp:
    """Read the authenticator that Keycloak's page offers for typing over."""

    def shown(element_id: str, pattern: str, default: str) -> str:
        element = page.element(element_id)
        found = re.search(pattern, element.text_content()) if element is not None else None
        return found[0] if found else default

    if shown("kc-totp-counter", r"\d", ""):
        raise SignInError("the realm wants counter-based one-time codes: set its OTP policy to totp")
    return Totp(
        secret=shown("kc-totp-secret-key", r"\S.*\S", ""),
        digits=int(shown("kc-totp-digits", r"\d+", "6")),
        period=int(shown("kc-totp-period", r"\d+", "30")),
        algorithm=shown("kc-totp-algorithm", r"SHA\d+", "SHA1").lower(),
    )
