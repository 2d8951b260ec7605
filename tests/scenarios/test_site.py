"""A run of the whole site that was killed is made good by the next."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest
from first_run import shell, site
from lab_school import inventory

from schoolstack.deployment import Deployment
from schoolstack.hosts.lab import Lab

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="test hosts need root"),
    # Two servers from nothing, one of them ten times.
    pytest.mark.slow,
]

FINGERPRINT = (Path(__file__).parent / "fingerprint.sh").read_text(encoding="utf-8")

# Moments spread over the run, as the share of the tasks of an undisturbed one that have begun.
MOMENTS = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]


def fingerprint(deployment: Deployment) -> list[str]:
    return shell(deployment, "bash -s", FINGERPRINT).splitlines()


def test_a_run_killed_at_ten_moments_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    school, lab = inventory(tmp_path, "keycloak", "portal"), Lab()
    hosts = ("undisturbed-server", "killed-server")
    for host in hosts:
        lab.down(host)
    try:
        for host in hosts:
            lab.up(host)
        undisturbed, killed = (Deployment(school, host, lab) for host in hosts)
        begun = site(undisturbed).begun
        for moment in MOMENTS:
            site(killed, kill_after=max(1, int(begun * moment)))
        site(killed)
        ends = [fingerprint(undisturbed), fingerprint(killed)]
        difference = list(difflib.unified_diff(*ends, "undisturbed", "killed", n=0))
        assert difference == []
        assert killed.play("site").changed == 0
    finally:
        for host in hosts:
            lab.down(host)
