"""What people and applications would notice if a restored school were not the same school."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from schoolstack.demo.people import People
from schoolstack.deployment import Deployment
from schoolstack.roster import sheets
from schoolstack.signin import Totp, claims, tokens
from schoolstack.signin.oidc import endpoints

ROLES = ("ict", "teacher", "pupil")


@dataclass(frozen=True)
class Witness:
    """What was seen of a school.

    Attributes:
        keys: ids of the keys with which its realm signs, as published.
        signed_with: the id of the key that signed each person's token.
        subjects: the subject id of each person, by which applications know them.
        authority: the certificate of the school's own authority.
        certificates: fingerprint of the key of each page's certificate.
    """

    keys: list[str]
    signed_with: dict[str, str]
    subjects: dict[str, str]
    authority: str
    certificates: dict[str, str]


def look(school: Deployment, people: People) -> Witness:
    """Sign in somebody of each role, with what they chose, and see what they get.

    Raises:
        SchoolError: somebody cannot sign in any more.
    """
    issuer = school.url("keycloak", "/realms/school")
    browser = school.browser()
    keys = json.loads(browser.get(endpoints(browser, issuer)["jwks_uri"]).content)["keys"]
    browser.close()
    signed_with, subjects = {}, {}
    for role, entries in sheets.read_all(school.inventory).items():
        if role not in ROLES:
            continue
        person = people.find(role, *entries[0])
        # The start page first: it is where a new password is chosen, and a second factor set up.
        browser = school.browser()
        people.sign_in(browser, person, school.url("portal"))
        browser.close()
        browser = school.browser()
        totp = Totp(person.totp_secret) if person.totp_secret else None
        given = tokens(
            *(browser, issuer, "account-console", f"{issuer}/account/"),
            *(person.username, person.passwords[0]),
            totp=totp,
        )
        browser.close()
        signed_with[person.username] = _header(given.access)["kid"]
        subjects[person.username] = claims(given.access)["sub"]
    folder = "/etc/schoolstack/certificates"
    shown = school.shell(f"cd {folder}; for f in */privkey.pem; do echo $f $(sha256sum <$f); done")
    return Witness(
        keys=sorted(key["kid"] for key in keys),
        signed_with=signed_with,
        subjects=subjects,
        authority=school.shell("cat /etc/schoolstack/authority/root.pem"),
        certificates=dict(line.split()[:2] for line in shown.splitlines()),
    )


def keep(file: Path, witness: Witness) -> None:
    """Write down what was seen."""
    file.write_text(json.dumps(asdict(witness)), encoding="utf-8")


def kept(file: Path) -> Witness:
    """Return what was written down."""
    return Witness(**json.loads(file.read_text(encoding="utf-8")))


def _header(token: str) -> dict[str, str]:
    part = token.split(".")[0]
    found: dict[str, str] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
