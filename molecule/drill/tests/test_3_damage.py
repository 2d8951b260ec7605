"""A damaged repository is noticed, the damage named, and what is older is put back all the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from schoolstack.deployment import Deployment

# All along the pack, since restic decides in which order pieces of files come to lie in it; a piece of a
# large file is no shorter than 512 KiB.
DAMAGE = """
import os, sys
with open(sys.argv[1], "r+b") as pack:
    for place in range(1000, os.path.getsize(sys.argv[1]) - 1000, 200_000):
        pack.seek(place)
        pack.write(b"damage")
"""
REPOSITORY = "/var/lib/schoolstack-backup/repositories/voorbeeldschool.localhost/server"


@pytest.mark.slow
def test_a_damaged_pack_is_found_and_named_and_the_backup_before_it_is_put_back(
    school: Deployment, vault: Deployment, program: Callable
) -> None:
    school.shell("echo before >/var/lib/portal/note")
    good = program("backup").result
    time.sleep(1)  # moments count in seconds
    packs = f"find {REPOSITORY}/data -type f | sort"
    before = set(vault.shell(packs).splitlines())
    # Several packs' worth: most of the largest new one is of this file.
    school.shell("echo after >/var/lib/portal/note; head -c 40000000 /dev/urandom >/var/lib/portal/large")
    assert program("backup").code == 0
    new = set(vault.shell(packs).splitlines()) - before
    victim = vault.shell(f"ls -S {' '.join(sorted(new))} | head -1").strip()
    vault.shell(f"cp -p {victim} /root/pack; python3 -c '{DAMAGE}' {victim}")
    try:
        found = program("check-all")
        assert found.code == 1
        assert victim.rpartition("/")[2][:8] in found.sentence
        assert "found damage" in program("alarm").sentence
        # What needs it is refused, before anything of the application is touched.
        school.shell("echo now >/var/lib/portal/note")
        declaration = json.loads(school.shell("cat /etc/ansible/facts.d/portal.fact"))
        asked = {"application": "portal", "versions": {"portal": "1.0"}, "overwrite": True}
        said = program("restore-begin", **asked)
        if not said.code:  # what it reads first lies in another pack
            said = program("restore-application", **declaration)
            school.shell("rm /var/lib/schoolstack/backup/restoring.json")
        assert "is damaged" in said.sentence
        assert school.shell("cat /var/lib/portal/note") == "now\n"
        # What is older is put back.
        school.play("restore", restore_app="portal", restore_overwrite=True, restore_at=good["time"])
        assert school.shell("cat /var/lib/portal/note; ls /var/lib/portal").startswith("before\n")
        assert "large" not in school.shell("ls /var/lib/portal")
    finally:
        vault.shell(f"cat /root/pack >{victim}; rm /root/pack")
    assert program("check-all").code == 0
    assert program("alarm").code == 0
    school.shell("rm -f /var/lib/portal/note /var/lib/portal/large")
