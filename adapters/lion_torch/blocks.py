"""The default on a CPU: the exact expression, eagerly, over blocks that stay in the cache.

A pass over memory costs more than the arithmetic in it, and the expression is twelve passes. So a
large tensor is updated block by block, in place; small tensors are gathered into one block, as a
call costs more than their arithmetic, and so is whatever has to be converted or is not dense.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from lion_torch.layout import flat_views, pieces
from lion_torch.plain import sign
from lion_torch.rounding import round_to

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from lion_torch.settings import TorchScalars

    Triple = tuple[Tensor, Tensor, Tensor]

BLOCK = 262_144
"""Elements in a block: five of them, in float32, are 5 MiB; larger ones leave the cache."""

SMALL = 32_768
"""A tensor of at most this many elements is gathered with others."""


class Blocks:
    """One step over the tensors of one compute dtype; its blocks are all the memory it takes."""

    def __init__(self, scalars: TorchScalars) -> None:
        self._scalars = scalars
        self._scratch: dict[str, Tensor] = {}
        self._pending: defaultdict[tuple[torch.dtype, ...], list[Triple]] = defaultdict(list)
        self._pending_elements: defaultdict[tuple[torch.dtype, ...], int] = defaultdict(int)

    def run(self, triples: Iterable[Triple]) -> None:
        """Update every (θ, m, g), tensors of one shape each, in place."""
        compute = self._scalars.compute
        for triple in triples:
            flat = flat_views(triple)
            whole: Triple = triple if flat is None else (flat[0], flat[1], flat[2])
            in_place = flat is not None and all(x.dtype == compute for x in triple)
            if in_place and triple[0].numel() > SMALL:
                for theta, m, g in pieces(whole, BLOCK):
                    self._update(theta, m, g)
            else:
                for theta, m, g in pieces(whole, BLOCK):
                    self._gather((theta, m, g))
        for key in list(self._pending):
            self._flush(key)

    def _update(self, theta: Tensor, m: Tensor, g: Tensor) -> None:
        """One block in the compute dtype, in place; every line is one rounding (SPEC C5)."""
        scalars, n = self._scalars, theta.numel()
        c, t = self._buffer("c", n), self._buffer("t", n)
        torch.mul(m, scalars.beta1, out=c)
        torch.mul(g, scalars.one_minus_beta1, out=t)
        c.add_(t)
        # torch.sign(NaN) is 0. c·c is NaN exactly if some c is: squares have no inf - inf.
        if math.isnan(torch.dot(c, c).item()):
            c.copy_(sign(c))
        else:
            c.sign_()
        torch.mul(theta, scalars.weight_decay, out=t)
        t.add_(c)
        t.mul_(scalars.lr)
        theta.sub_(t)
        m.mul_(scalars.beta2)
        torch.mul(g, scalars.one_minus_beta2, out=t)
        m.add_(t)

    def _gather(self, triple: Triple) -> None:
        key = tuple(x.dtype for x in triple)
        size = triple[0].numel()
        if size == 0:
            return
        if self._pending_elements[key] + size > BLOCK:
            self._flush(key)
        self._pending[key].append(triple)
        self._pending_elements[key] += size

    def _flush(self, key: tuple[torch.dtype, ...]) -> None:
        """Copy what is pending into one block each of θ, m and g, update them, and copy back."""
        triples, n = self._pending.pop(key, []), self._pending_elements.pop(key, 0)
        if not triples:
            return
        theta, m, g = (self._buffer(name, n) for name in ("theta", "m", "g"))
        sizes = [triple[0].numel() for triple in triples]
        columns = [list(column) for column in zip(*triples, strict=True)]
        for buffer, column in zip((theta, m, g), columns, strict=True):
            torch._foreach_copy_(_shaped(buffer, sizes, column), column)
        self._update(theta, m, g)
        for buffer, column in zip((theta, m), columns, strict=False):
            stored = round_to(buffer, column[0].dtype)
            torch._foreach_copy_(column, _shaped(stored, sizes, column))

    def _buffer(self, name: str, n: int) -> Tensor:
        buffer = self._scratch.get(name)
        if buffer is None or buffer.numel() < n:
            buffer = torch.empty(n, dtype=self._scalars.compute)
            self._scratch[name] = buffer
        return buffer[:n]


def _shaped(buffer: Tensor, sizes: list[int], like: list[Tensor]) -> list[Tensor]:
    """Views that cut the buffer into the shapes of the given tensors."""
    parts = torch.split(buffer, sizes)
    return [
        part if x.dim() == 1 else part.view(x.shape) for part, x in zip(parts, like, strict=True)
    ]
