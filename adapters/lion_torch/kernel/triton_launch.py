"""Launches the Triton kernel: one launch for all tensors of a group that are alike."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import triton.language as tl

from lion_torch.kernel import eager
from lion_torch.kernel.triton_kernel import BLOCK, OPTIONS, lion_kernel
from lion_torch.layout import Alike, dense_alike, gathered, mark_written
from lion_torch.rounding import HALVES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars

_TYPES = {
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
}


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors on one kind of device, in place."""
    alike, others = _sorted(triples)
    for some in alike:
        _launch(some, scalars)
    if others and not (scalars.skip is not None and scalars.skip.item()):
        eager.foreach(others, scalars)


def _sorted(triples: Iterable[Triple]) -> tuple[list[Alike], list[Triple]]:
    """What one launch each can step, and the others; what has no elements is neither."""
    if (
        isinstance(triples, Alike)
        and _aligned(triples)
        and all(triples.sizes)
        and not _would_round_twice(*triples.dtypes)
    ):
        return [triples], []
    return gathered([x for x in triples if x[0].numel()], _kind)


def _kind(triple: Triple) -> tuple[Any, ...] | None:
    theta, m, g = triple
    if _would_round_twice(theta.dtype, m.dtype) or not dense_alike(triple):
        return None
    aligned = not (theta.data_ptr() | m.data_ptr() | g.data_ptr()) % 16
    return theta.device, theta.dtype, m.dtype, g.dtype, aligned


def _would_round_twice(theta: torch.dtype, m: torch.dtype, *_: torch.dtype) -> bool:
    """Whether float64 would be stored as 16 bits, by way of float32."""
    return theta == torch.float64 and m in HALVES


def _aligned(some: Alike) -> bool:
    return not any(np.bitwise_or.reduce(np.asarray(x)) % 16 for x in some.pointers)


def _launch(some: Alike, scalars: TorchScalars) -> None:
    device = some[0][0].device
    mark_written(some.written)
    sizes, tensor_of_block, first_block = _blocks(device, some.sizes.tobytes())
    addresses = _addresses(device, b"".join(x.tobytes() for x in some.pointers))
    lr, weight_decay = scalars.lr, scalars.weight_decay
    on_device = {
        name: value.to(device) if isinstance(value, torch.Tensor) else None
        for name, value in (("lr", lr), ("weight_decay", weight_decay))
    }
    with _on(device):
        lion_kernel[(tensor_of_block.numel(),)](
            addresses,
            len(some),
            sizes,
            tensor_of_block,
            first_block,
            scalars.beta1,
            scalars.one_minus_beta1,
            scalars.beta2,
            scalars.one_minus_beta2,
            0.0 if isinstance(lr, torch.Tensor) else lr,
            0.0 if isinstance(weight_decay, torch.Tensor) else weight_decay,
            on_device["lr"],
            on_device["weight_decay"],
            None if scalars.skip is None else scalars.skip.to(device),
            *(_TYPES[dtype] for dtype in some.dtypes),
            _TYPES[scalars.compute],
            _aligned(some),
            BLOCK,
            scalars.flush,
            **OPTIONS,
        )


# Tables on the device, the ones used last: addresses and sizes seldom change from step to step.
_Tables = tuple[torch.Tensor, ...]
_known: OrderedDict[tuple[Any, ...], _Tables] = OrderedDict()
_in_graphs: list[_Tables] = []


def _kept(key: tuple[Any, ...], device: torch.device, make: Callable[[], _Tables]) -> _Tables:
    """The tables for a key, uploaded if they are not on the device yet."""
    capturing = device.type == "cuda" and torch.cuda.is_current_stream_capturing()
    tables = _known.get(key)
    if tables is not None:
        _known.move_to_end(key)
    if tables is None:
        made = tuple(x.pin_memory() for x in make()) if device.type == "cuda" else make()
        tables = tuple(x.to(device, non_blocking=True) for x in made)
        if capturing:
            # Each replay repeats the copy: its source must stay. Before the first one the tables
            # are empty, so no other step may use them.
            _in_graphs.append(made)
        else:
            _known[key] = tables
            if len(_known) > 128:
                _known.popitem(last=False)
    if capturing:
        _in_graphs.append(tables)
    return tables


def _blocks(device: torch.device, sizes: bytes) -> _Tables:
    """Which program works on what: it depends on the sizes alone, int64 each."""

    def make() -> _Tables:
        size = torch.frombuffer(bytearray(sizes), dtype=torch.int64)
        count = (size + BLOCK - 1).div(BLOCK, rounding_mode="floor")
        order = torch.arange(len(size), dtype=torch.int32, device="cpu")
        first = (count.cumsum(0) - count).to(torch.int32)
        return size, torch.repeat_interleave(order, count), first

    return _kept((device, "sizes", sizes), device, make)


def _addresses(device: torch.device, addresses: bytes) -> Tensor:
    """Where the tensors lie, int64 each."""

    def make() -> _Tables:
        return (torch.frombuffer(bytearray(addresses), dtype=torch.int64),)

    (table,) = _kept((device, "addresses", addresses), device, make)
    return table


def _on(device: torch.device) -> Any:
    """Triton launches on the current device; for a CPU, its interpreter has none to choose."""
    return torch.cuda.device(device) if device.type == "cuda" else torch.device(device)
