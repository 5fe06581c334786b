"""The update, in several ways of equal bits, chosen by options and device.

`plain` goes tensor by tensor, `foreach` over lists of them, `blocks` through the cache, with the
sums of `products`; `native` runs lion_cpu.cpp, and `triton_launch` runs `triton_kernel`.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from torch._subclasses.fake_tensor import FakeTensor

from lion_torch.kernel import blocks, foreach, native, plain
from lion_torch.layout import Alike
from lion_torch.threads import require_default_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from lion_torch.layout import Triple
    from lion_torch.scalars import TorchScalars
    from lion_torch.work import Work

    Path = Callable[[list[Triple], TorchScalars], None]

FUSED_DEVICES = ("cpu", "cuda")


def choose(work: Work) -> Path:
    """The path for one group's share; raises before anything has been written if there is none.

    Raises:
        RuntimeError: fused=True where no fused kernel can be had.
        FloatingPointError: torch's other threads flush subnormals, and would take part (SPEC C15).
    """
    # Of tensors without numbers: the other paths ask for numbers of their own.
    fake = not isinstance(work.items, Alike) and any(
        isinstance(param, FakeTensor) for param, *_ in work.items
    )
    path = plain.update if fake else _path(work)
    if (
        work.device_type == "cpu"
        and path is not native.update
        and any(param.numel() > blocks.SERIAL for param, *_ in work.items)
    ):
        require_default_threads()
    return path


def _path(work: Work) -> Path:
    group = work.group
    device = work.device_type
    if group["fused"]:
        if device not in FUSED_DEVICES:
            listed = ", ".join(FUSED_DEVICES)
            raise RuntimeError(f"`fused=True` with a param on {device}; legal: params on {listed}")
        return _fused(device)
    if group["foreach"]:
        return foreach.update
    if group["differentiable"]:
        return plain.update
    if device == "cpu":
        return blocks.update
    if device == "cuda" and group["foreach"] is None:
        # Where torch's own optimizers choose foreach.
        has_triton = group["fused"] is None and importlib.util.find_spec("triton") is not None
        return _fused(device) if has_triton else foreach.update
    return plain.update


def skips_on_device(path: Path) -> bool:
    """Whether the path looks at TorchScalars.skip, so that nobody has to wait for its value."""
    return path.__module__ == "lion_torch.kernel.triton_launch"


def _fused(device: str) -> Path:
    if device == "cpu":
        native.load()
        return native.update
    if importlib.util.find_spec("triton") is None:
        raise RuntimeError(
            "`fused=True` on a GPU needs Triton, and there is none; legal: pip install triton, or "
            "fused=None (the same bits)"
        )
    # Not imported before it is needed: it is no dependency of a CPU build of torch.
    from lion_torch.kernel import triton_launch

    return triton_launch.update
