"""The operations of a step: as the platform has them, or with subnormals flushed (SPEC C33)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from lion_jax.rounding import load, store
from lion_ref.flushed import Flushed


class Operations:
    """Those of one compute dtype, subnormals as the platform treats them.

    The caller fences products: each has to wait for something else.
    """

    def __init__(self, compute: Any) -> None:
        self.compute = compute

    def load(self, x: jax.Array) -> jax.Array:
        """x in the compute dtype."""
        return load(x, self.compute)

    def product(self, scalar: Any, x: jax.Array) -> jax.Array:
        """scalar ⊗ x."""
        product: jax.Array = scalar * x
        return product

    def add(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """a ⊕ b."""
        return a + b

    def subtract(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """a ⊖ b."""
        return a - b

    def store(self, x: jax.Array, dtype: Any) -> jax.Array:
        """x rounded once to dtype."""
        return store(x, dtype)


class FlushedOperations(Operations):
    """The same, flushed where the platform keeps subnormals. Where it flushes, nothing changes."""

    def __init__(self, compute: Any) -> None:
        super().__init__(compute)
        self._flushed = Flushed(compute.name, jnp.where, absolute=jnp.abs)

    def load(self, x: jax.Array) -> jax.Array:
        """x in the compute dtype; a subnormal number of its own dtype is a zero."""
        loaded: jax.Array = self._flushed.operand(load(x, self.compute), x.dtype.name)
        return loaded

    def product(self, scalar: Any, x: jax.Array) -> jax.Array:
        """scalar ⊗ x; the scalar is flushed already."""
        product: jax.Array = self._flushed.product(scalar, x)
        return product

    def add(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """a ⊕ b."""
        total: jax.Array = self._flushed.add(a, b)
        return total

    def subtract(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """a ⊖ b."""
        difference: jax.Array = self._flushed.subtract(a, b)
        return difference

    def store(self, x: jax.Array, dtype: Any) -> jax.Array:
        """x rounded once to dtype; what is tiny there is a zero."""
        return store(self._flushed.storable(x, dtype.name), dtype)


def operations(compute: Any, *, flushed: bool) -> Operations:
    """The operations of a compute dtype."""
    return FlushedOperations(compute) if flushed else Operations(compute)


def where_flushing(native: Callable[..., Any], flushed: Callable[..., Any], *operands: Any) -> Any:
    """What flushes subnormals: `native` where the platform does so itself, else `flushed`.

    A program that is compiled for a CPU has `native` alone, as if it had been called.
    """
    return lax.platform_dependent(*operands, cpu=native, default=flushed)
