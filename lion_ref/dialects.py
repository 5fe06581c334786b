"""The update under any Semantics, composed from its choices (SPEC C16 to C22).

Nothing here is one function a port: an interpolation, a decay and an arithmetic that flushes or
rounds as told are put together as the Semantics says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lion_ref.arithmetic import Array, round_to
from lion_ref.dtypes import promoted
from lion_ref.flushing import Flush
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.semantics import Precision, Semantics, Where

Dtype = np.dtype[Any]
_FLOAT32 = np.dtype(np.float32)
Scalar = Any  # NumPy scalars of the compute dtype, whose operators have no types


class Arithmetic:
    """⊗, ⊕, ⊖ and fma as a Semantics rounds and flushes them, in one of its precisions.

    Operands are arrays, or scalars (0-d results of `scalar`) that never widen a result. With
    precision="compute" arrays are held in the compute dtype; otherwise each is held in the dtype
    that its operation was rounded to.
    """

    def __init__(self, semantics: Semantics, compute: Dtype, precision: Precision) -> None:
        self.semantics = semantics
        self.compute = compute
        self.precision = precision
        self.flush = Flush(semantics.subnormals, compute)

    def load(self, array: Array) -> Array:
        """An input as the operations take it."""
        if self.precision == "compute":
            return self.flush.widened(array)
        return array

    def scalar(self, value: float, meets: Dtype) -> Scalar:
        """A binary64 value as the scalar that multiplies an array of dtype `meets`."""
        rounded: Scalar = np.float64(value)
        if self.semantics.scalars == "storage" and meets != self.compute:
            rounded = round_to(rounded, meets)[()]
        elif self.semantics.scalars == "float32":
            rounded = self.flush.narrowed(np.asarray(rounded), _FLOAT32)
        return self.flush.narrowed(np.asarray(rounded, np.float64), self.compute)[()]

    def multiply(self, a: Array | Scalar, b: Array) -> Array:
        """a ⊗ b."""
        x, y = self._wide(a), self._wide(b)
        return self.stored(self.flush.product(x, y), a, b)

    def add(self, a: Array, b: Array) -> Array:
        """a ⊕ b."""
        return self.stored(self.flush.result(self._wide(a) + self._wide(b)), a, b)

    def subtract(self, a: Array | Scalar, b: Array) -> Array:
        """a ⊖ b."""
        return self.stored(self.flush.result(self._wide(a) - self._wide(b)), a, b)

    def fma(self, a: Array | Scalar, b: Array, c: Array) -> Array:
        """a·b + c, rounded once to the compute dtype."""
        x, y, z = np.broadcast_arrays(self._wide(a), self._wide(b), self._wide(c))
        return self.stored(self.flush.fma(x, y, z), a, b, c)

    def sign(self, c: Array) -> Array:
        """sign(c), with the signs of zero and NaN that SPEC C22 lets it have."""
        wide = self._wide(c)
        result = np.sign(wide)
        if self.semantics.zero_sign == "kept":
            result = np.where(wide == 0, wide, result)
        if self.semantics.nan_sign == "zero":
            result = np.where(np.isnan(wide), self.compute.type(0), result)
        return self.stored(result, c)

    def _wide(self, value: Array | Scalar) -> Array:
        return self.flush.widened(np.asarray(value))

    def stored(self, result: Array, *operands: Array | Scalar) -> Array:
        """A result as it is held: rounded to the dtype that its operands have together."""
        if self.precision == "compute":
            return result
        arrays = [x.dtype for x in operands if isinstance(x, np.ndarray)]
        target = arrays[0] if arrays else self.compute
        for dtype in arrays[1:]:
            target = promoted(target, dtype)
        return self.narrowed(result, target)

    def narrowed(self, values: Array, dtype: Dtype) -> Array:
        """values rounded once to dtype, and flushed there if subnormals are."""
        return self.flush.narrowed(values, dtype)

    def scalar_where_it_meets(self, formed: Array, meets: Dtype) -> Scalar:
        """A scalar formed in the compute dtype, rounded to the dtype it meets where all are."""
        if self.semantics.scalars == "storage":
            formed = round_to(formed, meets)
        return np.asarray(formed, dtype=self.compute)[()]


class Dialect:
    """The update of flat blocks under a Semantics in its parts.

    Each part takes its own scalars: `diagnosis` asks what one would be with others.
    """

    def __init__(
        self,
        semantics: Semantics,
        compute: Dtype,
        theta_dtype: Dtype,
        m_dtype: Dtype,
        arithmetic: type[Arithmetic] = Arithmetic,
    ) -> None:
        self._semantics = semantics
        self._theta_dtype, self._m_dtype = theta_dtype, m_dtype
        self._stepping = self._keeping = arithmetic(semantics, compute, semantics.precision)
        if semantics.momentum_precision != semantics.precision:
            self._keeping = arithmetic(semantics, compute, semantics.momentum_precision)

    def interpolated(self, values: Hyperparameters, *inputs: Array) -> Array:
        """c, whose sign is u, from θ, m and g."""
        _, m, g = self._loaded(self._stepping, values, *inputs)
        return interpolate(self._stepping, "sign", values.beta1, m, g)

    def sign(self, c: Array) -> Array:
        """u."""
        return self._stepping.sign(c)

    def moved(self, values: Hyperparameters, theta: Array, u: Array) -> Array:
        """θ' from θ and u, before it is stored."""
        return move(self._stepping, values, self._stepping.load(theta), u, self._theta_dtype)

    def kept(self, values: Hyperparameters, *inputs: Array) -> Array:
        """m' from θ, m and g, before it is stored."""
        _, m, g = self._loaded(self._keeping, values, *inputs)
        return interpolate(self._keeping, "momentum", values.beta2, m, g)

    def stored(self, new_theta: Array, new_m: Array) -> tuple[Array, Array]:
        """Both flushed as their dtypes are; what is left is to round them."""
        return (
            self._stepping.narrowed(new_theta, self._theta_dtype),
            self._keeping.narrowed(new_m, self._m_dtype),
        )

    def _loaded(
        self, ops: Arithmetic, values: Hyperparameters, *inputs: Array
    ) -> tuple[Array, Array, Array]:
        """θ, m and g as the operations take them, with the decay in g where it is coupled."""
        theta, m, g = map(ops.load, inputs)
        if self._semantics.decay == "coupled" and not skips_decay(self._semantics, values):
            weight = ops.scalar(values.weight_decay, theta.dtype)
            if self._semantics.decay_fused:
                g = ops.fma(weight, theta, g)
            else:
                g = ops.add(g, ops.multiply(weight, theta))
        return theta, m, g


