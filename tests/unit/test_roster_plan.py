"""A plan says what would change, touches nobody else, and carried out leaves nothing to change."""

from __future__ import annotations

import datetime
import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from schoolstack.messages import say
from schoolstack.roster import sample
from schoolstack.roster.model import Person, Place, School
from schoolstack.roster.plan import Plan, State, deletions, make_plan
from schoolstack.roster.show import show_deletions, show_plan

PLUGIN = Path(__file__).parents[2] / "plugins/action/roster.py"
spec = importlib.util.spec_from_file_location("roster_action", PLUGIN)
roster_action = importlib.util.module_from_spec(spec)
spec.loader.exec_module(roster_action)

TODAY = datetime.date(2026, 9, 1)


def person(number: str, name: str, classes: str = "1A", **more: Any) -> Person:
    given, _, family = name.partition(" ")
    values = {"roles": frozenset({"pupil"}), "classes": frozenset(classes.split()), "school_id": f"9{number}"}
    return Person(number, given, family, place=Place("list.csv", int(number)), **values | more)


NOOR = person("1", "Noor Damme")
ZOE = person("2", "Zoë Peeters")
JEF = person("3", "Jef Bos", "1B")
ELS = person("4", "Els Maes", "1A 1B", roles=frozenset({"teacher"}))


def school(*people: Person) -> School:
    return School(people, frozenset(name for one in people for name in one.classes))


