"""Where a port's bits part from every semantics: the operation of SPEC C5, and an element."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

import lion_ref
from lion_conformance.diagnosis.evidence import Evidence, Part
from lion_ref import Semantics
from lion_ref.arithmetic import Array, bits

X, Y, SUM = "x = β2 ⊗ m", "y = (1-β2) ⊗ g", "m' = x ⊕ y"
A, B, C = "a = β1 ⊗ m", "b = (1-β1) ⊗ g", "c = a ⊕ b"
ZERO, NAN = "u = sign(c) where c is 0", "u = sign(c) where c is NaN"
D, E, LAST = "d = λ ⊗ θ", "e = η ⊗ s", "θ' = θ ⊖ e"
FEW = 40


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first operation whose result no semantics explains."""

    operation: str
    example: tuple[str, ...] = ()
    """One element, a line each: what was given, what came and what is nearest."""


def find_first_difference(
    seen: Sequence[Evidence], candidates: Sequence[Semantics], part: Part, parts: Iterable[Part]
) -> FirstDifference:
    """Where the candidate that comes nearest leaves the port's bits.

    Of all the elements that it misses, those with the plainest inputs name the operation: a product
    where the other operand of the sum is 0, the sum only where neither is.
    """
    last = seen[-1]
    nearest = min(candidates, key=lambda s: int(sum(last.misses(s, p).sum() for p in parts)))
    found = [
        (_rank(operation), len(set(e.case.triple)), i, j, operation)
        for i, e in enumerate(seen)
        for p in parts
        for j in np.flatnonzero(e.misses(nearest, p))[:FEW].tolist()
        for operation in [_operation(e, j, p)]
    ]
    if not found:
        return FirstDifference(part.value, ("no single form explains all elements at once",))
    _, _, i, j, operation = min(found)
    return FirstDifference(operation, _example(seen[i], j, nearest))


_ORDER = (X, Y, SUM, E, LAST, D, A, B, C, NAN, ZERO)


def _rank(operation: str) -> tuple[bool, int]:
    plain = operation.removesuffix(_EXTREME)
    return plain != operation, _ORDER.index(plain)


_EXTREME = ", where an operand is not finite"


def _operation(evidence: Evidence, index: int, part: Part) -> str:
    case = evidence.telling
    theta, m, g = (float(x[index]) for x in case.arrays)
    if part is Part.STEADY:
        operation = E if theta == 0 else D if case.weight_decay else LAST
        return operation if np.isfinite(theta) else operation + _EXTREME
    left, right, total = (X, Y, SUM) if part is Part.MOMENTUM else (A, B, C)
    if not (np.isfinite(m) and np.isfinite(g)):
        c_is_nan = np.isnan(m) or np.isnan(g) or m == -g
        return NAN if part is Part.PARAM and c_is_nan else total + _EXTREME
    if m == 0 and g == 0:
        return ZERO if part is Part.PARAM else total
    if part is Part.PARAM and not np.isfinite(theta):
        return D + _EXTREME
    return left if g == 0 else right if m == 0 else total


def _example(evidence: Evidence, index: int, nearest: Semantics) -> tuple[str, ...]:
    """One element, with the port's bits beside those of the nearest semantics."""
    case = evidence.telling.at(index)
    expected = lion_ref.step(*case.arrays, **case.scalars, semantics=nearest)
    names = ("θ", "m", "g")
    given = [f"{name} = {_text(x)}" for name, x in zip(names, case.arrays, strict=True)]
    scalars = ", ".join(f"{name}={value!r}" for name, value in case.scalars.items())
    results = [
        f"{name} = {_text(actual[index : index + 1])}, nearest {_text(wanted)}"
        for name, actual, wanted in zip(("θ'", "m'"), evidence.told, expected, strict=True)
    ]
    return f"{case.param.dtype}, {scalars}", ", ".join(given), *results


def _text(array: Array) -> str:
    return f"{array[0]!s} [{int(bits(array)[0]):0{2 * array.dtype.itemsize}x}]"
