"""The default on a CPU: one pass over memory, by lion_cpu's kernel, in torch's own threads."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

import lion_cpu
from lion_torch.kernel import plain
from lion_torch.layout import Alike, flat_views, gathered, pieces
from lion_torch.scalars import dtype_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars

PIECE = 262_144
"""Elements that are copied at a time where tensors do not lie in memory as the kernel needs it."""


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors, in place."""
    alike, others = gathered(triples, _kind)
    for some in alike:
        _step(some, scalars)
    for triple in others:
        if any(map(is_traceable_wrapper_subclass, triple)):
            plain.update([triple], scalars)
        else:
            _step_copies(triple, scalars)


def _kind(triple: Triple) -> tuple[torch.dtype, ...] | None:
    """The dtypes of three tensors that one pointer each can go through; of others None."""
    if any(map(is_traceable_wrapper_subclass, triple)) or flat_views(triple) is None:
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
    threads = torch.get_num_threads()
    lion_cpu.step(some.pointers, some.sizes, (theta, m, g), numbers, threads=threads, team=_team())
    # Autograd does not see what happens through pointers.
    torch.autograd.graph.increment_version(some.written)


def _step_copies(triple: Triple, scalars: TorchScalars) -> None:
    """The same for tensors that are not dense, or each in an order of its own."""
    for piece in pieces(triple, PIECE):
        theta, m, g = (x.contiguous() for x in piece)
        _step(Alike([(theta,), (m,), (g,)]), scalars)
        for stored, new in zip(piece, (theta, m), strict=False):
            stored.copy_(new)


@cache
def _team() -> int | None:
    """The address of GOMP_parallel in the OpenMP that torch runs its operations with.

    Between operations its threads stay awake for some milliseconds, and threads beside them would
    have to share the processors with them.
    """
    try:
        # A library's symbols are looked up in those that it needs, too.
        function = ctypes.CDLL(torch._C.__file__).GOMP_parallel  # noqa: SLF001 - it has no other name
    except (OSError, AttributeError):
        return None  # another OpenMP: the kernel then starts threads of its own
    return ctypes.cast(function, ctypes.c_void_p).value


if hasattr(os, "register_at_fork"):
    # A forked process has none of those threads, and its OpenMP would wait for them for ever.
    def _forget_the_team() -> None:
        global _team  # noqa: PLW0603
        _team = cache(lambda: None)

    os.register_at_fork(after_in_child=_forget_the_team)
