"""Tensors laid out over meshes of one and two dimensions, in shares even and uneven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.distributed.tensor import Replicate, Shard, distribute_tensor


def placed(placements: Sequence[Any]) -> Callable[[torch.Tensor, Any], Any]:
    def place(whole: torch.Tensor, mesh: Any) -> Any:
        return distribute_tensor(whole, mesh, [fitting(x, whole) for x in placements])

    return place


def fitting(placement: Any, whole: torch.Tensor) -> Any:
    """A tensor of one dimension has no other to be split along."""
    if isinstance(placement, Shard) and placement.dim >= whole.dim():
        return Shard(0)
    return placement


TWO_DIMENSIONS: dict[str, Sequence[Any]] = {
    "columns, then rows": (Shard(1), Shard(0)),
    "rows twice": (Shard(0), Shard(0)),
    "replicas of rows": (Replicate(), Shard(0)),
    "rows of replicas": (Shard(0), Replicate()),
    "replicas": (Replicate(), Replicate()),
}


def chunked(whole: torch.Tensor, mesh: Any, splits: Sequence[tuple[int, int]]) -> torch.Tensor:
    """This process's part of a tensor after torch.chunk along (mesh dimension, dimension)s."""
    coordinates = mesh.get_coordinate()
    for number, dim in splits:
        parts = whole.chunk(mesh.size(number), dim)
        mine = coordinates[number]
        whole = parts[mine] if mine < len(parts) else whole.narrow(dim, 0, 0)
    return whole
