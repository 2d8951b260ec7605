"""Usernames follow one rule: plain letters, short, never twice, never of someone else, never a number."""

from __future__ import annotations

import random
import re

import pytest

from schoolstack.roster import usernames
from schoolstack.roster.model import Person, Place

VALID = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)?")
LETTERS = "abcéèëïöüñçßøåłıİŞğĳŁĐÞæœ'- ’МосквアДجمㄱ李"


def person(number: int | str, given: str, family: str, username: str = "") -> Person:
    return Person(
        str(number), given, family, frozenset({"pupil"}), frozenset(), Place("x", 1), username=username
    )


@pytest.mark.parametrize(
    ("given", "family", "wanted"),
    [
        ("Noor", "Peeters", "noor.peeters"),
        ("Zoë", "Lefèvre", "zoe.lefevre"),
        ("ĳsbrand", "Ĳzerman", "ijsbrand.ijzerman"),
        ("IJsbrand", "Groß", "ijsbrand.gross"),
        ("Søren", "Øllgård", "soren.ollgard"),
        ("Łukasz", "Wałęsa", "lukasz.walesa"),
        ("Işıl", "Öztürk", "isil.ozturk"),
        ("İrem", "Şahin", "irem.sahin"),
        ("Jan-Willem", "Van den Berg", "janwillem.vandenberg"),
        ("D'Artagnan", "O’Brien", "dartagnan.obrien"),
        ("Мария", "Иванова", "mariya.ivanova"),
        ("Maximiliaan-Alexander", "Van der Straeten-Vandenbroucke", "maximiliaana.vanderstraetenvan"),
        ("Madonna", "", "madonna"),
        ("", "Aung", "aung"),
        ("", "Li", "li.li"),
        ("!", "?", ""),
    ],
)
def test_the_rule(given: str, family: str, wanted: str) -> None:
    found = usernames.base(given, family)
    assert found == wanted
    assert len(found) <= usernames.MAX_LENGTH


def test_doubles_are_numbered_in_the_order_of_the_administration() -> None:
    same = [person(number, "Jan", "Peeters") for number in (1000, 9, 20)]
    assert usernames.assign(same, []) == {"9": "jan.peeters", "20": "jan.peeters2", "1000": "jan.peeters3"}


def test_a_taken_username_is_not_given_again() -> None:
    taken = ["jan.peeters", "jan.peeters2"]
    assert usernames.assign([person(1, "Jan", "Peeters")], taken) == {"1": "jan.peeters3"}


def test_a_number_fits_in_the_length() -> None:
    long = "a" * 40
    given = usernames.assign([person(n, long, long) for n in range(12)], [])
    assert all(len(name) == usernames.MAX_LENGTH for name in given.values())
    assert len(set(given.values())) == 12


@pytest.mark.parametrize("seed", range(50))
def test_any_school_gets_valid_unique_stable_usernames(seed: int) -> None:
    chance = random.Random(seed)

    def word() -> str:
        return "".join(chance.choice(LETTERS) for _ in range(chance.randint(0, 14)))

    people = [person(number, word(), word()) for number in range(200)]
    people = [one for one in people if usernames.base(one.given_name, one.family_name)]
    taken = {usernames.base(one.given_name, one.family_name) for one in people[:20]}
    given = usernames.assign(people, taken)
    assert len(set(given.values())) == len(people)
    assert not taken & set(given.values())
    for name in given.values():
        assert VALID.fullmatch(name), name
        assert usernames.MIN_LENGTH <= len(name) <= usernames.MAX_LENGTH
    shuffled = chance.sample(people, len(people))
    assert usernames.assign(shuffled, taken) == given


def test_a_run_that_was_cut_off_goes_on_with_the_same_usernames() -> None:
    people = [person(number, "Jan", "Peeters") for number in range(30)]
    whole = usernames.assign(people, [])
    for cut in range(30):
        first = dict(list(whole.items())[:cut])
        rest = usernames.assign([one for one in people if one.source_id not in first], first.values())
        assert first | rest == whole
