"""What this program says to people: sentences from the project's catalogue, which comes with the program."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import NoReturn

CATALOGUE = Path(__file__).with_name("sentences.json")


class RefusalError(Exception):
    """Something that cannot be done, said in a sentence for people.

    Attributes:
        key: what the catalogue calls the sentence; empty when it is several.
    """

    def __init__(self, sentence: str, key: str = "") -> None:
        """Refuse with a sentence."""
        super().__init__(sentence)
        self.key = key


@functools.cache
def catalogue() -> dict[str, dict[str, str]]:
    """Return the sentences by language and key."""
    found: dict[str, dict[str, str]] = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return found


def say(key: str, /, **values: object) -> str:
    """Return a sentence in the language of whoever started this program, else in English."""
    wanted = next(filter(None, map(os.environ.get, ("SCHOOL_LANGUAGE", "LC_ALL", "LANG"))), "")[:2].lower()
    sentences = catalogue()
    return sentences.get(wanted, sentences["en"])[key].format(**values)


def refuse(key: str, /, **values: object) -> NoReturn:
    """Refuse with a sentence.

    Raises:
        RefusalError: always.
    """
    raise RefusalError(say(key, **values), key) from None
