"""Check an application's declaration against its JSON Schema, one sentence per wrong field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError

from schoolstack.messages import say


def check_declaration(
    declaration: object, schema: dict[str, Any], role: str, sentences: str = "declaration"
) -> list[str]:
    """Return one sentence for each field of *declaration* that is wrong.

    Args:
        declaration: the resolved declaration of an application.
        schema: ``roles/app/files/declaration.schema.json``, parsed.
        role: the role that declares it, named in each sentence.
        sentences: where in the catalogue the sentences stand.
    """
    validator = jsonschema.Draft202012Validator(schema)
    wrong: dict[str, ValidationError] = {}
    for error in validator.iter_errors(declaration):
        for field in _fields(error):
            wrong.setdefault(field, error)
    return [_sentence(sentences, role, field, error) for field, error in sorted(wrong.items())]


def unit(service: Mapping[str, Any]) -> str:
    """Return the unit that is there as long as a declared service is well: of one that runs by a timer, that.

    Args:
        service: an entry of a declaration's ``services``.
    """
    return f"{service['name']}.{'timer' if 'every_s' in service else 'service'}"


def _fields(error: ValidationError) -> list[str]:
    """Return the dotted path of each field that *error* is about."""
    path = [str(part) for part in error.absolute_path]
    found: Any = error.instance
    wanted: Any = error.validator_value
    match error.validator:
        case "required":
            names = [name for name in wanted if name not in found]
        case "additionalProperties":
            names = [name for name in found if name not in _known(error)]
        case _:
            return [".".join(path)]
    return [".".join([*path, name]) for name in names]


def _known(error: ValidationError) -> list[str]:
    """Return the fields that the schema knows at the place of *error*."""
    schema: Any = error.schema
    return sorted(schema.get("properties", {}))


def _sentence(sentences: str, role: str, field: str, error: ValidationError) -> str:
    values: dict[str, Any] = {"role": role, "field": field or "(the whole)", "found": error.instance}
    wanted: Any = error.validator_value
    match error.validator:
        case "required":
            return say(f"{sentences}.missing", **values)
        case "additionalProperties":
            return say(f"{sentences}.unknown", **values, known=", ".join(_known(error)))
        case "type":
            return say(f"{sentences}.type", **values, wanted=wanted)
        case "enum":
            return say(f"{sentences}.choice", **values, wanted=", ".join(map(str, wanted)))
        case "pattern":
            return say(f"{sentences}.pattern", **values, wanted=wanted)
        case _:
            return say(f"{sentences}.other", **values, reason=error.message)
