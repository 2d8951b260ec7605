"""What the scenario's tests look at: both servers over SSH, and the school's pages as people see them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import CLASS, Ask, Person

from schoolstack.deployment import Deployment
from schoolstack.hosts.lab import Lab
from schoolstack.signin import Browser

INVENTORY = Path(__file__).parents[1] / "inventory"


@pytest.fixture(scope="session")
def sso() -> Deployment:
    """The server with the sign-in."""
    return Deployment(INVENTORY, "twoservers-sso", Lab())


@pytest.fixture(scope="session")
def web(sso: Deployment) -> Deployment:
    """The server with the pages."""
    return Deployment(INVENTORY, "twoservers-web", sso.lab)


@pytest.fixture(scope="session")
def pages(sso: Deployment, web: Deployment) -> dict[str, str]:
    """The name of every page, and the address of the server that has it."""
    return {
        record["site"]["host"]: server.address for server in (sso, web) for record in server.records.values()
    }


@pytest.fixture
def browser(sso: Deployment, pages: dict[str, str]) -> Iterator[Browser]:
    """A browser without cookies."""
    browser = Browser(pages, sso.ca)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def ask(sso: Deployment) -> Ask:
    """Evaluate an expression with ``admin``, a connection to the Admin API, on Keycloak's server."""
    return sso.ask_keycloak


@contextlib.contextmanager
def account(ask: Ask, *groups: str) -> Iterator[Person]:
    """Have somebody in groups, with a password of their own."""
    name, password = f"test-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    user = {
        "username": name,
        "enabled": True,
        "firstName": "Björk",
        "lastName": "Müller",
        "groups": groups,
        "credentials": [{"type": "password", "value": password}],
    }
    body = {"ifResourceExists": "FAIL", "users": [user]}
    made = ask(f"admin.post('school', 'partialImport', body={body!r})")["results"][0]["id"]
    yield Person(made, name, password)
    ask(f"admin.delete('school', 'users', {made!r})")


@pytest.fixture(scope="session")
def people(ask: Ask) -> Iterator[dict[str, Person]]:
    """A teacher of a class and a pupil, by role."""
    classes = "next(group['id'] for group in admin.get('school', 'groups') if group['name'] == 'class')"
    body = {"name": CLASS, "attributes": {"class": [CLASS]}}
    group = ask(f"admin.post('school', 'groups', {classes}, 'children', body={body!r})")
    with account(ask, "/role/teacher", f"/class/{CLASS}") as teacher, account(ask, "/role/pupil") as pupil:
        yield {"teacher": teacher, "pupil": pupil}
    ask(f"admin.delete('school', 'groups', {group!r})")


@pytest.fixture
def newcomer(ask: Ask) -> Iterator[Person]:
    """A teacher who has signed in nowhere yet."""
    with account(ask, "/role/teacher") as person:
        yield person
