"""The key files of a restic repository: which of them a password opens, found out without restic.

Each holds the repository's own key, encrypted with one derived from a password by scrypt. See restic's
design document, "Keys, Encryption and MAC".
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

NONCE_BYTES = 16
MAC_BYTES = 16
AES_KEY_BYTES = 32
DERIVED_BYTES = 64  # the AES key, and two halves of the key that authenticates
# Four times what restic chooses at most: a file planted to keep this machine busy opens nothing.
MEMORY_BYTES = 256 * 2**20


def opened(key_file: bytes, password: str) -> Any:
    """Return the repository's own key as a key file holds it.

    Args:
        key_file: what the file holds.
        password: what is tried.

    Returns:
        The key; None where the password does not open the file, or it is none.
    """
    try:
        stored = json.loads(key_file)
        derived = hashlib.scrypt(
            password.encode(),
            salt=base64.b64decode(stored["salt"]),
            n=stored["N"],
            r=stored["r"],
            p=stored["p"],
            maxmem=MEMORY_BYTES,
            dklen=DERIVED_BYTES,
        )
        data = base64.b64decode(stored["data"])
        cipher = Cipher(algorithms.AES(derived[:AES_KEY_BYTES]), modes.CTR(data[:NONCE_BYTES]))
        # What a wrong password makes of it is no JSON.
        return json.loads(cipher.decryptor().update(data[NONCE_BYTES:-MAC_BYTES]))
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def judge(files: Mapping[str, bytes], value: str, previous: str) -> dict[str, Any]:
    """Say which key files go when a new password has taken the place of an old one.

    Args:
        files: what each holds, by path.
        value: the new password.
        previous: the old one.

    Returns:
        ``old``, the paths of those that the old one opens; ``new_works``, whether the new one opens another,
        and that holds the same key of the repository.
    """
    keys = {path: opened(content, previous) for path, content in files.items()}
    old = {path: key for path, key in keys.items() if key is not None}
    new = [opened(content, value) for path, content in files.items() if path not in old]
    works = [key for key in new if key is not None and all(key == other for other in old.values())]
    return {"old": sorted(old), "new_works": bool(works)}
