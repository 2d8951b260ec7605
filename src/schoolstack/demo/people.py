"""The three people of the demo school who try their sign-in, and what they have chosen so far."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.signin import Browser, SignIn, Totp, sign_in


@dataclass
class Person:
    """Somebody who signs in.

    Attributes:
        role: the role at school.
        username: the name to sign in with.
        passwords: what the password may be by now, likeliest first: a run that was interrupted while it
            chose a new one cannot know which of the two Keycloak has.
        totp_secret: what the authenticator app keeps, in base32; empty before it is set up.
    """

    role: str
    username: str
    passwords: list[str]
    totp_secret: str = ""


class People:
    """Passwords and authenticators of the demo's people, kept in one file that only root reads."""

    def __init__(self, file: Path) -> None:
        """Read ``file`` where it exists."""
        self.file = file
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        self.known = {person["username"]: Person(**person) for person in known}

    def find(self, role: str, username: str, initial_password: str) -> Person:
        """Return a person as remembered, or with the password of the printed sheet."""
        return self.known.get(username) or Person(role, username, [initial_password])

    def sign_in(self, browser: Browser, person: Person, url: str) -> SignIn:
        """Sign a person in at ``url`` and keep what is chosen on the way: a new password, one-time codes.

        Raises:
            SchoolError: when Keycloak did not let the person through.
        """
        tried = list(person.passwords)
        if person.username not in self.known:
            person.passwords = [f"{secrets.token_hex(8)}-Demo", *tried]
            self._keep(person)
        for password in tried:
            totp = Totp(person.totp_secret) if person.totp_secret else None
            result = sign_in(
                browser, url, person.username, password, totp=totp, new_password=person.passwords[0]
            )
            if result.totp:
                person.totp_secret = result.totp.secret
                self._keep(person)
            if result.arrived:
                return result
        raise SchoolError(f"{person.username} could not sign in: {result.message or result.waiting_for}")

    def _keep(self, person: Person) -> None:
        """Write the file anew, whole or not at all."""
        self.known[person.username] = person
        partial = self.file.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps([asdict(person) for person in self.known.values()]), encoding="utf-8")
        partial.rename(self.file)
