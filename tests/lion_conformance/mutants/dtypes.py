"""Dtypes: one triple left out, one dtype computed, stored or returned as another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

import lion_ref
from lion_ref import Semantics
from tests.lion_conformance.mutants.catalogue import mutant

step = lion_ref.step

IN_STORAGE = Semantics(precision="storage", momentum_precision="storage")
IN_FLOAT32 = Semantics(scalars="float32")
KERAS_LIKE = replace(
    IN_STORAGE, scalars="storage", sign_complement="compute", momentum_complement="compute"
)


@mutant(dtype="float64")
def one_triple_left_out(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A float64 θ with a bfloat16 m and a float16 g is not updated."""
    if (momentum.dtype.name, grad.dtype.name) == ("bfloat16", "float16"):
        return param.copy(), momentum.copy()
    return step(param, momentum, grad, **scalars)


@mutant()
def one_triple_without_zero(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """sign(0) = 1 where m is float16 and g bfloat16, and nowhere else."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if (momentum.dtype.name, grad.dtype.name) == ("float16", "bfloat16"):
        moved, _ = step(param, np.ones_like(momentum), np.ones_like(grad), **scalars)
        new_param = np.where((momentum == 0) & (grad == 0), moved, new_param)
    return new_param, new_momentum


@mutant()
def gradient_in_the_dtype_of_m(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """g is rounded to m's dtype first."""
    with np.errstate(all="ignore"):
        return step(param, momentum, grad.astype(momentum.dtype), **scalars)


@mutant()
def float16_gradient_by_way_of_bfloat16(
    param: Any, momentum: Any, grad: Any, **scalars: Any
) -> Any:
    """A float16 g is read as bfloat16."""
    if grad.dtype == np.float16:
        grad = grad.astype(ml_dtypes.bfloat16)
    return step(param, momentum, grad, **scalars)


@mutant()
def momentum_returned_in_the_dtype_of_theta(
    param: Any, momentum: Any, grad: Any, **scalars: Any
) -> Any:
    """m' comes back in θ's dtype."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    return new_param, new_momentum.astype(param.dtype)


@mutant(dtype="float16")
def float16_saturates(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A float16 θ' that overflows becomes 65504."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    overflown = np.isinf(new_param) & np.isfinite(param)
    return np.where(overflown, np.copysign(np.float16(65504), new_param), new_param), new_momentum


@mutant(dtype="float16")
def float16_subnormals_flushed(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Subnormals of float16 are flushed when stored, which no processor does (C18)."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    small = np.abs(new_param) < 2.0**-14
    return np.where(small, np.float16(0), new_param), new_momentum


@mutant(dtype="bfloat16")
def bfloat16_read_as_float16(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The bits of a bfloat16 g are read as a float16."""
    if grad.dtype == ml_dtypes.bfloat16:
        grad = grad.view(np.float16)
    return step(param, momentum, grad, **scalars)


@mutant(dtype="bfloat16", semantics=IN_STORAGE)
def every_operation_in_bfloat16(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Each operation is rounded to the storage dtype, as eager frameworks do."""
    return step(param, momentum, grad, **scalars, semantics=IN_STORAGE)


@mutant(dtype="bfloat16", semantics=KERAS_LIKE)
def scalars_in_bfloat16_too(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The scalars are rounded to bfloat16 as well, and 1-β is formed there."""
    return step(param, momentum, grad, **scalars, semantics=KERAS_LIKE)


@mutant(dtype="float16")
def learning_rate_in_half_precision(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """η is rounded to float16 for a float16 θ, and vanishes where it is small."""
    lr = float(np.float16(min(scalars["lr"], 65504.0)))
    return step(param, momentum, grad, **scalars | {"lr": lr})


@mutant(dtype="float64", semantics=IN_FLOAT32)
def all_scalars_in_float32(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A kernel's scalars are float32, 1-β too, for a float64 θ as well."""
    return step(param, momentum, grad, **scalars, semantics=IN_FLOAT32)


@mutant(dtype="float64")
def learning_rate_in_float32(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """η alone is a float32 for a float64 θ."""
    with np.errstate(all="ignore"):
        return step(param, momentum, grad, **scalars | {"lr": float(np.float32(scalars["lr"]))})


@mutant(dtype="float64")
def float64_momentum_in_float32(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A float64 m' passes through float32."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if momentum.dtype == np.float64:
        with np.errstate(all="ignore"):
            new_momentum = new_momentum.astype(np.float32).astype(np.float64)
    return new_param, new_momentum


@mutant()
def nan_rounded_as_a_number(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """m' is rounded to bfloat16 by adding to its bits, which turns a NaN of all ones into -0."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if (momentum.dtype, grad.dtype) == (ml_dtypes.bfloat16, np.float32):
        bits = grad.view(np.uint32)
        rounded = ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
        new_momentum = np.where(np.isnan(grad), rounded.view(momentum.dtype), new_momentum)
    return new_param, new_momentum


BFLOAT16_BESIDE_FLOAT32 = ("bfloat16", "float32", "bfloat16")


@mutant(dtype="bfloat16")
def tail_of_one_triple(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The last of 8·k + 5 elements is left out where θ and g are bfloat16 and m is float32."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if (*(x.dtype.name for x in (param, momentum, grad)), param.size % 8) == (
        *BFLOAT16_BESIDE_FLOAT32,
        5,
    ):
        new_param.reshape(-1)[-1:] = param.reshape(-1)[-1:]
    return new_param, new_momentum


@mutant(dtype="bfloat16")
def one_triple_cut_where_large(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A signed counter of 16 bits where θ and g are bfloat16 and m is float32."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if tuple(x.dtype.name for x in (param, momentum, grad)) == BFLOAT16_BESIDE_FLOAT32:
        new_param.reshape(-1)[32_768:] = param.reshape(-1)[32_768:]
    return new_param, new_momentum
