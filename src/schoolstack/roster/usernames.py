"""Give usernames by one stated rule.

``given.family`` in lower-case ASCII letters and digits: accents and foreign letters are written out
(``Zoë`` zoe, ``Łukasz`` lukasz, ``ĳ`` ij, ``ß`` ss, other scripts by sound), spaces, hyphens and apostrophes
are left out. The given name is cut at 12 characters and the whole at 30, which still fits a Linux account and
a keyboard at eight in the morning. Someone with one name only gets that, twice when it is shorter than three
letters (``li.li``), which Keycloak would refuse. Where a username is taken, the next person gets the number
2, the next 3, in the order of the numbers that the school's administration gave them.

Whoever has a username keeps it for ever, whatever their name becomes; nobody gets it while that account
exists.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping

from anyascii import anyascii

from schoolstack.roster.model import Person

MAX_GIVEN = 12
MAX_LENGTH = 30
MIN_LENGTH = 3  # of Keycloak's user profile


def letters(name: str) -> str:
    """Return a name in lower-case ASCII letters and digits, and nothing else."""
    return re.sub(r"[^a-z0-9]", "", anyascii(name).lower())


def base(given_name: str, family_name: str) -> str:
    """Return the username that a name wants; empty when it has no letter at all."""
    given, family = letters(given_name), letters(family_name)
    if given and family:
        given = given[:MAX_GIVEN]
        return f"{given}.{family[: MAX_LENGTH - len(given) - 1]}"
    single = given or family
    return single[:MAX_LENGTH] if len(single) not in range(1, MIN_LENGTH) else f"{single}.{single}"


def numbered(wanted: str, taken: Iterable[str]) -> str:
    """Return the first of ``wanted``, ``wanted2``, ``wanted3``, ... that is not taken."""
    used = taken if isinstance(taken, set | frozenset | Mapping) else set(taken)
    if wanted not in used:
        return wanted
    for number in itertools.count(2):
        candidate = f"{wanted[: MAX_LENGTH - len(str(number))]}{number}"
        if candidate not in used:
            return candidate
    raise AssertionError("count() does not end")


def order(person: Person) -> tuple[int, str]:
    """Return what people are sorted by: their number at the school's administration, as a number."""
    return (len(person.source_id), person.source_id)


def assign(people: Iterable[Person], taken: Iterable[str]) -> dict[str, str]:
    """Return a username for each person, by ``source_id``.

    Args:
        people: those who have none yet and whose name has a letter.
        taken: every username that exists, in lower case.
    """
    used = set(taken)
    given: dict[str, str] = {}
    for person in sorted(people, key=order):
        username = person.username or numbered(base(person.given_name, person.family_name), used)
        used.add(username)
        given[person.source_id] = username
    return given
