"""The default on a CPU: the exact expression, eagerly, over blocks that stay in the cache.

A pass over memory costs more than the arithmetic in it, and the expression is several. So a
large tensor is updated block by block, in place. Of small tensors a call costs more than their
arithmetic, so several share each call. Whatever has to be converted or is not dense is gathered.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from torch._utils import _unflatten_dense_tensors

from lion_torch.kernel import products
from lion_torch.layout import flat_views, pieces
from lion_torch.rounding import round_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars

    Dtypes = tuple[torch.dtype, torch.dtype, torch.dtype]

BLOCK = 524_288
"""Elements of a block, and all the memory that a step takes.

torch's threads wait for one another after every operation; on a busy machine a wait can cost a
scheduler's time slice. So blocks are as large as caches allow: from a quarter of this to twice as
many elements take the same time on an idle machine, an eighth of it half as long again.
"""

SERIAL = 32_704
"""Elements just below the grain from which torch starts other threads.

A tensor of at most so many shares calls with others, and no operation on those starts any; nor does
one on what is gathered, so many elements at a time.
"""

SHARED = 4 * SERIAL
"""Elements of small tensors that share calls."""


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, in place."""
    _Blocks(scalars).run(triples)


class _Blocks:
    """One step over the tensors of one compute dtype; a block is all the memory it takes."""

    def __init__(self, scalars: TorchScalars) -> None:
        self._scalars = scalars
        self._compute = scalars.compute
        self._weight_decay = float(scalars.weight_decay)
        self._minus_lr = -float(scalars.lr)
        # Tensors of no dimension: a Python number costs mul a microsecond more.
        self._beta1 = torch.tensor(scalars.beta1, dtype=self._compute, device="cpu")
        self._beta2 = torch.tensor(scalars.beta2, dtype=self._compute, device="cpu")
        self._add_products = products.over_lists(products.fastest(self._compute))
        self._memory: Tensor | None = None
        self._cuts: dict[tuple[int, ...], tuple[list[Tensor], Sequence[Tensor]]] = {}

    def run(self, triples: Iterable[Triple]) -> None:
        """Update every (θ, m, g), tensors of one shape each, in place."""
        alike: Dtypes = (self._compute, self._compute, self._compute)
        small: list[Triple] = []
        others: defaultdict[Dtypes, list[Triple]] = defaultdict(list)
        for triple in triples:
            theta, m, g = triple
            size = theta.numel()
            if not size:
                continue
            dtypes = (theta.dtype, m.dtype, g.dtype)
            flat = flat_views(triple)
            if flat is None or dtypes != alike:
                others[dtypes] += pieces(flat or triple, SERIAL)
            elif size > SERIAL:
                parts = (torch.split(x, BLOCK) for x in flat)
                for part, part_m, part_g in zip(*parts, strict=True):
                    self._update(part, part_m, part_g, self._scratch(part.numel()))
            else:
                small.append(flat)
        # The largest first: then the views below are cut from memory that is not replaced.
        for group in sorted(_groups(small, SHARED), key=_elements, reverse=True):
            self._update_together(group)
        for some in others.values():
            for group in _groups(some, SERIAL):
                self._update_gathered(group)

    def _update(self, theta: Tensor, m: Tensor, g: Tensor, c: Tensor) -> None:
        """One block in the compute dtype, in place."""
        torch.mul(m, self._beta1, out=c)
        self._finish([theta], [m], [g], [c], [c])

    def _update_together(self, triples: list[Triple]) -> None:
        """As _update, over several one-dimensional tensors, a call for each operation."""
        theta, m, g = (list(column) for column in zip(*triples, strict=True))
        sizes = tuple(x.numel() for x in theta)
        if sizes not in self._cuts:  # where layers repeat, so do sizes
            joined = self._scratch(sum(sizes))
            self._cuts[sizes] = list(joined.split(sizes)), joined.split(SERIAL)
        c, serial = self._cuts[sizes]
        torch._foreach_copy_(c, m)
        torch._foreach_mul_(c, self._beta1)
        self._finish(theta, m, g, c, serial)

    def _finish(
        self,
        theta: list[Tensor],
        m: list[Tensor],
        g: list[Tensor],
        c: list[Tensor],
        joined: Sequence[Tensor],
    ) -> None:
        """The step, from c = a on, in place; each product and sum is rounded (SPEC C5).

        joined: the memory of all c, in as many tensors as its signs are to be taken in.
        """
        add_products, scalars = self._add_products, self._scalars
        add_products(c, g, scalars.one_minus_beta1)
        for piece in joined:
            _sign_(piece)
        add_products(c, theta, self._weight_decay)
        # θ ⊖ η⊗s has the bits of θ ⊕ (-η)⊗s.
        add_products(theta, c, self._minus_lr)
        torch._foreach_mul_(m, self._beta2)
        add_products(m, g, scalars.one_minus_beta2)

    def _update_gathered(self, triples: list[Triple]) -> None:
        """Copy tensors into one block each of θ, m and g, update those, and copy back."""
        thetas, momenta, grads = (list(column) for column in zip(*triples, strict=True))
        size = _elements(triples)
        theta, m, g, c = self._scratch(4 * size).split(size)
        for block, stored in ((theta, thetas), (m, momenta), (g, grads)):
            torch._foreach_copy_(_cut(block, stored), stored)
        self._update(theta, m, g, c)
        for stored, new in ((thetas, theta), (momenta, m)):
            # A copy rounds by itself, but twice from float64 to 16 bits.
            rounded = round_to(new, stored[0].dtype) if new.dtype == torch.float64 else new
            torch._foreach_copy_(stored, _cut(rounded, stored))

    def _scratch(self, n: int) -> Tensor:
        if self._memory is None or self._memory.numel() < n:
            self._cuts.clear()
            self._memory = torch.empty(n, dtype=self._compute, device="cpu")
        return self._memory if self._memory.numel() == n else self._memory[:n]


def _sign_(c: Tensor) -> None:
    """sign(c), in place; NaN for NaN (SPEC C7)."""
    # torch.sign(NaN) is 0, but max passes a NaN on. (A dot product would too, and faster, but
    # BLAS starts threads.)
    if not math.isnan(c.max().item()):
        c.sign_()
        return
    # Without memory: to the smallest subnormals, which clamp does and passes NaN on, from there to
    # ±1 by powers of two, one for each half of the way, and from -0 to +0.
    limits = torch.finfo(c.dtype)
    exponent = -int(math.log2(limits.tiny * limits.eps))
    c.clamp_(-(2.0**-exponent), 2.0**-exponent)
    c.mul_(2.0 ** (exponent // 2)).mul_(2.0 ** (exponent - exponent // 2)).add_(0.0)


def _groups(triples: Iterable[Triple], limit: int) -> Iterator[list[Triple]]:
    """The tensors in their order, at most limit elements at a time."""
    group: list[Triple] = []
    elements = 0
    for triple in triples:
        size = triple[0].numel()
        if elements + size > limit:
            yield group
            group, elements = [], 0
        group.append(triple)
        elements += size
    if group:
        yield group


def _elements(triples: list[Triple]) -> int:
    return sum(triple[0].numel() for triple in triples)


# torch's DistributedDataParallel cuts its buckets by this: one call for many tensors.
def _cut(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    return list(_unflatten_dense_tensors(flat, like))
