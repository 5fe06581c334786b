"""Mistakes with a number of their own: measured in a port's answers, then tried like the others.

What multiplies the gradient, to what it is clipped, which η, λ or β a port takes in the place of
the one given. A number that no person would write is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.evidence import Evidence
from lion_conformance.diagnosis.mistakes.altered import Alteration, Coefficient, Formula
from lion_conformance.diagnosis.mistakes.builders import (
    BOTH,
    MOMENTUM,
    STEP,
    arrays,
    scalars,
    signs,
    stores,
)
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array
from lion_ref.rational import FORMATS

Factor = Callable[[Case], float]

ENOUGH: Final = 3
"""Elements from which a number is measured."""

NEAR: Final = 2.0**-6
"""How far, relative to it, ratios of a case may lie from their median: 16 bits are so coarse."""

BLURRED: Final = 2.0**-8
"""As that, of u's slope at c = 0, which no finite c shows."""

SHARP: Final = 8
"""Ulps within which a measured factor is the one that it is taken for."""

FACTORS: Final[tuple[tuple[str, Factor], ...]] = (
    ("1/(1-β2)", lambda case: 1 / (1 - case.beta2)),
    ("1/(1-β1)", lambda case: 1 / (1 - case.beta1)),
    ("1-β1", lambda case: 1 - case.beta1),
    ("1-β2", lambda case: 1 - case.beta2),
    ("β1", lambda case: case.beta1),
    ("β2", lambda case: case.beta2),
    ("1/β1", lambda case: 1 / case.beta1 if case.beta1 else np.inf),
    ("1/β2", lambda case: 1 / case.beta2 if case.beta2 else np.inf),
    ("η", lambda case: case.lr),
    ("1/η", lambda case: 1 / case.lr if case.lr else np.inf),
    ("λ", lambda case: case.weight_decay),
    ("1-ηλ", lambda case: 1 - case.lr * case.weight_decay),
    ("1+ηλ", lambda case: 1 + case.lr * case.weight_decay),
    ("√(1-β2)", lambda case: float(np.sqrt(1 - case.beta2))),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A ratio measured in one case."""

    case: Case
    ratio: float
    sharp: float
    """How near to a number it has to be."""


def in_momentum(seen: Sequence[Evidence]) -> Iterator[Alteration]:
    """What m' says: of the gradient, of β2 and its complement, of the result."""
    whole, of_grad, of_old = [], [], []
    for evidence in seen:
        x, y = _terms(evidence, evidence.telling.beta2)
        told = np.asarray(evidence.told[1], np.float64)
        whole += _ratio(evidence, told, x + y, np.abs(x + y) > 0.1 * (np.abs(x) + np.abs(y)))
        of_grad += _ratio(evidence, told, y, x == 0)
        of_old += _ratio(evidence, told, x, y == 0)
    for words, factor in _factors(whole):
        text = f"m' is multiplied by {words}"
        yield stores(text, Code.MOMENTUM_SCALED, "C5", MOMENTUM, _times(factor))
    for words, factor in _factors(of_grad):
        for held in (True, False):  # the product as a gradient, or as the operations take it
            changes = {"grad": _grad_times(factor)}
            text = f"g is multiplied by {words}"
            yield arrays(text, Code.GRADIENT_SCALED, "C5", BOTH, changes, held=held)
    yield from _other_beta2(of_old, of_grad)
    yield from _clipped(seen)
    yield from _of_norm(seen, of_grad)


def in_step(seen: Sequence[Evidence]) -> Iterator[Alteration]:
    """What θ' says where u is known: of η and of λ."""
    of_lr, of_decay = [], []
    for evidence in seen:
        case = evidence.telling
        if not case.lr:
            continue
        theta, told = (np.asarray(x, np.float64) for x in (case.param, evidence.told[0]))
        x, y = _terms(evidence, case.beta1)
        u = np.sign(x + y)
        certain = np.abs(x + y) > 2.0**-7 * (np.abs(x) + np.abs(y))
        moved = theta - told
        of_lr += _ratio(evidence, moved, case.lr * u, certain & (theta == 0))
        if case.weight_decay:
            decay = case.weight_decay * theta
            unit = np.spacing(np.maximum(np.abs(case.param), np.abs(evidence.told[0])))
            sharp = np.asarray(unit, np.float64) < 2.0**-8 * case.lr * np.abs(decay)
            of_decay += _ratio(evidence, moved / case.lr - u, decay, certain & sharp, BLURRED)
    for words, factor in _factors(of_lr):
        rate = {"lr": _scaled("lr", factor)}
        yield scalars(f"η is multiplied by {words}", Code.SCALAR_SCALED, "C1", (STEP,), rate)
        u_times = _u_times(factor)
        text = f"u is multiplied by {words}"
        yield Alteration(text, Code.SIGN_REPLACED, "C7", (STEP,), sign=u_times)
    yield from _other("η", "lr", "C1", (STEP,), of_lr)
    for words, factor in _factors(of_decay):
        changes = {"weight_decay": _scaled("weight_decay", factor)}
        text = f"λ is multiplied by {words}"
        yield scalars(text, Code.DECAY_SCALED, "C10", (STEP,), changes)
    yield from _other("λ", "weight_decay", "C10", (STEP,), of_decay)


def in_sign(seen: Sequence[Evidence]) -> Iterator[Alteration]:
    """What θ' says of u where θ is 0: a step that grows with c, and how steeply."""
    slopes: list[float] = []
    for evidence in seen:
        case = evidence.telling
        x, y = _terms(evidence, case.beta1)
        c = x + y
        if not case.lr:
            continue
        with np.errstate(all="ignore"):
            u = -np.asarray(evidence.told[0], np.float64) / case.lr
            low = (case.param == 0) & (np.abs(u) < 2.0**-6) & (np.abs(u) > 2.0**-40)
            low &= np.isfinite(c) & (c != 0)
            slopes += list((u / c)[low])
    if len(slopes) < ENOUGH:
        return
    slope = _round_number(float(np.median(slopes)), BLURRED)
    if slope is None or np.mean(np.abs(np.array(slopes) / slope - 1) < NEAR) < 0.8:
        return
    for name, soft in _soft(slope):
        yield signs(f"u is no sign: {name}", Code.SIGN_REPLACED, "C7", _of_c(soft))


def _soft(slope: float) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    """What may stand for a sign, and is as steep as that where c is small."""
    width = 1 / slope
    yield f"tanh({_said(slope)}·c)", lambda c: np.tanh(c.dtype.type(slope) * c)
    yield f"{_said(slope)}·c, clamped to [-1, 1]", lambda c: np.clip(c.dtype.type(slope) * c, -1, 1)
    yield f"c / (|c| + {_said(width)})", lambda c: c / (np.abs(c) + c.dtype.type(width))
    yield f"c / √(c² + {_said(width**2)})", lambda c: c / np.sqrt(c * c + c.dtype.type(width**2))
    yield f"{_said(slope)}·c", lambda c: c.dtype.type(slope) * c


def _of_c(soft: Callable[[Array], Array]) -> Callable[[Array, Array, Case], Array]:
    return lambda c, u, case: soft(c)


def _grad_times(factor: Factor) -> Callable[[Case], Array]:
    return lambda case: np.asarray(case.grad, np.float64) * factor(case)


def _scaled(name: str, factor: Factor) -> Factor:
    return lambda case: factor(case) * float(getattr(case, name))


def _u_times(factor: Factor) -> Callable[[Array, Array, Case], Array]:
    return lambda c, u, case: u * u.dtype.type(factor(case))


def _times(factor: Factor) -> Callable[[Array, Array, Case], Array]:
    return lambda x, old, case: np.asarray(x, np.float64) * factor(case)


def _said(value: float) -> str:
    """A number as one writes it.

    >>> _said(1e6), _said(0.25), _said(1e-8)
    ('1e6', '0.25', '1e-8')
    """
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{value:g}")


def _number(value: float) -> Factor:
    return lambda case: value


def _other(
    symbol: str, name: str, clause: str, parts: tuple[Formula, ...], found: Sequence[Measured]
) -> Iterator[Alteration]:
    """A scalar that is one number, whatever was given."""
    given = {getattr(x.case, name) for x in found}
    value = _one_number([replace(x, ratio=x.ratio * getattr(x.case, name)) for x in found])
    if value is not None and given != {value}:
        text = f"{_said(value)} is used for {symbol}"
        yield scalars(text, Code.SCALAR_FIXED, clause, parts, {name: _number(value)})


def _other_beta2(of_old: Sequence[Measured], of_grad: Sequence[Measured]) -> Iterator[Alteration]:
    yield from _other("β2", "beta2", "C5", (MOMENTUM,), of_old)

    def beside(factor: Factor) -> Factor:
        return lambda case: Coefficient(factor(case) * case.beta2, 1 - case.beta2)

    def before(factor: Factor) -> Factor:
        return lambda case: Coefficient(case.beta2, factor(case) * (1 - case.beta2))

    for symbol, found, made in (("β2", of_old, beside), ("1-β2", of_grad, before)):
        for words, factor in _factors(found):
            text = f"{symbol} is multiplied by {words}"
            yield scalars(text, Code.SCALAR_SCALED, "C5", (MOMENTUM,), {"beta2": made(factor)})


def _clipped(seen: Sequence[Evidence]) -> Iterator[Alteration]:
    """A gradient that is clamped: some limit that many elements have, and none exceeds."""
    limits = []
    for evidence in seen:
        x, y = _terms(evidence, evidence.telling.beta2)
        told = np.asarray(evidence.told[1], np.float64)
        with np.errstate(all="ignore"):
            size = np.abs(told) / (1 - evidence.telling.beta2)
        alone = (x == 0) & (y != 0) & np.isfinite(size)
        if alone.sum() >= ENOUGH:
            top = float(size[alone].max())
            limits.append(Measured(evidence.telling, top, SHARP * _epsilon(evidence)))
    if (limit := _one_number(sorted(limits, key=lambda x: x.ratio)[-2:])) is not None:
        clip = {"grad": _between(-limit, limit)}
        text = f"g is clipped to [-{_said(limit)}, {_said(limit)}]"
        yield arrays(text, Code.GRADIENT_CLIPPED, "C5", BOTH, clip)


def _of_norm(seen: Sequence[Evidence], found: Sequence[Measured]) -> Iterator[Alteration]:
    """A gradient that is divided by its norm, always or where that is longer than some length."""
    norms = {id(x.telling): _norm(x.case.grad) for x in seen}
    lengths = [replace(x, ratio=x.ratio * norms[id(x.case)]) for x in found]
    shorter = [x for x, y in zip(lengths, found, strict=True) if y.ratio < 1 - y.sharp]
    length = _one_number(shorter)
    if length is None or not shorter:
        return
    if len(shorter) == len(found) and length == 1:
        divided = {"grad": _to_length(1.0, always=True)}
        text = "g is divided by its norm"
        yield arrays(text, Code.GRADIENT_NORMALISED, "C12", BOTH, divided, whole=True)
    scaled = {"grad": _to_length(length, always=False)}
    words = f"g is scaled to a norm of {_said(length)} where it is longer"
    yield arrays(words, Code.GRADIENT_CLIPPED, "C12", BOTH, scaled, whole=True)


def _norm(grad: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(np.asarray(grad, np.float64).reshape(-1)))


def _to_length(length: float, *, always: bool) -> Callable[[Case], Array]:
    def scaled(case: Case) -> Array:
        norm = _norm(case.grad)
        if not always and not length < norm < np.inf:
            return case.grad
        return np.asarray(case.grad, np.float64) * (np.float64(length) / norm)

    return scaled


def _between(low: float, high: float) -> Callable[[Case], Array]:
    return lambda case: np.clip(np.asarray(case.grad, np.float64), low, high)


def _terms(evidence: Evidence, beta: float) -> tuple[Array, Array]:
    """β·m and (1-β)·g."""
    case = evidence.telling
    with np.errstate(all="ignore"):
        m, g = (np.asarray(x, np.float64) for x in (case.momentum, case.grad))
        return beta * m, (1 - beta) * g


def _ratio(
    evidence: Evidence, told: Array, predicted: Array, at: Array, blur: float = 0.0
) -> list[Measured]:
    """The one factor between them in these elements, if there is one."""
    with np.errstate(all="ignore"):
        good = at & np.isfinite(told) & np.isfinite(predicted)
        good &= (np.abs(predicted) > 1e-30) & (np.abs(predicted) < 1e30)
        ratios = told[good] / predicted[good]
    if ratios.size < ENOUGH:
        return []
    middle = float(np.median(ratios))
    near = np.abs(ratios - middle) <= NEAR * abs(middle)
    if near.mean() < 0.8:
        return []
    sharp = max(blur, SHARP * _epsilon(evidence))
    return [Measured(evidence.telling, float(np.median(ratios[near])), sharp)]


def _epsilon(evidence: Evidence) -> float:
    """The coarsest ulp of 1 among the dtypes that are stored."""
    return max(2.0 ** (1 - FORMATS[x].precision) for x in evidence.case.triple[:2])


def _factors(found: Sequence[Measured]) -> Iterator[tuple[str, Factor]]:
    """Factors other than 1 that were measured in every case: a number, or made of the scalars."""
    if not found or all(abs(x.ratio - 1) <= x.sharp for x in found):
        return
    value = _one_number(found)
    if value is not None and value != -1:  # a wrong sign is in the catalogue
        yield _said(value), _number(value)
    for words, factor in FACTORS:
        if all(abs(x.ratio - factor(x.case)) <= x.sharp * abs(factor(x.case)) for x in found):
            yield words, factor


def _one_number(found: Sequence[Measured]) -> float | None:
    """The roundest number that all of them may be."""
    if not found:
        return None
    middle = float(np.median([x.ratio for x in found]))
    if any(abs(x.ratio - middle) > 2 * x.sharp * abs(middle) for x in found):
        return None
    return _round_number(middle, min(x.sharp for x in found))


def _round_number(middle: float, sharp: float) -> float | None:
    """The number of fewest digits so near to it, or a power of two; None if no one writes such."""
    if middle == 0 or not np.isfinite(middle):
        return 0.0 if middle == 0 else None
    power = float(np.copysign(2.0 ** round(np.log2(abs(middle))), middle))
    for digits in range(1, 7):
        rounded = float(f"{middle:.{digits - 1}e}")
        if abs(rounded - middle) <= sharp * abs(middle):
            return rounded
        if digits == 2 and abs(power - middle) <= sharp * abs(middle):
            return power
    return None
