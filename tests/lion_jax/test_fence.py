"""A fence changes nothing: every bit pattern of 16 bits, and those of 32 and 64 that could."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lion_jax.fence import computed_once, fence, fence_after
from lion_ref.arithmetic import same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from tests.adversarial import values

DTYPES = pytest.mark.parametrize("name", STORAGE_DTYPES)


def patterns(name: str) -> Any:
    dtype = STORAGE_DTYPES[name]
    if dtype.itemsize == 2:
        return np.arange(1 << 16, dtype=np.uint16).view(dtype)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    top = np.iinfo(unsigned).max
    infinity = np.array(np.inf, dtype).view(unsigned)[()]
    quiet = infinity | (unsigned.type(1) << unsigned.type(np.finfo(dtype).nmant - 1))
    sign = unsigned.type(1) << unsigned.type(8 * dtype.itemsize - 1)
    near = [
        unsigned.type((int(p) + offset) & int(top))
        for p in (0, infinity, quiet, sign, infinity | sign, quiet | sign)
        for offset in range(-3, 4)
    ]
    rest = values(np.random.default_rng(0), name, 50_000)
    return np.concatenate([np.array(near, unsigned).view(dtype), rest])


@DTYPES
@pytest.mark.clause("C5", "C11")
def test_a_fence_changes_nothing(name: str) -> None:
    with jax.enable_x64(True):
        x = patterns(name)
        for guard in (fence, computed_once):
            assert same_bits(np.asarray(jax.jit(guard)(jnp.asarray(x))), x).all()


@DTYPES
@pytest.mark.parametrize("earlier", STORAGE_DTYPES)
@pytest.mark.clause("C5", "C11")
def test_waiting_for_any_other_array_changes_nothing(name: str, earlier: str) -> None:
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        x, others = patterns(name), patterns(earlier)
        for _ in range(3):
            other = rng.choice(others, x.size)
            guarded = jax.jit(fence_after)(jnp.asarray(x), jnp.asarray(other))
            assert same_bits(np.asarray(guarded), x).all()


@DTYPES
def test_a_lower_limit_would_be_noticed(name: str) -> None:
    """One below the smallest quiet NaN's is harmless; infinity's, less one, is not."""
    with jax.enable_x64(True):
        x = patterns(name)
        signed = np.dtype(f"i{x.dtype.itemsize}")
        limit = np.array(np.inf, x.dtype).view(signed) - signed.type(1)
        lowered = np.minimum(x.view(signed), limit).view(x.dtype)
        assert not same_bits(lowered, x).all()


def test_derivatives_pass_through() -> None:
    x = jnp.float32([1.5, -0.0, 3.0])
    weights = jnp.float32([1.0, 2.0, 4.0])
    assert (jax.grad(lambda x: (fence(x) * weights).sum())(x) == weights).all()
    assert (jax.grad(lambda x: (fence_after(x, x) * weights).sum())(x) == weights).all()
    assert (jax.jvp(fence, (x,), (weights,))[1] == weights).all()
