"""How an array lies in memory: gaps, orders, beginnings. A port has to see its elements alone.

SPEC C12. No stride is negative here: some frameworks cannot take such an array from NumPy.
A copy for a port keeps the layout: `like` makes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = NDArray[Any]


def every_second(array: Array) -> Array:
    """The same elements with a gap between each and the next along the last axis."""
    if not array.ndim:
        return plain(array)
    spread = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    spread[..., ::2] = array
    return spread[..., ::2]


def shifted(array: Array) -> Array:
    """The same elements, of which the first lies one element behind the allocation's beginning."""
    longer = np.zeros(array.size + 1, array.dtype)
    longer[1:] = array.reshape(-1)
    return longer[1:].reshape(array.shape)


def transposed(array: Array) -> Array:
    """The same elements with the axes' order in memory turned round."""
    return np.array(array, order="F", copy=True)  # a vector too: the copy is a port's to write to


def plain(array: Array) -> Array:
    """The same elements in C's order."""
    return array.copy(order="C")


LAYOUTS: tuple[Callable[[Array], Array], ...] = (plain, every_second, shifted, transposed)


def mixed(rng: np.random.Generator, arrays: Sequence[Array]) -> list[Array]:
    """The arrays, each in a layout of its own."""
    return [LAYOUTS[rng.integers(len(LAYOUTS))](x) for x in arrays]


def layout_of(array: Array) -> Callable[[Array], Array]:
    """Which of the layouts an array has."""
    if array.flags.c_contiguous:
        begins = array.base is not None and array.base.nbytes == array.nbytes + array.itemsize
        return shifted if begins else plain
    return transposed if array.flags.f_contiguous else every_second


def like(array: Array) -> Array:
    """A copy that lies in memory as the array does."""
    return layout_of(array)(array)
