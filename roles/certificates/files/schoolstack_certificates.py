#!/usr/bin/python3
"""Keep this server's certificates valid.

The one program behind everything: Ansible calls it to ask for certificates, a timer calls it to renew them,
and the machine that runs Ansible calls it to check files that a school hands in.

Where the school is its own authority, a root key on one server signs one issuing authority per server, and
that one signs the server's certificates. So each server renews by itself, without the root's server and
without Ansible. All of them may only name hosts below the school's domain (RFC 5280, 4.2.1.10): whoever
trusts the root need not fear for other addresses.

Every command prints one JSON object; failures are one plain sentence on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import grp
import ipaddress
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOME = Path("/etc/schoolstack")
SETTINGS = HOME / "certificates.json"
AUTHORITY = HOME / "authority"
CERTIFICATES = HOME / "certificates"
ACCOUNT_KEY = HOME / "acme" / "account.key"
# nginx serves this folder as /.well-known/acme-challenge/.
CHALLENGES = Path("/var/lib/schoolstack/acme")
# Where Debian's update-ca-certificates looks for an administrator's own authorities.
TRUSTED = Path("/usr/local/share/ca-certificates/schoolstack.crt")

AUTHORITY_DAYS = 3650
# Clocks differ; without this a new certificate is not valid yet on a machine that is a little behind.
BACKDATED = datetime.timedelta(hours=1)
# Asked for what the school's servers show each other: always its own authority, whatever pages have.
BETWEEN = "between"
# Until when the web server's processes of before a reload may still answer, in seconds.
SHOWN_WITHIN_S = 10


class RefusalError(Exception):
    """Something that cannot be done, said in a sentence for people."""


def now() -> datetime.datetime:
    """Return the present, in UTC."""
    return datetime.datetime.now(datetime.UTC)


# --- files


def write(path: Path, data: bytes, mode: int) -> None:
    """Replace *path* at once, so that a reader or a power cut never meets half a file."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    # Always the same name, so that what a power cut leaves is overwritten by the next attempt.
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def new_or_old_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key in *path*, made now if there is none.

    A renewal keeps its key: the certificate is then the only file that changes, and the two always match.
    """
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        write(
            path,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            0o600,
        )
    return serialization.load_pem_private_key(path.read_bytes(), None)  # type: ignore[return-value]


def certificates(data: bytes) -> list[x509.Certificate]:
    """Return the certificates in PEM *data*, in their order; Debian 12's cryptography reads one at a time.

    Raises:
        ValueError: what looks like a certificate is none.
    """
    found = re.findall(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", data, re.DOTALL)
    return [x509.load_pem_x509_certificate(one) for one in found]


def read_chain(path: Path) -> list[x509.Certificate]:
    """Return the certificates in *path*, the leaf first; none when they cannot be read."""
    try:
        return certificates(path.read_bytes())
    except (OSError, ValueError):
        return []


def pem(chain: Iterable[x509.Certificate]) -> bytes:
    """Return *chain* as PEM."""
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other run of this program changes anything."""
    with SETTINGS.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- certificates


def same_key(one: Any, other: Any) -> bool:
    """Tell whether two public keys are the same."""
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return bool(one.public_bytes(encoding, form) == other.public_bytes(encoding, form))


def begins(certificate: x509.Certificate) -> datetime.datetime:
    """Return when *certificate* begins, in UTC; Debian 12's cryptography cannot say it with the zone."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    return certificate.not_valid_before.replace(tzinfo=datetime.UTC)


def ends(certificate: x509.Certificate) -> datetime.datetime:
    """Return when *certificate* ends, in UTC."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=datetime.UTC)


