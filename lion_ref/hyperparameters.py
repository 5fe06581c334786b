"""Validation and rounding of the scalars η, β1, β2, λ, shared by every adapter (SPEC C4, C13)."""

from __future__ import annotations

import math
import numbers
import struct
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lion_ref.arithmetic import require_default_environment, round_to
from lion_ref.checks import shown
from lion_ref.dtypes import compute_dtype
from lion_ref.flushing import Flush, tiny_below
from lion_ref.rational import round_fraction
from lion_ref.semantics import Subnormals

NON_NEGATIVE = "a finite number >= 0"
UNIT_INTERVAL = "a number in [0, 1)"


def real_number(name: str, value: object, legal: str) -> float:
    """value as binary64; TypeError that names the argument if it is no real number.

    Accepts Python and NumPy numbers and 0-d arrays of them; a bool is refused, since a flag passed
    in the place of a number is a mistake.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    # ml_dtypes' scalars are np.generic but register with no number class.
    is_bfloat16 = isinstance(value, np.generic) and value.dtype.name == "bfloat16"
    # timedelta64 registers as an integer, and is a duration.
    is_other = isinstance(value, (bool, np.bool_, np.timedelta64))
    if is_other or not (is_bfloat16 or isinstance(value, numbers.Real)):
        raise TypeError(
            f"{name}={shown(value)} is not legal: it is of type {type(value).__name__}; "
            f"legal: {legal}"
        )
    try:
        return float(value)  # type: ignore[arg-type]  # narrowed above, beyond mypy's reach
    except OverflowError:
        return math.inf


def _illegal(name: str, value: object, legal: str) -> ValueError:
    return ValueError(f"{name}={shown(value)} is not legal; legal: {legal}")


def non_negative(name: str, value: object) -> float:
    """value as binary64, finite and >= 0: the rule for lr and weight_decay.

    >>> non_negative("lr", float("nan"))
    Traceback (most recent call last):
        ...
    ValueError: lr=nan is not legal; legal: a finite number >= 0
    """
    number = real_number(name, value, NON_NEGATIVE)
    if not (math.isfinite(number) and number >= 0):
        raise _illegal(name, value, NON_NEGATIVE)
    return number


def _beyond(name: str, value: object, dtype: np.dtype[Any]) -> ValueError:
    return _illegal(name, value, f"{NON_NEGATIVE}, finite also in {dtype.name}")


def finite_in(name: str, value: object, dtype: DTypeLike) -> None:
    """ValueError unless value is legal, and still finite when rounded to the compute dtype.

    >>> finite_in("rate", 1e300, "float32")
    Traceback (most recent call last):
        ...
    ValueError: rate=1e+300 is not legal; legal: a finite number >= 0, finite also in float32
    """
    target = compute_dtype(dtype)
    if not np.isfinite(round_to(np.float64(non_negative(name, value)), target)):
        raise _beyond(name, value, target)


def in_unit_interval(name: str, value: object) -> float:
    """value as binary64 in [0, 1): the rule for the betas.

    >>> in_unit_interval("beta2", 1)
    Traceback (most recent call last):
        ...
    ValueError: beta2=1 is not legal; legal: a number in [0, 1)
    """
    number = real_number(name, value, UNIT_INTERVAL)
    if not 0 <= number < 1:
        raise _illegal(name, value, UNIT_INTERVAL)
    return number


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Validated η, β1, β2, λ in binary64, before any rounding.

    >>> Hyperparameters.checked(lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0).beta1
    0.9
    """

    lr: float
    beta1: float
    beta2: float
    weight_decay: float

    @classmethod
    def checked(
        cls, *, lr: object, beta1: object, beta2: object, weight_decay: object
    ) -> Hyperparameters:
        """The four arguments in binary64; TypeError or ValueError that names the one at fault."""
        return cls(
            lr=non_negative("lr", lr),
            beta1=in_unit_interval("beta1", beta1),
            beta2=in_unit_interval("beta2", beta2),
            weight_decay=non_negative("weight_decay", weight_decay),
        )


