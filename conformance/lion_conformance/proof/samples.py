"""Expressions held against lion_ref on numbers: a difference found is a witness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np

import lion_ref
from lion_conformance.cases.case import BETAS, Case, adversarial
from lion_conformance.cases.overflow import momentum_overflows, param_overflows
from lion_conformance.diagnosis import canaries, probes, special_values
from lion_conformance.operations.expression import Node, leaf
from lion_conformance.proof.evaluation import values
from lion_conformance.proof.forms import Form
from lion_conformance.proof.symbols import ELEMENTS, TYPES, Triple
from lion_ref import STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import Array, bits, same_bits

SIZE: Final = 4099
"""Elements of a case in which u hangs on the last bit."""

_RESULTS: Final = ("θ'", "m'")


@dataclass(frozen=True, slots=True)
class Witness:
    """One element on which the update has other bits than lion_ref."""

    case: Case
    name: str
    got: str
    expected: str

    def __str__(self) -> str:
        """The element, its scalars, and both results."""
        case = self.case
        arrays = zip(("θ", "m", "g"), case.arrays, strict=True)
        given = ", ".join(f"{name} = {float(x[0])!r}" for name, x in arrays)
        scalars = f"η = {case.lr!r}, β1 = {case.beta1!r}, β2 = {case.beta2!r}"
        given += f", {scalars}, λ = {case.weight_decay!r}"
        return f"{given}: {self.name} is {self.got}, not {self.expected}"


@lru_cache(maxsize=16)
def samples(triple: Triple) -> tuple[Case, ...]:
    """Cases that tell the semantics apart, and special values."""
    uniform = canaries.cases(triple[0]) if len(set(triple)) == 1 else ()
    overflows = chain(param_overflows(triple), momentum_overflows(triple))
    return (
        *probes.cases(triple),
        *uniform,
        *special_values.cases(triple),
        *overflows,
        *_cancelling(triple),
    )


def _cancelling(triple: Triple) -> Iterator[Case]:
    """Elements whose u hangs on the last bit, which only some of the dtypes have often."""
    rng = np.random.default_rng(0)
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    for beta1, beta2 in BETAS:
        arrays = adversarial(rng, SIZE, dtypes, "cancellation", beta1)
        yield Case(*arrays, 0.1, beta1, beta2, 0.1)


def given_by(case: Case) -> dict[Node, Array]:
    """The bits of every leaf in a case."""
    given: dict[Node, Array] = {
        leaf(of, TYPES[name], 0): bits(x.reshape(-1))
        for of, name, x in zip(ELEMENTS, case.triple, case.arrays, strict=True)
    }
    given |= {leaf(of, "f64"): bits(np.array(x)) for of, x in case.scalars.items()}
    for name, kind in TYPES.items():
        nan = np.array(np.nan, STORAGE_DTYPES[name])
        given[leaf("NaN", kind)] = bits(nan)
    return given


def results(form: Form, case: Case) -> tuple[Array, Array]:
    """θ' and m' of a case by the expressions of a form."""
    found = values((form.new_param, form.new_momentum), given_by(case))
    size = case.param.size
    param, momentum = (
        np.ascontiguousarray(np.broadcast_to(x, size)).view(STORAGE_DTYPES[name])
        for x, name in zip(found, case.triple, strict=False)
    )
    return param.reshape(case.param.shape), momentum.reshape(case.param.shape)


def witness(
    form: Form, triple: Triple, semantics: Semantics, *, tiny_scalars: bool = True
) -> Witness | None:
    """The first element on which the form has other bits than lion_ref's update.

    tiny_scalars: whether scalars count that are rounded up to float32's smallest normal number.
    """
    return next(_witnesses(form, triple, semantics, tiny_scalars), None)


def _witnesses(
    form: Form, triple: Triple, semantics: Semantics, tiny_scalars: bool
) -> Iterator[Witness]:
    for case in samples(triple):
        if not tiny_scalars and takes_tiny_scalars(case):
            continue
        expected = lion_ref.step(*case.arrays, **case.scalars, semantics=semantics)
        for name, got, wanted in zip(_RESULTS, results(form, case), expected, strict=True):
            differs = np.flatnonzero(~same_bits(got, wanted).reshape(-1))
            if differs.size:
                at = int(differs[0])
                shown = (repr(float(x.reshape(-1)[at])) for x in (got, wanted))
                yield Witness(case.at(at), name, *shown)


def takes_tiny_scalars(case: Case) -> bool:
    """Whether a scalar, or η·λ, is rounded up to float32's smallest normal number."""
    product = case.lr * case.weight_decay
    scalars = (case.lr, case.beta1, case.beta2, case.weight_decay, product)
    with np.errstate(over="ignore"):
        return any(x < 2.0**-126 == float(np.float32(x)) for x in scalars)
