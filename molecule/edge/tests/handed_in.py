"""Certificates as somebody hands them in: an authority of their own, a chain and its key.

As a program, it makes the files that the scenario begins with: ``handed_in.py FOLDER HOST``.
"""

from __future__ import annotations

import datetime
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class HandedIn:
    """What an authority hands in, all in PEM.

    Attributes:
        fullchain: the server's certificate, then the authority's.
        privkey: its key; empty when the authority was given a public one.
        root: the authority's certificate, by which visitors trust it.
    """

    fullchain: bytes
    privkey: bytes
    root: bytes

    def write(self, folder: Path, prefix: str = "") -> None:
        """Leave the files in *folder* as ``<prefix>fullchain.pem`` and so on."""
        folder.mkdir(exist_ok=True)
        for name in ("fullchain", "privkey", "root"):
            path = folder / f"{prefix}{name}.pem"
            path.touch(mode=0o600)
            path.write_bytes(getattr(self, name))


def hand_in(
    host: str, age: datetime.timedelta = DAY, left: datetime.timedelta = 90 * DAY, public_key: Any = None
) -> HandedIn:
    """Return a certificate of a new authority for *host*.

    Args:
        host: the DNS name it is for.
        age: since when it has been valid.
        left: how long it still is; negative when it has ended.
        public_key: the key it is for; a new one when not given.
    """
    now = datetime.datetime.now(datetime.UTC)
    top, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Who vouches for {host}")])

    def sign(subject: x509.Name, subjects_key: Any, *extensions: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(issuer, subject, subjects_key, x509.random_serial_number())
        builder = builder.not_valid_before(now - age).not_valid_after(now + left)
        for extension in (
            *extensions,
            x509.SubjectKeyIdentifier.from_public_key(subjects_key),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(top.public_key()),
        ):
            builder = builder.add_extension(extension, isinstance(extension, x509.BasicConstraints))
        return builder.sign(top, hashes.SHA256()).public_bytes(PEM)

    root = sign(
        issuer,
        top.public_key(),
        x509.BasicConstraints(ca=True, path_length=0),
        # What visitors' programs insist on since RFC 5280's rules are checked to the letter.
        x509.KeyUsage(False, False, False, False, False, True, True, False, False),
    )
    leaf = sign(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]),
        public_key or key.public_key(),
        x509.BasicConstraints(ca=False, path_length=None),
        x509.SubjectAlternativeName([x509.DNSName(host)]),
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return HandedIn(leaf + root, b"" if public_key else key.private_bytes(PEM, form, plain), root)


if __name__ == "__main__":
    hand_in(sys.argv[2]).write(Path(sys.argv[1]))
    hand_in("authority").write(Path(sys.argv[1]), "authority-")
