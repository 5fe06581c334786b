"""Launches the Triton kernel: one launch for all tensors of a group that are alike."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Any

import torch
import triton.language as tl

from lion_torch import foreach
from lion_torch.layout import flat_views
from lion_torch.triton_kernel import BLOCK, OPTIONS, lion_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from lion_torch.settings import TorchScalars

    Triple = tuple[Tensor, Tensor, Tensor]

_TYPES = {
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
}
_HALF = (torch.float16, torch.bfloat16)


def update(triples: Iterable[Triple], scalars: TorchScalars) -> None:
    """One step of many tensors on one kind of device, in place."""
    alike: defaultdict[tuple[Any, ...], list[Triple]] = defaultdict(list)
    others = []
    for triple in triples:
        theta, m, g = triple
        if not theta.numel():
            continue
        # Storing float64 as 16 bits by way of float32 would round twice.
        twice = theta.dtype == torch.float64 and m.dtype in _HALF
        if twice or flat_views(triple) is None:
            others.append(triple)
            continue
        aligned = not (theta.data_ptr() | m.data_ptr() | g.data_ptr()) % 16
        alike[theta.device, theta.dtype, m.dtype, g.dtype, aligned].append(triple)
    for (device, *dtypes, aligned), some in alike.items():
        _launch(some, scalars, device, dtypes, aligned=aligned)
    if others and not (scalars.skip is not None and scalars.skip.item()):
        foreach.update(others, scalars)


def _launch(
    triples: list[Triple],
    scalars: TorchScalars,
    device: torch.device,
    dtypes: list[torch.dtype],
    *,
    aligned: bool,
) -> None:
    columns = list(zip(*triples, strict=True))
    sizes, tensor_of_block, first_block = _blocks(device, tuple(x.numel() for x in columns[0]))
    addresses = _addresses(device, tuple(x.data_ptr() for column in columns for x in column))
    lr, weight_decay = scalars.lr, scalars.weight_decay
    on_device = {
        name: value.to(device) if isinstance(value, torch.Tensor) else None
        for name, value in (("lr", lr), ("weight_decay", weight_decay))
    }
    with _on(device):
        lion_kernel[(tensor_of_block.numel(),)](
            addresses,
            len(triples),
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
            *(_TYPES[dtype] for dtype in dtypes),
            _TYPES[scalars.compute],
            aligned,
            BLOCK,
            **OPTIONS,
        )
    # Autograd does not see what happens through pointers.
    torch.autograd.graph.increment_version(columns[0] + columns[1])


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


def _blocks(device: torch.device, sizes: tuple[int, ...]) -> _Tables:
    """Which program works on what: it depends on the sizes alone."""

    def make() -> _Tables:
        size = torch.tensor(sizes, dtype=torch.int64)
        count = (size + BLOCK - 1).div(BLOCK, rounding_mode="floor")
        order = torch.arange(len(sizes), dtype=torch.int32)
        first = (count.cumsum(0) - count).to(torch.int32)
        return size, torch.repeat_interleave(order, count), first

    return _kept((device, "sizes", sizes), device, make)


def _addresses(device: torch.device, addresses: tuple[int, ...]) -> Tensor:
    """Where the tensors lie."""

    def make() -> _Tables:
        return (torch.tensor(addresses, dtype=torch.int64),)

    (table,) = _kept((device, "addresses", addresses), device, make)
    return table


def _on(device: torch.device) -> Any:
    """Triton launches on the current device; for a CPU, its interpreter has none to choose."""
    return torch.cuda.device(device) if device.type == "cuda" else torch.device(device)
