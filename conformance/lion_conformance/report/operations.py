"""A counterexample's step, operation by operation (SPEC C5), and what the port's θ' says of its u.

Of a port no more is known than θ' and m'; but there are four u alone, and each has its own θ'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

import lion_ref
from lion_conformance.cases.case import Case
from lion_conformance.report.counterexample import Counterexample, Value
from lion_conformance.verdict.differences import ordinals
from lion_ref.arithmetic import Array, bits, round_to
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.update import operations

FORMULAS: Final = {
    "a": "β1·m",
    "b": "(1-β1)·g",
    "c": "a + b",
    "u": "sign(c)",
    "d": "λ·θ",
    "s": "u + d",
    "e": "η·s",
    "θ'": "θ - e",
    "x": "β2·m",
    "y": "(1-β2)·g",
    "m'": "x + y",
}
SIGNS: Final = {"-1": -1.0, "0": 0.0, "+1": 1.0, "NaN": float("nan")}
"""What sign gives (SPEC C7): a step with m = g = u has just that u."""
_STORED: Final = {"θ'": "param", "m'": "momentum"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the reference: in the compute dtype, θ' and m' as they are stored."""

    name: str
    formula: str
    dtype: str
    value: Value
    got: Value | None = None
    """What the port has in its place, where that is known."""


def operations_of(found: Counterexample) -> tuple[Operation, ...]:
    """The canonical step of the element shown; nothing where no such step is what was judged."""
    case = _element(found)
    if case is None:
        return ()
    results = operations(*case.arrays, **case.scalars)
    return tuple(
        _operation(found, case, name, result)
        for name, result in zip(FORMULAS, results, strict=True)
    )


def _operation(found: Counterexample, case: Case, name: str, result: Array) -> Operation:
    stored = _STORED.get(name)
    if stored is not None:
        result = round_to(result, getattr(case, stored).dtype)
    got = None if stored is None else found.got.get(stored)
    return Operation(name, FORMULAS[name], result.dtype.name, Value.of(result), got)


def _element(found: Counterexample) -> Case | None:
    """The element, where the port has an answer to a step that should have been canonical."""
    case = found.case
    canonical = bool(found.accepted) or found.promised == lion_ref.CANONICAL
    if case is None or not case.param.size or not found.got or not canonical:
        return None
    native = (x.astype(x.dtype.newbyteorder("="), copy=False) for x in case.at(found.index).arrays)
    return case.with_arrays(x.reshape(-1) for x in native)


def what_it_did(found: Counterexample) -> tuple[str, ...]:
    """What the port's θ' and m' say of it, a sentence each.

    >>> import lion_conformance
    >>> def ascends(param, momentum, grad, *, lr, **scalars):
    ...     down, kept = lion_ref.step(param, momentum, grad, lr=lr, **scalars)
    ...     return param + (param - down), kept
    >>> report = lion_conformance.verify(ascends, dtypes=["float32"], max_examples=1, explain=False)
    >>> what_it_did(report.counterexample)
    ("θ' is what u = +1 gives; the reference's u is -1", "m' is the reference's")
    """
    case = _element(found)
    if case is None:
        return ()
    results = operations(*case.arrays, **case.scalars)
    param = round_to(results.new_param, case.param.dtype)
    momentum = round_to(results.new_momentum, case.momentum.dtype)
    said = _of_param(found, case, float(results.u[0]), param)
    return *said, *_of_momentum(found, momentum)


def _of_param(found: Counterexample, case: Case, u: float, param: Array) -> Iterator[str]:
    if "param" not in found.got:
        return
    got = _array(found.got["param"], param.dtype)
    if _same(got, param):
        yield "θ' is the reference's"
        return
    given = {name: _with_sign(case, sign) for name, sign in SIGNS.items()}
    giving = [name for name, result in given.items() if _same(result, got)]
    if giving:
        yield f"θ' is what u = {' or '.join(giving)} gives; the reference's u is {_name(u)}"
        return
    far = {name: _ulps(result, got) for name, result in given.items()}
    near = {name: ulps for name, ulps in far.items() if ulps is not None}
    if not near:
        yield "no u gives this θ'"
        return
    nearest = min(near, key=lambda name: (near[name], name != _name(u)))
    yield f"no u gives this θ'; u = {nearest} comes nearest, {_away(near[nearest])}"


def _of_momentum(found: Counterexample, momentum: Array) -> Iterator[str]:
    if "momentum" not in found.got:
        return
    got = _array(found.got["momentum"], momentum.dtype)
    if _same(got, momentum):
        yield "m' is the reference's"
        return
    ulps = _ulps(momentum, got)
    yield "m' is not the reference's" + ("" if ulps is None else f": {_away(ulps)}")


def _with_sign(case: Case, sign: float) -> Array:
    """θ' for the given u, stored: the reference's own step, from an m and g of that sign."""
    momentum, grad = (np.full_like(x, sign) for x in (case.momentum, case.grad))
    return lion_ref.step(case.param, momentum, grad, **case.scalars)[0]


def _array(value: Value, dtype: np.dtype[Any]) -> Array:
    pattern = np.array([int(value.hex, 16)], f"u{dtype.itemsize}")
    return pattern.view(STORAGE_DTYPES[dtype.name])


def _same(one: Array, other: Array) -> bool:
    return bool(bits(one)[0] == bits(other)[0]) or bool(np.isnan(one[0]) and np.isnan(other[0]))


def _ulps(one: Array, other: Array) -> int | None:
    """How far apart two numbers are; None where one of them is NaN."""
    if np.isnan(one[0]) or np.isnan(other[0]):
        return None
    first, second = (int(ordinals(x)[0]) for x in (one, other))
    return abs(first - second)


def _away(ulps: int) -> str:
    return f"{ulps:,} ulp{'s' * (ulps != 1)} away"


def _name(u: float) -> str:
    return next((name for name, sign in SIGNS.items() if sign == u), "NaN")
