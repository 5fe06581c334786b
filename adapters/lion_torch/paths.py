"""Which code makes a group's step: chosen by options and device, equal in its bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lion_torch import foreach, native, plain
from lion_torch.blocks import Blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from lion_torch.settings import TorchScalars
    from lion_torch.work import Work

    Triples = list[tuple[Tensor, Tensor, Tensor]]
    Path = Callable[[Triples, TorchScalars], None]


def choose(work: Work) -> Path:
    """The path for one group's share; raises before anything has been written if there is none.

    Raises:
        RuntimeError: fused=True where no fused kernel can be had.
    """
    group = work.group
    if group["fused"]:
        if work.device_type != "cpu":
            raise RuntimeError(
                f"`fused=True` with a param on {work.device_type}; legal: params on cpu"
            )
        native.load()
        return native.update
    if group["foreach"]:
        return foreach.update
    if group["differentiable"] or work.device_type != "cpu":
        return _one_by_one
    return _in_blocks


def _one_by_one(triples: Triples, scalars: TorchScalars) -> None:
    for theta, m, g in triples:
        plain.update(theta, m, g, scalars)


def _in_blocks(triples: Triples, scalars: TorchScalars) -> None:
    Blocks(scalars).run(triples)
