"""Roundings: some are Lion under other choices, some are no row of SPEC C16, some go too far."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

import lion_ref
from lion_ref import Semantics
from lion_ref.arithmetic import round_to
from lion_ref.bounds import maximum
from tests.lion_conformance.mutants.catalogue import mutant
from tests.lion_conformance.mutants.formula import lion

step = lion_ref.step

FUSED = Semantics(
    sign_fused="gradient", momentum_fused="gradient", decay_fused=True, step_fused=True
)
FLUSHED = Semantics(subnormals="flush")
LERP = Semantics(momentum_interpolation="lerp-from-momentum", momentum_fused="difference")


@mutant(semantics=FUSED)
def contracted(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Every product goes into a fused multiply-add."""
    return step(param, momentum, grad, **scalars, semantics=FUSED)


@mutant(semantics=FLUSHED)
def flushed(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Subnormals are flushed in every operation."""
    return step(param, momentum, grad, **scalars, semantics=FLUSHED)


@mutant(semantics=LERP)
def momentum_by_a_fused_lerp(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """m' = fma(1-β2, g-m, m)."""
    return step(param, momentum, grad, **scalars, semantics=LERP)


def _without_subnormals(array: Any) -> Any:
    small = np.abs(array) < 2.0**-126
    return np.where(small, np.copysign(array.dtype.type(0), array), array)


@mutant(accepted=True)
def results_flushed_alone(*arrays: Any, **scalars: Any) -> Any:
    """Subnormal results are flushed, subnormal operands are not: inside the allowance of C28."""
    return lion(*arrays, op=_without_subnormals, **scalars)


@mutant(accepted=True)
def operands_flushed_alone(*arrays: Any, **scalars: Any) -> Any:
    """Subnormal inputs are flushed, subnormal results are not: inside the allowance of C28."""
    return lion(*arrays, load=_without_subnormals, **scalars)


@mutant()
def small_normals_flushed_too(*arrays: Any, **scalars: Any) -> Any:
    """Results below 2⁻¹²⁰ are flushed, normal ones among them."""
    return lion(*arrays, op=lambda x: np.where(np.abs(x) < 2.0**-120, 0 * x, x), **scalars)


@mutant()
def rounded_once(*arrays: Any, **scalars: Any) -> Any:
    """All is computed in float64 and rounded at the end; no intermediate result overflows."""
    return lion(*arrays, compute=np.float64, **scalars)


@mutant(dtype="float64")
def computed_in_float32(*arrays: Any, **scalars: Any) -> Any:
    """A float64 θ is computed in float32."""
    return lion(*arrays, compute=np.float32, **scalars)


@mutant()
def computed_in_float16(*arrays: Any, **scalars: Any) -> Any:
    """A float32 θ is computed in float16."""
    return lion(*arrays, compute=np.float16, **scalars)


def _truncated(keep: int) -> Any:
    """float32 results cut off after `keep` bits of the fraction."""
    mask = np.uint32(0xFFFFFFFF & ~((1 << (23 - keep)) - 1))

    def cut(array: Any) -> Any:
        return (np.asarray(array, np.float32).view(np.uint32) & mask).view(np.float32)

    return cut


@mutant()
def products_of_ten_bits(*arrays: Any, **scalars: Any) -> Any:
    """Inputs keep ten bits of their fraction, as TF32 does."""
    return lion(*arrays, load=_truncated(10), **scalars)


@mutant()
def last_bits_lost(*arrays: Any, **scalars: Any) -> Any:
    """Every result loses its last three bits."""
    return lion(*arrays, op=_truncated(20), **scalars)


def _toward_zero(exact: Any) -> Any:
    """float64 results rounded to float32 towards zero."""
    nearest = exact.astype(np.float32)
    too_far = np.abs(nearest.astype(np.float64)) > np.abs(exact)
    return np.where(too_far, np.nextafter(nearest, np.float32(0)), nearest).astype(np.float64)


@mutant()
def rounded_toward_zero(*arrays: Any, **scalars: Any) -> Any:
    """Every operation rounds towards zero; an overflow then stays finite."""
    kinds: dict[str, Any] = {name: float(np.float32(value)) for name, value in scalars.items()}
    betas = {name: min(kinds[name], 1 - 2.0**-24) for name in ("beta1", "beta2")}
    return lion(*arrays, op=_toward_zero, compute=np.float64, **kinds | betas)


@mutant()
def half_precision_momentum(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """m' passes through float16."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    with np.errstate(all="ignore"):
        return new_param, new_momentum.astype(np.float16).astype(momentum.dtype)


@mutant()
def bfloat16_momentum(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """m' passes through bfloat16."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    return new_param, new_momentum.astype(ml_dtypes.bfloat16).astype(momentum.dtype)


@mutant()
def momentum_of_eight_bits(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """m' is kept as 255 steps of its largest magnitude."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    with np.errstate(all="ignore"):
        top = np.abs(new_momentum).max(initial=0) / 127
        if not np.isfinite(top) or top == 0:
            return new_param, new_momentum
        return new_param, (np.rint(new_momentum / top) * top).astype(momentum.dtype)


@mutant()
def theta_of_seven_decimals(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """θ' is rounded to seven decimals."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    with np.errstate(all="ignore"):
        return np.round(new_param.astype(np.float64), 7).astype(param.dtype), new_momentum


@mutant(dtype="float64")
def rounded_twice(*arrays: Any, **scalars: Any) -> Any:
    """A float64 result reaches a bfloat16 m' by way of float32."""

    def store(array: Any, dtype: Any) -> Any:
        if dtype == ml_dtypes.bfloat16:
            array = array.astype(np.float32)
        return round_to(array, dtype)

    return lion(*arrays, store=store, **scalars)


@mutant(dtype="bfloat16")
def store_truncated(*arrays: Any, **scalars: Any) -> Any:
    """A bfloat16 result is the upper half of the float32."""

    def store(array: Any, dtype: Any) -> Any:
        if dtype != ml_dtypes.bfloat16:
            return round_to(array, dtype)
        upper = (array.view(np.uint32) >> 16).astype(np.uint16).view(dtype)
        return np.where(np.isnan(array), round_to(array, dtype), upper)

    return lion(*arrays, store=store, **scalars)


@mutant(dtype="bfloat16", accepted=True)
def ties_away_from_zero(*arrays: Any, **scalars: Any) -> Any:
    """A bfloat16 store rounds ties away from zero: within what eager bfloat16 may give."""

    def store(array: Any, dtype: Any) -> Any:
        if dtype != ml_dtypes.bfloat16:
            return round_to(array, dtype)
        away = ((array.view(np.uint32) + np.uint32(0x8000)) >> 16).astype(np.uint16).view(dtype)
        return np.where(np.isfinite(array), away, round_to(array, dtype))

    return lion(*arrays, store=store, **scalars)


@mutant(dtype="bfloat16")
class StochasticRounding:
    """A bfloat16 store rounds up or down by chance."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def __call__(self, *arrays: Any, **scalars: Any) -> Any:
        def store(array: Any, dtype: Any) -> Any:
            if dtype != ml_dtypes.bfloat16:
                return round_to(array, dtype)
            noise = self._rng.integers(0, 1 << 16, array.shape, dtype=np.uint32)
            upper = ((array.view(np.uint32) + noise) >> 16).astype(np.uint16).view(dtype)
            return np.where(np.isfinite(array), upper, round_to(array, dtype))

        return lion(*arrays, store=store, **scalars)


def _saturated(array: Any, dtype: Any) -> Any:
    """Rounded once, but what is finite stays finite."""
    stored = round_to(array, dtype)
    largest = stored.dtype.type(maximum(stored.dtype))
    beyond = np.isfinite(array) & np.isinf(stored)
    return np.where(beyond, np.where(np.signbit(array), -largest, largest), stored)


@mutant(dtype="bfloat16")
def store_that_saturates(*arrays: Any, **scalars: Any) -> Any:
    """A finite result beyond the numbers of its dtype is stored as the largest of them."""
    return lion(*arrays, store=_saturated, **scalars)


@mutant()
def momentum_that_saturates(*arrays: Any, **scalars: Any) -> Any:
    """The same beside a float32 θ, which has no number beyond itself."""
    return lion(*arrays, store=_saturated, **scalars)


def _tails(param: Any, momentum: Any, grad: Any, width: int, tail: Semantics, scalars: Any) -> Any:
    """The reference, but the elements behind the last full vector under another semantics."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    last = param.size - param.size % width
    rest = [x.reshape(-1)[last:] for x in (param, momentum, grad)]
    for whole, part in zip(
        (new_param, new_momentum), step(*rest, **scalars, semantics=tail), strict=True
    ):
        whole.reshape(-1)[last:] = part
    return new_param, new_momentum


@mutant(accepted=True)
def tails_fused(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """What is left behind vectors of eight is fused: each element is Lion, C12 is broken."""
    return _tails(param, momentum, grad, 8, FUSED, scalars)


@mutant(accepted=True)
def tails_flushed(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """What is left behind vectors of sixteen is flushed: each element is Lion, C12 is broken."""
    return _tails(param, momentum, grad, 16, FLUSHED, scalars)
