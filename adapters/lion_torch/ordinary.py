"""Tensors that are plain and all alike, as nearly always, told by asking all of them at once.

With hundreds of small tensors `check_tensors`, one parameter after another, takes as long as the
arithmetic. What is found here passes every one of them, and needs no sorting afterwards.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_torch.layout import Triple

PLAIN = frozenset((torch.nn.Parameter, Tensor))
"""Types with nothing behind them: no shards, no tensors within."""


class Alike(list["Triple"]):
    """(θ, m, g), each three dense in one order, the dtypes of a column alike.

    dtypes: of θ, m and g. pointers: to first elements, a column each. sizes: in elements.
    written: all θ and m.
    """

    def __init__(self, columns: Sequence[tuple[Tensor, ...]]) -> None:
        super().__init__(zip(*columns, strict=True))
        theta, m, g = columns
        self.dtypes = theta[0].dtype, m[0].dtype, g[0].dtype
        self.pointers = tuple(array("q", map(Tensor.data_ptr, column)) for column in columns)
        self.sizes = array("q", map(Tensor.numel, theta))
        self.written = theta + m


def ordinary(items: list[tuple[Tensor, Tensor | None, Tensor]]) -> Alike | None:
    """The same tensors if they are all plain and alike; None if only a closer look can tell."""
    columns: list[tuple[Any, ...]] = list(zip(*items, strict=True))
    params, momenta, grads = columns
    everything = (*params, *momenta, *grads)
    if (
        not PLAIN.issuperset(map(type, everything))
        or any(x.layout is not torch.strided for x in grads)
        or not all(map(Tensor.is_contiguous, everything))
        or any(map(Tensor.is_neg, everything))
        or any(map(Tensor.is_inference, (*params, *momenta)))
        or len({x.device for x in everything}) > 1
        or any(len({x.dtype for x in column}) > 1 for column in columns)
    ):
        return None
    shapes = [x.shape for x in params]
    if any(shapes != [x.shape for x in column] for column in (momenta, grads)):
        return None
    alike = Alike(columns)
    return alike if _lie_apart(alike) else None


def _lie_apart(tensors: Alike) -> bool:
    """Whether no two of all the tensors share memory, and each that has elements has some."""
    elements = np.asarray(tensors.sizes)
    some = elements > 0
    starts = np.concatenate([np.asarray(column)[some] for column in tensors.pointers])
    lengths = [elements[some] * dtype.itemsize for dtype in tensors.dtypes]
    ends = starts + np.concatenate(lengths)
    order = starts.argsort()
    # A tensor of zeros that autograd made has no memory, and its address is 0.
    return bool(starts.all() and (ends[order[:-1]] <= starts[order[1:]]).all())
