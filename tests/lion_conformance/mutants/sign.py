"""The sign: soft, of zero, of NaN and infinity, wrong in some range of c alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import lion_ref
from lion_ref import Semantics
from tests.lion_conformance.mutants.catalogue import mutant
from tests.lion_conformance.mutants.formula import lion_with_sign

step = lion_ref.step

NAN_IS_ZERO = Semantics(nan_sign="zero")
ZERO_KEPT = Semantics(zero_sign="kept")


@mutant()
def tanh(*arrays: Any, **scalars: Any) -> Any:
    """u = tanh(10⁴·c)."""
    return lion_with_sign(lambda c: np.tanh(c * 10_000))(*arrays, **scalars)


@mutant()
def steep_tanh(*arrays: Any, **scalars: Any) -> Any:
    """u = tanh(10³⁰·c), which is ±1 but for the smallest c."""
    return lion_with_sign(lambda c: np.tanh(c.astype(np.float64) * 1e30).astype(c.dtype))(
        *arrays, **scalars
    )


@mutant()
def epsilon(*arrays: Any, **scalars: Any) -> Any:
    """u = c / (|c| + 10⁻⁸)."""
    return lion_with_sign(lambda c: c / (np.abs(c) + c.dtype.type(1e-8)))(*arrays, **scalars)


@mutant()
def quotient(*arrays: Any, **scalars: Any) -> Any:
    """u = c / |c|: NaN where c is 0."""
    return lion_with_sign(lambda c: c / np.abs(c))(*arrays, **scalars)


@mutant()
def linear_below_two(*arrays: Any, **scalars: Any) -> Any:
    """u = c/2 where |c| < 2: wrong for small c alone."""
    return lion_with_sign(lambda c: np.clip(c / 2, -1, 1))(*arrays, **scalars)


@mutant()
def wrong_below_two(*arrays: Any, **scalars: Any) -> Any:
    """u is doubled where |c| < 2."""
    return lion_with_sign(lambda c: np.sign(c) * np.where(np.abs(c) < 2, 2, 1))(*arrays, **scalars)


@mutant()
def wrong_above_a_thousand(*arrays: Any, **scalars: Any) -> Any:
    """u is c where 1000 < |c| < 2000."""
    return lion_with_sign(
        lambda c: np.where((np.abs(c) > 1000) & (np.abs(c) < 2000), c, np.sign(c))
    )(*arrays, **scalars)


@mutant()
def wrong_in_an_odd_range(*arrays: Any, **scalars: Any) -> Any:
    """u is 0 where 0.3 < |c| < 0.31."""
    return lion_with_sign(
        lambda c: np.where((np.abs(c) > 0.3) & (np.abs(c) < 0.31), 0 * c, np.sign(c))
    )(*arrays, **scalars)


@mutant()
def wrong_for_tiny_c(*arrays: Any, **scalars: Any) -> Any:
    """u is 0 where |c| < 10⁻¹², a dead zone."""
    return lion_with_sign(lambda c: np.where(np.abs(c) < 1e-12, 0 * c, np.sign(c)))(
        *arrays, **scalars
    )


@mutant()
def wrong_for_huge_c(*arrays: Any, **scalars: Any) -> Any:
    """u is 0 where |c| > 10³⁰."""
    return lion_with_sign(lambda c: np.where(np.abs(c) > 1e30, 0 * c, np.sign(c)))(
        *arrays, **scalars
    )


@mutant()
def sign_of_zero_is_one(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """sign(±0) = +1 where m and g are both zeros."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    still = (momentum == 0) & (grad == 0)
    moved, _ = step(param, np.ones_like(momentum), np.ones_like(grad), **scalars)
    return np.where(still, moved, new_param), new_momentum


