"""A run in shards: where a process's shard lies in the whole, and how the processes act as one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor

from lion_torch.layout import local


def is_sharded(tensor: Tensor) -> bool:
    """Whether it is a DTensor, without importing that."""
    return hasattr(tensor, "placements") and hasattr(tensor, "device_mesh")


def place(tensor: Tensor) -> tuple[slice, ...]:
    """Which part of the whole this process has; all of it unless it is a DTensor.

    Raises:
        ValueError: shards that are laid out in a way that is not known here, or are summands.
    """
    bounds = [(0, size) for size in tensor.shape]
    if is_sharded(tensor):
        mesh: Any = tensor.device_mesh  # type: ignore[attr-defined]
        coordinates = mesh.get_coordinate()
        if coordinates is None:  # of a mesh that this process is not in
            return tuple(slice(0, 0) for _ in bounds)
        for number, dim in _splits(tensor):
            start, stop = bounds[dim]
            each = -(-(stop - start) // mesh.size(number))  # as torch.chunk
            first = min(start + each * coordinates[number], stop)
            bounds[dim] = first, min(first + each, stop)
        if tuple(local(tensor).shape) != tuple(stop - start for start, stop in bounds):
            raise ValueError(
                f"a shard of a tensor of shape {tuple(tensor.shape)} has shape "
                f"{tuple(local(tensor).shape)}, which {_words(tensor)} does not make; "
                "legal: shards as torch.chunk makes them"
            )
    return tuple(slice(*both) for both in bounds)


def is_first(tensor: Tensor) -> bool:
    """Whether this process is the first of those that have the same shard of a DTensor."""
    mesh: Any = tensor.device_mesh  # type: ignore[attr-defined]
    coordinates = mesh.get_coordinate()
    return coordinates is not None and not any(
        coordinate
        for coordinate, placement in zip(coordinates, _placements(tensor), strict=True)
        if not hasattr(placement, "dim")
    )


def _splits(tensor: Tensor) -> list[tuple[int, int]]:
    """The dimensions of the mesh that split the tensor, in their order, and what each splits.

    From left to right; but FSDP splits the shards that tensor parallelism, to its right, has made,
    and says so by a split_factor, which is how many there are.
    """
    mesh: Any = tensor.device_mesh  # type: ignore[attr-defined]
    forward, backward = [], []
    placements = _placements(tensor)
    for number, placement in enumerate(placements):
        if placement.is_partial():
            raise ValueError(
                f"{_words(tensor)} is of summands, each of them in a process; legal: Shard, "
                "Replicate"
            )
        if not hasattr(placement, "dim"):
            continue
        factor = getattr(placement, "split_factor", None)
        right = prod(
            mesh.size(other)
            for other in range(number + 1, len(placements))
            if getattr(placements[other], "dim", None) == placement.dim
        )
        if factor is None:
            forward.append((number, placement.dim))
        elif factor == right:
            backward.append((number, placement.dim))
        else:
            raise ValueError(
                f"{_words(tensor)} is strided by {factor} where {right} shards are to its right; "
                "legal: the shards of fully_shard after parallelize_module, or plain ones"
            )
    order = getattr(getattr(tensor, "_spec", None), "shard_order", None)
    for entry in order or ():
        if list(entry.mesh_dims) != sorted(entry.mesh_dims):
            raise ValueError(
                f"{_words(tensor)} is split along the mesh's dimensions {entry.mesh_dims} in this "
                "order; legal: from left to right"
            )
    return forward + backward[::-1]


def _placements(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.placements)  # type: ignore[attr-defined]


def _words(tensor: Tensor) -> str:
    return f"the placement {_placements(tensor)}"


class Processes:
    """Those that have a share of a run each: all of torch.distributed's, or this one alone.

    Args:
        several: whether the run is in shards. If it is, each of them does all that is done here,
            in the same order: what one awaits of the others has to come.
    """

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self.first = not several or torch.distributed.get_rank() == 0

    def writes(self, tensor: Tensor) -> bool:
        """Whether a tensor's share of this process is to be written by it, and by no other."""
        return is_first(tensor) if is_sharded(tensor) else self.first

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """What is done within it, done by all of them: an error in one is an error in each."""
        try:
            yield
        except BaseException as error:
            self._gathered(f"{type(error).__name__}: {error}")
            raise
        for rank, refusal in enumerate(self._gathered(None)):
            if refusal is not None:
                raise RuntimeError(f"process {rank} has refused: {refusal}")

    def require_same(self, what: str, value: object) -> None:
        """ValueError, in all of them, unless they have the same value."""
        digests = self._gathered(hashlib.sha256(repr(value).encode()).hexdigest())
        for rank, digest in enumerate(digests):
            if digest != digests[0]:
                raise ValueError(
                    f"process {rank} has {what} other than process 0; legal: the same in each"
                )

    def _gathered(self, text: str | None) -> list[str | None]:
        """What each process says, by rank."""
        if not self._several:
            return [text]
        said: list[str | None] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(said, text)
        return said
