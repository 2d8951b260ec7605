"""Ask those who are told of alerts whether they would take them, before anybody counts on it."""

from __future__ import annotations

import hashlib
import json
import os
import smtplib
import socket
import ssl
import urllib.error
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

DOCUMENTATION = r"""
module: receivers_answer
short_description: Whether mail server and addresses that are given alerts would take them
description:
    - Connects to the mail server as Alertmanager does, signs in, and asks whether it would take mail from and
      to these addresses; sends none. Connects to each address of a webhook, and sends nothing.
    - Asks a server of Matrix who the account is and whether it can speak in the room.
    - Asks only when something of it has changed since it last found all well.
author: Schoolstack contributors
options:
    mail:
        description: The role monitoring's C(monitoring_mail).
        type: dict
        default: {}
    password:
        description: Password of the mail account.
        type: str
        default: ""
    matrix:
        description: The role monitoring's C(monitoring_matrix).
        type: dict
        default: {}
    token:
        description: Access token of the account of Matrix.
        type: str
        default: ""
    addresses:
        description: Addresses of webhooks.
        type: list
        elements: str
        default: []
    stamp:
        description: The file that remembers for what all was found well.
        type: path
        required: true
"""

EXAMPLES = r"""
- name: Ask the mail server
  receivers_answer:
    mail: {to: [ict@myschool.example], from: server@myschool.example, host: mail.myschool.example}
    stamp: /etc/prometheus/school/secrets/receivers
"""

RETURN = r"""
problems:
    description: What is wrong, each the C(key) of a sentence and the C(words) in it.
    type: list
    returned: always
"""

# Seconds until somebody is given up.
ANSWER_S = 10
NEEDED = ("to", "from", "host")
# What a server means to say for good; 4xx is for now (RFC 5321, 4.2.1), such as greylisting.
FOR_GOOD = 500
# What a server of Matrix answers to a token it does not know (Client-Server API), and to a question about
# what is there.
UNKNOWN_TOKEN, FOUND = 401, 200

Problem = dict[str, Any]


def problem(key: str, **words: Any) -> Problem:
    """Return one problem."""
    return {"key": f"alert.receiver.{key}", "words": words}


def ask_mail(mail: dict[str, Any], password: str) -> Iterator[Problem]:
    """Yield what keeps alerts from going out by mail; the first reason, since the rest follows from it."""
    missing = [name for name in NEEDED if not mail.get(name)]
    if missing:
        yield problem("incomplete", name=missing[0])
        return
    encryption = mail.get("encryption") or "starttls"
    host, port = mail["host"], int(mail.get("port") or (465 if encryption == "tls" else 587))
    where = {"host": host, "port": port}
    try:
        socket.getaddrinfo(host, port)
    except OSError:
        yield problem("name", **where)
        return
    context = ssl.create_default_context()
    try:
        if encryption == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=ANSWER_S, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=ANSWER_S)
        with server:
            yield from _mail(server, mail, password, context, encryption)
    except ssl.SSLCertVerificationError as error:
        yield problem("certificate", said=error.verify_message, **where)
    except (OSError, smtplib.SMTPException) as error:
        yield problem("unreachable", said=str(error), **where)


def _mail(
    server: smtplib.SMTP, mail: dict[str, Any], password: str, context: ssl.SSLContext, encryption: str
) -> Iterator[Problem]:
    server.ehlo()
    if encryption == "starttls":
        if not server.has_extn("starttls"):
            yield problem("no_encryption", host=mail["host"])
            return
        server.starttls(context=context)
        server.ehlo()
    if mail.get("user"):
        try:
            server.login(mail["user"], password)
        except smtplib.SMTPAuthenticationError:
            yield problem("password", host=mail["host"], user=mail["user"])
            return
        except smtplib.SMTPNotSupportedError:
            yield problem("no_sign_in", host=mail["host"])
            return
    for verb, address in [(server.mail, mail["from"]), *((server.rcpt, to) for to in mail["to"])]:
        code, said = verb(address)
        if code >= FOR_GOOD:
            text = said.decode(errors="replace")
            yield problem("refused", host=mail["host"], address=address, said=f"{code} {text}")
            break
    server.rset()


def ask_address(url: str) -> Iterator[Problem]:
    """Yield what keeps alerts from arriving at a webhook."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
        host = parts.hostname or ""
        socket.getaddrinfo(host or "-", port)
    except (KeyError, ValueError):
        yield problem("address", url=url)
        return
    except OSError:
        yield problem("name", host=host, port=port)
        return
    try:
        with socket.create_connection((host, port), ANSWER_S) as plain:
            if parts.scheme == "https":
                ssl.create_default_context().wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        yield problem("certificate", host=host, port=port, said=error.verify_message)
    except OSError as error:
        yield problem("unreachable", host=host, port=port, said=str(error))


def ask_matrix(matrix: dict[str, Any], token: str) -> Iterator[Problem]:
    """Yield what keeps alerts from a room of Matrix; the first reason, since the rest follows from it."""
    missing = [name for name in ("homeserver", "room") if not matrix.get(name)]
    if missing:
        yield problem("matrix_incomplete", name=missing[0])
        return
    home, room = matrix["homeserver"].rstrip("/"), matrix["room"]
    if found := list(ask_address(home)):
        yield from found
        return

    def ask(path: str) -> tuple[int, dict[str, Any]]:
        address = f"{home}/_matrix/client/v3/{path}"
        try:
            answer = open_url(address, headers={"Authorization": f"Bearer {token.strip()}"}, timeout=ANSWER_S)
            return answer.code, dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return error.code, {}

    try:
        status, said = ask("account/whoami")
        if status == UNKNOWN_TOKEN:
            yield problem("matrix_token", url=home)
            return
        account = said["user_id"]
        if room not in ask("joined_rooms")[1]["joined_rooms"]:
            yield problem("matrix_room", room=room, account=account)
        elif ask(f"rooms/{quote(room, safe='')}/state/m.room.encryption")[0] == FOUND:
            yield problem("matrix_encrypted", room=room)
    except (OSError, ValueError, KeyError, TypeError):
        yield problem("matrix_none", url=home)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "mail": {"type": "dict", "default": {}},
            "password": {"type": "str", "default": "", "no_log": True},
            "matrix": {"type": "dict", "default": {}},
            "token": {"type": "str", "default": "", "no_log": True},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "stamp": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    stamp = given.pop("stamp")
    wanted = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
    try:
        with open(stamp, encoding="ascii") as file:
            known = file.read()
    except OSError:
        known = ""
    if known == wanted:
        module.exit_json(changed=False, problems=[])
    problems = list(ask_mail(given["mail"], given["password"])) if given["mail"] else []
    problems += list(ask_matrix(given["matrix"], given["token"])) if given["matrix"] else []
    problems += [one for url in given["addresses"] for one in ask_address(url)]
    if not problems and not module.check_mode:
        with os.fdopen(os.open(stamp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(wanted)
    module.exit_json(changed=not problems, problems=problems)


if __name__ == "__main__":
    main()