def names(certificate: x509.Certificate) -> set[str]:
    """Return the DNS names for which *certificate* is valid."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Tell whether *certificate* is valid for *host*, by name or by ``*.`` (RFC 6125, 6.4.3)."""
    return not names(certificate).isdisjoint({host, "*." + host.partition(".")[2]})


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether *issuer*, which has an elliptic curve key, signed *certificate*."""
    try:
        issuer.public_key().verify(  # type: ignore[union-attr,call-arg]
            certificate.signature,
            certificate.tbs_certificate_bytes,
            ec.ECDSA(certificate.signature_hash_algorithm),  # type: ignore[arg-type]
        )
    except (InvalidSignature, TypeError):
        return False
    return certificate.issuer == issuer.subject


def subject(name: str) -> x509.Name:
    """Return the distinguished name of *name*, at most 64 characters (RFC 5280, ub-common-name)."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def sign(
    name: x509.Name,
    public_key: Any,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    until: datetime.datetime,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    """Return a certificate for *public_key* under *name*, valid from now *until* then."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer_key, hashes.SHA256())


def usage(*, authority: bool) -> x509.KeyUsage:
    """Return what a key may be used for: signing certificates, or else signing handshakes."""
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def authority_extensions(domain: str, below: int) -> list[tuple[x509.ExtensionType, bool]]:
    """Return what makes an authority for hosts under *domain*, with *below* authorities under it."""
    everywhere = [x509.IPAddress(ipaddress.ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
    return [
        (x509.BasicConstraints(ca=True, path_length=below), True),
        (usage(authority=True), True),
        (x509.NameConstraints([x509.DNSName(domain)], everywhere), True),
    ]


# --- commands


def root(settings: dict[str, Any]) -> dict[str, Any]:
    """Make the school's own authority on this server, if there is none."""
    path = AUTHORITY / "root.pem"
    key = new_or_old_key(AUTHORITY / "root.key")
    found = read_chain(path)
    changed = not found
    if found:
        constraints = found[0].extensions.get_extension_for_class(x509.NameConstraints).value
        if constraints.permitted_subtrees != [x509.DNSName(settings["domain"])]:
            raise RefusalError(
                f"{path} is an authority for another domain than {settings['domain']}. Every device that"
                " trusts it would have to trust a new one: set school_domain back, or move"
                f" {AUTHORITY} away to begin anew."
            )
    else:
        name = subject(f"{settings['school']} root")
        until = now() + datetime.timedelta(days=AUTHORITY_DAYS)
        extensions = authority_extensions(settings["domain"], 1)
        found = [sign(name, key.public_key(), name, key, until, extensions)]
        write(path, pem(found), 0o644)
    return {"changed": changed, "root": pem(found).decode()}


def request(_: dict[str, Any]) -> dict[str, Any]:
    """Ask for an issuing authority, if this server has none under the root given on standard input."""
    given = x509.load_pem_x509_certificate(sys.stdin.buffer.read())
    key = new_or_old_key(AUTHORITY / "issuing.key")
    found = read_chain(AUTHORITY / "issuing.pem")
    if found and read_chain(TRUSTED) == [given] and signed_by(found[0], given):
        return {"changed": False, "request": ""}
    if found and not signed_by(found[0], given):
        raise RefusalError(
            "This server's certificates go back to another root than that of the first server of the group"
            " certificates, and devices that trust the one do not trust the other. Put the server that has"
            f" the school's root first in that group again; to begin anew, move {AUTHORITY} away here."
        )
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return {"changed": False, "request": asked.public_bytes(serialization.Encoding.PEM).decode()}


def sign_request(settings: dict[str, Any], server: str) -> dict[str, Any]:
    """Sign, with the root, the request on standard input: an issuing authority for *server*."""
    asked = x509.load_pem_x509_csr(sys.stdin.buffer.read())
    top, key = read_chain(AUTHORITY / "root.pem")[0], new_or_old_key(AUTHORITY / "root.key")
    signed = sign(
        subject(f"{settings['school']} on {server}"),
        asked.public_key(),
        top.subject,
        key,
        ends(top),
        authority_extensions(settings["domain"], 0),
    )
    return {"changed": False, "chain": pem([signed, top]).decode()}


def adopt(_: dict[str, Any]) -> dict[str, Any]:
    """Keep the issuing authority and trust the root, both given on standard input."""
    issuing, top = certificates(sys.stdin.buffer.read())
    write(TRUSTED, pem([top]), 0o644)
    subprocess.run(["update-ca-certificates"], check=True, capture_output=True)
    # Comes last: it is what `request` goes by.
    write(AUTHORITY / "issuing.pem", pem([issuing]), 0o644)
    return {"changed": True}


