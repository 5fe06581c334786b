"""A value held to a JSON Schema, and what is wrong with it in one line."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import ValidationError


def fault(value: Any, schema: dict[str, Any]) -> str:
    """The first thing that the schema does not allow, and where; empty if it allows all.

    As in "groups[0].cases[2].param is 'x'; legal: pattern ^[0-9a-f]+$".

    Raises:
        ImportError: there is no jsonschema, which `lion-ref[conformance]` brings.
    """
    try:
        from jsonschema import Draft202012Validator, validators
    except ModuleNotFoundError as error:
        raise ImportError(
            "vectors are held to their schema by jsonschema: pip install 'lion-ref[conformance]'"
        ) from error
    # 1.0 is an integer to JSON Schema, and no number of elements to Python.
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, x: type(x) is int)
    validator = validators.extend(Draft202012Validator, type_checker=types)
    found = next(validator(schema).iter_errors(value), None)
    return "" if found is None else _in_words(found)


def _in_words(error: ValidationError) -> str:
    """Of several forms, one of them legal, what is wrong with the one that comes nearest."""
    while error.context:
        branches: dict[Any, list[ValidationError]] = {}
        for one in error.context:
            branches.setdefault(one.schema_path[0], []).append(one)
        error = min(branches.values(), key=len)[0]
    wanted = error.validator_value
    legal = ", ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)
    where = "".join(map(_step, error.absolute_path)).removeprefix(".") or "the document"
    return f"{where} is {_shown(error.instance)}; legal: {error.validator} {legal}"


def _step(key: str | int) -> str:
    """One step into the document; a key may be anything, of any length."""
    short = str(key).isidentifier() and len(str(key)) < 40
    return f".{key}" if short else f"[{reprlib.repr(key)}]"


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return reprlib.repr(value)