@dataclass(frozen=True, slots=True)
class Scalars:
    """The six scalars of the update, each rounded once to the compute dtype (SPEC C4)."""

    lr: Any
    beta1: Any
    one_minus_beta1: Any
    beta2: Any
    one_minus_beta2: Any
    weight_decay: Any

    def as_floats(self) -> Scalars:
        """The same as Python's numbers, which take the dtype of an array they meet, exactly."""
        return Scalars(*(float(getattr(self, field.name)) for field in fields(self)))


def round_scalars(
    values: Hyperparameters, dtype: DTypeLike, subnormals: Subnormals = "keep"
) -> Scalars:
    """Form the complements in binary64, then round each of the six once to dtype (SPEC C4).

    dtype is the compute dtype. The six are NumPy scalars of it, ready to be handed to a kernel; an
    lr or weight_decay that overflows it is a ValueError (SPEC C13). With subnormals flushed, one
    that is tiny is a zero (SPEC C18): which they are, the rounded numbers alone no longer tell.

    >>> scalars = round_scalars(Hyperparameters(1e-4, 0.9, 0.99, 0.0), "float32")
    >>> scalars.one_minus_beta2
    np.float32(0.01)
    >>> round_scalars(Hyperparameters(1e300, 0.9, 0.99, 0.0), "float32")
    Traceback (most recent call last):
        ...
    ValueError: lr=1e+300 is not legal; legal: a finite number >= 0, finite also in float32
    >>> round_scalars(Hyperparameters(1e-40, 0.9, 0.99, 0.0), "float32", "flush").lr
    np.float32(0.0)
    """
    target = compute_dtype(dtype)
    wide = np.array(_with_complements(values, 1.0 - values.beta1, 1.0 - values.beta2))
    return _finite(Scalars(*Flush(subnormals, target).narrowed(wide, target)), values, target)


def _with_complements(
    values: Hyperparameters, one_minus_beta1: float, one_minus_beta2: float
) -> tuple[float, ...]:
    """The six of `Scalars`, in binary64."""
    first = (values.lr, values.beta1, one_minus_beta1)
    return (*first, values.beta2, one_minus_beta2, values.weight_decay)


def _finite(scalars: Scalars, values: Hyperparameters, target: np.dtype[Any]) -> Scalars:
    """The scalars; ValueError for a value that overflowed the dtype."""
    for name in ("lr", "weight_decay"):
        if not math.isfinite(getattr(scalars, name)):
            raise _beyond(name, getattr(values, name), target)
    return scalars


def rounded_floats(
    values: Hyperparameters, compute: str, subnormals: Subnormals = "keep"
) -> Scalars:
    """What `round_scalars` gives, as Python's numbers, and remembered: a rate seldom changes.

    >>> rounded_floats(Hyperparameters(1e-4, 0.9, 0.99, 0.0), "float32").one_minus_beta2
    0.009999999776482582
    """
    # Bits rather than numbers are the key below: 0.0 == -0.0, but the two step differently.
    packed = struct.pack("4d", values.lr, values.beta1, values.beta2, values.weight_decay)
    return _rounded_floats(packed, compute, subnormals)


@lru_cache(maxsize=1024)
def _rounded_floats(packed: bytes, compute: str, subnormals: Subnormals) -> Scalars:
    values = Hyperparameters(*struct.unpack("4d", packed))
    try:
        require_default_environment()
    except FloatingPointError:  # what is remembered is for the steps of every thread (SPEC C33)
        return _rounded_exactly(values, compute, subnormals)
    return round_scalars(values, compute, subnormals).as_floats()


def _rounded_exactly(values: Hyperparameters, compute: str, subnormals: Subnormals) -> Scalars:
    """The same by rationals, which no thread's rounding and no flush of its own can change."""
    target = compute_dtype(compute)

    def complement(beta: float) -> float:
        return float(round_fraction(1 - Fraction(beta), "float64"))

    def rounded(number: float) -> float:
        exact = Fraction(number)
        if subnormals != "keep" and abs(exact) < tiny_below(subnormals, target):
            return math.copysign(0.0, number)
        # A subnormal binary64 number would be lost on the way through a rational.
        nearest = number if compute == "float64" else float(round_fraction(exact, compute))
        return math.copysign(nearest, number)

    six = _with_complements(values, complement(values.beta1), complement(values.beta2))
    return _finite(Scalars(*map(rounded, six)), values, target)
