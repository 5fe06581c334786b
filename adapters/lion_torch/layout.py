"""How tensors lie in memory: dense or not, in pieces, shards, those that are all alike."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import is_
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from lion_cpu import Table, lie_apart

Triple = tuple[Tensor, Tensor, Tensor]
"""θ, m, g."""

PLAIN = frozenset((torch.nn.Parameter, Tensor))
"""Types with nothing behind them: no shards, no tensors within."""


def dense_alike(tensors: Triple) -> bool:
    """Whether the elements of each of three tensors of one shape lie in a row, in one order.

    Any dense layout will do, channels-last or transposed, as long as all have the same.

    >>> x = torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)
    >>> dense_alike((x, x.clone(), x.clone())), dense_alike((x, x.clone(), x.contiguous()))
    (True, False)
    """
    if all(map(Tensor.is_contiguous, tensors)):
        return True
    strides = tensors[0].stride()
    order = sorted(range(len(strides)), key=strides.__getitem__, reverse=True)
    return all(x.permute(order).is_contiguous() for x in tensors)


def pieces(tensors: Triple, limit: int = 131_072) -> Iterator[Triple]:
    """Matching views of tensors of one shape that cover them, each of at most limit elements.

    Three arrays of that size and what is computed of them lie in a processor's cache, and what is
    freed of them is given out again.
    """
    if tensors[0].numel() <= limit:
        yield tensors
        return
    shape = tensors[0].shape
    longest = max(range(len(shape)), key=shape.__getitem__)
    # As many rows as fit, or single rows that are cut along their own longest dimension.
    rows = max(1, limit * shape[longest] // tensors[0].numel())
    for parts in zip(*(torch.split(x, rows, longest) for x in tensors), strict=True):
        yield from pieces(parts, limit)


def elements_may_share_memory(tensor: Tensor) -> bool:
    """Whether two elements of one tensor may lie in one place: an expanded tensor, for example.

    True for every tensor that has such elements, and for a few exotic strides that interleave.

    >>> elements_may_share_memory(torch.zeros(1).expand(3))
    True
    >>> elements_may_share_memory(torch.zeros(4, 6)[::2, 1:].t())
    False
    """
    if tensor.is_contiguous():
        return False
    reach = 0
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if stride <= reach:
                return True
            reach += stride * (size - 1)
    return False


def has_no_memory(tensor: Tensor) -> bool:
    """Whether a tensor is several others, or has no numbers."""
    return isinstance(tensor, FakeTensor) or is_traceable_wrapper_subclass(tensor)


def mark_written(tensors: tuple[Tensor, ...]) -> None:
    """Tell autograd, which does not see what happens through pointers; before it happens."""
    try:
        torch.autograd.graph.increment_version(tensors)
    except TypeError:  # torch took one at a time once
        for tensor in tensors:
            torch.autograd.graph.increment_version(tensor)


def local(tensor: Tensor) -> Tensor:
    """A DTensor's own shard; any other tensor itself. An element's step needs no other (C12)."""
    to_local = getattr(tensor, "to_local", None)
    if to_local is None:
        return tensor
    shard: Tensor = to_local()
    return shard


class Alike(list[Triple]):
    """(θ, m, g), each three dense in one order, the dtypes of a column alike.

    columns: all θ, all m, all g. dtypes: of each column. pointers: to first elements, likewise.
    sizes: in elements. written: all θ and m. places: where these lie.
    """

    def __init__(self, triples: Iterable[Triple]) -> None:
        super().__init__(triples)
        theta, m, g = columns = tuple(zip(*self, strict=True))
        self.columns: tuple[tuple[Tensor, ...], ...] = columns
        self.dtypes = theta[0].dtype, m[0].dtype, g[0].dtype
        self.pointers = tuple(array("q", map(Tensor.data_ptr, column)) for column in columns)
        self.sizes = array("q", map(Tensor.numel, theta))
        self.written = theta + m
        itemsizes = [dtype.itemsize for dtype in self.dtypes]
        self.places = Places(self.written, self.pointers, self.sizes, itemsizes)


class Places(NamedTuple):
    """Where tensors lay that were alike. Their gradients are not held: those are the caller's."""

    written: tuple[Tensor, ...]
    pointers: tuple[Table, ...]
    sizes: Table
    itemsizes: list[int]

    @property
    def apart(self) -> bool:
        """Whether no two of all the tensors share memory, and each that has elements has some."""
        return lie_apart(self.pointers, self.sizes, self.itemsizes)

    def written_again(self, by: Places) -> bool:
        """Whether the same θ and m are written, in the same places."""
        return (
            self.pointers[:2] == by.pointers[:2]
            and len(self.written) == len(by.written)
            and all(map(is_, self.written, by.written))
        )


def gathered(
    triples: Iterable[Triple], kind: Callable[[Triple], Any]
) -> tuple[list[Alike], list[Triple]]:
    """Triples by their kind, and the others, whose kind is None."""
    if isinstance(triples, Alike):
        return [triples], []
    kinds: defaultdict[Any, list[Triple]] = defaultdict(list)
    for triple in triples:
        kinds[kind(triple)].append(triple)
    others = kinds.pop(None, [])
    return list(map(Alike, kinds.values())), others


def ordinary(
    items: list[tuple[Tensor, Tensor | None, Tensor]], before: Places | None = None
) -> Alike | None:
    """The same tensors if they are all plain and alike; None if only a closer look can tell.

    With hundreds of small tensors `check_tensors`, one parameter after another, takes as long as
    the arithmetic. What is found here passes all of it, and needs no sorting afterwards. before is
    what was found last: a tensor that stays in its place stays on its device.
    """
    if not PLAIN.issuperset(map(type, chain.from_iterable(items))):
        return None
    try:
        alike = Alike(cast("list[Triple]", items))  # None is of no plain type
    except RuntimeError:  # a sparse gradient has no one address
        return None
    params, momenta, grads = columns = alike.columns
    places = alike.places
    known = before is not None and before.written_again(places)
    new: tuple[Tensor, ...] = grads if known else (*grads, *alike.written)
    if (
        not all(all(map(Tensor.is_contiguous, x)) for x in columns)
        or any(any(map(Tensor.is_neg, x)) for x in columns)
        or any(map(Tensor.is_inference, new[len(grads) :]))
        or len({*map(Tensor.get_device, new), params[0].get_device()}) > 1
        or any(len({x.dtype for x in column}) > 1 for column in columns)
        or not all(all(map(Tensor.is_same_size, params, x)) for x in (momenta, grads))
    ):
        return None
    # As before, all of them, or they have to be looked at.
    apart = (before is not None and before[1:] == places[1:]) or places.apart
    return alike if apart else None
