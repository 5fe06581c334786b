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
from lion_conformance.operations.evaluate import evaluator
from lion_conformance.operations.expression import Node
from lion_conformance.operations.operation import WIDTHS
from lion_conformance.operations.traced import NotTracedError, Trace, Traced
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import Port, PortError, Triple, run_once
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
    if list(port.trace(triple)) != found:
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
                what = (
                    "what runs is not the program that was traced, its compiler has changed it"
                    if traced.caveat
                    else "it computes otherwise when it is traced"
                )
                raise NotTracedError(
                    f"{what}: "
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


def _evaluated(traced: Traced, cases: Sequence[Case]) -> tuple[list[Array], list[Array]]:
    """θ' and m' of every case as bit patterns, by the expressions."""
    values: dict[Node, Array] = {}

    def value(node: Node) -> Array:
        waiting = [node]
        while waiting:
            here = waiting[-1]
            missing = [x for x in here.arguments if x not in values]
            if here in values or missing:
                waiting = waiting[:-1] if here in values else [*waiting, *missing]
                continue
            values[here] = _value(here, [values[x] for x in here.arguments], cases)
            waiting.pop()
        return values[node]

    with np.errstate(all="ignore"):
        found = []
        for nodes in (traced.new_param, traced.new_momentum):
            columns = [np.broadcast_to(value(x), len(cases)) for x in nodes]
            found.append(list(np.stack(columns, axis=1)))
    return found[0], found[1]


def _value(node: Node, arguments: list[Array], cases: Sequence[Case]) -> Array:
    operation = node.operation
    if operation.name == "constant":
        kind = np.bool_ if operation.type == "pred" else f"u{WIDTHS[operation.type] // 8}"
        return np.array(operation.bits).astype(kind)
    if operation.name != "input":
        return np.asarray(evaluator(operation)(*arguments))
    if operation.index < 0:
        return bits(np.array([getattr(case, operation.of) for case in cases]))
    return np.array([bits(getattr(case, operation.of))[operation.index] for case in cases])
