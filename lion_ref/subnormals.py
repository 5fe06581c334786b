"""The choice of a rule for subnormals that every adapter offers, checked alike (SPEC C33)."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, cast, get_args

from lion_ref.checks import shown

SubnormalsChoice: TypeAlias = Literal["native", "flush", "keep"]
"""The platform's own rule; C18's flush on every platform; C6's, kept."""

_LEGAL: Final[tuple[str, ...]] = get_args(SubnormalsChoice)  # looked up once: steps check theirs


def check_subnormals(value: object) -> SubnormalsChoice:
    """value as a choice; ValueError that says which are legal for any other.

    >>> check_subnormals("flush")
    'flush'
    >>> check_subnormals("flushed")
    Traceback (most recent call last):
        ...
    ValueError: subnormals='flushed' is not legal; legal: 'native', 'flush', 'keep'
    """
    if not isinstance(value, str) or value not in _LEGAL:
        legal = ", ".join(map(repr, _LEGAL))
        raise ValueError(f"subnormals={shown(value)} is not legal; legal: {legal}")
    return cast("SubnormalsChoice", value)


def cannot_keep(platform: str, reason: str) -> ValueError:
    """The refusal of "keep" where the platform flushes whatever it is asked.

    >>> raise cannot_keep("JAX on a CPU", "its compiler, XLA, flushes them")
    Traceback (most recent call last):
        ...
    ValueError: subnormals='keep' is not legal for JAX on a CPU: its compiler, XLA, flushes them; \
legal: 'native', 'flush'
    """
    return ValueError(
        f"subnormals='keep' is not legal for {platform}: {reason}; legal: 'native', 'flush'"
    )