def issue_own(settings: dict[str, Any], key: Path, hosts: list[str]) -> bytes:
    """Return a chain for *hosts* and the key in a file, signed by this server's issuing authority."""
    # Who calls another server shows itself by the same certificate: nobody signs in with that of a page.
    uses = [ExtendedKeyUsageOID.SERVER_AUTH]
    uses += [ExtendedKeyUsageOID.CLIENT_AUTH] if settings["source"] == BETWEEN else []
    issuing = read_chain(AUTHORITY / "issuing.pem")[0]
    foreign = [h for h in hosts if h != settings["domain"] and not h.endswith("." + settings["domain"])]
    if foreign:
        raise RefusalError(
            f"{foreign[0]} is not below {settings['domain']}, and the school's own authority may sign for"
            f" nothing else. Choose a name ending in .{settings['domain']}, or set certificates_source"
            " to acme or files."
        )
    until = min(now() + datetime.timedelta(days=settings["valid_days"]), ends(issuing))
    leaf = sign(
        subject(hosts[0]),
        new_or_old_key(key).public_key(),
        issuing.subject,
        new_or_old_key(AUTHORITY / "issuing.key"),
        until,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (usage(authority=False), True),
            (x509.ExtendedKeyUsage(uses), False),
            (x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), False),
        ],
    )
    return pem([leaf, issuing])


def issue_acme(settings: dict[str, Any], key: Path, hosts: list[str]) -> bytes:
    """Return a chain for *hosts* and the key in a file, from the ACME authority.

    It asks on port 80 (RFC 8555, 8.3).
    """
    # RFC 8555 asks for RSA or EC account keys; acme-tiny speaks RSA only.
    if not ACCOUNT_KEY.exists():
        made = subprocess.run(["openssl", "genrsa", "4096"], check=True, capture_output=True)
        write(ACCOUNT_KEY, made.stdout, 0o600)
    CHALLENGES.mkdir(mode=0o755, parents=True, exist_ok=True)
    asked = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), critical=False)
        .sign(new_or_old_key(key), hashes.SHA256())
    )
    with tempfile.NamedTemporaryFile() as csr:
        csr.write(asked.public_bytes(serialization.Encoding.PEM))
        csr.flush()
        answer = subprocess.run(
            [
                "acme-tiny", "--quiet", "--account-key", ACCOUNT_KEY, "--csr", csr.name,
                "--acme-dir", CHALLENGES,
                "--directory-url", settings["acme_directory"], "--contact", f"mailto:{settings['contact']}",
                # The authority looks for the answer itself; this server may not see its own public address.
                "--disable-check",
            ],
            capture_output=True, check=False,
        )  # fmt: skip
    if answer.returncode:
        raise RefusalError(acme_trouble(settings["acme_directory"], hosts, answer.stderr.decode()))
    return answer.stdout


def acme_trouble(directory: str, hosts: list[str], said: str) -> str:
    """Return in a sentence why there is no certificate for *hosts*, from what acme-tiny *said*."""
    reason = (said.strip().splitlines() or ["acme-tiny said nothing"])[-1]
    reason = re.sub(r"^(Response|ValueError): |<urlopen error (.*)>", r"\2", reason)
    if "\nResponse Code: None\n" in said:
        return (
            f"{directory}, asked for a certificate for {', '.join(hosts)}, does not answer: {reason}."
            " Check that this server reaches it. What is in force stays; the next renewal asks again."
        )
    return (
        f"{directory} gave no certificate for {', '.join(hosts)}: {reason}."
        " Check that these names lead to this server and that port 80 is reachable from the internet."
    )


ISSUERS = {"own": issue_own, BETWEEN: issue_own, "acme": issue_acme}


def asked_of(settings: dict[str, Any]) -> str:
    """Return which authority certificates are asked of."""
    return str(settings["acme_directory"] if settings["source"] == "acme" else settings["source"])


def wanted(folder: Path) -> dict[str, Any]:
    """Return what is wanted in *folder* and was got.

    That is its ``hosts``, the authority it was ``asked_of``, the ``renewal`` its key was made for, and the
    ``group`` that may read the key, if any.
    """
    path = folder / "wanted.json"
    return dict(json.loads(path.read_bytes())) if path.exists() else {}


def wants_new_key(settings: dict[str, Any], folder: Path) -> bool:
    """Tell whether the school has asked for new keys since the certificate in *folder* was issued."""
    renewal = settings.get("renewal", "")
    return bool(renewal) and wanted(folder).get("renewal", "") != renewal


