"""What the world sees of the server: few ports, sound TLS, and nothing it should not see."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable

import pytest
from testinfra.host import Host

LOGIN = "login.voorbeeldschool.localhost"
START = "start.voorbeeldschool.localhost"
AUTHORITY = "/etc/schoolstack/authority"


@pytest.fixture(scope="module")
def root(host: Host) -> str:
    """The school's root certificate, as devices are given it."""
    return host.file("/usr/local/share/ca-certificates/schoolstack.crt").content_string


def https(address: str, root: str, name: str, path: str, **headers: str) -> http.client.HTTPResponse:
    """Ask the server for a page over HTTPS, whatever the name resolves to here."""
    context = ssl.create_default_context(cadata=root)
    connection = http.client.HTTPSConnection(name, timeout=10)
    connection.sock = context.wrap_socket(socket.create_connection((address, 443), 10), server_hostname=name)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def trouble(address: str, root: str, name: str) -> str:
    """Return what is wrong with the certificate shown for a name: nothing, ``expired`` or else."""
    try:
        https(address, root, name, "/")
    except ssl.SSLCertVerificationError as error:
        return "expired" if "expired" in str(error) else str(error)
    return ""


def becomes(wanted: str, look: Callable[[], str]) -> bool:
    """Tell whether *look* sees what is wanted within five seconds: old workers answer while nginx reloads."""
    end = time.monotonic() + 5
    while look() != wanted and time.monotonic() < end:
        time.sleep(0.2)
    return look() == wanted


def http_answer(address: str, name: str, path: str = "/") -> http.client.HTTPResponse:
    """Ask the server for a page over HTTP, under a name."""
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path, headers={"Host": name})
    return connection.getresponse()


def test_only_ssh_and_the_web_answer(host: Host, address: str) -> None:
    """Tries every port that something on the server listens on, and the first 10,000."""
    listening = host.check_output("ss --no-header --listening --tcp --numeric").split("\n")
    ports = {int(line.split()[3].rpartition(":")[2]) for line in listening} | set(range(1, 10_001))

    async def answers(port: int, turn: asyncio.Semaphore) -> bool:
        async with turn:
            try:
                async with asyncio.timeout(2):
                    _, writer = await asyncio.open_connection(address, port)
            except OSError:  # which a timeout is
                return False
            writer.close()
            return True

    async def open_ports() -> set[int]:
        turn = asyncio.Semaphore(800)
        found = await asyncio.gather(*(answers(port, turn) for port in ports))
        return {port for port, is_open in zip(ports, found, strict=True) if is_open}

    assert asyncio.run(open_ports()) == {22, 80, 443}


def test_other_programs_keep_their_rules(host: Host) -> None:
    """Fail2ban and containers have tables of their own in the same kernel."""
    try:
        host.check_output("nft add table inet somebody_else")
        host.check_output("systemctl reload nftables.service")
        host.check_output("systemctl restart nftables.service")
        assert "somebody_else" in host.check_output("nft list tables")
        assert "policy drop" in host.check_output("nft list chain inet schoolstack input")
    finally:
        host.run("nft delete table inet somebody_else")


def test_ssh_wants_a_key(host: Host) -> None:
    settings = host.check_output("sshd -T")
    assert "passwordauthentication no" in settings
    assert "kbdinteractiveauthentication no" in settings
    assert "permitrootlogin without-password" in settings


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(address: str, root: str, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cadata=root)
    # This side would otherwise refuse by itself, and prove nothing.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((address, 443), 10) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)alert.protocol.version"),
    ):
        context.wrap_socket(plain, server_hostname=LOGIN)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", [LOGIN, START])
def test_present_tls_is_trusted(address: str, root: str, name: str, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cadata=root)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((address, 443), 10) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        certificate = tls.getpeercert()
    assert certificate is not None
    begins, ends = (ssl.cert_time_to_seconds(certificate[key]) for key in ("notBefore", "notAfter"))
    # Apple's devices trust nothing that lives longer.
    assert ends - begins <= 398 * 86_400
    assert ends - time.time() > 29 * 86_400


def test_browsers_are_told_to_insist_on_https(address: str, root: str) -> None:
    answer = https(address, root, LOGIN, "/")
    age = answer.headers["Strict-Transport-Security"].partition("max-age=")[2].partition(";")[0]
    assert int(age) >= 180 * 86_400
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"]
    assert not any(letter.isdigit() for letter in answer.headers["Server"])


def test_http_leads_to_https(address: str) -> None:
    answer = http_answer(address, LOGIN, "/realms?x=1")
    assert answer.status == 301
    assert answer.headers["Location"].startswith(f"https://{LOGIN}")
    assert answer.headers["Location"].endswith("/realms?x=1")


