"""The default on a CPU: one pass over memory, by lion_cpu's kernel, in torch's own threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

import lion_cpu
from lion_torch.kernel import eager
from lion_torch.layout import Alike, dense_alike, gathered, has_no_memory, mark_written, pieces
from lion_torch.scalars import dtype_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, in place."""
    alike, others = gathered(triples, _kind)
    for some in alike:
        if isinstance(triples, Alike) or some.places.apart:
            _step(some, scalars)
        else:  # one after another: threads would meet in what two of them share
            for triple in some:
                _step(Alike([triple]), scalars)
    for triple in others:
        if any(map(has_no_memory, triple)):
            eager.one_by_one([triple], scalars)
        else:
            _step_copies(triple, scalars)


def _kind(triple: Triple) -> tuple[torch.dtype, ...] | None:
    """The dtypes of three tensors that one pointer each can go through; of others None."""
    if any(map(has_no_memory, triple)) or not dense_alike(triple):
        return None
    return tuple(x.dtype for x in triple)


def _step(some: Alike, scalars: TorchScalars) -> None:
    mark_written(some.written)
    theta, m, g = map(dtype_name, some.dtypes)
    lion_cpu.step(
        some.pointers,
        some.sizes,
        (theta, m, g),
        lion_cpu.in_order(scalars),
        flush=scalars.flush,
        threads=torch.get_num_threads(),
        team=lion_cpu.team_of(torch._C.__file__),  # noqa: SLF001 - the library has no other name
    )


def _step_copies(triple: Triple, scalars: TorchScalars) -> None:
    """The same for tensors that are not dense, or each in an order of its own."""
    for piece in pieces(triple):
        theta, m, g = (x.contiguous() for x in piece)
        _step(Alike([(theta, m, g)]), scalars)
        for stored, new in zip(piece, (theta, m), strict=False):
            stored.copy_(new)
