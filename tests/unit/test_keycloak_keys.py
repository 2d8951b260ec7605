"""The module keycloak_keys: new keys sign, old ones verify for a time, and foreign ones are left alone."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "plugins/modules/keycloak_keys.py"
spec = importlib.util.spec_from_file_location("keycloak_keys", PLUGIN)
keycloak_keys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(keycloak_keys)

NEW = "2026-02-01T08:00:00+00:00"
DAY_S = 86_400


def component(key_id: str, name: str, provider: str, **config: list[str]) -> dict:
    return {
        "id": key_id,
        "name": name,
        "providerId": provider,
        "providerType": keycloak_keys.PROVIDER_TYPE,
        "parentId": "realm",
        "config": {"priority": ["100"], **config},
    }


RSA = component("1", "rsa-generated", "rsa-generated")
HMAC = component("2", "hmac-generated-hs512", "hmac-generated", algorithm=["HS512"])
OWN = component("3", "ours", "rsa")


class Admin:
    """Keycloak, as far as components go; it may be cut off after some writes."""

    def __init__(self, *components: dict, writes: int = 99) -> None:
        self.components = {one["id"]: copy.deepcopy(one) for one in components}
        self.writes = writes

    def _count(self) -> None:
        if not self.writes:
            raise KeyboardInterrupt
        self.writes -= 1

    def get(self, *_path, **_query):
        return copy.deepcopy(list(self.components.values()))

    def post(self, *_path, body):
        self._count()
        self.components[f"new{len(self.components)}"] = {**body, "id": f"new{len(self.components)}"}

    def put(self, *path, body):
        self._count()
        self.components[path[-1]] = body

    def delete(self, *path):
        self._count()
        del self.components[path[-1]]


def converge(admin: Admin, renewal: str = NEW, check: bool = False) -> list[str]:
    keys = keycloak_keys.Keys(admin, "school", check)
    keys.converge(renewal, DAY_S)
    return [str(change) for change in keys.changes]


def signing(admin: Admin, provider: str) -> list[str]:
    known = [one for one in admin.components.values() if one["providerId"] == provider]
    active = [one for one in known if keycloak_keys.is_active(one)]
    return [one["name"] for one in sorted(active, key=keycloak_keys.rank, reverse=True)]


def test_nothing_is_done_where_nothing_was_asked():
    assert converge(Admin(RSA, HMAC, OWN), "") == []


def test_each_generated_key_is_replaced_by_one_of_its_sort_and_kept_to_verify():
    admin = Admin(RSA, HMAC, OWN)
    assert len(converge(admin)) == 4
    assert signing(admin, "rsa-generated") == [f"rsa-generated since {NEW}"]
    assert signing(admin, "hmac-generated") == [f"hmac-generated-hs512 since {NEW}"]
    assert admin.components["3"] == OWN
    old = admin.components["2"]
    assert old["config"] == {"priority": ["100"], "algorithm": ["HS512"], "active": ["false"]}
    made = next(
        one for one in admin.components.values() if one["name"].startswith("hmac") and "since" in one["name"]
    )
    assert made["config"]["algorithm"] == ["HS512"]
    assert keycloak_keys.rank(made) > keycloak_keys.rank(old)
    assert converge(admin) == [], "a second run changes nothing"


@pytest.mark.parametrize("writes", range(4))
def test_a_run_cut_off_is_taken_up_and_there_is_always_a_key_to_sign_with(writes):
    admin = Admin(RSA, HMAC, writes=writes)
    with pytest.raises(KeyboardInterrupt):
        converge(admin)
    assert signing(admin, "rsa-generated")
    assert signing(admin, "hmac-generated")
    admin.writes = 99
    converge(admin)
    assert signing(admin, "rsa-generated") == [f"rsa-generated since {NEW}"]
    assert signing(admin, "hmac-generated") == [f"hmac-generated-hs512 since {NEW}"]
    assert len(admin.components) == 4
    assert converge(admin) == []


def test_an_old_key_goes_when_its_time_is_over():
    admin = Admin(RSA)
    converge(admin)
    old = admin.components["1"]
    assert old["name"].startswith("rsa-generated until ")
    admin.components["1"] = {**old, "name": "rsa-generated until 2026-01-01T00:00:00+00:00"}
    assert [line.split(":")[1].split()[0] for line in converge(admin)] == ["remove"]
    assert [one["name"] for one in admin.components.values()] == [f"rsa-generated since {NEW}"]


def test_the_next_time_asks_for_the_next_key():
    admin = Admin(RSA)
    converge(admin)
    later = NEW.replace("2026", "2027")
    converge(admin, later)
    assert signing(admin, "rsa-generated") == [f"rsa-generated since {later}"]
    assert len(admin.components) == 3


def test_check_mode_only_tells():
    admin = Admin(RSA)
    assert len(converge(admin, check=True)) == 2
    assert list(admin.components) == ["1"]
