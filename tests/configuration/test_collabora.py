"""What coolwsd is given: settings that exist, sizes that fit, one host's documents, nothing that leaves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from schoolstack.reference.declarations import SAMPLE_SCHOOL, SAMPLE_SERVER, resolved
from schoolstack.stand_ins.coolwsd_keys import ATTRIBUTES, SETTINGS

ROOT = Path(__file__).parents[2]
VALUES = {"bool": r"true|false", "uint": r"\d+", "double": r"\d+([.]\d+)?", "string": r".*"}
PAGE = (ROOT / "docs/how-to/office.md").read_text(encoding="utf-8")


def role(name: str, **otherwise: Any) -> Any:
    """Return a variable of the role, with some things otherwise than at the sample school.

    Args:
        name: the variable.
        otherwise: other variables; those of ``facts`` are facts.
    """
    loader = DataLoader()
    facts = {**SAMPLE_SERVER, **otherwise.pop("facts", {})}
    known: dict[str, Any] = {**SAMPLE_SCHOOL, "school_public_port": 443, "ansible_facts": facts}
    for part in ("defaults/main", "vars/main", "vars/artefacts"):
        path = str(ROOT / f"roles/collabora/{part}.yml")
        known |= loader.load_from_file(path, trusted_as_template=True)
    return Templar(loader=loader, variables={**known, **otherwise}).template(known[name])


def command(**otherwise: Any) -> dict[str, str]:
    """Return the settings on the command line, by path, as coolwsd is given them."""
    exec_start = role("collabora_app", **otherwise)["services"][0]["exec"]
    # What systemd would take for something of its own.
    assert not re.search(r"\\|%|'|(?<!\$)\$(?!\$)", exec_start.replace("$$", ""))
    program, version, *words = shlex.split(exec_start)
    assert (program, version) == ("/usr/bin/coolwsd", "--version")
    found = [re.fullmatch(r"--o:([^=]+)=(.*)", word.replace("$$", "$")) for word in words]
    assert all(found)
    return {one[1]: one[2] for one in found if one}


def test_every_setting_exists_and_has_its_type() -> None:
    given = command()
    plain = {path: re.sub(r"\[\d+\]", "", path) for path in given}
    unknown = [path for path in given if plain[path] not in {*SETTINGS, *ATTRIBUTES}]
    assert unknown == []
    kinds = {path: SETTINGS.get(plain[path]) or ATTRIBUTES[plain[path]] for path in given}
    salt = given.pop("logging.anonymize.anonymization_salt")
    assert salt == "${system.env.COLLABORA_SALT}"
    assert [path for path in given if not re.fullmatch(VALUES[kinds[path]], given[path])] == []


def test_the_typed_list_is_what_its_makers_publish(published: Callable[[str], Any]) -> None:
    keys = published("coolwsd_keys")["keys"]
    leaves = {key["path"]: key.get("type") for key in keys if key["leaf"]}
    assert [path for path in SETTINGS if path not in leaves] == []
    # A type is published of most; of connection_timeout_secs, as some other numbers, int.
    names = {"uint": {"uint", "int"}, "string": {"string", "path"}}
    wrong = [
        path
        for path, kind in SETTINGS.items()
        if leaves[path] and leaves[path] not in names.get(kind, {kind})
    ]
    assert wrong == []
    attributes = {f"{key['path']}[@{name}]" for key in keys for name in key.get("attributes", {})}
    assert ATTRIBUTES.keys() <= attributes


def test_it_listens_for_nginx_alone() -> None:
    given = command()
    assert (given["net.listen"], given["net.proto"]) == ("loopback", "IPv4")
    assert (given["ssl.enable"], given["ssl.termination"]) == ("false", "true")
    assert given["admin_console.enable"] == "false"
    # Its numbers could be had with the administration only.
    assert "metrics" not in role("collabora_app")
    assert not [path for path in given if "metrics" in path or "password" in path]


def test_documents_come_from_named_hosts_with_scheme_and_port() -> None:
    given = command()
    assert given["storage.wopi.alias_groups[@mode]"] == "groups"
    group = "storage.wopi.alias_groups.group[{}].host"
    host = urlsplit(given[group.format(0)])
    assert (host.scheme, host.hostname, host.port) == ("https", "files.myschool.example", 443)
    assert given[f"{group.format(0)}[@allow]"] == "true"
    assert group.format(1) not in given
    two = command(collabora_wopi_hosts=["https://a.example:443", "https://b.example:8443"])
    assert [two[group.format(number)] for number in (0, 1)] == [
        "https://a.example:443",
        "https://b.example:8443",
    ]
    assert two[f"{group.format(1)}[@allow]"] == "true"
    # Its certificate has to be good.
    assert given["ssl.ssl_verification"] == "true"
    assert given["storage.ssl.ca_file_path"] == "/etc/ssl/certs/ca-certificates.crt"


@pytest.mark.parametrize(
    ("nextcloud", "callers"),
    [
        ([], ["127[.]0[.]0[.]1", "::1"]),
        (["server"], ["127[.]0[.]0[.]1", "::1"]),
        (["files"], ["127[.]0[.]0[.]1", "::1", "192[.]0[.]2[.]7"]),
    ],
)
def test_who_may_have_documents_converted(nextcloud: list[str], callers: list[str]) -> None:
    addresses = {"school": {"addresses": {"server": "192.0.2.6", "files": "192.0.2.7"}}}
    given = command(groups={"nextcloud": nextcloud}, facts=addresses)
    entries = [given[f"net.post_allow.host[{number}]"] for number in range(24)]
    assert entries == callers + [""] * (24 - len(callers))
    # A document may fetch nothing from there, nor from anywhere but where it comes from.
    assert given["net.post_allow[@allow]"] == "false"
    assert {given[f"net.lok_allow.host[{number}]"] for number in range(24)} == {""}


def test_what_is_said_in_place_of_nextclouds_role_is_what_that_says() -> None:
    """An upgrade runs this role without the other; what that says by itself is repeated for it."""
    given = command()["storage.wopi.alias_groups.group[0].host"]
    assert urlsplit(given).hostname == resolved(ROOT, "nextcloud_host")


def test_nothing_leaves_and_no_name_stays_readable() -> None:
    given = command()
    off = ["ai.enabled", "ai.allow_user_settings", "deepl.enabled", "languagetool.enabled", "zotero.enable"]
    assert {given[path] for path in [*off, "allow_update_popup", "browser_logging"]} == {"false"}
    assert given["fetch_update_check"] == "0"
    assert given["logging.anonymize.anonymize_user_data"] == "true"
    # At its start it would write all its settings.
    assert (given["logging.level"], given["logging.level_startup"]) == ("warning", "warning")
    assert given["logging.file[@enable]"] == given["logging_ui_cmd.file[@enable]"] == "false"
    service = role("collabora_app")["services"][0]
    assert service["environment_files"] == [resolved(ROOT, "__collabora_salt_file")]


def test_it_may_do_what_its_makers_unit_lets_it_and_no_more() -> None:
    exceptions = {
        one["directive"]: one["value"] for one in role("collabora_app")["services"][0]["exceptions"]
    }
    hardening = resolved(ROOT, "__service_hardening")
    # From coolwsd.service of CollaboraOnline/online; the first three are as in ours.
    makers = {
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "ProtectControlGroups": "yes",
    }
    makers |= {"KillSignal": "SIGINT", "KillMode": "mixed", "TimeoutStopSec": "120"}
    makers |= {"LimitNOFILE": "infinity:infinity"}
    makers |= {"CapabilityBoundingSet": "CAP_FOWNER CAP_CHOWN CAP_SYS_CHROOT CAP_SYS_ADMIN"}
    assert {name: exceptions.get(name, hardening.get(name)) for name in makers} == makers
    # What systemd.exec(5) says implies NoNewPrivileges, with which the mounts fail.
    implying = {
        "SystemCallFilter",
        "SystemCallArchitectures",
        "RestrictAddressFamilies",
        "RestrictNamespaces",
    }
    implying |= {"PrivateDevices", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs"}
    implying |= {"ProtectClock", "MemoryDenyWriteExecute", "RestrictRealtime", "RestrictSUIDSGID"}
    implying |= {"LockPersonality", "ProtectHostname", "NoNewPrivileges"}
    assert {exceptions.get(name) for name in implying} <= {"no", ""}


@pytest.mark.parametrize(
    ("sold_gb", "seen_mb", "size"),
    [
        (8, 7800, (1, 2, 30, 3120)),
        (8, 7937, (1, 2, 30, 3174)),
        (12, 11900, (1, 2, 30, 4760)),
        (16, 15800, (2, 4, 40, 7900)),
        (32, 31900, (4, 4, 50, 19140)),
        (64, 64200, (4, 4, 50, 38520)),
    ],
)
def test_how_large_it_is(sold_gb: int, seen_mb: int, size: tuple[int, ...]) -> None:
    facts = {"memtotal_mb": seen_mb, "processor_vcpus": 8}
    given = command(facts=facts)
    limit = int(role("collabora_app", facts=facts)["services"][0]["memory_max_mb"])
    paths = ("num_prespawn_children", "per_document.max_concurrency", "memproportion")
    assert (*(int(given[path]) for path in paths), limit) == size
    assert limit < 0.9 * 1024 * sold_gb


def test_no_document_has_more_threads_than_there_are_processors() -> None:
    given = command(facts={"memtotal_mb": 15800, "processor_vcpus": 2})
    assert given["per_document.max_concurrency"] == "2"


def test_the_page_tells_the_same_sizes() -> None:
    rows = re.findall(
        r"^\| (\d+) GB \| (\d+) \| (\d+) \| (\d+) % \| (\d+) % \| (\d+) \|$", PAGE, re.MULTILINE
    )
    told = [tuple(map(int, row)) for row in rows]
    document_mb = role("__collabora_document_mb")
    expected = []
    for preset in role("__collabora_presets"):
        documents = preset["gb"] * 1024 * 9 // 10 * preset["percent"] // 100 // document_mb
        size = (preset["gb"], preset["prespawn"], preset["threads"], preset["percent"])
        expected.append((*size, preset["percent"] + 10, documents // 5 * 5))
    assert told == expected


def test_the_office_and_its_languages_come_in_one_version_each() -> None:
    packages = role("collabora_app")["apt"]["packages"]
    assert next(iter(packages)) == "coolwsd"
    assert len({version for name, version in packages.items() if name != "coolwsd"}) == 1
    # Depends of coolwsd in debian/control of CollaboraOnline/online: apt takes none of these by itself.
    needed = {"collaboraoffice", "collaboraoffice-ure"}
    parts = ("calc", "core", "draw", "en-us", "extension-pdf-import", "graphicfilter", "images", "impress")
    needed |= {
        f"collaboraofficebasis-{part}" for part in (*parts, "math", "ooofonts", "ooolinguistic", "writer")
    }
    assert needed <= packages.keys()
    branded = role("collabora_app", collabora_brand_version="26.04-1")["apt"]["packages"]
    assert branded["code-brand"] == "26.04-1"
