"""What is judged: all numbers of a 16-bit dtype at given scalars, cut into blocks of one shape.

An update splits in two. u and m' are made of m and g alone; θ' of θ and u. So block k < BLOCKS has
θ = -0, where θ' shows u, the m's k, k + 4096, … k + 61440, and beside each of these every g. Block
PARAMETERS has every θ beside four (m, g) that make u = 1, -1, 0 and NaN; the rest of it are triples
(θ, m, g) drawn at random, which hold up that the update does split.

The m's of a block lie apart, so that one block, too, has both signs and numbers of every magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lion_conformance.ports.protocol import ScalarArguments
from lion_conformance.vectors.splitmix import SplitMix
from lion_ref import STORAGE_DTYPES, Semantics, step
from lion_ref.arithmetic import Array, bits
from lion_ref.hyperparameters import Hyperparameters

Bits = NDArray[np.uint16]
Inputs = tuple[Array, Array, Array]

DTYPES: Final = ("float16", "bfloat16")

VALUES: Final = 1 << 16
"""Bit patterns of 16 bits."""

BLOCKS: Final = 4096
ROWS: Final = VALUES // BLOCKS
"""The m's of a block."""

SIZE: Final = ROWS * VALUES
"""Elements of every block: one shape, which is compiled once."""

PARAMETERS: Final = BLOCKS
"""The index of the block that has every θ."""

PAIRS: Final = BLOCKS * SIZE
SIGNS: Final = (1.0, -1.0, 0.0, np.nan)
"""The u's beside which every θ is judged; as g, beside m = +0, each makes itself."""

_ARE_NUMBERS: Final = 3
"""Of SIGNS. NaN is the last: where a semantics makes it a zero, θ' shows it as one."""

PARAMETER_PAIRS: Final = len(SIGNS) * VALUES
TRIPLES: Final = SIZE - PARAMETER_PAIRS

SEED: Final = 16
NEGATIVE_ZERO: Final = 0x8000


@dataclass(frozen=True, slots=True)
class Question:
    """A dtype of θ, m and g, the scalars, and the semantics whose bits a port has to have."""

    dtype: str
    values: Hyperparameters
    semantics: Semantics

    def __post_init__(self) -> None:
        """ValueError for another dtype, an update that does not split, or an η that hides u."""
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype={self.dtype!r} is not legal; legal: {', '.join(DTYPES)}")
        if self.semantics.decay == "coupled":
            raise ValueError(
                "decay='coupled' cannot be judged so: u and m' are made of θ, too, and the update "
                "does not split; legal: any other decay"
            )
        if len(set(self.shown()[:_ARE_NUMBERS].tolist())) < _ARE_NUMBERS:
            raise ValueError(
                f"lr={self.values.lr!r} is not legal for {self.dtype}: every u makes the same θ' "
                "of θ = -0; legal: an lr that is no zero when it is rounded to that dtype"
            )

    @property
    def scalars(self) -> ScalarArguments:
        """As a step takes them."""
        x = self.values
        return {
            "lr": x.lr,
            "beta1": x.beta1,
            "beta2": x.beta2,
            "weight_decay": x.weight_decay,
        }

    def shown(self) -> Bits:
        """θ' of θ = -0 for each of SIGNS, as bits."""
        grad = np.array(SIGNS, np.float32).astype(STORAGE_DTYPES[self.dtype])
        param = numbers(np.full(len(SIGNS), NEGATIVE_ZERO, np.uint16), self.dtype)
        shown, _ = self.reference(param, np.zeros_like(grad), grad)
        return canonical(shown)

    def reference(self, *inputs: Array) -> tuple[Array, Array]:
        """What lion_ref gives."""
        return step(*inputs, **self.scalars, semantics=self.semantics)


def momenta(block: int) -> Bits:
    """The m's of a block.

    >>> [hex(int(x)) for x in momenta(1)[:3]]
    ['0x1', '0x1001', '0x2001']
    """
    return np.arange(block, VALUES, BLOCKS, dtype=np.uint16)


def inputs(block: int, dtype: str) -> Inputs:
    """θ, m and g of a block; they are only to be read."""
    if block == PARAMETERS:
        return _parameters(dtype)
    param, grad = _beside_every_momentum(dtype)
    return param, numbers(np.repeat(momenta(block), VALUES), dtype), grad


def numbers(patterns: Bits, dtype: str) -> Array:
    """The numbers that have these bits."""
    return patterns.view(STORAGE_DTYPES[dtype])


def canonical(array: Array) -> Bits:
    """The bits, in which every NaN is the quiet positive one without a payload (SPEC C11).

    >>> [hex(int(x)) for x in canonical(np.float16([1.0, -np.nan]))]
    ['0x3c00', '0x7e00']
    """
    found = bits(array).reshape(-1)
    quiet, infinity = _special(array.dtype)
    is_nan = (found & 0x7FFF) > infinity
    return np.where(is_nan, quiet, found) if is_nan.any() else found


def _special(dtype: np.dtype[Any]) -> tuple[np.uint16, np.uint16]:
    quiet, infinity = np.array([np.nan, np.inf], np.float32).astype(dtype).view(np.uint16)
    return quiet & 0x7FFF, infinity


@lru_cache(maxsize=len(DTYPES))
def _beside_every_momentum(dtype: str) -> tuple[Array, Array]:
    param = np.full(SIZE, NEGATIVE_ZERO, np.uint16)
    return numbers(param, dtype), numbers(np.tile(_every(), ROWS), dtype)


@lru_cache(maxsize=len(DTYPES))
def _parameters(dtype: str) -> Inputs:
    drawn = SplitMix(SEED).outputs(3 * TRIPLES).astype(np.uint16).reshape(3, TRIPLES)
    grads = np.array(SIGNS, np.float32).astype(STORAGE_DTYPES[dtype]).view(np.uint16)
    pairs = np.tile(_every(), len(SIGNS)), np.zeros(PARAMETER_PAIRS), np.repeat(grads, VALUES)
    param, momentum, grad = (
        numbers(np.concatenate([x, y]).astype(np.uint16), dtype)
        for x, y in zip(pairs, drawn, strict=True)
    )
    return param, momentum, grad


def _every() -> Bits:
    return np.arange(VALUES, dtype=np.uint32).astype(np.uint16)
