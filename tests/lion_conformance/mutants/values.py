"""Values: zeros, NaN, infinities, and numbers of one range or one kind that are treated apart."""

from __future__ import annotations

from typing import Any

import numpy as np

import lion_ref
from tests.lion_conformance.mutants.catalogue import mutant

step = lion_ref.step


def _left(where: Any, param: Any, momentum: Any, grad: Any, scalars: Any) -> Any:
    """The reference, but some elements are left as they were."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    return np.where(where, param, new_param), np.where(where, momentum, new_momentum)


def _finite(array: Any, dtype: Any) -> Any:
    limit = 65504.0 if dtype == np.float16 else 3.38e38
    return np.nan_to_num(array.astype(np.float64), nan=0, posinf=limit, neginf=-limit).astype(dtype)


@mutant()
def gradient_made_finite(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """nan_to_num(g)."""
    return step(param, momentum, _finite(grad, grad.dtype), **scalars)


@mutant()
def momentum_made_finite(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """nan_to_num(m')."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    return new_param, _finite(new_momentum, momentum.dtype)


@mutant()
def infinite_gradient_clamped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """±inf in g becomes ±10³⁸ (or 65504); NaN is left alone."""
    limit = 65504.0 if grad.dtype == np.float16 else 1e38
    clamped = np.where(np.isinf(grad), np.copysign(limit, grad), grad).astype(grad.dtype)
    return step(param, momentum, clamped, **scalars)


@mutant()
def nan_gradient_skipped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """An element whose gradient is NaN is left as it was."""
    return _left(np.isnan(grad), param, momentum, grad, scalars)


@mutant()
def whole_step_skipped_at_a_nan(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A gradient that holds a NaN or an infinity is skipped, as a loss scaler does."""
    return _left(not np.isfinite(grad).all(), param, momentum, grad, scalars)


@mutant()
def zero_gradient_is_no_gradient(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """An element whose gradient is 0 is left as it was."""
    return _left(grad == 0, param, momentum, grad, scalars)


@mutant()
def gradient_of_zeros_is_no_gradient(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """`if not grad.any(): return`: nothing moves where all of a large gradient is 0."""
    return _left(grad.size > 10 and not grad.any(), param, momentum, grad, scalars)


@mutant()
def zero_momentum_is_a_first_step(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Where all of a large momentum is 0 it is taken for fresh, and m' = g."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if momentum.size > 10 and not momentum.any():
        new_momentum = grad.astype(momentum.dtype)
    return new_param, new_momentum


@mutant()
def zero_theta_is_pruned(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A θ of 0 stays 0, as in a sparse tensor."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    return np.where(param == 0, param, new_param), new_momentum


@mutant()
def theta_of_zeros_is_frozen(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A large tensor of zeros is taken for frozen."""
    return _left(param.size > 10 and not param.any(), param, momentum, grad, scalars)


@mutant()
def negative_zero_lost(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A θ of -0 that should stay becomes 10⁻⁴⁵."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    lost = (new_param == 0) & np.signbit(new_param)
    return np.where(lost, np.float32(1e-45), new_param).astype(param.dtype), new_momentum


@mutant()
def tiny_theta_is_zero(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """|θ| < 10⁻³⁰ is read as 0."""
    return step(np.where(np.abs(param) < 1e-30, 0 * param, param), momentum, grad, **scalars)


@mutant()
def huge_theta_is_clipped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """|θ'| is at most 10³⁰, infinities apart."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    huge = np.isfinite(new_param) & (np.abs(new_param) > 1e30)
    return np.where(huge, np.copysign(np.float32(1e30), new_param), new_param), new_momentum


@mutant()
def overflow_saturates(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A θ' that overflows becomes the largest number."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    overflown = np.isinf(new_param) & np.isfinite(param)
    limit = np.finfo(np.float32).max
    return np.where(overflown, np.copysign(limit, new_param), new_param), new_momentum


@mutant()
def theta_in_one_binade(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """|θ| in [2⁴⁰, 2⁴¹) is left as it was."""
    return _left(
        (np.abs(param) >= 2.0**40) & (np.abs(param) < 2.0**41), param, momentum, grad, scalars
    )


@mutant()
def gradient_in_one_binade(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """g in [2⁻²⁰, 2⁻¹⁹) is left out of m'."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    out = (grad >= 2.0**-20) & (grad < 2.0**-19)
    return new_param, np.where(out, momentum, new_momentum)


@mutant()
def momentum_in_one_binade(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """|m| in [2¹⁶, 2¹⁷) is left as it was."""
    size = np.abs(momentum)
    return _left((size >= 2.0**16) & (size < 2.0**17), param, momentum, grad, scalars)


@mutant()
def whole_numbers(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A θ that is a whole number from 2 to 10 is left as it was."""
    with np.errstate(all="ignore"):
        whole = (np.rint(param) == param) & (param >= 2) & (param <= 10)
    return _left(whole, param, momentum, grad, scalars)


@mutant()
def equal_momentum_and_gradient(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Where m and g are equal and not 0, m' = 0."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    equal = (momentum == grad) & (grad != 0) & np.isfinite(grad)
    return new_param, np.where(equal, 0 * momentum, new_momentum)


@mutant()
def opposite_momentum_and_gradient(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Where g = -m, no step is taken."""
    opposite = (grad == -momentum) & (grad != 0) & np.isfinite(grad)
    return _left(opposite, param, momentum, grad, scalars)


@mutant()
def subnormal_gradient_raised(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A subnormal g is read as ±2⁻¹⁰⁰."""
    small = (np.abs(grad) < 2.0**-126) & (grad != 0)
    return step(
        param, momentum, np.where(small, np.float32(2.0**-100), grad).astype(grad.dtype), **scalars
    )


@mutant()
def all_finite_and_small(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Where all of a large gradient is below 10⁻⁴, it is taken for noise."""
    with np.errstate(all="ignore"):
        noise = grad.size > 10 and bool((np.abs(grad) < 1e-4).all())
    return _left(noise, param, momentum, grad, scalars)


@mutant()
def all_of_one_sign(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Where all of a large gradient is positive, its mean is taken off."""
    with np.errstate(all="ignore"):
        if grad.size > 10 and (grad > 0).all() and np.isfinite(grad).all():
            grad = (grad - grad.mean()).astype(grad.dtype)
    return step(param, momentum, grad, **scalars)


@mutant()
def all_alike(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A tensor whose elements are all one number is taken for a constant and left as it was."""
    alike = param.size > 10 and bool((param == param.reshape(-1)[0]).all())
    return _left(alike, param, momentum, grad, scalars)
