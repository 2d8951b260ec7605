"""A site as nginx is given it: what stands in its block whatever the application writes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest

TEMPLATE = Path(__file__).parents[2] / "roles/nginx/templates/site.conf"
SITE = {"name": "notes", "certificate": "notes", "host": "notes.myschool.example"}
OWN = {"upstream": "unix:/run/notes/http.sock", "locations": "/etc/notes/nginx.conf"}
NETWORKS = {"networks": ["192.0.2.0/24"]}


def whole(**site: Any) -> str:
    """Return the whole file, rendered as Ansible would."""
    environment = jinja2.Environment(
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(default_for_string=False),
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        ansible_managed="",
        nginx_site={**SITE, **site},
        nginx_hsts_max_age_s=31536000,
        __nginx_tls_listen=["443", "[::]:443"],
        __nginx_http2_directive=True,
        __nginx_public_host="$host",
    )


def block(**site: Any) -> str:
    """Return the server block that answers over TLS."""
    upstream, _, tls = whole(**site).split("\nserver {\n")
    assert f"server {site['upstream']};" in upstream
    assert tls.count("{") + 1 == tls.count("}")
    return tls


@pytest.mark.parametrize("given", [OWN, {"upstream": "127.0.0.1:8300"}], ids=["its own", "ours"])
def test_what_is_every_sites_stands_before_locations(given: dict[str, str]) -> None:
    tls = block(**given, **NETWORKS, max_body="16G")
    before = tls.split("include /etc/notes/nginx.conf;" if "locations" in given else "location ", 1)[0]
    for line in (
        "listen 443 ssl;",
        "include snippets/schoolstack-tls.conf;",
        'add_header Strict-Transport-Security "max-age=31536000" always;',
        "add_header X-Content-Type-Options $school_content_type_options always;",
        "allow 192.0.2.0/24;",
        "deny all;",
        "include snippets/schoolstack-proxy.conf;",
        "client_max_body_size 16G;",
    ):
        assert f"    {line}\n" in before, line


def test_locations_of_its_own_stand_in_place_of_ours() -> None:
    assert "location" not in block(**OWN).replace("include /etc/notes/nginx.conf;", "")
    # What FastCGI answers is hidden by another directive than what HTTP does.
    assert "fastcgi_hide_header Strict-Transport-Security;" in block(**OWN)
    ours = block(upstream="127.0.0.1:8300")
    assert "location ^~ / {" in ours
    assert "fastcgi" not in ours


def test_a_port_for_the_servers_own_programs_is_no_other_machines() -> None:
    without = whole(**OWN)
    with_port = whole(**OWN, port=8010)
    added = with_port.removeprefix(without.rstrip())
    assert "listen 127.0.0.1:8010;" in added
    assert "include /etc/notes/nginx.conf;" in added
    assert "listen" not in added.replace("listen 127.0.0.1:8010;", "")
