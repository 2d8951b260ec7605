"""Which secrets a school has: read out of the declarations of its applications, and of its platform roles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from schoolstack.messages import say

Kind = Literal["generated", "renewed", "provided", "files", "kept", "fixed"]

# Stands for the key of the inventory itself, which is no secret in the inventory.
VAULT_KEY = "vault_key"


@dataclass(frozen=True)
class Secret:
    """One secret.

    Attributes:
        name: what it is called.
        what: what it is for.
        kind: who makes a new one: ``generated`` in the inventory, ``renewed`` by the servers themselves,
            ``provided`` by somebody outside, or handed in as ``files``; ``kept`` is generated too, but what
            the old one opened is still needed, so the new one has to open it before it takes the place;
            ``fixed`` is generated once, since the application cannot open with another what it keeps.
        group: the group of the servers where it is used.
        role: the role that knows whether it works.
        door: the entry point of that role.
        subject: the database or application it belongs to; empty for others.
    """

    name: str
    what: str
    kind: Kind
    group: str
    role: str
    door: str = "rotated"
    subject: str = ""

    @property
    def can_be_made(self) -> bool:
        """Whether no one outside has to be asked for a new one."""
        return self.kind in ("generated", "renewed", "kept")


def of_application(declaration: Mapping[str, Any], lang: str | None = None) -> Iterator[Secret]:
    """Yield the secrets that follow from an application's declaration.

    Args:
        declaration: the declaration, resolved.
        lang: the language of what they are for; that of the process when not given.
    """
    name, title = declaration["name"], declaration["title"]
    for database in declaration.get("databases", []):
        of = database["name"]
        what = say("rotate.what.database", lang, title=title, name=of)
        yield Secret(f"{of}_database", what, "generated", name, database["engine"], subject=of)
    # A SAML application proves itself by a key that it makes for itself.
    if declaration.get("sign_in", {}).get("protocol") == "oidc":
        what = say("rotate.what.client", lang, title=title)
        yield Secret(f"{name}_client", what, "generated", name, "keycloak", "client_rotated", name)
    yield from of_role(name, declaration.get("secrets", []))


def of_role(role: str, secrets: Collection[Mapping[str, Any]]) -> Iterator[Secret]:
    """Yield the secrets that a role names as its own.

    Args:
        role: the role.
        secrets: its list, resolved; see ``secrets`` in the schema of declarations.
    """
    for secret in secrets:
        yield Secret(secret["name"], secret["what"], secret.get("kind", "generated"), role, role)


def of_school(
    roles: Iterable[str], resolve: Callable[[str, str], Any], lang: str | None = None
) -> list[Secret]:
    """Return the secrets of all roles that a school uses.

    Args:
        roles: the roles, by name.
        resolve: returns a role's variable by the names of both, resolved; None where the role has none such.
        lang: the language of what they are for; that of the process when not given.
    """
    found: list[Secret] = []
    for role in sorted(roles):
        if declaration := resolve(role, f"{role}_app"):
            found += of_application(declaration, lang)
        found += of_role(role, resolve(role, f"{role}_secrets") or [])
    return found