def dialect(
    semantics: Semantics,
    values: Hyperparameters,
    compute: Dtype,
    theta_dtype: Dtype,
    m_dtype: Dtype,
) -> Callable[[Array, Array, Array], tuple[Array, Array]]:
    """The update of flat blocks under any Semantics; results are yet to be stored."""
    parts = Dialect(semantics, compute, theta_dtype, m_dtype)

    def update(theta: Array, m: Array, g: Array) -> tuple[Array, Array]:
        u = parts.sign(parts.interpolated(values, theta, m, g))
        return parts.stored(parts.moved(values, theta, u), parts.kept(values, theta, m, g))

    return update


def skips_decay(semantics: Semantics, values: Hyperparameters) -> bool:
    """Whether no λ ⊗ θ is formed at all (SPEC C10)."""
    return semantics.decay_skipped_at_zero and values.weight_decay == 0


def interpolate(ops: Arithmetic, part: str, beta: float, m: Array, g: Array) -> Array:
    """β·m + (1-β)·g in the form that the Semantics gives to c ("sign") or m' ("momentum")."""
    form = getattr(ops.semantics, f"{part}_interpolation")
    fused = getattr(ops.semantics, f"{part}_fused")
    formed = getattr(ops.semantics, f"{part}_complement")
    if form != "weighted" and ops.precision == "storage-whole-lerp":
        within = type(ops)(ops.semantics, ops.compute, "compute")
        whole = interpolate(within, part, beta, within.load(m), within.load(g))
        return ops.stored(whole, m, g)
    if form == "weighted":
        b, w = ops.scalar(beta, m.dtype), complement(ops, formed, beta, g.dtype)
        if fused == "momentum":
            return ops.fma(b, m, ops.multiply(w, g))
        if fused == "gradient":
            return ops.fma(w, g, ops.multiply(b, m))
        return ops.add(ops.multiply(b, m), ops.multiply(w, g))
    nearer = form == "lerp-from-nearer"
    toward_m = form == "lerp-from-gradient" or (nearer and formed == "compute")
    near, far = (g, m) if toward_m else (m, g)
    difference = ops.subtract(far, near)
    if toward_m:
        weight = ops.scalar(beta, difference.dtype)
    else:
        weight = complement(ops, formed, beta, difference.dtype)
    if nearer and weight >= 0.5:
        near, weight = far, -(ops.compute.type(1) - weight)  # exact; -0 where the weight is 1
    if fused == "difference":
        return ops.fma(weight, difference, near)
    return ops.add(near, ops.multiply(weight, difference))


