"""A case as the sum of its circumstances, each ordinary or as it was where a port failed.

What a failure needs is found by making one circumstance after the other ordinary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from lion_conformance.cases.case import ORDINARY, Case, Shape
from lion_conformance.ports import layouts
from lion_conformance.ports.layouts import layout_of
from lion_conformance.ports.protocol import Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, Mask, round_to

PLAIN: Final = ("plain", "plain", "plain")
UNIT: Final = ("unit", "unit", "unit")
FINE: Final = ("fine", "unit", "unit")
SHORT: Final = (97,)
SCALARS: Final = ("lr", "beta1", "beta2", "weight_decay")


@dataclass(frozen=True, slots=True)
class Setup:
    """Circumstances from which any number of fresh cases can be made."""

    triple: Triple
    shape: Shape
    layouts: tuple[str, ...] = PLAIN
    scalars: tuple[float, ...] = ORDINARY
    values: tuple[str, ...] = UNIT
    """Of θ, m and g each: "unit" for random numbers of unit size, "fine" if half of them
    are smaller, "wrong" for those of elements
    that were wrong, "given" for the array as it was."""
    source: Case | None = None
    wrong: tuple[int, ...] = ()

    def case(self, seed: int) -> Case:
        """A fresh case: other seeds are other numbers of unit size."""
        return self.filled(self.numbers(np.random.default_rng(seed)))

    def numbers(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Flat arrays θ, m and g of the setup's dtypes."""
        size = int(np.prod(self.shape))
        theta, m, g = (self._numbers(rng, place, size) for place in range(3))
        return theta, m, self._cancelling(rng, m, g) if self.values == FINE else g

    def _cancelling(self, rng: np.random.Generator, m: Array, g: Array) -> Array:
        """Half of g such that c would be 0 under a β1 that is near its own, or not so near."""
        beta1 = self.scalars[1]
        apart = np.minimum(10.0 ** -rng.uniform(0.3, 7, m.size), (1 - beta1) / 2)
        beta = np.abs(beta1 + rng.choice([-1, 1], m.size) * apart)
        opposite = round_to(-beta / (1 - beta) * np.asarray(m, np.float64), g.dtype)
        return np.where(rng.random(m.size) < 1 / 2, opposite, g)

    def filled(self, arrays: tuple[Array, ...]) -> Case:
        """The case with these flat arrays, laid in memory as the setup says."""
        laid = (
            getattr(layouts, lay if self.shape else "plain")(
                round_to(x, STORAGE_DTYPES[name]).reshape(self.shape)
            )
            for x, name, lay in zip(arrays, self.triple, self.layouts, strict=True)
        )
        theta, m, g = laid
        return Case(theta, m, g, **dict(zip(SCALARS, self.scalars, strict=True)))

    def with_scalar(self, name: str, value: float) -> Setup:
        """The same with another η, β1, β2 or λ."""
        place = SCALARS.index(name)
        return replace(self, scalars=(*self.scalars[:place], value, *self.scalars[place + 1 :]))

    def fine(self) -> Setup:
        """The same with numbers in which small changes show, if they are of unit size."""
        return replace(self, values=FINE) if self.values == UNIT else self

    def _numbers(self, rng: np.random.Generator, place: int, size: int) -> Array:
        kind, dtype = self.values[place], STORAGE_DTYPES[self.triple[place]]
        unit = rng.choice([-1.0, 1.0], size) * np.exp2(rng.uniform(-2, 2, size))
        if kind == "fine":
            scales = np.exp2(-rng.uniform(0, 60, size) * (rng.random(size) < 0.5))
            return round_to(unit * scales, dtype)
        if self.source is None or kind == "unit":
            return round_to(unit, dtype)
        flat = self.source.arrays[place].reshape(-1)
        if kind == "wrong":
            flat = flat[list(self.wrong)]
        with np.errstate(all="ignore"):
            return round_to(np.resize(np.asarray(flat, np.float64), size), dtype)


def as_given(case: Case, wrong: Mask) -> Setup:
    """The setup of a case that exists, with its own arrays."""
    return Setup(
        triple=case.triple,
        shape=case.param.shape,
        layouts=tuple(layout_of(x).__name__ for x in case.arrays),
        scalars=tuple(case.scalars.values()),  # type: ignore[arg-type]
        values=("given",) * 3,
        source=case,
        wrong=tuple(np.flatnonzero(wrong)[:64].tolist()),
    )


def simplified(setup: Setup, ordinary: Setup, fails: Callable[[Setup], bool]) -> Setup:
    """The setup with as many ordinary circumstances as a failure allows."""
    for simpler in _simplifications(ordinary):
        tried = simpler(setup)
        if tried != setup and fails(tried):
            setup = tried
    return setup


def _simplifications(ordinary: Setup) -> Iterator[Callable[[Setup], Setup]]:
    """The strongest first."""
    yield lambda x: replace(x, shape=ordinary.shape)
    yield lambda x: replace(x, shape=(int(np.prod(x.shape)),))
    yield lambda x: replace(x, values=ordinary.values)
    yield lambda x: x if x.values == ordinary.values else replace(x, values=FINE)
    for field, count in (("scalars", 4), ("layouts", 3), ("values", 3)):
        whole = getattr(ordinary, field)
        yield partial(_with, field=field, value=whole)
        for place in range(count):
            yield partial(_with_one, field=field, place=place, value=whole[place])
    for place in range(3):
        yield partial(_with_one, field="values", place=place, value="wrong", unless="unit")
    yield lambda x: replace(x, triple=ordinary.triple)


def _with(setup: Setup, field: str, value: object) -> Setup:
    return replace(setup, **{field: value})  # type: ignore[arg-type]


def _with_one(setup: Setup, field: str, place: int, value: object, unless: object = None) -> Setup:
    before = getattr(setup, field)
    if before[place] == unless:
        return setup
    return _with(setup, field, (*before[:place], value, *before[place + 1 :]))