@mutant()
def sign_of_zero_by_its_bit(*arrays: Any, **scalars: Any) -> Any:
    """sign(±0) = ±1, as copysign(1, c) has it."""
    return lion_with_sign(lambda c: np.where(np.isnan(c), c, np.copysign(c.dtype.type(1), c)))(
        *arrays, **scalars
    )


@mutant()
def two_signs_alone(*arrays: Any, **scalars: Any) -> Any:
    """u = 1 if c > 0 else -1: zero and NaN step down."""
    return lion_with_sign(lambda c: np.where(c > 0, c.dtype.type(1), c.dtype.type(-1)))(
        *arrays, **scalars
    )


@mutant(semantics=ZERO_KEPT)
def sign_of_a_negative_zero_kept(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """sign(-0) = -0, as jnp.sign has it."""
    return step(param, momentum, grad, **scalars, semantics=ZERO_KEPT)


@mutant(semantics=NAN_IS_ZERO)
def difference_of_comparisons(*arrays: Any, **scalars: Any) -> Any:
    """u = (c > 0) - (c < 0): a NaN is swallowed."""
    return lion_with_sign(lambda c: ((c > 0) * 1.0 - (c < 0) * 1.0).astype(c.dtype))(
        *arrays, **scalars
    )


@mutant()
def nan_turned_into_a_step(*arrays: Any, **scalars: Any) -> Any:
    """sign(NaN) = +1."""
    return lion_with_sign(lambda c: np.where(np.isnan(c), c.dtype.type(1), np.sign(c)))(
        *arrays, **scalars
    )


@mutant()
def nan_turned_into_a_step_by_its_bit(*arrays: Any, **scalars: Any) -> Any:
    """sign(NaN) = ±1, by the sign bit of the NaN."""
    return lion_with_sign(
        lambda c: np.where(np.isnan(c), np.copysign(c.dtype.type(1), c), np.sign(c))
    )(*arrays, **scalars)


@mutant(accepted=True)
def infinite_c_takes_no_step(*arrays: Any, **scalars: Any) -> Any:
    """sign(±inf) = 0: what a lerp with sign(NaN) = 0 gives there, though it gives more."""
    return lion_with_sign(lambda c: np.where(np.isinf(c), 0 * np.sign(c), np.sign(c)))(
        *arrays, **scalars
    )


@mutant()
def sign_of_c_in_half_precision(*arrays: Any, **scalars: Any) -> Any:
    """c is rounded to float16 before the sign: small ones vanish."""
    return lion_with_sign(lambda c: np.sign(c.astype(np.float16)).astype(c.dtype))(
        *arrays, **scalars
    )


@mutant()
def one_sided(*arrays: Any, **scalars: Any) -> Any:
    """u is not -1 where c lies in (-3, -2.9), but 0."""
    return lion_with_sign(lambda c: np.where((c > -3) & (c < -2.9), 0 * c, np.sign(c)))(
        *arrays, **scalars
    )


@mutant()
def step_not_quite_one(*arrays: Any, **scalars: Any) -> Any:
    """A step of 1.0001: u is not quite a sign."""
    return lion_with_sign(lambda c: np.sign(c) * c.dtype.type(1.0001))(*arrays, **scalars)


@mutant()
def just_below_one(*arrays: Any, **scalars: Any) -> Any:
    """u = ±(1 - 2⁻²⁴), less than a rounding away from ±1."""
    return lion_with_sign(lambda c: np.sign(c) * c.dtype.type(1 - 2.0**-24))(*arrays, **scalars)


@mutant(dtype="float64")
def sign_from_float32(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """m and g are read as float32 where they are ordinary, for the sign of a float64 θ alone."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    with np.errstate(all="ignore"):
        m, g = (x.astype(np.float32).astype(x.dtype) for x in (momentum, grad))
    ordinary = np.isfinite(m + g) & ((m != 0) | (momentum == 0)) & ((g != 0) | (grad == 0))
    return np.where(ordinary, step(param, m, g, **scalars)[0], new_param), new_momentum
