"""Check an application's declaration against its JSON Schema, one sentence per wrong field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError, relevance

from schoolstack.messages import say


def check_declaration(declaration: object, schema: dict[str, Any], role: str) -> list[str]:
    """Return one sentence for each field of *declaration* that is wrong.

    Args:
        declaration: the resolved declaration of an application.
        schema: ``roles/app/files/declaration.schema.json``, parsed.
        role: the role that declares it, named in each sentence.
    """
    validator = jsonschema.Draft202012Validator(schema)
    worst: dict[str, ValidationError] = {}
    for error in validator.iter_errors(declaration):
        for field, leaf in _leaves(error):
            if field not in worst or relevance(leaf) > relevance(worst[field]):
                worst[field] = leaf
    return [_sentence(role, field, error) for field, error in sorted(worst.items())]


def _leaves(error: ValidationError) -> Iterator[tuple[str, ValidationError]]:
    """Yield the innermost errors with the path of the field that each is about."""
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "required":
        for name in error.validator_value:
            if isinstance(error.instance, dict) and name not in error.instance:
                yield _join(path, name), error
    elif error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for name in error.instance:
            if name not in known:
                yield _join(path, name), error
    else:
        yield path, error


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _sentence(role: str, field: str, error: ValidationError) -> str:
    values: dict[str, Any] = {"role": role, "field": field or "(the whole)", "found": error.instance}
    match error.validator:
        case "required":
            return say("declaration.missing", **values)
        case "additionalProperties":
            known = ", ".join(sorted(error.schema.get("properties", {})))
            return say("declaration.unknown", **values, known=known)
        case "type":
            return say("declaration.type", **values, wanted=error.validator_value)
        case "enum":
            return say("declaration.choice", **values, wanted=", ".join(map(str, error.validator_value)))
        case "pattern":
            return say("declaration.pattern", **values, wanted=error.validator_value)
        case _:
            return say("declaration.other", **values, reason=error.message)
