"""Both languages say the same: every sentence exists in each, with the same values in it."""

from __future__ import annotations

import string

import pytest

from schoolstack.messages import LANGUAGES, catalogue, say


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_lacks_nothing(language: str) -> None:
    assert set(catalogue(language)) == set(catalogue("en"))
    for key, sentence in catalogue(language).items():
        assert sentence.strip(), key
        assert placeholders(sentence) == placeholders(catalogue("en")[key]), key


@pytest.mark.parametrize(
    ("wish", "language"), [("nl_BE.UTF-8", "nl"), ("en_GB", "en"), ("C", "en"), ("fr_BE", "en")]
)
def test_the_language_is_that_of_the_terminal(
    wish: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SCHOOL_LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", wish)
    assert say("roster.line", line=3) == catalogue(language)["roster.line"].format(line=3)
    monkeypatch.setenv("SCHOOL_LANGUAGE", "nl")
    assert say("roster.line", line=3) == "regel 3"
