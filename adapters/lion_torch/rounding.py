"""Conversions between dtypes that round once, to nearest even; flushed results (SPEC C9, C33)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lion_ref.flushed import Flushed

HALVES = (torch.float16, torch.bfloat16)


def round_to(values: Tensor, dtype: torch.dtype) -> Tensor:
    """values in another floating dtype, rounded once to nearest even.

    Only float64 to a 16-bit dtype needs care: torch's cast goes by way of float32 and rounds
    twice. Rounding to odd first keeps what the second rounding has to know.

    >>> round_to(torch.tensor(1 + 2**-8 + 2**-40, dtype=torch.float64), torch.bfloat16).item()
    1.0078125
    """
    if values.dtype == torch.float64 and dtype in HALVES:
        rounded: Tensor = _ByWayOfOdd.apply(values, dtype)  # type: ignore[no-untyped-call]
        return rounded
    return values.to(dtype)


def flushed(compute: str) -> Flushed:
    """The operations of a compute dtype with subnormals flushed, for tensors.

    Where autograd looks, a zero is left as it is: x times 0 has the same value but not its
    derivative.

    >>> flushed("float32").product(0.5, torch.tensor([2.0**-126, 1.0])).tolist()
    [0.0, 0.5]
    """
    return Flushed(compute, _but_at_zero if torch.is_grad_enabled() else torch.where)


def round_flushed(ops: Flushed, values: Tensor, dtype: torch.dtype) -> Tensor:
    """What `round_to` gives, but for a zero of its sign where that is tiny (SPEC C18)."""
    values = ops.storable(values, str(dtype).removeprefix("torch."))
    if values.dtype == torch.float64 and dtype == torch.bfloat16:
        # What is left below the smallest normal number becomes it: here, as a thread that flushes
        # would lose it in float32, on the way.
        smallest = torch.finfo(dtype).tiny
        lost = (values != 0) & (values.abs() < smallest)
        values = torch.where(lost, values.sign() * smallest, values)
    return round_to(values, dtype)


def _but_at_zero(tiny: Tensor, zero: Tensor, x: Tensor) -> Tensor:
    return torch.where(tiny & (x != 0), zero, x)


class _ByWayOfOdd(torch.autograd.Function):
    """The cast from float64 to 16 bits; its gradient is that of any cast, the identity."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor, dtype: torch.dtype) -> Tensor:
        return _to_odd_float32(values).to(dtype)

    @staticmethod
    def backward(_ctx: Any, *gradients: Any) -> Any:
        return gradients[0].to(torch.float64), None


def _to_odd_float32(values: Tensor) -> Tensor:
    """float64 to float32, truncated, with the last bit set where something was cut off."""
    nearest = values.to(torch.float32)
    too_far = nearest.to(torch.float64).abs() > values.abs()
    # One bit pattern less is the next number toward zero. An overflow becomes the largest finite
    # number, whose last bit is odd, so that it still rounds to infinity in 16 bits.
    pattern = nearest.view(torch.int32) - too_far.to(torch.int32)
    truncated = pattern.view(torch.float32).to(torch.float64)
    inexact = values.isfinite() & (truncated != values)
    return (pattern | inexact.to(torch.int32)).view(torch.float32)
