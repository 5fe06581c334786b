"""How tensors lie in memory: flat views and pieces, shards, elements that share a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

Triple = tuple[Tensor, Tensor, Tensor]
"""θ, m, g."""


def flat_views(tensors: Triple) -> Triple | None:
    """One-dimensional views that pair the elements of tensors of one shape; None if a copy is due.

    Any dense layout will do, channels-last or transposed, as long as all tensors have the same.

    >>> x = torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)
    >>> [view.shape for view in flat_views((x, x.clone(), x.clone()))]
    [torch.Size([120]), torch.Size([120]), torch.Size([120])]
    >>> flat_views((x, x.clone(), x.contiguous())) is None
    True
    """
    theta, m, g = tensors
    if theta.is_contiguous() and m.is_contiguous() and g.is_contiguous():
        if theta.dim() == 1:
            return tensors
        return theta.view(-1), m.view(-1), g.view(-1)
    strides = theta.stride()
    order = sorted(range(len(strides)), key=strides.__getitem__, reverse=True)
    theta, m, g = (x.permute(order) for x in tensors)
    if theta.is_contiguous() and m.is_contiguous() and g.is_contiguous():
        return theta.view(-1), m.view(-1), g.view(-1)
    return None


def pieces(tensors: Triple, limit: int) -> Iterator[Triple]:
    """Matching views of tensors of one shape that cover them, each of at most limit elements."""
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


def local(tensor: Tensor) -> Tensor:
    """A DTensor's own shard; any other tensor itself. An element's step needs no other (C12)."""
    to_local = getattr(tensor, "to_local", None)
    if to_local is None:
        return tensor
    shard: Tensor = to_local()
    return shard
