"""The canonical update a second time: exact integers, written from SPEC.md alone.

It shares no arithmetic with `lion_ref.update` and uses no floating point at all: bit patterns are
decoded into integers, every operation of SPEC C5 is carried out exactly on those, and its result is
rounded by looking at the bits that are cut off. So the two agree only if both follow the clauses.

Every number of the compute dtype is an integer multiple of its smallest subnormal, the *unit*
(2**-149 in float32, 2**-1074 in float64). Sums are then sums of integers; a product of two numbers
is an integer number of units squared.
"""

from __future__ import annotations

import math
from enum import Enum
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np

from lion_ref.arithmetic import Array
from lion_ref.dtypes import check_dtypes
from lion_ref.hyperparameters import NON_NEGATIVE, Hyperparameters
from lion_ref.rational import FORMATS, Format, round_fraction


class Kind(Enum):
    """The three kinds of IEEE 754 data; zeros and subnormals are finite numbers."""

    FINITE = "finite"
    INFINITE = "infinite"
    NAN = "nan"


class Value(NamedTuple):
    """A datum of the compute dtype: sign · units · unit. Zeros and infinities keep their sign."""

    kind: Kind
    sign: int  # +1 or -1
    units: int  # >= 0, and 0 unless finite


NAN: Final = Value(Kind.NAN, 1, 0)  # any NaN equals any NaN (SPEC C11)


