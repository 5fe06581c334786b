"""target ⊕ (scalar ⊗ factor) on a CPU, in one pass where that is exact (SPEC C5)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch.utils._python_dispatch import _disable_current_modes

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    AddProduct = Callable[[Tensor, Tensor, float], object]
    AddProducts = Callable[[list[Tensor], list[Tensor], float], object]


def in_two_passes(target: Tensor, factor: Tensor, scalar: float) -> None:
    """target += scalar * factor, each operation rounded, as plainly as torch can."""
    target.add_(factor * scalar)


def in_one_pass(target: Tensor, factor: Tensor, scalar: float) -> None:
    """The same by addcmul, as target + (scalar * factor) * 1.

    torch's add(alpha=) contracts, and so does addcmul on many machines; but what it contracts is
    the last product, with 1, which is exact. torch does not promise that order: see fastest.
    """
    target.addcmul_(factor, _one(target.dtype), value=scalar)


@cache
def fastest(dtype: torch.dtype) -> AddProduct:
    """in_one_pass where a canary shows that it rounds twice on this machine, else in_two_passes.

    The canary cancels: target is -(scalar ⊗ factor), so two roundings give 0, and one gives the
    rounding error of the product. It is long enough for vectors and for a tail.
    """
    with _disable_current_modes():  # a FakeTensorMode has no numbers to look at
        return _fastest(dtype)


def _fastest(dtype: torch.dtype) -> AddProduct:
    ulp = torch.finfo(dtype).eps
    steps = torch.arange(1, 70, dtype=torch.float64, device="cpu")
    scalar = 1 + 5 * ulp
    factor = (1 + ulp * steps).to(dtype)
    target = -(factor * scalar)
    in_one_pass(target, factor, scalar)
    return in_two_passes if target.count_nonzero() else in_one_pass


def over_lists(add_product: AddProduct) -> AddProducts:
    """The same over lists of tensors: in one call where add_product is in_one_pass."""

    def one_by_one(targets: list[Tensor], factors: list[Tensor], scalar: float) -> None:
        for target, factor in zip(targets, factors, strict=True):
            add_product(target, factor, scalar)

    return _each_in_one_pass if add_product is in_one_pass else one_by_one


def _each_in_one_pass(targets: list[Tensor], factors: list[Tensor], scalar: float) -> None:
    # On a CPU this is addcmul_ of each: the canary of `fastest` speaks for it too.
    torch._foreach_addcmul_(targets, factors, [_one(targets[0].dtype)] * len(targets), scalar)


@cache
def _one(dtype: torch.dtype) -> Tensor:
    # The device by name: it is kept, and the first step may run under another default device.
    # Nor under a mode that makes other tensors.
    with _disable_current_modes():
        return torch.ones((), dtype=dtype, device="cpu")
