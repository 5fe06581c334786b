"""The update, one rounding a line, in an array-API namespace (SPEC C5, C33)."""

from __future__ import annotations

from typing import Any

from lion_ref.flushed import Flushed
from lion_ref.hyperparameters import Scalars


class Native:
    """The operations of `Flushed` as the namespace has them, with its own rule for subnormals."""

    def operand(self, x: Any, _dtype: str) -> Any:
        """An input, widened to the compute dtype."""
        return x

    def product(self, scalar: Any, x: Any) -> Any:
        """scalar ⊗ x."""
        return scalar * x

    def add(self, a: Any, b: Any) -> Any:
        """a ⊕ b."""
        return a + b

    def subtract(self, a: Any, b: Any) -> Any:
        """a ⊖ b."""
        return a - b

    def storable(self, x: Any, _dtype: str) -> Any:
        """A result, to be rounded once to its dtype."""
        return x


def flushing(xp: Any, compute: str, *, differentiated: bool) -> Flushed:
    """The operations with subnormals flushed, in a namespace.

    Differentiated, a zero is left as it is: x times 0 has the same value but not its derivative.
    """

    def but_at_zero(tiny: Any, zero: Any, x: Any) -> Any:
        return xp.where(tiny & (x != 0), zero, x)

    return Flushed(compute, but_at_zero if differentiated else xp.where, absolute=xp.abs)


def update(
    xp: Any, operations: Native | Flushed, theta: Any, m: Any, g: Any, scalars: Scalars
) -> tuple[Any, Any]:
    """(θ', m') of arrays in the compute dtype, and in it."""
    product, add = operations.product, operations.add
    a = product(scalars.beta1, m)
    b = product(scalars.one_minus_beta1, g)
    c = add(a, b)
    u = _sign(xp, c)
    d = product(scalars.weight_decay, theta)
    s = add(u, d)
    e = product(scalars.lr, s)
    new_param = operations.subtract(theta, e)
    x = product(scalars.beta2, m)
    y = product(scalars.one_minus_beta2, g)
    return new_param, add(x, y)


def _sign(xp: Any, c: Any) -> Any:
    """Compares: JAX's sign(-0) is -0, PyTorch's own sign(NaN) is 0."""
    sign = xp.astype(c > 0, c.dtype) - xp.astype(c < 0, c.dtype)
    return xp.where(xp.isnan(c), c, sign)