def complement(ops: Arithmetic, formed: Where, beta: float, meets: Dtype) -> Scalar:
    """1-β as SPEC C4, C20 and C21 form it."""
    if formed == "wide":
        return ops.scalar(1.0 - beta, meets)
    difference = ops.subtract(ops.compute.type(1), ops.scalar(beta, meets))
    return ops.scalar_where_it_meets(difference, meets)


def move(
    ops: Arithmetic, values: Hyperparameters, theta: Array, u: Array, theta_dtype: Dtype
) -> Array:
    """θ' from θ and u, in the form of the decay that the Semantics has (SPEC C19, C31)."""
    semantics = ops.semantics

    def less_step(base: Array, amount: Array) -> Array:
        """base ⊖ (η ⊗ amount), fused or not."""
        lr = ops.scalar(values.lr, amount.dtype)
        if semantics.step_fused:
            return ops.fma(-lr, amount, base)
        return ops.subtract(base, _as_step(ops, ops.multiply(lr, amount), theta_dtype))

    if semantics.decay == "coupled" or skips_decay(semantics, values):
        return less_step(theta, u)
    lr, weight = (ops.scalar(x, theta.dtype) for x in (values.lr, values.weight_decay))
    if semantics.decay == "sum":
        if semantics.decay_fused:
            s = ops.fma(weight, theta, u)
        else:
            s = ops.add(u, ops.multiply(weight, theta))
        return less_step(theta, s)
    if semantics.decay == "factor":
        factor = _decay_factor(ops, values, lr, weight, theta.dtype)
        if semantics.decay_order == "step-first":
            return ops.multiply(factor, less_step(theta, u))
        if semantics.decay_fused:
            return ops.fma(factor, theta, -ops.multiply(ops.scalar(values.lr, u.dtype), u))
        return less_step(ops.multiply(factor, theta), u)
    scalar, decaying = _decay_product(ops, values, theta, lr, weight)

    def less_decay(base: Array) -> Array:
        if semantics.decay_fused:
            return ops.fma(-scalar, decaying, base)
        return ops.subtract(base, ops.multiply(scalar, decaying))

    if semantics.decay_order == "step-first":
        return less_decay(less_step(theta, u))
    return less_step(less_decay(theta), u)


def _as_step(ops: Arithmetic, product: Array, theta_dtype: Dtype) -> Array:
    """η ⊗ s as it is subtracted: in θ's dtype where the Semantics stores it there (SPEC C31)."""
    return ops.narrowed(product, theta_dtype) if ops.semantics.step_stored else product


def _decay_product(
    ops: Arithmetic, values: Hyperparameters, theta: Array, lr: Scalar, weight: Scalar
) -> tuple[Scalar, Array]:
    """The two factors whose product decays θ: a scalar, and θ or λ ⊗ θ."""
    if ops.semantics.decay == "unscaled":
        return weight, theta
    if ops.semantics.decay_scalar == "left-to-right":
        return lr, ops.multiply(weight, theta)
    if ops.semantics.decay_scalar == "wide":
        return ops.scalar(values.lr * values.weight_decay, theta.dtype), theta
    return _scalar_product(ops, lr, weight, theta.dtype), theta


def _decay_factor(
    ops: Arithmetic, values: Hyperparameters, lr: Scalar, weight: Scalar, meets: Dtype
) -> Scalar:
    """1 - ηλ as the scalar that multiplies θ."""
    if ops.semantics.decay_scalar == "wide":
        return ops.scalar(1.0 - values.lr * values.weight_decay, meets)
    product = _scalar_product(ops, lr, weight, meets)
    return ops.scalar_where_it_meets(ops.subtract(ops.compute.type(1), product), meets)


def _scalar_product(ops: Arithmetic, lr: Scalar, weight: Scalar, meets: Dtype) -> Any:
    """η ⊗ λ in the compute dtype; rounded to the storage dtype where scalars are."""
    return ops.scalar_where_it_meets(ops.multiply(lr, weight), meets)
