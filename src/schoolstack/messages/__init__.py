"""Every sentence that people read, in one catalogue: a file per language, a dotted key per sentence.

The language is that of ``SCHOOL_LANGUAGE``, else of ``LC_ALL``, ``LC_MESSAGES`` or ``LANG``, else English.
Where one process speaks with several people, :func:`speaking` sets it for one of them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("en", "nl")

_spoken: ContextVar[str] = ContextVar("spoken", default="")


@contextmanager
def speaking(lang: str) -> Iterator[None]:
    """Speak one of :data:`LANGUAGES` in this thread, whatever the process speaks."""
    before = _spoken.set(lang)
    try:
        yield
    finally:
        _spoken.reset(before)


def language() -> str:
    """Return the language that is spoken."""
    if spoken := _spoken.get():
        return spoken
    for name in ("SCHOOL_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        wanted = os.environ.get(name, "")[:2].lower()
        if wanted:
            return wanted if wanted in LANGUAGES else "en"
    return "en"


@functools.cache
def catalogue(lang: str) -> dict[str, str]:
    """Return every sentence of a language by its dotted key, such as ``preflight.clock``."""
    text = Path(__file__).with_name(f"{lang}.yml").read_text(encoding="utf-8")
    flat: dict[str, str] = {}

    def collect(prefix: str, node: dict[str, Any]) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                collect(f"{prefix}{key}.", value)
            else:
                flat[prefix + key] = value

    collect("", yaml.safe_load(text))
    return flat


def say(key: str, /, lang: str | None = None, **values: object) -> str:
    """Return a sentence with its values filled in.

    Args:
        key: dotted key of the sentence.
        lang: its language; that of the process when not given.
        values: what its placeholders stand for.

    Raises:
        KeyError: when the catalogue lacks the sentence, or a placeholder its value.
    """
    return catalogue(lang or language())[key].format(**values)