def due(settings: dict[str, Any], folder: Path, hosts: list[str]) -> bool:
    """Tell whether the certificate in *folder* is missing, of other hosts or authority, or near its end."""
    chain = read_chain(folder / "fullchain.pem")
    if not chain or names(chain[0]) != set(hosts):
        return True
    if not same_key(chain[0].public_key(), new_or_old_key(folder / "privkey.pem").public_key()):
        return True
    issuing = read_chain(AUTHORITY / "issuing.pem")
    if settings["source"] in ("own", BETWEEN) and not (issuing and signed_by(chain[0], issuing[0])):
        return True
    # After a trial with an authority that nobody trusts, say.
    if wanted(folder).get("asked_of") != asked_of(settings) or wants_new_key(settings, folder):
        return True
    # Authorities issue for ever shorter times: a third of the life is early enough where that is less.
    life = ends(chain[0]) - begins(chain[0])
    return ends(chain[0]) - now() < min(datetime.timedelta(days=settings["renew_days"]), life / 3)


def give(key: Path, group: str) -> bool:
    """Let a *group* read a key, nobody but root when it is empty; return whether that changed anything."""
    before = key.stat()
    gid, mode = (grp.getgrnam(group).gr_gid, 0o640) if group else (before.st_gid, 0o600)
    changed = (before.st_gid, stat.S_IMODE(before.st_mode)) != (gid, mode)
    if changed:
        os.chown(key, -1, gid)
        key.chmod(mode)
    return changed


def issue(
    settings: dict[str, Any], name: str, hosts: list[str], *, between: bool = False, group: str = ""
) -> dict[str, Any]:
    """Have the certificate *name* for *hosts*, and remember that it is wanted."""
    folder = CERTIFICATES / name
    settings = {**settings, "source": BETWEEN} if between else settings
    changed = due(settings, folder, hosts)
    if changed:
        in_force = folder / "privkey.pem"
        key = folder / "privkey.next.pem" if wants_new_key(settings, folder) else in_force
        chain = ISSUERS[settings["source"]](settings, key, hosts)
        # A new key comes into force together with its certificate: between the two lies only a rename.
        key.replace(in_force)
        write(folder / "fullchain.pem", chain, 0o644)
    changed |= give(folder / "privkey.pem", group)
    # Comes last: what was refused is not wanted.
    now_wanted = {"hosts": hosts, "asked_of": asked_of(settings), "renewal": settings.get("renewal", "")}
    now_wanted |= {"group": group} if group else {}
    if wanted(folder) != now_wanted:
        write(folder / "wanted.json", json.dumps(now_wanted).encode(), 0o644)
        changed = True
    return {"changed": changed}


def install(_: dict[str, Any], name: str) -> dict[str, Any]:
    """Keep the certificate *name*, handed in on standard input as JSON: ``fullchain`` and ``privkey``."""
    given = json.load(sys.stdin)
    changed = False
    for file, mode in (("privkey", 0o600), ("fullchain", 0o644)):
        path, data = CERTIFICATES / name / f"{file}.pem", given[file].strip().encode() + b"\n"
        if not path.exists() or path.read_bytes() != data:
            write(path, data, mode)
            changed = True
    # What is handed in renews nobody here; should an authority be asked again one day, it is at once.
    (CERTIFICATES / name / "wanted.json").unlink(missing_ok=True)
    return {"changed": changed}


def forget(_: dict[str, Any], name: str) -> dict[str, Any]:
    """Delete the certificate *name* with its key; it is no longer wanted."""
    folder = CERTIFICATES / name
    # Goes first: what is half gone must not be renewed.
    (folder / "wanted.json").unlink(missing_ok=True)
    changed = folder.exists()
    if changed:
        shutil.rmtree(folder)
    return {"changed": changed}


def renew(settings: dict[str, Any]) -> dict[str, Any]:
    """Renew every wanted certificate that is due."""
    renewed, refused = [], []
    for folder in sorted(path.parent for path in CERTIFICATES.glob("*/wanted.json")):
        kept = wanted(folder)
        between = kept.get("asked_of") == BETWEEN
        if not between and settings["source"] not in ISSUERS:
            continue
        try:
            group = kept.get("group", "")
            if issue(settings, folder.name, kept["hosts"], between=between, group=group)["changed"]:
                renewed.append(folder.name)
        except RefusalError as refusal:  # the others are renewed all the same
            refused.append(str(refusal))
    if refused:
        raise RefusalError(" ".join(refused))
    return {"changed": bool(renewed), "renewed": renewed}


