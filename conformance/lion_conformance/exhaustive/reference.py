"""The reference's own bits, block by block, by sums of products that are looked up.

β·m and (1-β)·g are 65,536 products each: they are formed once, by lion_ref's own operations. A row
is then two sums, the sign of one and the rounding of the other. Every row that is asked for may be
held to `lion_ref.step` itself.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lion_conformance.exhaustive.question import (
    PARAMETERS,
    ROWS,
    VALUES,
    Bits,
    Question,
    canonical,
    inputs,
    momenta,
    numbers,
)
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array
from lion_ref.dialects import Arithmetic
from lion_ref.extremes import MOVES
from lion_ref.hyperparameters import Hyperparameters

TABULATED: Final = {*MOVES, "subnormals"}
"""The choices of SPEC C16 that leave c and m' sums of two products each."""

_ARE_NAN: Final = 3
"""The place of NaN among question.SIGNS."""


class Reference:
    """What lion_ref makes of each block of a question, as canonical bits."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._shown = question.shown()
        self.tables: Tables | None = None
        if set(question.semantics.differences()) <= TABULATED:
            self.tables = Tables(question)

    def block(self, index: int) -> tuple[Bits, Bits]:
        """θ' and m'."""
        if index == PARAMETERS or self.tables is None:
            return self.stepped(index)
        new_param = np.empty((ROWS, VALUES), np.uint16)
        new_momentum = np.empty((ROWS, VALUES), np.uint16)
        for row, momentum in enumerate(momenta(index)):
            sign, kept = self.tables.row(int(momentum))
            np.take(self._shown, sign, out=new_param[row], mode="clip")
            new_momentum[row] = canonical(kept)
        return new_param.reshape(-1), new_momentum.reshape(-1)

    def stepped(self, index: int, part: slice = slice(None)) -> tuple[Bits, Bits]:
        """The same by `lion_ref.step`, of a part of the block."""
        block = inputs(index, self.question.dtype)
        new_param, new_momentum = self.question.reference(*(x[part] for x in block))
        return canonical(new_param), canonical(new_momentum)


class Tables:
    """The products of every m and every g with their coefficients, and their sums row by row."""

    def __init__(self, question: Question) -> None:
        compute = STORAGE_DTYPES["float32"]
        self._dtype = STORAGE_DTYPES[question.dtype]
        self._ops = Arithmetic(question.semantics, compute, "compute")
        patterns = np.arange(VALUES, dtype=np.uint32).astype(np.uint16)
        every = self._ops.load(numbers(patterns, question.dtype)).astype(compute)
        with np.errstate(all="ignore"):
            self.sign = self._products(question.values, "beta1", every)
            self.momentum = self._products(question.values, "beta2", every)

    def _products(self, values: Hyperparameters, name: str, every: Array) -> tuple[Array, Array]:
        beta: float = getattr(values, name)
        coefficients = (self._ops.scalar(x, self._dtype) for x in (beta, 1.0 - beta))
        of_momentum, of_grad = (self._ops.multiply(x, every) for x in coefficients)
        return of_momentum, of_grad

    def row(self, momentum: int) -> tuple[Array, Array]:
        """For one m, by its bits, and every g: u, as its place among SIGNS, and m'."""
        with np.errstate(all="ignore"):
            c, kept = (
                self._ops.add(of_momentum[momentum : momentum + 1], of_grad)
                for of_momentum, of_grad in (self.sign, self.momentum)
            )
            # 1, -1, 0 and NaN are at 0, 1, 2 and 3.
            sign = np.full(VALUES, 2, np.uint8)
            sign -= c < 0
            sign -= 2 * (c > 0).view(np.uint8)
            sign[c != c] = _ARE_NAN  # noqa: PLR0124 - NaN alone is not itself
            return sign, self._ops.flush.narrowed(kept, self._dtype)
