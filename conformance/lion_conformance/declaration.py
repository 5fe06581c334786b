"""The semantics that a port declares outside Python: choices by name, from a program or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lion_ref import Semantics
from lion_ref.semantics import choices

if TYPE_CHECKING:
    from collections.abc import Mapping


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
            raise ValueError(f"choice {name!r} is not legal; legal: {', '.join(choices())}")
    return Semantics(**named)
