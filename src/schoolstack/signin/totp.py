"""Time-based one-time passwords: RFC 6238 over RFC 4226."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import time
from dataclasses import dataclass

from schoolstack.errors import SchoolError


@dataclass(frozen=True)
class Totp:
    """What an authenticator app keeps for one account.

    Attributes:
        secret: base32 as the page shows it; spaces and case do not matter.
        digits: the code's length.
        period: seconds that one code is valid.
        algorithm: ``sha1``, ``sha256`` or ``sha512``.
    """

    secret: str
    digits: int = 6
    period: int = 30
    algorithm: str = "sha1"

    def code(self, at: float | None = None) -> str:
        """Return the code of a moment.

        Args:
            at: seconds since the epoch; now when not given.

        Raises:
            SchoolError: the secret is not base32.
        """
        secret = self.secret.replace(" ", "").upper()
        try:
            key = base64.b32decode(secret + "=" * (-len(secret) % 8))
        except binascii.Error as error:
            raise SchoolError(
                "the secret of the one-time codes is not base32: copy what the page shows"
            ) from error
        counter = int((time.time() if at is None else at) // self.period)
        digest = hmac.new(key, struct.pack(">Q", counter), getattr(hashlib, self.algorithm)).digest()
        # RFC 4226, 5.3: the last nibble says which four bytes are used, without their sign bit.
        offset = digest[-1] & 0x0F
        number = struct.unpack_from(">I", digest, offset)[0] & 0x7FFFFFFF
        return str(number % 10**self.digits).zfill(self.digits)

    def wait(self) -> None:
        """Sleep until the next code is due: a code that was used once is refused the second time."""
        time.sleep(self.period - time.time() % self.period + 0.5)
