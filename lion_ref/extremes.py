"""What the rows of SPEC Part II do where numbers are not finite or could overflow (C27).

Bounds say nothing there, so the rows are evaluated: every choice that can change whether a result
is finite, infinite or NaN, alone and together.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lion_ref.arithmetic import Array, Mask, round_to
from lion_ref.bounds import Problem
from lion_ref.dialects import Arithmetic, interpolate, move
from lion_ref.dtypes import promoted
from lion_ref.semantics import Semantics, choices

SIGNS = (-1, 0, 1)

MOVES: Final = (
    "decay",
    "decay_scalar",
    "decay_order",
    "decay_fused",
    "step_fused",
    "step_stored",
    "decay_skipped_at_zero",
)
"""The choices of SPEC C16 that are of θ' alone: c and m' are the same whatever they are."""


class Outcomes:
    """Which of NaN, +inf and -inf some row gives, element by element."""

    def __init__(self, size: int) -> None:
        self.nan = np.zeros(size, bool)
        self.positive = np.zeros(size, bool)
        self.negative = np.zeros(size, bool)

    def include(self, values: Array, at: NDArray[np.intp]) -> None:
        """Add what a row gives of the elements `at`, which may be the same ones several times."""
        for outcome, there in (
            (self.nan, np.isnan(values)),
            (self.positive, np.isposinf(values)),
            (self.negative, np.isneginf(values)),
        ):
            np.logical_or.at(outcome, at, there)

    def place(self, at: NDArray[np.intp], found: Outcomes) -> None:
        """Take what was found of the elements `at`."""
        self.nan[at], self.positive[at], self.negative[at] = (
            found.nan,
            found.positive,
            found.negative,
        )

    def hold(self, values: Array) -> Mask:
        """Where values is one of these outcomes; finite values are none."""
        held: Mask = (
            (np.isnan(values) & self.nan)
            | (np.isposinf(values) & self.positive)
            | (np.isneginf(values) & self.negative)
        )
        return held


def _inputs(problem: Problem) -> tuple[Array, Array, Array]:
    """The stored inputs again; narrowing what was widened is exact."""
    return (
        round_to(problem.theta, problem.theta_dtype),
        round_to(problem.m, problem.m_dtype),
        round_to(problem.g, problem.g_dtype),
    )


def _arithmetics() -> Iterator[dict[str, Any]]:
    """The choices beside the forms that decide where an intermediate result overflows."""
    precisions, flushes = ("compute", "storage"), ("keep", "flush")
    for precision, subnormals in itertools.product(precisions, flushes):
        yield {"precision": precision, "subnormals": subnormals}


def _narrow(problem: Problem, *operands: np.dtype[Any]) -> bool:
    """Whether an operand is narrower than the compute dtype: else `storage` rounds to just that."""
    return any(dtype != problem.compute for dtype in operands)


def interpolations(problem: Problem, part: str) -> Iterator[Array]:
    """c (part "sign") or m' (part "momentum") under each form of the interpolation."""
    _, m, g = _inputs(problem)
    beta = problem.values.beta1 if part == "sign" else problem.values.beta2
    forms = choices()["sign_interpolation"]
    narrow = _narrow(problem, problem.m_dtype, problem.g_dtype)
    for arithmetic in _arithmetics():
        precision, flush = arithmetic["precision"], {"subnormals": arithmetic["subnormals"]}
        if precision == "storage" and not narrow:
            continue
        for form, formed in itertools.product(forms, ("wide", "compute")):
            if form == "lerp-from-gradient" and formed == "compute":
                continue  # it forms no complement
            row: dict[str, Any] = {f"{part}_interpolation": form, f"{part}_complement": formed}
            ops = Arithmetic(Semantics(**row, **flush), problem.compute, precision)
            yield interpolate(ops, part, beta, ops.load(m), ops.load(g))


def signs(problem: Problem) -> tuple[dict[int, Mask], Mask]:
    """For each s where some row's u is s, and where some row's u is NaN."""
    found = {s: np.zeros(problem.m.shape, bool) for s in SIGNS}
    nan = np.zeros(problem.m.shape, bool)
    for c in interpolations(problem, "sign"):
        wide = np.asarray(c, dtype=np.float64)
        for s in SIGNS:
            found[s] |= np.sign(wide) == s
        nan |= np.isnan(wide)
    found[0] |= nan  # sign(NaN) = 0 is a row of C22
    return found, nan


def momenta(problem: Problem) -> Outcomes:
    """The outcomes of m' under each form of the interpolation."""
    outcomes, everywhere = Outcomes(problem.m.size), np.arange(problem.m.size)
    for new_m in interpolations(problem, "momentum"):
        outcomes.include(round_to(new_m, problem.m_dtype), everywhere)
    return outcomes


@functools.cache
def _moves() -> tuple[Semantics, ...]:
    """Every form of θ', fused ones too: an fma has no product that overflows by itself.

    In an interpolation that makes no difference, since a weight <= 1 makes no product overflow.
    """
    found = []
    for values in itertools.product(*(choices()[name] for name in MOVES)):
        for arithmetic in _arithmetics():
            # A combination without a meaning is none of the rows.
            with contextlib.suppress(ValueError):
                found.append(Semantics(**dict(zip(MOVES, values, strict=True)), **arithmetic))
    return tuple(row for row in found if not row.is_other_algorithm)


def parameters(
    problem: Problem, signs_held: dict[int, Mask], nan_held: Mask, wanted: Array | None = None
) -> Outcomes:
    """The outcomes of θ' under each form of the decay, for the signs that c may have.

    wanted: results; no further row is evaluated once all of them are outcomes.
    """
    theta, m, g = _inputs(problem)
    outcomes = Outcomes(theta.size)
    outcomes.nan |= nan_held
    # The pairs of an element and a sign that it may have, in one array: rows cost by the call.
    held = [np.flatnonzero(signs_held[s]) for s in SIGNS]
    u = np.repeat(np.array(SIGNS, problem.compute), [x.size for x in held])
    at = np.concatenate(held)
    in_storage = u.astype(promoted(m.dtype, g.dtype))
    narrow = _narrow(problem, problem.theta_dtype, in_storage.dtype)
    for semantics in _moves():
        if wanted is not None and outcomes.hold(wanted).all():
            break
        if semantics.decay_skipped_at_zero and problem.values.weight_decay:
            continue  # the same as without
        if semantics.precision == "storage" and not narrow:
            continue
        ops = Arithmetic(semantics, problem.compute, semantics.precision)
        of_row = in_storage if semantics.precision == "storage" else u
        new_theta = move(ops, problem.values, ops.load(theta[at]), of_row, problem.theta_dtype)
        outcomes.include(round_to(new_theta, problem.theta_dtype), at)
    return outcomes
