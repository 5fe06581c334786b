"""Refusals that the reference and its adapters make in the same words (SPEC C13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LONGEST_VALUE = 500
"""Characters of a value that an error shows."""

MOST_LISTED = 20
"""Things of one kind that an error names one by one."""


def shown(value: object) -> str:
    """A value as an error shows it: as Python writes it, but in one line and not endlessly.

    >>> shown(np.eye(2)), len(shown("x" * 1000))
    ('array([[1., 0.], [0., 1.]])', 501)
    """
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # more digits than Python writes, or deeper than it goes
        return f"<{type(value).__name__}>"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def listed(words: Sequence[str], separator: str = ", ") -> str:
    """What an error lists, but not endlessly.

    >>> listed(["a", "b"]), listed(["a"] * 1000, "; ")[-20:]
    ('a, b', 'a; a; a and 980 more')
    """
    more = len(words) - MOST_LISTED
    return separator.join(words[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def as_array(name: str, value: ArrayLike) -> NDArray[Any]:
    """value as NumPy makes an array of it; TypeError for one whose mask would be ignored."""
    refuse_mask(name, value)
    return np.asarray(value)


def refuse_mask(name: str, value: object) -> None:
    """TypeError for an array whose mask would be ignored."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask the update would ignore; legal: an array"
        )


def check_shapes(param: Iterable[int], **others: Iterable[int]) -> None:
    """ValueError that shows both shapes unless the others have the parameter's.

    >>> check_shapes((2,), momentum=(2,), grad=(3,))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: grad has shape (3,), but param has shape (2,); legal: ...
    """
    for name, shape in others.items():
        if tuple(shape) != tuple(param):
            raise ValueError(
                f"{name} has shape {tuple(shape)}, but param has shape {tuple(param)}; "
                "legal: param, momentum and grad of one shape"
            )


def integer(name: str, value: object, least: int, most: int) -> int:
    """value as Python's integer; ValueError unless it, or NumPy's, lies in [least, most].

    >>> integer("step", np.int64(3), 0, 10)
    3
    >>> integer("step", 3.0, 0, 10)
    Traceback (most recent call last):
        ...
    ValueError: step=3.0 is not legal; legal: an integer in [0, 10]
    """
    # timedelta64 registers as an integer, and is a duration.
    is_other = isinstance(value, (bool, np.timedelta64))
    if is_other or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        raise ValueError(
            f"{name}={shown(value)} is not legal; legal: an integer in [{least}, {most}]"
        )
    return int(value)


def type_name(value: object) -> str:
    """The type of what was given, with its module unless that is Python's own.

    >>> type_name(1), type_name(np.zeros(1))
    ('int', 'numpy.ndarray')
    """
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
