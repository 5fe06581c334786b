"""The default on a CPU: one pass over memory, by lion_cpu's kernel, in torch's own threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

import lion_cpu
from lion_torch.kernel import eager
from lion_torch.layout import Alike, dense_alike, gathered, pieces
from lion_torch.scalars import dtype_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, in place."""
    alike, others = gathered(triples, _kind)
    for some in alike:
        _step(some, scalars)
    for triple in others:
        if any(map(is_traceable_wrapper_subclass, triple)):
            eager.one_by_one([triple], scalars)
        else:
            _step_copies(triple, scalars)


def _kind(triple: Triple) -> tuple[torch.dtype, ...] | None:
    """The dtypes of three tensors that one pointer each can go through; of others None."""
    if any(map(is_traceable_wrapper_subclass, triple)) or not dense_alike(triple):
        return None
    return tuple(x.dtype for x in triple)


def _step(some: Alike, scalars: TorchScalars) -> None:
    theta, m, g = map(dtype_name, some.dtypes)
    numbers = (
        scalars.beta1,
        scalars.one_minus_beta1,
        scalars.beta2,
        scalars.one_minus_beta2,
        float(scalars.lr),
        float(scalars.weight_decay),
    )
    lion_cpu.step(
        some.pointers,
        some.sizes,
        (theta, m, g),
        numbers,
        threads=torch.get_num_threads(),
        team=lion_cpu.team_of(torch._C.__file__),  # noqa: SLF001 - the library has no other name
    )
    # Autograd does not see what happens through pointers.
    torch.autograd.graph.increment_version(some.written)


def _step_copies(triple: Triple, scalars: TorchScalars) -> None:
    """The same for tensors that are not dense, or each in an order of its own."""
    for piece in pieces(triple):
        theta, m, g = (x.contiguous() for x in piece)
        _step(Alike([(theta,), (m,), (g,)]), scalars)
        for stored, new in zip(piece, (theta, m), strict=False):
            stored.copy_(new)
