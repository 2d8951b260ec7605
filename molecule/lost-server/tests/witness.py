"""Print what makes a school this one and no other, as JSON; read on the server itself."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

CERTIFICATES = "http://127.0.0.1:8080/realms/school/protocol/openid-connect/certs"
PUPILS = """
select p.username, p.id from user_entity p
join user_group_membership m on m.user_id = p.id join keycloak_group g on g.id = m.group_id
where g.name = '3A' order by 1
"""

records = {path.stem: json.loads(path.read_text()) for path in Path("/etc/ansible/facts.d").glob("*.fact")}
psql = ["psql", "-U", "postgres", "-d", "keycloak", "-At", "-F=", "-c", PUPILS]
with urllib.request.urlopen(CERTIFICATES) as answer:
    keys = json.load(answer)["keys"]
witness = {
    "sites": {name: record["site"]["host"] for name, record in records.items() if "site" in record},
    "authority": Path("/usr/local/share/ca-certificates/schoolstack.crt").read_text(),
    "keys": sorted(key["kid"] for key in keys),
    "class": dict(line.split("=") for line in subprocess.check_output(psql, text=True).split()),
}
print(json.dumps(witness))
