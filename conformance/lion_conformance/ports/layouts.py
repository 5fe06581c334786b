"""How an array lies in memory: gaps, orders, beginnings. A port has to see its elements alone.

SPEC C12. No stride is negative here: some frameworks cannot take such an array from NumPy.
A copy for a port keeps the layout: `like` makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lion_ref.arithmetic import Array


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


def columns(array: Array) -> Array:
    """The same elements as the first columns of a wider array: the rows lie apart."""
    if not array.ndim:
        return plain(array)
    wide = np.zeros((*array.shape[:-1], array.shape[-1] + 7), array.dtype)
    wide[..., : array.shape[-1]] = array
    return wide[..., : array.shape[-1]]


def channels_last(array: Array) -> Array:
    """The same elements with the second axis innermost in memory, as of images in NHWC."""
    if array.ndim < 3:
        return plain(array)
    return np.moveaxis(np.moveaxis(array, 1, -1).copy(order="C"), -1, 1)


def repeated(array: Array) -> Array:
    """The first element along the last axis, in place of all: a stride of 0, as a sum's gradient.

    It cannot be written to, so it is for what a port only reads.
    """
    return np.broadcast_to(array[..., :1].copy(), array.shape)


def rows_repeated(array: Array) -> Array:
    """The first row in place of all: a stride of 0 along the first axis, as a bias's gradient."""
    return np.broadcast_to(array[:1].copy(), array.shape)


def one_repeated(array: Array) -> Array:
    """The first element in place of all: no stride but 0, as the gradient of a sum."""
    return np.broadcast_to(array.reshape(-1)[:1].copy().reshape([1] * array.ndim), array.shape)


def read_only(array: Array) -> Array:
    """The same elements in C's order, where nobody may write; for what a port only reads."""
    copy = plain(array)
    copy.flags.writeable = False
    return copy


def plain(array: Array) -> Array:
    """The same elements in C's order."""
    return array.copy(order="C")


LAYOUTS: tuple[Callable[[Array], Array], ...] = (plain, every_second, shifted, transposed)
"""Those that random cases have; the fixed ones have the others too."""


def mixed(rng: np.random.Generator, arrays: Sequence[Array]) -> list[Array]:
    """The arrays, each in a layout of its own."""
    return [LAYOUTS[rng.integers(len(LAYOUTS))](x) for x in arrays]


def layout_of(array: Array) -> Callable[[Array], Array]:
    """Which of the layouts an array has."""
    if array.flags.c_contiguous:
        if not array.flags.writeable:
            return read_only
        begins = array.base is not None and array.base.nbytes == array.nbytes + array.itemsize
        return shifted if begins else plain
    if array.flags.f_contiguous:
        return transposed
    if not any(array.strides):
        return one_repeated
    if array.strides[-1] == 0:
        return repeated
    if array.strides[0] == 0:
        return rows_repeated
    if array.ndim > 2 and np.moveaxis(array, 1, -1).flags.c_contiguous:
        return channels_last
    return columns if array.strides[-1] == array.itemsize else every_second


def like(array: Array) -> Array:
    """A copy that lies in memory as the array does."""
    return layout_of(array)(array)
