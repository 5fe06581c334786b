"""JSON as a stranger may have written it: read without loss, or refused in one line."""

from __future__ import annotations

import json
from typing import Any

from lion_ref.checks import shown

_MOST_DIGITS = 400  # binary64's largest number, written out, has 309


def json_value(what: str, text: str | bytes) -> Any:
    """A value in JSON, no key twice and no NaN in it; ValueError in one line for anything else.

    >>> json_value("it", "[-0, 1e-1]")
    [-0.0, 0.1]
    >>> json_value("it", '{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    ValueError: it is no JSON: 'a' is there twice; legal: that of a run state
    """
    try:
        # As UTF-8 alone, where json.loads would guess at UTF-16 and at a byte order mark.
        plain = text if isinstance(text, str) else text.decode()
        return json.loads(
            plain, object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_integer
        )
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{what} is no JSON: {reason}; legal: that of a run state") from None


def check(holds: bool, what: str, legal: str) -> None:
    """ValueError that says what is wrong, and what would be legal, unless it holds."""
    if not holds:
        raise ValueError(f"{what}; legal: {legal}")


def is_text(value: Any) -> bool:
    """Whether it is an object of strings."""
    return isinstance(value, dict) and all(isinstance(x, str) for x in value.values())


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} is there twice")
        found[name] = value
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _integer(digits: str) -> int | float:
    """An integer, but for -0, of which an integer would lose the sign."""
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return -0.0 if digits == "-0" else int(digits)
