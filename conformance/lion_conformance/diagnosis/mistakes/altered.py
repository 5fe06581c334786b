"""The update with alterations: what a port would give that makes a mistake and is right otherwise.

    c   from (θ, m, g, β1), u = sign(c)      may see other inputs, and u be made otherwise
    θ'  from (θ, u, η, λ)                    may see other inputs, and be stored otherwise
    m'  from (θ, m, g, β2)                   likewise

Each part takes its own alterations, under any Semantics: what is wrong in one and what in another
are found apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Self

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.verdict.code import Code
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import Array, round_to
from lion_ref.dialects import Dialect
from lion_ref.dtypes import compute_dtype
from lion_ref.hyperparameters import Hyperparameters

Kept = Callable[[Case], Array]
"""m' of a case, as the port stores it."""


class Formula(Enum):
    """What an alteration is made in."""

    SIGN = "c"
    STEP = "θ'"
    MOMENTUM = "m'"


class Coefficient(float):
    """A β whose complement is another number than 1-β."""

    complement: float

    def __new__(cls, value: float, complement: float) -> Self:
        """The β, and what stands in the place of 1-β."""
        made = super().__new__(cls, value)
        made.complement = complement
        return made

    def __rsub__(self, one: float) -> float:
        """What takes the complement subtracts the β from 1, in binary64 (SPEC C4)."""
        return self.complement


@dataclass(frozen=True, slots=True)
class Alteration:
    """One deviation from the update, in the parts that see what it changes."""

    words: str
    """What is wrong, where it is made in every part that it can be made in."""
    code: Code
    clause: str
    parts: tuple[Formula, ...]
    sees: Callable[[Case, Kept], Case] | None = None
    """What a part takes for its inputs and scalars."""
    sign: Callable[[Array, Array, Case], Array] | None = None
    """u from c, from u as it should be, and from the case."""
    stores: Callable[[Array, Array, Case], Array] | None = None
    """What is stored of a result in the compute dtype, in the place of the old array."""
    within: str = ""
    """The dtype in which all is computed."""
    rounds: bool = False
    """Whether it is about a rounding alone."""
    whole: bool = False
    """Whether an element's inputs depend on others: then it is asked of whole arrays."""
    alone: dict[Formula, str] = field(default_factory=dict, compare=False, hash=False)
    """The words where it is made in one part alone; else `words` and the part's name."""

    def said_of(self, parts: Sequence[Formula]) -> str:
        """The words for an alteration that was found in these parts."""
        if set(parts) == set(self.parts):
            return self.words
        if len(parts) == 1 and parts[0] in self.alone:
            return self.alone[parts[0]]
        return f"{self.words}, in {' and '.join(part.value for part in parts)} alone"


@dataclass(frozen=True, slots=True)
class Altered:
    """The update under a Semantics, with alterations in each of its parts."""

    semantics: Semantics = CANONICAL
    in_sign: tuple[Alteration, ...] = ()
    in_step: tuple[Alteration, ...] = ()
    in_momentum: tuple[Alteration, ...] = ()

    def step(self, case: Case) -> tuple[Array, Array]:
        """(θ', m') of a case; arrays keep their shape."""
        shape = case.param.shape
        if not self.whole:
            case = case.with_arrays(x.reshape(-1) for x in case.arrays)
        with np.errstate(all="ignore"):
            param, momentum = self.param(case), self.momentum(case)
        return param.reshape(shape), momentum.reshape(shape)

    @property
    def whole(self) -> bool:
        """Whether an element's result depends on others."""
        return any(x.whole for x in (*self.in_sign, *self.in_step, *self.in_momentum))

    def momentum(self, case: Case) -> Array:
        """m'."""
        seen = self._seen(self.in_momentum, case, lambda x: self._kept(x, ()))
        return self._kept(seen, self.in_momentum)

    def _kept(self, case: Case, alterations: tuple[Alteration, ...]) -> Array:
        parts, given = self._parts(case, alterations)
        new = parts.kept(_values(given), *given.arrays)
        if not any(x.stores for x in alterations):
            _, new = parts.stored(new, new)
        return _stored(new, alterations, case.momentum, given)

    def param(self, case: Case) -> Array:
        """θ'."""
        seen = self._seen(self.in_sign, case, self.momentum)
        parts, given = self._parts(seen, self.in_sign)
        c = parts.interpolated(_values(given), *given.arrays)
        u = parts.sign(c)
        for one in (*self.in_sign, *self.in_step):
            if one.sign is not None:
                u = np.asarray(one.sign(c, u, case), u.dtype)
        seen = self._seen(self.in_step, case, self.momentum)
        parts, given = self._parts(seen, self.in_step)
        u = np.asarray(u, compute_dtype(given.param.dtype.name)) if self._mixed() else u
        new = parts.moved(_values(given), given.param, u)
        if not any(x.stores for x in self.in_step):
            new, _ = parts.stored(new, new)
        return _stored(new, self.in_step, case.param, case)

    def _mixed(self) -> bool:
        """Whether c and θ' are computed in dtypes of their own."""
        return any(x.within for x in (*self.in_sign, *self.in_step))

    def _seen(self, alterations: tuple[Alteration, ...], case: Case, kept: Kept) -> Case:
        for one in alterations:
            if one.sees is not None:
                case = one.sees(case, kept)
        return case

    def _parts(self, case: Case, alterations: tuple[Alteration, ...]) -> tuple[Dialect, Case]:
        """The update's parts, and the case as they take it: in another dtype, if one is told."""
        semantics = self.semantics
        within = next((x.within for x in alterations if x.within), "")
        if within:
            case = case.with_arrays(round_to(x, STORAGE_DTYPES[within]) for x in case.arrays)
            if compute_dtype(within).name != within:
                semantics = replace(semantics, precision="storage", momentum_precision="storage")
        theta, m, _ = (x.dtype for x in case.arrays)
        return Dialect(semantics, compute_dtype(theta.name), theta, m), case


def _values(case: Case) -> Hyperparameters:
    """The scalars, legal or not, in binary64."""
    return Hyperparameters(**case.scalars)


def _stored(new: Array, alterations: tuple[Alteration, ...], old: Array, case: Case) -> Array:
    for one in alterations:
        if one.stores is not None:
            new = one.stores(new, old, case)
    return round_to(new, old.dtype)
