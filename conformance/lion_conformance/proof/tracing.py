"""A port's update as expressions, held against what the port itself computes.

Whoever is traced may do otherwise then: ask whether it was given a NumPy array, remember its calls.
So the expressions are evaluated on adversarial inputs, the port is run on the same, and where the
bits differ nothing is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from lion_conformance.cases.case import (
    BETAS,
    LEARNING_RATES,
    PROFILES,
    WEIGHT_DECAYS,
    Case,
    adversarial,
)
from lion_conformance.operations.traced import NotTracedError, Trace, Traced
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import Port, PortError, Triple, run_once
from lion_conformance.proof.evaluation import in_order, values
from lion_conformance.proof.forms import alike, places_of
from lion_conformance.proof.symbols import ELEMENTS, SCALARS
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, bits, same_bits

KINDS: Final = tuple(dict.fromkeys(PROFILES))
TRIALS: Final = 8 * len(KINDS)
FEW_TRIALS: Final = len(KINDS)
"""Of a port that compiles for each pair of betas."""

_PARTS: Final = ("param", "momentum")


def trace_of(port: Port | Callable[..., Any]) -> Trace:
    """The update of a port, or of a callable with lion_ref.step's signature, as expressions.

    Tracing raises NotTracedError, which says why, for what cannot be had.
    """
    made = port if isinstance(port, Port) else from_callable(port)
    return partial(_checked, made)


def _checked(port: Port, triple: Triple) -> Iterator[Traced]:
    if port.trace is None:
        raise NotTracedError(f"{port.name} cannot be traced")
    found = list(port.trace(triple))
    for traced in found:
        if traced.size and not traced.findings:
            _check(port, triple, traced)
    # The largest size takes as long as all others, and nothing new of a port comes to light there.
    again = zip(port.trace(triple), found[:-1] or found, strict=False)
    if any(one != other for one, other in again):
        raise NotTracedError("it is traced to something else when it is traced again")
    yield from found


def _check(port: Port, triple: Triple, traced: Traced) -> None:
    """NotTracedError unless the port has the bits of its expressions."""
    cases = _cases(triple, traced.size, FEW_TRIALS if port.compiles else TRIALS)
    try:
        expected = _evaluated(traced, cases)
    except NotImplementedError as error:
        raise NotTracedError(f"its expressions cannot be evaluated: {error}") from error
    for case, *wanted in zip(cases, *expected, strict=True):
        try:
            got = run_once(port, *case.arrays, **case.scalars)
        except PortError as error:
            raise NotTracedError(f"it was traced, but cannot be run: {error}") from error
        for name, actual, pattern in zip(_PARTS, got, wanted, strict=True):
            equal = same_bits(actual, pattern.view(actual.dtype))
            if not equal.all():
                index = int(np.argmin(equal))
                raise NotTracedError(
                    "what runs computes otherwise than what was traced: "
                    f"{name}[{index}] is {actual[index]}, not {pattern.view(actual.dtype)[index]}, "
                    f"of θ = {case.param[index]}, m = {case.momentum[index]}, "
                    f"g = {case.grad[index]}, {_shown(case)}"
                )


def _shown(case: Case) -> str:
    return ", ".join(f"{name} = {value}" for name, value in case.scalars.items())


def _cases(triple: Triple, size: int, trials: int) -> list[Case]:
    """Inputs of a size: for each kind of elements a few calls, with scalars of their own."""
    rng = np.random.default_rng(0)
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    pairs = list(dict.fromkeys(BETAS))
    cases = []
    for number, profile in enumerate(KINDS):
        beta1, beta2 = pairs[number % (len(pairs) if trials > len(KINDS) else 2)]
        each = trials // len(KINDS)
        together = adversarial(rng, size * each, dtypes, profile, beta1)
        for param, momentum, grad in zip(*(np.split(x, each) for x in together), strict=True):
            lr, weight_decay = rng.choice(LEARNING_RATES), rng.choice(WEIGHT_DECAYS)
            cases.append(Case(param, momentum, grad, float(lr), beta1, beta2, float(weight_decay)))
    return cases


def _evaluated(traced: Traced, cases: Sequence[Case]) -> tuple[Array, Array]:
    """θ' and m' as bit patterns, by the expressions: a row for each case."""
    given = {of: bits(np.stack([getattr(case, of) for case in cases])) for of in ELEMENTS}
    given |= {of: bits(np.array([[getattr(case, of)] for case in cases])) for of in SCALARS}
    columns: list[tuple[Array, Array]] = [(_NOTHING, _NOTHING)] * traced.size
    for roots, elements in alike(traced).items():
        leaves = {
            node: given[node.operation.of][:, places_of(node, elements)]
            for node in in_order(roots)
            if node.operation.name == "input" and node.operation.of in given
        }
        shape = len(cases), len(elements)
        param, momentum = (np.broadcast_to(x, shape) for x in values(roots, leaves))
        for column, element in enumerate(elements):
            columns[element] = param[:, column], momentum[:, column]
    return np.stack([x for x, _ in columns], axis=1), np.stack([x for _, x in columns], axis=1)


_NOTHING: Final[Array] = np.zeros(0)