@pytest.mark.parametrize("name", ["unknown.example", "10.0.0.1", ""])
def test_an_unknown_name_gets_no_answer(address: str, name: str) -> None:
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        http_answer(address, name or address)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, 443), 10) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"),
    ):
        context.wrap_socket(plain, server_hostname=name or None)


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/master/console/",
        "/realms/master",
        "/realms/master/protocol/openid-connect/token",
        "/realms/%6daster",
        "//realms/master",
        "/realms/x/../master",
        "/realms/x%2f..%2fmaster",
        "/realms;x/master",
        "/resources/..;/admin/",
        "/metrics",
        "/health",
        "/health/ready",
        "/q/metrics",
    ],
)
def test_administration_does_not_answer_from_outside(address: str, root: str, path: str) -> None:
    assert https(address, root, LOGIN, path).status == 404


def test_a_visitor_cannot_make_the_sign_in_name_another_address(address: str, root: str) -> None:
    page = "/realms/school/.well-known/openid-configuration"
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Port": "666",
        "Forwarded": "host=evil.example;proto=http",
    }
    answer = https(address, root, LOGIN, page, **forged)
    assert answer.status == 200
    told = answer.read().decode()
    assert json.loads(told)["issuer"].startswith(f"https://{LOGIN}")
    assert "evil.example" not in told
    assert "666" not in told


def test_the_log_keeps_neither_addresses_nor_codes(host: Host, address: str, root: str) -> None:
    https(address, root, LOGIN, "/no-such-page?code=s3cr3t").read()
    line = host.check_output("grep no-such-page /var/log/nginx/access.log | tail -1")
    assert "s3cr3t" not in line
    assert line.split()[0].endswith((".0", "::"))


def test_the_schools_authority_signs_for_the_school_only(host: Host) -> None:
    """Even who has its key cannot make a certificate for a bank that browsers accept."""
    assert host.run("schoolstack-certificates issue bank www.bank.example").rc == 1
    made = host.run(
        "cd $(mktemp -d) && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key"
        " -subj /CN=www.bank.example -addext subjectAltName=DNS:www.bank.example -out request 2>/dev/null"
        f" && openssl x509 -req -in request -copy_extensions copy -CA {AUTHORITY}/issuing.pem"
        f" -CAkey {AUTHORITY}/issuing.key -days 9 -out forged 2>/dev/null"
        f" && openssl verify -CAfile {AUTHORITY}/root.pem -untrusted {AUTHORITY}/issuing.pem forged"
    )
    assert "permitted subtree violation" in made.stderr


def test_an_expired_certificate_is_renewed_without_ansible(host: Host, address: str, root: str) -> None:
    settings = "/etc/schoolstack/certificates.json"
    host.check_output(f"cp -p {settings} {settings}.kept")
    try:
        host.check_output(f"""sed -i 's/"valid_days": [0-9]*/"valid_days": 0/' {settings}""")
        host.check_output("rm /etc/schoolstack/certificates/portal/fullchain.pem")
        host.check_output("systemctl start schoolstack-certificates.service")
        assert becomes("expired", lambda: trouble(address, root, START))
    finally:
        host.check_output(f"mv {settings}.kept {settings}")
        host.check_output("systemctl start schoolstack-certificates.service")
    assert becomes("", lambda: trouble(address, root, START))
    assert host.service("schoolstack-certificates.timer").is_enabled


def test_keys_are_for_root_only(host: Host) -> None:
    keys = "-name '*.key' -o -name privkey.pem"
    assert host.check_output(f"find /etc/schoolstack {keys}")
    assert not host.check_output(f"find /etc/schoolstack \\( {keys} \\) \\( -perm /077 -o ! -user root \\)")


@pytest.mark.parametrize("unit", ["nginx.service", "schoolstack-certificates.service"])
def test_the_edges_units_are_hardened(host: Host, unit: str) -> None:
    # The threshold counts in tenths.
    assert host.run(f"systemd-analyze security --threshold=40 {unit}").rc == 0


def test_settings_survive_a_broken_one(host: Host) -> None:
    """What nginx would not start with never gets in its way."""
    check = host.run("echo 'server { nonsense; }' >/tmp/candidate; /usr/local/lib/schoolstack/nginx-check"
                     " /tmp/candidate sites-enabled/portal.conf")  # fmt: skip
    assert check.rc != 0
    assert "nonsense" in check.stderr
    assert host.run("nginx -t").rc == 0
