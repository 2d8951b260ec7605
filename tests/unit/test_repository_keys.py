"""Which key files of a restic repository go, told from the files alone, whoever has put them there."""

from __future__ import annotations

import base64
import hashlib
import json
import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from schoolstack.safe.repository_keys import judge, opened

INNER = {"mac": {"k": "a", "r": "b"}, "encrypt": "c"}


def key_file(password: str, inner: object = INNER) -> bytes:
    """Return what restic writes, but for a cheaper derivation; nobody reads the last bytes, a MAC, here."""
    salt, nonce = os.urandom(64), os.urandom(16)
    derived = hashlib.scrypt(password.encode(), salt=salt, n=2, r=8, p=1, dklen=64)
    cipher = Cipher(algorithms.AES(derived[:32]), modes.CTR(nonce)).encryptor()
    data = nonce + cipher.update(json.dumps(inner).encode()) + bytes(16)
    stored = {"kdf": "scrypt", "N": 2, "r": 8, "p": 1}
    stored |= {"salt": base64.b64encode(salt).decode(), "data": base64.b64encode(data).decode()}
    return json.dumps(stored).encode()


def test_a_key_file_opens_with_its_password_only() -> None:
    assert opened(key_file("new"), "new") == INNER
    assert opened(key_file("new"), "old") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        key_file("new").replace(b'"N": 2', b'"N": 1099511627776'),
        key_file("new").replace(b'"N": 2', b'"N": "2"'),
        key_file("new").replace(b'"r": 8', b'"r": -1'),
    ],
)
def test_what_is_no_key_file_opens_nothing(content: bytes) -> None:
    assert opened(content, "new") is None


def test_every_key_of_the_old_password_goes_and_others_stay() -> None:
    files = {
        "1": key_file("old"),
        "2": key_file("new"),
        "3": key_file("somebody's own"),
        "4": key_file("old"),
    }
    assert judge(files, "new", "old") == {"old": ["1", "4"], "new_works": True}


def test_the_old_one_that_is_gone_already_is_no_obstacle() -> None:
    assert judge({"2": key_file("new")}, "new", "old") == {"old": [], "new_works": True}


def test_nothing_may_go_before_the_new_one_opens_the_same() -> None:
    assert not judge({"1": key_file("old")}, "new", "old")["new_works"]
    planted = {"1": key_file("old"), "2": key_file("new", {**INNER, "encrypt": "d"})}
    assert not judge(planted, "new", "old")["new_works"]