def shown(settings: dict[str, Any]) -> dict[str, Any]:
    """Say whether visitors are shown every certificate as it lies here, with a key as new as wanted."""
    # What is shown is compared byte by byte: nothing has to vouch for it.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    wrong = []
    for folder in sorted(path.parent for path in CERTIFICATES.glob("*/wanted.json")):
        if wanted(folder).get("asked_of") == BETWEEN:  # no visitor is shown it
            wrong += [folder.name] if wants_new_key(settings, folder) else []
            continue
        host, leaf = wanted(folder)["hosts"][0], read_chain(folder / "fullchain.pem")[0]
        expected = leaf.public_bytes(serialization.Encoding.DER)
        for _ in range(SHOWN_WITHIN_S):
            with (
                socket.create_connection(("127.0.0.1", 443), 10) as plain,
                context.wrap_socket(plain, server_hostname=host) as connection,
            ):
                found = connection.getpeercert(binary_form=True)
            if found == expected:
                break
            time.sleep(1)
        if found != expected or wants_new_key(settings, folder):
            wrong.append(folder.name)
    return {"changed": False, "shown": not wrong, "wrong": wrong}


def check(_: dict[str, Any], fullchain: Path, hosts: list[str], renew_days: int) -> dict[str, Any]:
    """Refuse a handed-in certificate that would not work; its key is on standard input."""
    chain = read_chain(fullchain)
    if not chain:
        raise RefusalError(
            f"{fullchain} (certificates_files.fullchain) is missing or holds no certificate. Give the path of"
            " a PEM file with the server's own certificate first."
        )
    leaf = chain[0]
    try:
        key = serialization.load_pem_private_key(sys.stdin.buffer.read(), None)
    except (ValueError, TypeError):
        raise RefusalError(
            "The file named in certificates_files.privkey is missing or holds no unencrypted PEM key. Export"
            " the key without a passphrase and protect the file with ansible-vault instead."
        ) from None
    if not same_key(leaf.public_key(), key.public_key()):
        raise RefusalError(
            f"The key in certificates_files.privkey is not that of {fullchain}. Take both from one request."
        )
    if ends(leaf) < now():
        raise RefusalError(f"{fullchain} ended on {ends(leaf):%Y-%m-%d}. Ask its authority for a new one.")
    if begins(leaf) > now():
        raise RefusalError(
            f"{fullchain} begins only on {begins(leaf):%Y-%m-%d}. Check this machine's clock, or wait."
        )
    if leaf.issuer != leaf.subject and len(chain) == 1:
        raise RefusalError(
            f"{fullchain} holds the server's certificate only, and phones would not trust it. Put the"
            f" certificate of its authority ({leaf.issuer.rfc4514_string()}) after it in the same file."
        )
    missing = [host for host in hosts if not covers(leaf, host)]
    if missing:
        raise RefusalError(
            f"{fullchain} is for {', '.join(sorted(names(leaf)))} and not for {missing[0]}. Ask for a"
            " certificate that names it too, or for one that names all hosts of the domain (*.)."
        )
    left = (ends(leaf) - now()).days
    return {"changed": False, "warning": f"{fullchain} ends in {left} days" if left < renew_days else ""}


def main() -> int:
    """Run one command; return 0, or 1 when it was refused."""
    parser = argparse.ArgumentParser(description="Keep this server's certificates valid.")
    commands = parser.add_subparsers(required=True)
    for simple in (root, request, adopt, renew, shown):
        commands.add_parser(simple.__name__, help=simple.__doc__).set_defaults(run=simple)
    command = commands.add_parser("sign-request", help=sign_request.__doc__)
    command.add_argument("server")
    command.set_defaults(run=sign_request)
    command = commands.add_parser("issue", help=issue.__doc__)
    command.add_argument("name")
    command.add_argument("hosts", nargs="+")
    command.add_argument(
        "--between", action="store_true", help="for what the school's servers show each other"
    )
    command.add_argument("--group", default="", help="may read the key; only root when not given")
    command.set_defaults(run=issue)
    for named in (install, forget):
        command = commands.add_parser(named.__name__, help=named.__doc__)
        command.add_argument("name")
        command.set_defaults(run=named)
    command = commands.add_parser("check", help=check.__doc__)
    command.add_argument("fullchain", type=Path)
    command.add_argument("hosts", nargs="*")
    command.add_argument("--renew-days", type=int, default=30, help="warn when it ends within so many days")
    command.set_defaults(run=check)
    arguments = vars(parser.parse_args())
    run = arguments.pop("run")
    try:
        if run is check:  # on the machine that runs Ansible, which has no settings
            result = check({}, **arguments)
        else:
            with alone():
                result = run(json.loads(SETTINGS.read_text()), **arguments)
    except RefusalError as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
