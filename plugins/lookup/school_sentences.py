"""The project's sentences, for programs that speak on a school's servers."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase

from schoolstack.messages import LANGUAGES, catalogue, language

DOCUMENTATION = r"""
name: school_sentences
short_description: Sentences that people read, from the project's catalogue
description:
    - With a term, the sentences below that key, by language.
    - Without, the language of whoever runs the playbook.
author: Schoolstack contributors
options:
    _terms:
        description: The first part of the sentences' keys, such as C(backup).
"""

RETURN = r"""
_list:
    description: Sentences by key by language; or the language.
    type: list
"""


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return the sentences of each term, or the language."""
        return [sentences(term) for term in terms] or [language()]


def sentences(prefix: str) -> dict[str, dict[str, str]]:
    """Return the sentences whose key begins with *prefix* and a dot, without it, by language."""
    return {
        lang: {
            key.removeprefix(f"{prefix}."): sentence
            for key, sentence in catalogue(lang).items()
            if key.startswith(f"{prefix}.")
        }
        for lang in LANGUAGES
    }
