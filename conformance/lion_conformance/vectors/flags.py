"""Why a case is in the file: a flag for everything special about it, found from the case itself."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_ref import Semantics, step
from lion_ref.arithmetic import Array, round_to, same_bits
from lion_ref.dtypes import compute_dtype
from lion_ref.hyperparameters import Hyperparameters, round_scalars
from lion_ref.rational import FORMATS

FLAGS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "ordinary": ("nothing special: normal numbers, rounded", ("C5",)),
    "zero": ("θ, m or g is a zero", ("C7",)),
    "negative-zero": ("θ, m or g is -0", ("C7",)),
    "no-step": ("c is a zero of either sign, so u is +0", ("C7",)),
    "cancellation": ("c is within 8 units in the last place of β1·m, and not 0", ("C5", "C24")),
    "exact-cancellation": ("c is 0, though neither β1·m nor (1-β1)·g is", ("C5", "C25")),
    "complement": ("differs if 1-β is formed in the compute dtype", ("C4", "C20")),
    "contraction": ("differs if some product and sum are fused", ("C5", "C17")),
    "tie": ("an exact result lies halfway between two numbers", ("C5", "C9")),
    "subnormal-input": ("θ, m or g is subnormal in its dtype", ("C6",)),
    "subnormal-intermediate": ("an operation's result is subnormal", ("C6",)),
    "subnormal-result": ("θ' or m' is subnormal in its dtype", ("C6", "C9")),
    "underflow": ("a result that is not 0 rounds to 0", ("C6", "C9")),
    "overflow": ("a finite result rounds to an infinity", ("C9", "C27")),
    "stored-overflow": ("θ' or m' overflows in its storage dtype alone", ("C9",)),
    "infinity": ("θ, m or g is infinite", ("C11",)),
    "nan": ("θ, m or g is a NaN", ("C7", "C11")),
    "nan-made": ("θ' or m' is a NaN, though no input is", ("C11", "C27")),
    "decay-skip": ("λ is 0 and θ is not finite: 0·θ is formed all the same", ("C10",)),
    "absorbed": ("the step is too small to change θ", ("C9",)),
    "double-rounding": ("rounding by way of float32 stores another number", ("C9",)),
}
"""For each flag the reason, and the clauses of SPEC.md that it is about."""

_COMPLEMENTS: Final = Semantics(sign_complement="compute", momentum_complement="compute")
_FUSED: Final = (
    Semantics(sign_fused="momentum"),
    Semantics(sign_fused="gradient"),
    Semantics(momentum_fused="momentum"),
    Semantics(momentum_fused="gradient"),
    Semantics(decay_fused=True),
    Semantics(step_fused=True),
)


def flags_of(case: Case) -> list[list[str]]:
    """For each element of a flat case its flags, in the order of FLAGS."""
    with np.errstate(all="ignore"):
        masks = _masks(case)
    found = [[name for name in FLAGS if name in masks and masks[name][i]] for i in _range(case)]
    return [flags or ["ordinary"] for flags in found]


def _range(case: Case) -> range:
    return range(case.param.size)


def _masks(case: Case) -> dict[str, Array]:
    compute = compute_dtype(case.param.dtype)
    inputs = case.arrays
    theta, m, g = (x.astype(compute) for x in inputs)
    values = Hyperparameters.checked(**case.scalars)
    h = round_scalars(values, compute)
    a, b = h.beta1 * m, h.one_minus_beta1 * g
    c = a + b
    d = h.weight_decay * theta
    u = np.where(c == 0, 0, np.sign(c)).astype(compute)
    s = u + d
    e = h.lr * s
    x, y = h.beta2 * m, h.one_minus_beta2 * g
    new_theta, new_m = theta - e, x + y
    stored = step(*inputs, **case.scalars)
    masks = {
        "zero": _any([v == 0 for v in inputs]),
        "negative-zero": _any([(v == 0) & np.signbit(v) for v in inputs]),
        "no-step": c == 0,
        "exact-cancellation": (c == 0) & (a != 0) & (b != 0),
        "cancellation": (c != 0) & (b != 0) & (np.abs(c) <= 8 * np.spacing(np.abs(a))),
        "complement": _differs(case, stored, (_COMPLEMENTS,)),
        "contraction": _differs(case, stored, _FUSED),
        "subnormal-input": _any([_subnormal(v) for v in inputs]),
        "subnormal-intermediate": _any([_subnormal(v) for v in (a, b, c, d, s, e, x, y)]),
        "subnormal-result": _any([_subnormal(v) for v in stored]),
        "infinity": _any([np.isinf(v) for v in inputs]),
        "nan": _any([np.isnan(v) for v in inputs]),
        "decay-skip": (case.weight_decay == 0) & ~np.isfinite(theta),
        "absorbed": (case.lr > 0) & (c != 0) & np.isfinite(theta) & same_bits(stored[0], inputs[0]),
        "double-rounding": _any(
            [
                ~same_bits(kept, round_to(wide.astype(np.float32), kept.dtype))
                for wide, kept in zip((new_theta, new_m), stored, strict=True)
                if kept.dtype.itemsize == 2
            ]
            or [np.zeros(case.param.size, bool)]
        ),
    }
    masks["stored-overflow"] = _any(
        [
            np.isfinite(wide) & np.isinf(kept)
            for wide, kept in zip((new_theta, new_m), stored, strict=True)
        ]
    )
    masks["nan-made"] = _any([np.isnan(v) for v in stored]) & ~masks["nan"]
    exact = [
        *(_product(*pair) for pair in ((h.beta1, m, a), (h.one_minus_beta1, g, b))),
        *(_product(*pair) for pair in ((h.weight_decay, theta, d), (h.lr, s, e))),
        *(_product(*pair) for pair in ((h.beta2, m, x), (h.one_minus_beta2, g, y))),
        *(_sum(*terms) for terms in ((a, b, c), (u, d, s), (theta, -e, new_theta))),
        _sum(x, y, new_m),
        *(
            [(_fraction(w), kept[i : i + 1]) for i, w in enumerate(wide)]
            for wide, kept in zip((new_theta, new_m), stored, strict=True)
        ),
    ]
    for name, is_so in (("tie", _is_tie), ("underflow", _underflows), ("overflow", _overflows)):
        masks[name] = _any([np.array([is_so(*pair) for pair in pairs], bool) for pairs in exact])
    return masks


def _any(masks: list[Any]) -> Array:
    return np.asarray(np.logical_or.reduce([np.asarray(mask, bool) for mask in masks]))


def _differs(case: Case, stored: tuple[Array, Array], choices: tuple[Semantics, ...]) -> Array:
    return _any(
        [
            ~same_bits(new, kept)
            for choice in choices
            for new, kept in zip(
                step(*case.arrays, **case.scalars, semantics=choice), stored, strict=True
            )
        ]
    )


def _subnormal(values: Array) -> Array:
    magnitude = np.abs(values.astype(np.float64))
    smallest = 2.0 ** FORMATS[values.dtype.name].min_exponent
    return np.asarray((magnitude > 0) & (magnitude < smallest))


def _fraction(value: Any) -> Fraction | None:
    number = float(value)
    return Fraction(number) if np.isfinite(number) else None


Exact = list[tuple[Fraction | None, Array]]


def _product(scalar: Any, values: Array, results: Array) -> Exact:
    """For each element the exact product, None if it is not finite, and the rounded one."""
    factor = Fraction(float(scalar))
    exact = [None if (f := _fraction(v)) is None else factor * f for v in values]
    return [(f, results[i : i + 1]) for i, f in enumerate(exact)]


def _sum(first: Array, second: Array, results: Array) -> Exact:
    pairs = [(_fraction(p), _fraction(q)) for p, q in zip(first, second, strict=True)]
    exact = [None if p is None or q is None else p + q for p, q in pairs]
    return [(f, results[i : i + 1]) for i, f in enumerate(exact)]


def _underflows(exact: Fraction | None, result: Array) -> bool:
    return exact is not None and exact != 0 and bool(result[0] == 0)


def _overflows(exact: Fraction | None, result: Array) -> bool:
    return exact is not None and bool(np.isinf(result[0]))


def _is_tie(exact: Fraction | None, result: Array) -> bool:
    """Whether exact lies halfway between the result and its neighbour on that side."""
    rounded = _fraction(result[0])
    if exact is None or rounded is None or exact == rounded:
        return False
    toward = np.array([np.inf if exact > rounded else -np.inf]).astype(result.dtype)
    neighbour = _fraction(np.nextafter(result, toward)[0])
    return neighbour is not None and 2 * exact == rounded + neighbour
