"""What may happen to a run: plain values, so that a run can be told, shortened and replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from lion_ref.arithmetic import bits

Array = NDArray[Any]

SPELLED_OUT = 4
"""Tensors of up to so many elements are shown in full, as hexadecimal bits."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of all tensors."""

    grads: tuple[Array, ...]
    lr: float
    weight_decay: float

    def __str__(self) -> str:
        shown = "; ".join(spelled(x) for x in self.grads)
        return f"step: lr={self.lr!r}, weight_decay={self.weight_decay!r}, gradients {shown}"

    def with_grads(self, grads: tuple[Array, ...]) -> Step:
        """The same step with other gradients."""
        return Step(grads, self.lr, self.weight_decay)


def spelled(array: Array) -> str:
    """A small array's bits, a large one's dtype and shape.

    >>> import numpy as np
    >>> spelled(np.float32([1.0, -2.0])), spelled(np.zeros((3, 4)))
    ('[0x3f800000 0xc0000000]', 'float64 (3, 4)')
    """
    if array.size > SPELLED_OUT:
        return f"{array.dtype} {array.shape}"
    width = 2 * array.dtype.itemsize
    return f"[{' '.join(f'0x{int(x):0{width}x}' for x in bits(array).reshape(-1))}]"
