"""Two servers of one school: who vouches for whom, how they find each other, and what stays closed."""

from __future__ import annotations

import shlex
import socket
import ssl
import sys

import pytest

from schoolstack.deployment import CA_ON_SERVER, Deployment
from schoolstack.errors import SchoolError
from schoolstack.hosts.state import run

AUTHORITY = "/etc/schoolstack/authority"
ISSUING = f"{AUTHORITY}/issuing.pem"

# Says which ports of an address answer; a firewall that drops is silent for as long as one waits.
PROBE = """
import asyncio, sys
async def answers(port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(sys.argv[1], port), 3)
    except (OSError, asyncio.TimeoutError):
        return 0
    writer.close()
    return port
async def main():
    print(*sorted(filter(None, await asyncio.gather(*map(answers, map(int, sys.argv[2:]))))))
asyncio.run(main())
"""


def listening(*servers: Deployment) -> set[int]:
    """Return every port that something listens on."""
    lines = "".join(server.shell("ss --no-header --listening --tcp --numeric") for server in servers)
    return {int(line.split()[3].rpartition(":")[2]) for line in lines.splitlines()}


@pytest.mark.parametrize("name", ["sso", "web"])
def test_each_server_has_an_authority_of_its_own_below_the_schools_root(
    sso: Deployment, web: Deployment, name: str
) -> None:
    server = {"sso": sso, "web": web}[name]
    assert server.shell(f"cat {CA_ON_SERVER}") == sso.shell(f"cat {AUTHORITY}/root.pem")
    said = server.shell(f"openssl verify -x509_strict -CAfile {CA_ON_SERVER} {ISSUING}")
    assert said.strip() == f"{ISSUING}: OK"
    assert f"on {name}" in server.shell(f"openssl x509 -in {ISSUING} -noout -subject")


def test_the_schools_root_key_is_on_the_first_server_only(sso: Deployment, web: Deployment) -> None:
    assert sso.shell(f"ls {AUTHORITY}").split() == ["issuing.key", "issuing.pem", "root.key", "root.pem"]
    assert web.shell(f"ls {AUTHORITY}").split() == ["issuing.key", "issuing.pem"]
    keys = {server.shell(f"sha256sum <{AUTHORITY}/issuing.key") for server in (sso, web)}
    assert len(keys) == 2


def test_a_page_shows_the_certificate_of_its_own_server(sso: Deployment, web: Deployment) -> None:
    context = ssl.create_default_context(cafile=str(sso.ca))
    for server, application, name in ((sso, "keycloak", "sso"), (web, "portal", "web")):
        host = server.records[application]["site"]["host"]
        with (
            socket.create_connection((server.address, 443), 10) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            issuer = dict(pair for part in tls.getpeercert()["issuer"] for pair in part)
        assert issuer["commonName"].endswith(f" on {name}")


def test_a_server_keeps_to_its_root(web: Deployment) -> None:
    """Another first server in the group would make a new root, which no device of the school trusts."""
    with pytest.raises(SchoolError):
        web.shell(
            "cd $(mktemp -d) && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
            " -keyout key -out other.pem -days 9 -subj '/CN=another root' 2>/dev/null"
            " && schoolstack-certificates request <other.pem"
        )
    assert "another root" not in web.shell(f"openssl x509 -in {CA_ON_SERVER} -noout -subject")


def test_the_servers_find_each_others_pages_without_a_dns(sso: Deployment, web: Deployment) -> None:
    login, start = (
        server.records[application]["site"]["host"]
        for server, application in ((sso, "keycloak"), (web, "portal"))
    )
    for server, name, wanted in (
        (web, login, sso.address),
        (sso, start, web.address),
        (sso, login, "127.0.0.1"),
        (web, start, "127.0.0.1"),
    ):
        assert server.shell(f"getent ahostsv4 {name}").split()[0] == wanted, name


@pytest.mark.parametrize(
    ("seen_from", "target", "further"),
    [("", "sso", []), ("", "web", []), ("sso", "web", ["9999"]), ("web", "sso", ["19532"])],
)
def test_only_ssh_and_the_web_answer_and_what_the_servers_are_for_each_other(
    sso: Deployment, web: Deployment, seen_from: str, target: str, further: list[str]
) -> None:
    servers = {"sso": sso, "web": web}
    ports = listening(sso, web)
    assert {5432, 8080, 9000, 8181, 9100, 9999, 19531, 19532} <= ports, "what must not answer has to be there"
    probe = [sys.executable if not seen_from else "python3", "-c", PROBE, servers[target].address]
    probe += map(str, sorted(ports))
    answer = servers[seen_from].shell(shlex.join(probe)) if seen_from else run(probe)
    assert answer.split() == ["22", "80", "443", *further]


def test_only_what_a_server_is_for_runs_there(sso: Deployment, web: Deployment) -> None:
    assert set(sso.records) == {"keycloak", "statuspage"}
    assert set(web.records) == {"portal", "samlpage"}
    assert "bookworm" in web.shell("cat /etc/os-release")
    assert "trixie" in sso.shell("cat /etc/os-release")
