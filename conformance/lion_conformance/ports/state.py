"""The state of a run: parameters and momenta, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, all_same_bits, round_to


@dataclass(frozen=True, slots=True)
class State:
    """The parameters and momenta of a session, tensor by tensor."""

    params: tuple[Array, ...]
    momenta: tuple[Array, ...]

    @classmethod
    def of(cls, params: Iterable[Array], momenta: Iterable[Array]) -> State:
        """Copies, which nobody else changes."""
        return cls(tuple(np.array(x) for x in params), tuple(np.array(x) for x in momenta))

    @property
    def tensors(self) -> list[tuple[Array, Array]]:
        """(θ, m) of each tensor."""
        return list(zip(self.params, self.momenta, strict=True))

    def equals(self, other: State) -> bool:
        """Same number of tensors, shapes, dtypes and bits."""
        return len(self.params) == len(other.params) and all(
            equal(a, b)
            for mine, theirs in zip(self.tensors, other.tensors, strict=True)
            for a, b in zip(mine, theirs, strict=True)
        )


def equal(first: Array, second: Array) -> bool:
    """Same shape, dtype and bits."""
    return (
        first.shape == second.shape and first.dtype == second.dtype and all_same_bits(first, second)
    )


def recast(array: Array, dtype: str) -> Array:
    """Rounded once, to nearest even, to another storage dtype; widening first is exact."""
    return round_to(array.astype(np.promote_types(array.dtype, np.float32)), STORAGE_DTYPES[dtype])
