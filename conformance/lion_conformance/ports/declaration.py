"""The semantics that a port declares: by name, from a program or a file; and not kept."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from lion_ref import Semantics
from lion_ref.semantics import choices


def not_as_declared(declared: Semantics) -> str:
    """What is said of bits that are others than those that a port declares.

    >>> not_as_declared(Semantics())
    'the bits are not those declared: canonical'
    """
    return f"the bits are not those declared: {declared.describe()}"


def semantics_of(named: Mapping[str, Any]) -> Semantics:
    """The Semantics with these choices; ValueError for a name or a value that there is not.

    >>> semantics_of({"subnormals": "flush"}).describe()
    'subnormals flushed'
    >>> semantics_of({"rounding": "up"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: choice 'rounding' is not legal; legal: sign_interpolation, sign_fused, ...
    """
    for name in named:
        if name not in choices():
            raise ValueError(
                f"choice {reprlib.repr(name)} is not legal; legal: {', '.join(choices())}"
            )
    return Semantics(**named)
