"""What differs from seat to seat, so that a neighbour's answer is of no use: names, passwords and ports.

All of it follows from a seed and the seat's number (HMAC-SHA-256), so nothing has to be remembered.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping

from schoolstack.roster.passwords import ADULT_SYLLABLES, CONSONANTS, UNFIT, VOWELS

# People who do not exist. All seats of a room get different ones.
FIRST = (
    "amina",
    "arne",
    "bo",
    "daan",
    "elif",
    "emma",
    "fien",
    "jef",
    "kaat",
    "lars",
    "lotte",
    "mila",
    "nora",
)
LAST = ("aerts", "baert", "claes", "dewit", "engels", "faes", "goos", "hens", "jans", "maes", "nijs", "smet")
# From here no service that Debian packages listens, and the kernel takes none for its own connections
# (net.ipv4.ip_local_port_range begins with 32768).
FIRST_PORT, PORTS = 20_000, 10_000


def derive(kinds: Mapping[str, str], seed: str, lesson: str, number: str) -> dict[str, str]:
    """Return a seat's variants.

    Args:
        kinds: the kind of each, by its name, as in ``lab.yml``.
        seed: the room's.
        lesson: the lesson's name.
        number: the seat's; empty for the one that is no part of a room.

    Returns:
        The value of each, by its name.
    """
    return {name: _MAKERS[kind](f"{lesson}/{name}", seed, number) for name, kind in kinds.items()}


def _name(place: str, seed: str, number: str) -> str:
    first, last = divmod(_nth(place, seed, number, len(FIRST) * len(LAST)), len(LAST))
    return f"{FIRST[first]}.{LAST[last]}"


def _port(place: str, seed: str, number: str) -> str:
    return str(FIRST_PORT + _nth(place, seed, number, PORTS))


def _password(place: str, seed: str, number: str) -> str:
    """Return a password that can be read from paper, made like those of the class list."""
    attempt = 0
    while True:
        digest = _digest(seed, f"{place}/{number}/{attempt}")
        pairs = zip(digest[0::2], digest[1::2], strict=True)
        letters = [CONSONANTS[one % len(CONSONANTS)] + VOWELS[two % len(VOWELS)] for one, two in pairs]
        word = "".join(letters[:ADULT_SYLLABLES])
        if not any(unfit in word for unfit in UNFIT):
            break
        attempt += 1
    return "-".join([*(word[at : at + 4] for at in range(0, len(word), 4)), str(10 + digest[-1] % 90)])


_MAKERS = {"name": _name, "password": _password, "port": _port}


def _nth(place: str, seed: str, number: str, many: int) -> int:
    """Return a seat's place among ``many``, another one for each of that many seats."""
    start = int.from_bytes(_digest(seed, place))
    # Any stride that shares no divisor with it goes through all of them before it comes back.
    stride = next(stride for stride in range(many * 5 // 8, many) if math.gcd(stride, many) == 1)
    return (start + int(number or 0) * stride) % many


def _digest(seed: str, what: str) -> bytes:
    return hmac.digest(seed.encode(), what.encode(), hashlib.sha256)