class Keycloak:
    """As much of Keycloak as a plan needs: does what the module does, in memory."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}

    def found(self) -> dict[str, Any]:
        """Return what the module finds."""
        groups = [
            {"path": path, **group, "members": [u["id"] for u in self.users.values() if path in u["groups"]]}
            for path, group in self.groups.items()
        ]
        users = [{**user, "groups": None} for user in self.users.values()]
        return {"users": users, "groups": groups, "password_policy": ""}

    def state(self) -> State:
        found = self.found()
        return State.from_keycloak(found["users"], found["groups"])

    def add(self, username: str, groups: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
        user = {"id": f"id-{username}", "username": username, "enabled": True, "groups": set(groups), **more}
        assert username not in {one["username"] for one in self.users.values()}
        self.users[user["id"]] = user
        return user

    def apply(self, plan: Plan, steps: int = 1_000_000) -> None:
        """Carry a plan out, or only its first steps."""
        self.carry_out(plan.operations({name: {} for _, name in plan.new}, temporary=True), steps)

    def carry_out(self, operations: dict[str, Any], steps: int = 1_000_000) -> None:
        todo: list[Callable[[], Any]] = []
        for group in operations["groups"]:
            made = {"attributes": group["attributes"]}
            todo.append(partial(self.groups.__setitem__, group["path"], made))
        for user in operations["create"]:
            todo.append(partial(self.add, **{**user, "groups": tuple(user["groups"])}))
        for change in operations["update"]:
            user = self.users[change["id"]]
            todo.append(partial(user.update, change["user"] or {}))
            todo += [partial(user["groups"].add, path) for path in change["join"]]
            todo += [partial(user["groups"].remove, path) for path in change["leave"]]
        for step in todo[:steps]:
            step()

    def plan(self, wanted: School, today: datetime.date = TODAY, name: str = "school") -> Plan:
        return make_plan(wanted, self.state(), roster_list=name, today=today)

    def sync(self, wanted: School, today: datetime.date = TODAY, name: str = "school") -> Plan:
        plan = self.plan(wanted, today, name)
        assert not plan.refused
        self.apply(plan)
        assert self.plan(wanted, today, name).is_empty, "a second run must change nothing"
        return plan

    def user(self, username: str) -> dict[str, Any]:
        return self.users[f"id-{username}"]


@pytest.fixture
def keycloak() -> Keycloak:
    return Keycloak()


def kinds(plan: Plan) -> dict[str, list[str]]:
    found = {
        kind: [change.after.username for change in plan.of_kind(kind)]
        for kind in ("changed", "moved", "returning", "leaving")
    }
    return {kind: names for kind, names in found.items() if names}


def test_a_first_import_makes_people_classes_and_roles(keycloak: Keycloak) -> None:
    plan = keycloak.sync(school(NOOR, ZOE, JEF, ELS))
    assert [name for _, name in plan.new] == ["noor.damme", "zoe.peeters", "jef.bos", "els.maes"]
    assert set(keycloak.groups) == {"/class/1A", "/class/1B", "/role/pupil", "/role/teacher"}
    assert keycloak.user("els.maes")["groups"] == {"/class/1A", "/class/1B", "/role/teacher"}
    assert keycloak.user("noor.damme")["attributes"] == {
        "roster_id": ["1"],
        "roster_source": ["school"],
        "school_id": ["91"],
    }
    assert keycloak.user("noor.damme")["requiredActions"] == ["UPDATE_PASSWORD"]


def test_moves_and_new_names_keep_the_username(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR, ZOE, JEF))
    moved = replace(NOOR, classes=frozenset({"1B"}))
    renamed = replace(ZOE, family_name="Van Damme", email="zoe@school.example")
    assert kinds(keycloak.sync(school(moved, renamed, JEF))) == {
        "moved": ["noor.damme"],
        "changed": ["zoe.peeters"],
    }
    assert keycloak.user("noor.damme")["groups"] == {"/class/1B", "/role/pupil"}
    assert keycloak.user("zoe.peeters")["lastName"] == "Van Damme"


def test_leavers_are_disabled_and_kept_and_come_back(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR, ZOE, JEF))
    assert kinds(keycloak.sync(school(NOOR, ZOE))) == {"leaving": ["jef.bos"]}
    jef = keycloak.user("jef.bos")
    assert not jef["enabled"]
    assert jef["attributes"]["leaving_since"] == ["2026-09-01"]
    assert jef["groups"] == {"/role/pupil"}
    keycloak.sync(school(NOOR, ZOE), TODAY + datetime.timedelta(100))
    assert jef["attributes"]["leaving_since"] == ["2026-09-01"]
    assert kinds(keycloak.sync(school(NOOR, ZOE, JEF))) == {"returning": ["jef.bos"]}
    assert jef["enabled"]
    assert "leaving_since" not in jef["attributes"]
    assert jef["groups"] == {"/class/1B", "/role/pupil"}


def test_leavers_are_deleted_only_after_their_time(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR, ZOE, JEF))
    keycloak.sync(school(NOOR, ZOE))
    keycloak.user("zoe.peeters")["enabled"] = False  # by hand: no leaver
    for days, due in ((364, []), (365, ["jef.bos"])):
        found, kept = deletions(
            keycloak.state(), roster_list="school", keep_days=365, today=TODAY + datetime.timedelta(days)
        )
        assert [account.username for account in found] == due
        assert len(found) + len(kept) == 1
        assert "jef.bos" in show_deletions(found, kept, applies=False) or not due


def test_a_class_that_ended_keeps_its_group(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR, JEF))
    keycloak.sync(school(NOOR, replace(JEF, classes=frozenset({"1A"}))))
    assert keycloak.groups["/class/1B"]["attributes"] == {
        "roster_source": ["school"],
        "class": ["1B"],
        "school_group": ["class-1B"],
        "ended": ["2026-09-01"],
    }
    keycloak.sync(school(NOOR, JEF))
    assert keycloak.groups["/class/1B"]["attributes"] == {
        "roster_source": ["school"],
        "class": ["1B"],
        "school_group": ["class-1B"],
    }


def test_groups_that_applications_are_not_told_of_yet_are_told_at_the_next_import(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR, ELS))
    assert keycloak.groups["/role/teacher"]["attributes"] == {"school_group": ["role-teacher"]}
    # As an import left it before there was that attribute.
    del keycloak.groups["/class/1A"]["attributes"]["school_group"]
    keycloak.groups["/class/1A"]["attributes"]["room"] = ["12"]
    assert set(keycloak.sync(school(NOOR, ELS)).groups) == {"/class/1A"}
    assert keycloak.groups["/class/1A"]["attributes"]["school_group"] == ["class-1A"]
    assert keycloak.groups["/class/1A"]["attributes"]["room"] == ["12"]


def test_accounts_and_groups_made_by_hand_are_never_touched(keycloak: Keycloak) -> None:
    keycloak.groups["/class/chess"] = {"attributes": {}}
    keycloak.groups["/role/ict"] = {"attributes": {}}
    hand = keycloak.add(
        "noor.damme", ("/role/ict", "/class/chess"), email="noor@school.example", lastName="x"
    )
    before = {**hand, "groups": set(hand["groups"])}
    plan = keycloak.sync(school(replace(NOOR, email="noor@school.example"), ZOE))
    assert [name for _, name in plan.new] == ["noor.damme2", "zoe.peeters"]
    keycloak.user("zoe.peeters")["groups"].add("/class/chess")
    keycloak.sync(school(ZOE))
    assert hand == before
    assert keycloak.user("zoe.peeters")["groups"] == {"/class/chess", "/class/1A", "/role/pupil"}
    assert keycloak.groups["/class/chess"] == {"attributes": {}}


def test_an_account_disabled_by_hand_stays_disabled(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR, ZOE))
    keycloak.user("zoe.peeters")["enabled"] = False
    assert keycloak.plan(school(NOOR, ZOE)).is_empty


def test_lists_leave_each_others_people_alone(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR, ZOE), name="pupils")
    keycloak.sync(school(ELS), name="staff")
    assert keycloak.plan(school(NOOR, ZOE), name="pupils").is_empty
    assert keycloak.sync(school(NOOR), name="pupils").disabled == 1
    assert keycloak.user("els.maes")["enabled"]


def test_people_are_recognised_by_eck_id_before_number(keycloak: Keycloak) -> None:
    eck = "https://ketenid.nl/202609/noor"
    keycloak.sync(school(replace(NOOR, eck_id=eck), ZOE))
    other_number = replace(NOOR, eck_id=eck, source_id="77")
    assert kinds(keycloak.sync(school(other_number, ZOE))) == {"changed": ["noor.damme"]}
    stranger = replace(person("77", "Ann Weg"), eck_id="https://ketenid.nl/202609/ann")
    plan = keycloak.sync(school(stranger, ZOE))
    assert [name for _, name in plan.new] == ["ann.weg"]
    assert kinds(plan) == {"leaving": ["noor.damme"]}


def test_an_eck_id_that_comes_later_is_added(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR))
    keycloak.sync(school(replace(NOOR, eck_id="https://ketenid.nl/202609/noor")))
    assert keycloak.user("noor.damme")["attributes"]["eck_id"] == ["https://ketenid.nl/202609/noor"]


def test_what_the_list_does_not_say_is_left_as_it_is(keycloak: Keycloak) -> None:
    keycloak.sync(school(replace(NOOR, email="noor@school.example")))
    keycloak.user("noor.damme")["attributes"]["favourite"] = ["tea", "milk"]
    assert keycloak.plan(school(replace(NOOR, school_id=""))).is_empty
    assert keycloak.user("noor.damme")["attributes"]["favourite"] == ["tea", "milk"]


@pytest.mark.parametrize(("leaving", "refused"), [(1, False), (2, True)])
def test_a_tenth_of_the_school_does_not_leave_at_once(
    keycloak: Keycloak, leaving: int, refused: bool
) -> None:
    people = [person(str(number), f"Kind {chr(96 + number)}") for number in range(1, 11)]
    keycloak.sync(school(*people))
    plan = keycloak.plan(school(*people[leaving:]))
    assert plan.is_mass_leave is refused
    assert ("--allow-mass-leave" in show_plan(plan, asked=False, allowed=False)) is refused


def test_usernames_of_the_list_that_are_taken_are_refused(keycloak: Keycloak) -> None:
    keycloak.add("noor")
    plan = keycloak.plan(school(replace(NOOR, username="noor"), replace(ZOE, given_name="!", family_name="")))
    assert [(refusal.place.line, refusal.key) for refusal in plan.refused] == [
        (1, "username_taken"),
        (2, "no_letters"),
    ]
    assert "list.csv" in show_plan(plan, asked=False, allowed=False)


def test_a_plan_cut_off_anywhere_ends_the_same_when_repeated() -> None:
    first, second = (
        school(NOOR, ZOE, JEF, ELS),
        school(
            replace(NOOR, classes=frozenset({"2A"})),
            replace(ZOE, family_name="X"),
            person("5", "Noor Damme"),
            person("6", "Noor Damme"),
        ),
    )
    whole = Keycloak()
    whole.sync(first)
    whole.sync(second)
    for steps in range(25):
        keycloak = Keycloak()
        keycloak.sync(first)
        keycloak.apply(keycloak.plan(second), steps)
        keycloak.sync(second)
        assert keycloak.users == whole.users
        assert keycloak.groups == whole.groups


def test_the_plan_names_who_changes(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR, ZOE, JEF))
    text = show_plan(
        keycloak.plan(school(replace(NOOR, classes=frozenset({"2A"})), replace(ZOE, family_name="Bos"))),
        asked=False,
        allowed=True,
    )
    assert "Noor Damme (noor.damme): -1A, +2A" in text
    assert "Zoë Peeters → Zoë Bos" in text
    assert "Jef Bos (jef.bos)" in text
    assert "/class/1B" in text


def test_a_large_first_import_is_counted_per_class(keycloak: Keycloak) -> None:
    people = [person(str(number), f"Kind {number}") for number in range(1, 100)]
    text = show_plan(keycloak.plan(school(*people)), asked=False, allowed=False)
    assert "1A: 99" in text
    assert "Kind 5" not in text


def test_a_plan_that_is_not_carried_out_does_not_say_it_is(keycloak: Keycloak) -> None:
    keycloak.sync(school(NOOR, ZOE))
    plan = keycloak.plan(school(NOOR))
    headings = [show_plan(plan, asked=True, allowed=allowed).splitlines()[0] for allowed in (False, True)]
    assert headings == [say("roster.plan.looking"), say("roster.plan.applying")]


# The action plugin, which carries a plan out


class Action(roster_action.ActionModule):
    """The plugin with a Keycloak in memory, which carries out no more than some steps of what it is told."""

    def __init__(self, folder: Path, keycloak: Keycloak, steps: int = 1_000_000) -> None:
        sample.write(folder / "list", pupils=4, classes=2, teachers=1)
        arguments = {
            "source": str(folder / "list"),
            "list": "school",
            "apply": True,
            "keep_days": 30,
            "sheets_dir": str(folder / "sheets"),
            "vault_key_file": str(folder / "key"),
            "keycloak": {},
        }
        (folder / "key").write_text("a key of a test", encoding="utf-8")
        self._task = SimpleNamespace(args=arguments, check_mode=False, async_val=False)
        self.keycloak, self.steps, self.asked = keycloak, steps, []

    def _ask_keycloak(self, operations: dict[str, Any] | None) -> dict[str, Any]:
        self.asked.append("read" if operations is None else "change")
        if operations is not None:
            self.keycloak.carry_out(operations, self.steps)
            return {}
        return {"found": json.dumps(self.keycloak.found())}


def test_an_import_is_done_when_it_was_seen_to_be(tmp_path: Path, keycloak: Keycloak) -> None:
    action = Action(tmp_path, keycloak)
    assert action.run()["counts"]["new"] == 8
    assert action.asked == ["read", "change", "read"]
    action.asked.clear()
    assert not action.run()["changed"]
    assert action.asked == ["read"]


def test_what_keycloak_did_not_take_is_shown_and_its_password_stays_on_paper(
    tmp_path: Path, keycloak: Keycloak, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AnsibleActionFail, match="Keycloak does not have all of it"):
        Action(tmp_path, keycloak, steps=8).run()
    made = len(keycloak.users)
    assert f"New: {8 - made}" in capsys.readouterr().out.split("(nothing is changed now)")[1]
    (pending,) = (tmp_path / "sheets").iterdir()
    action = Action(tmp_path, keycloak)
    assert action.run()["counts"]["new"] == 8 - made
    (finished,) = (tmp_path / "sheets").iterdir()
    assert finished != pending


def test_everybody_is_told_only_where_an_application_follows_and_never_shown(tmp_path: Path) -> None:
    keycloak = Keycloak()
    action = Action(tmp_path, keycloak)
    action._task.args |= {"apply": False}
    assert "people" not in action.run()
    action._task.args |= {"tell": True}
    result = action.run()
    # Ansible shows nothing of a result with this mark.
    assert result["_ansible_no_log"] is True
    told = json.loads(result["people"])
    assert {role for one in told for role in one["roles"]} >= {"pupil", "teacher"}
    assert all(one["classes"] for one in told if one["roles"] == ["pupil"])
    # What will be, while nothing has been carried out.
    assert keycloak.users == {}
