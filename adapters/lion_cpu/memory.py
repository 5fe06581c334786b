"""Whether arrays lie in memory as the kernel needs it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lion_cpu.library import Table


def lie_apart(addresses: Sequence[Table], sizes: Table, itemsizes: Sequence[int]) -> bool:
    """Whether each array that has elements has an address, and no two of all share memory.

    Args:
        addresses: of the first elements, a table for each kind of array: θ, m, g.
        sizes: how many elements, in a row, an array of each kind has.
        itemsizes: bytes of an element of each kind.

    >>> from array import array
    >>> lie_apart([array("q", [64]), array("q", [76])], array("q", [3]), [4, 4])
    True
    >>> lie_apart([array("q", [64]), array("q", [72])], array("q", [3]), [4, 4])
    False
    """
    elements = np.asarray(sizes)
    some = elements > 0
    starts = np.concatenate([np.asarray(column)[some] for column in addresses])
    ends = starts + np.concatenate([elements[some] * itemsize for itemsize in itemsizes])
    order = starts.argsort()
    return bool(starts.all() and (ends[order[:-1]] <= starts[order[1:]]).all())
