"""The default on a CPU: the exact expression, eagerly, over blocks that stay in the cache.

A pass over memory costs more than the arithmetic in it, and the expression is several. So a
large tensor is updated block by block, in place; small tensors are gathered into one block, as a
call costs more than their arithmetic, and so is whatever has to be converted or is not dense.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from lion_torch import products
from lion_torch.layout import flat_views, pieces
from lion_torch.plain import sign
from lion_torch.rounding import round_to

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from lion_torch.settings import TorchScalars

    Triple = tuple[Tensor, Tensor, Tensor]
    Dtypes = tuple[torch.dtype, torch.dtype, torch.dtype]

BLOCK = 32_704
"""Elements of a block: just below the grain from which torch starts other threads.

Those wait for one another after every operation: that gains little on an idle machine, and on a
busy one each wait can cost a scheduler's time slice, a thousand times a step. fused=True uses all
threads.
"""

SMALL = 8_192
"""A tensor of at most this many elements is gathered with others: measured, the two then tie."""


class Blocks:
    """One step over the tensors of one compute dtype; a few blocks are all the memory it takes."""

    def __init__(self, scalars: TorchScalars) -> None:
        self._scalars = scalars
        self._compute = scalars.compute
        self._weight_decay = float(scalars.weight_decay)
        self._minus_lr = -float(scalars.lr)
        # Tensors of no dimension: a Python number costs mul a microsecond more.
        self._beta1 = torch.tensor(scalars.beta1, dtype=self._compute, device="cpu")
        self._beta2 = torch.tensor(scalars.beta2, dtype=self._compute, device="cpu")
        self._add_product = products.fastest(self._compute)
        self._temporary: Tensor | None = None
        self._pending: defaultdict[Dtypes, list[Triple]] = defaultdict(list)
        self._pending_elements: defaultdict[Dtypes, int] = defaultdict(int)

    def run(self, triples: Iterable[Triple]) -> None:
        """Update every (θ, m, g), tensors of one shape each, in place."""
        for triple in triples:
            dtypes: Dtypes = (triple[0].dtype, triple[1].dtype, triple[2].dtype)
            size = triple[0].numel()
            if 0 < size <= SMALL:
                self._gather(dtypes, triple, size)
            elif size:
                self._large(dtypes, triple)
        for waiting in list(self._pending):
            self._flush(waiting)

    def _large(self, dtypes: Dtypes, triple: Triple) -> None:
        flat = flat_views(triple)
        if flat is None or dtypes != (self._compute,) * 3:
            for piece in pieces(flat or triple, BLOCK):
                self._gather(dtypes, piece, piece[0].numel())
        elif flat[0].numel() <= BLOCK:
            self._update(*flat)
        else:
            for parts in zip(*(torch.split(x, BLOCK) for x in flat), strict=True):
                self._update(*parts)

    def _update(self, theta: Tensor, m: Tensor, g: Tensor) -> None:
        """One block in the compute dtype, in place; each product and sum is rounded (SPEC C5)."""
        add_product, scalars = self._add_product, self._scalars
        c = self._scratch(theta.numel())
        torch.mul(m, self._beta1, out=c)
        add_product(c, g, scalars.one_minus_beta1)
        # torch.sign(NaN) is 0, but max passes a NaN on. (A dot product would too, and faster, but
        # BLAS starts threads.)
        if math.isnan(c.max().item()):
            c.copy_(sign(c))
        else:
            c.sign_()
        add_product(c, theta, self._weight_decay)
        # θ ⊖ η⊗s has the bits of θ ⊕ (-η)⊗s.
        add_product(theta, c, self._minus_lr)
        m.mul_(self._beta2)
        add_product(m, g, scalars.one_minus_beta2)

    def _gather(self, dtypes: Dtypes, triple: Triple, size: int) -> None:
        if self._pending_elements[dtypes] + size > BLOCK:
            self._flush(dtypes)
        self._pending[dtypes].append(triple)
        self._pending_elements[dtypes] += size

    def _flush(self, dtypes: Dtypes) -> None:
        """Copy what is pending into one block each of θ, m and g, update them, and copy back."""
        triples = self._pending.pop(dtypes, [])
        self._pending_elements.pop(dtypes, None)
        if not triples:
            return
        thetas, momenta, grads = (list(column) for column in zip(*triples, strict=True))
        theta, m, g = (_joined(x).to(self._compute) for x in (thetas, momenta, grads))
        self._update(theta, m, g)
        for stored, new in ((thetas, theta), (momenta, m)):
            rounded = round_to(new, stored[0].dtype)
            torch._foreach_copy_(stored, _cut(rounded, stored))

    def _scratch(self, n: int) -> Tensor:
        if self._temporary is None or self._temporary.numel() < n:
            self._temporary = torch.empty(n, dtype=self._compute, device="cpu")
        return self._temporary if self._temporary.numel() == n else self._temporary[:n]


# torch's DistributedDataParallel gathers its buckets by these two: one call each for many tensors.
def _joined(tensors: list[Tensor]) -> Tensor:
    flat: Tensor = _flatten_dense_tensors(tensors)
    return flat


def _cut(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    return list(_unflatten_dense_tensors(flat, like))
