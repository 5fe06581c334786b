"""The update, in several ways of equal bits, chosen by options and device.

`native` runs lion_cpu's kernel, and `triton_launch` runs `triton_kernel`; `eager` takes torch's own
operations, over one tensor or over lists of them.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import lion_cpu
from lion_torch.kernel import eager, native
from lion_torch.threads import GRAIN, require_threads

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
    path = _path(work)
    if (
        work.device_type == "cpu"
        and path is not native.update
        and any(param.numel() >= GRAIN for param, *_ in work.items)
    ):
        require_threads(flush=work.scalars.flush)
    return path


def _path(work: Work) -> Path:
    group, device = work.group, work.device_type
    if group["fused"]:
        if device not in FUSED_DEVICES:
            listed = ", ".join(FUSED_DEVICES)
            raise RuntimeError(f"`fused=True` with a param on {device}; legal: params on {listed}")
        return _fused(device)
    if group["foreach"]:
        return eager.foreach
    if group["differentiable"] or group["foreach"] is False:
        return eager.one_by_one
    # What torch's own optimizers choose where nothing is asked for, and the fused kernel before it.
    if group["fused"] is None and not _missing(device):
        return _fused(device)
    return eager.foreach if device == "cuda" else eager.one_by_one


def skips_on_device(path: Path) -> bool:
    """Whether the path looks at TorchScalars.skip, so that nobody has to wait for its value."""
    return path.__module__ == "lion_torch.kernel.triton_launch"


def _missing(device: str) -> str:
    """Why there is no fused kernel for a kind of device; empty if there is one."""
    if device == "cpu":
        return lion_cpu.missing()
    if device == "cuda":
        return (
            ""
            if importlib.util.find_spec("triton")
            else "there is no Triton; legal: pip install triton"
        )
    return f"none for {device}"


def _fused(device: str) -> Path:
    if missing := _missing(device):
        raise RuntimeError(f"`fused=True`: {missing}, or fused=None (the same bits)")
    if device == "cpu":
        return native.update
    # Not imported before it is needed: it is no dependency of a CPU build of torch.
    from lion_torch.kernel import triton_launch

    return triton_launch.update
