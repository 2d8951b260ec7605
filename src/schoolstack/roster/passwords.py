"""Initial passwords: made and hashed here, so that Keycloak's host never sees them.

The hash is Keycloak's own kind (Argon2id). Hashing is most of what an import costs, so passwords that live
for one sign-in get fewer rounds than the realm asks for; those that stay get the realm's, since Keycloak
would compute others anew at a sign-in.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from argon2.low_level import Type, hash_secret_raw

# Each syllable is one consonant and one vowel, none of which is easily taken for another on paper.
CONSONANTS = "bdfghjkmnprstvwz"
VOWELS = "aeiou"
# Words that no sheet should hold, in the languages around us.
UNFIT = ("homo", "kaka", "kut", "nazi", "nike", "pik", "pipi", "puta", "pute", "rape", "zizi")
# Two words of two syllables and two digits: 32 bits, behind a lock after five wrong tries, until the first
# sign-in.
PUPIL_SYLLABLES = 4
# Three such words, 45 bits, for those whose account opens more.
ADULT_SYLLABLES = 6
SALT_BYTES = 16


# Keycloak's own (org.keycloak.crypto.hash.Argon2Parameters, 26.7); only the rounds are a realm's to choose.
ROUNDS = 5
MEMORY_KIB = 7168
# For a password that has to be changed at the first sign-in: it is random (32 bits and more), and one guess
# at it still costs 12 ms. Keycloak hashes anew, with the realm's rounds, what the person then chooses.
INITIAL_ROUNDS = 3
LANES = 1
HASH_BYTES = 32


def readable(syllables: int = PUPIL_SYLLABLES) -> str:
    """Return a random password that a pupil can read from paper and type, such as ``kabo-timu-47``.

    Args:
        syllables: its length; an even number.
    """
    while True:
        word = "".join(secrets.choice(CONSONANTS) + secrets.choice(VOWELS) for _ in range(syllables))
        if not any(unfit in word for unfit in UNFIT):
            break
    parts = [word[at : at + 4] for at in range(0, len(word), 4)]
    return "-".join([*parts, str(secrets.randbelow(90) + 10)])


def rounds(password_policy: str, *, temporary: bool) -> int:
    """Return how often Argon2 goes over its memory for an initial password.

    Args:
        password_policy: the realm's, as Keycloak writes it.
        temporary: whether the password has to be changed at the first sign-in.
    """
    if temporary:
        return INITIAL_ROUNDS
    stated = re.search(r"hashIterations\((\d+)\)", password_policy)
    return int(stated[1]) if stated else ROUNDS


def credential(password: str, iterations: int = ROUNDS) -> dict[str, Any]:
    """Return a password as Keycloak stores it (CredentialRepresentation).

    Args:
        password: what the person will type.
        iterations: the realm's rounds.
    """
    salt = secrets.token_bytes(SALT_BYTES)
    value = hash_secret_raw(
        password.encode(),
        salt,
        time_cost=iterations,
        memory_cost=MEMORY_KIB,
        parallelism=LANES,
        hash_len=HASH_BYTES,
        type=Type.ID,
    )
    parameters = {
        "hashLength": [str(HASH_BYTES)],
        "memory": [str(MEMORY_KIB)],
        "type": ["id"],
        "version": ["1.3"],
        "parallelism": [str(LANES)],
    }
    return {
        "type": "password",
        "secretData": json.dumps(
            {
                "value": base64.b64encode(value).decode(),
                "salt": base64.b64encode(salt).decode(),
                "additionalParameters": {},
            }
        ),
        "credentialData": json.dumps(
            {
                "hashIterations": iterations,
                "algorithm": "argon2",
                "additionalParameters": parameters,
            }
        ),
    }


def credentials(passwords: Mapping[str, str], iterations: int = ROUNDS) -> dict[str, dict[str, Any]]:
    """Return every password as Keycloak stores it, by username, computed on all processors."""
    # The hash leaves Python's lock, so threads are enough and share the little memory this takes.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hashed = pool.map(lambda password: credential(password, iterations), passwords.values())
        return dict(zip(passwords, hashed, strict=True))