def step(
    param: Array,
    momentum: Array,
    grad: Array,
    *,
    lr: object,
    beta1: object = 0.9,
    beta2: object = 0.99,
    weight_decay: object = 0.0,
) -> tuple[Array, Array]:
    """One Lion step (θ', m') with the bits of SPEC Part I; the contract of `lion_ref.step`.

    With every ⊗ ⊕ ⊖ evaluated exactly and then rounded once, in SPEC C5's order,

        u = sign(β1⊗m ⊕ (1-β1)⊗g)    θ' = θ ⊖ η⊗(u ⊕ λ⊗θ)    m' = β2⊗m ⊕ (1-β2)⊗g

    param (θ), momentum (m) and grad (g) have one shape, and dtypes that SPEC C3 allows; lr is η,
    weight_decay λ. θ' and m' are new arrays in the dtypes and byte orders of θ and m. Refuses what
    `lion_ref.step` refuses: TypeError for a dtype or for what is no number, else ValueError.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675.

    >>> step(np.float32([1.0]), np.float32([0.0]), np.float32([0.5]), lr=0.25, weight_decay=0.5)
    (array([0.625], dtype=float32), array([0.005], dtype=float32))
    """
    param, momentum, grad = np.asarray(param), np.asarray(momentum), np.asarray(grad)
    values = Hyperparameters.checked(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    compute = check_dtypes(param.dtype, momentum.dtype, grad.dtype).name
    for name, array in (("momentum", momentum), ("grad", grad)):
        if array.shape != param.shape:
            raise ValueError(
                f"{name} has shape {array.shape}, but param has shape {param.shape}; "
                "legal: param, momentum and grad of one shape"
            )
    scalars = _Scalars.rounded(values, compute)
    wide, formats = FORMATS[compute], [FORMATS[a.dtype.name] for a in (param, momentum, grad)]
    new_param, new_momentum = [], []
    # Element by element (SPEC C12)
    for patterns in zip(_patterns(param), _patterns(momentum), _patterns(grad), strict=True):
        theta, m, g = map(_decoded, patterns, formats, (wide, wide, wide))
        stepped, interpolated = _element(theta, m, g, scalars, wide)
        new_param.append(_encoded(stepped, wide, formats[0]))
        new_momentum.append(_encoded(interpolated, wide, formats[1]))
    return _from_patterns(new_param, param), _from_patterns(new_momentum, momentum)


class _Scalars(NamedTuple):
    """SPEC C4: η, β1, 1-β1, β2, 1-β2 and λ, each rounded once to the compute dtype."""

    lr: Value
    beta1: Value
    one_minus_beta1: Value
    beta2: Value
    one_minus_beta2: Value
    weight_decay: Value

    @classmethod
    def rounded(cls, values: Hyperparameters, compute: str) -> _Scalars:
        def scalar(name: str, number: float) -> Value:
            nearest = round_fraction(Fraction(number), compute)
            if nearest == math.inf:
                legal = f"{NON_NEGATIVE}, finite also in {compute}"
                raise ValueError(f"{name}={number!r} is not legal; legal: {legal}")
            units = int(nearest / FORMATS[compute].smallest_subnormal)
            return Value(Kind.FINITE, int(math.copysign(1, number)), units)  # -0.0 is legal

        def complement(name: str, beta: float) -> Value:
            return scalar(name, float(round_fraction(1 - Fraction(beta), "float64")))

        return cls(
            lr=scalar("lr", values.lr),
            beta1=scalar("beta1", values.beta1),
            one_minus_beta1=complement("1-beta1", values.beta1),
            beta2=scalar("beta2", values.beta2),
            one_minus_beta2=complement("1-beta2", values.beta2),
            weight_decay=scalar("weight_decay", values.weight_decay),
        )


def _element(
    theta: Value, m: Value, g: Value, scalars: _Scalars, compute: Format
) -> tuple[Value, Value]:
    """SPEC C5, one operation a line. λ = 0 is no special case (C10)."""
    a = _product(scalars.beta1, m, compute)
    b = _product(scalars.one_minus_beta1, g, compute)
    c = _sum(a, b, compute)
    u = _sign(c, compute)
    d = _product(scalars.weight_decay, theta, compute)
    s = _sum(u, d, compute)
    e = _product(scalars.lr, s, compute)
    stepped = _sum(theta, e._replace(sign=-e.sign), compute)  # a ⊖ b = a ⊕ (-b)
    x = _product(scalars.beta2, m, compute)
    y = _product(scalars.one_minus_beta2, g, compute)
    return stepped, _sum(x, y, compute)


# IEEE 754's rules for one operation each (SPEC C5, C6, C7, C11).


def _product(a: Value, b: Value, compute: Format) -> Value:
    if Kind.NAN in (a.kind, b.kind):
        return NAN
    sign = a.sign * b.sign
    if Kind.INFINITE in (a.kind, b.kind):
        return NAN if _is_zero(a) or _is_zero(b) else Value(Kind.INFINITE, sign, 0)
    return _rounded(sign, a.units * b.units, -_unit_exponent(compute), compute)


def _sum(a: Value, b: Value, compute: Format) -> Value:
    if Kind.NAN in (a.kind, b.kind):
        return NAN
    if Kind.INFINITE in (a.kind, b.kind):
        if a.kind is b.kind:
            return a if a.sign == b.sign else NAN
        return a if a.kind is Kind.INFINITE else b
    total = a.sign * a.units + b.sign * b.units
    if total == 0:  # rounding to nearest: -0 only as the sum of two negative zeros
        return Value(Kind.FINITE, -1 if a.sign == b.sign == -1 else 1, 0)
    return _rounded(1 if total > 0 else -1, abs(total), 0, compute)


def _sign(c: Value, compute: Format) -> Value:
    if c.kind is Kind.NAN:
        return NAN
    if _is_zero(c):
        return Value(Kind.FINITE, 1, 0)  # of -0 too
    return Value(Kind.FINITE, c.sign, 1 << -_unit_exponent(compute))


def _is_zero(value: Value) -> bool:
    return value.kind is Kind.FINITE and value.units == 0


def _unit_exponent(format_: Format) -> int:
    """The e of a format's smallest subnormal number 2**e."""
    return format_.min_exponent - format_.precision + 1


def _rounded(sign: int, count: int, fine: int, target: Format) -> Value:
    """count · 2**-fine units of the target format, rounded to nearest, ties to even."""
    cut = max(count.bit_length() - target.precision, fine)  # fine: subnormals end at the unit
    if cut > 0:
        kept, rest, half = count >> cut, count & ((1 << cut) - 1), 1 << (cut - 1)
        kept += rest > half or (rest == half and kept % 2 == 1)
        units = kept << (cut - fine)
    else:
        units = count  # fine is 0
    if units >= 1 << (target.max_exponent + 1 - _unit_exponent(target)):
        return Value(Kind.INFINITE, sign, 0)
    return Value(Kind.FINITE, sign, units)


# Bit patterns: a sign bit, an exponent field, and precision - 1 bits of the significand.


def _decoded(pattern: int, stored: Format, compute: Format) -> Value:
    """Widening is exact (SPEC C3): the stored unit is 2**finer units of the compute dtype."""
    significand_bits = stored.precision - 1
    top = stored.max_exponent - stored.min_exponent + 2  # the exponent field of inf and NaN
    significand = pattern & ((1 << significand_bits) - 1)
    field = (pattern >> significand_bits) & top
    sign = -1 if pattern >> significand_bits > top else 1
    if field == top:
        return NAN if significand else Value(Kind.INFINITE, sign, 0)
    finer = _unit_exponent(stored) - _unit_exponent(compute)
    if field == 0:  # zero or subnormal
        return Value(Kind.FINITE, sign, significand << finer)
    hidden = 1 << significand_bits
    return Value(Kind.FINITE, sign, (hidden | significand) << (field - 1 + finer))


def _encoded(value: Value, compute: Format, stored: Format) -> int:
    """Rounded once to the stored format (SPEC C9)."""
    significand_bits = stored.precision - 1
    top = stored.max_exponent - stored.min_exponent + 2
    infinity = top << significand_bits
    if value.kind is Kind.NAN:
        return infinity | 1 << (significand_bits - 1)
    if value.kind is Kind.FINITE:
        finer = _unit_exponent(stored) - _unit_exponent(compute)
        value = _rounded(value.sign, value.units, finer, stored)
    sign_bit = (value.sign < 0) * (top + 1) << significand_bits
    if value.kind is Kind.INFINITE:
        return sign_bit | infinity
    # The hidden bit, if there is one, adds 1 to the field of the exponent.
    field = max(value.units.bit_length() - stored.precision, 0)
    return sign_bit | (field << significand_bits) + (value.units >> field)


def _patterns(array: Array) -> list[int]:
    """The elements' bit patterns in C order, from the array's bytes."""
    return [int(p) for p in np.frombuffer(array.tobytes(), dtype=_unsigned(array.dtype)).tolist()]


def _from_patterns(patterns: list[int], like: Array) -> Array:
    raw = np.array(patterns, dtype=_unsigned(like.dtype)).tobytes()
    return np.frombuffer(bytearray(raw), dtype=like.dtype).reshape(like.shape)


def _unsigned(dtype: np.dtype[Any]) -> str:
    """The unsigned integer of a dtype's width and byte order."""
    return f"{dtype.str[0]}u{dtype.itemsize}"
