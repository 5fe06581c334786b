"""Evidence: what a port answered on a case, cut down to the elements that tell semantics apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

import lion_ref
from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.probes import steady
from lion_ref import Semantics
from lion_ref.arithmetic import Array, Mask, round_to, same_bits
from lion_ref.dialects import dialect
from lion_ref.dtypes import compute_dtype
from lion_ref.hyperparameters import Hyperparameters

HEAD, TELLING, ORDINARY = 48, 64, 48


class Part(Enum):
    """The part of a result that a question is about."""

    MOMENTUM = "m'"
    STEADY = "θ' where u is ±1"
    PARAM = "θ'"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A case and the port's answer: in full, and the telling elements, the most telling first."""

    case: Case
    got: tuple[Array, Array]
    telling: Case
    told: tuple[Array, Array]
    steady: Mask
    at: NDArray[np.intp]
    """Which elements of the flat case the telling ones are."""

    @classmethod
    def of(cls, case: Case, got: tuple[Array, Array], within: Mask | None = None) -> Evidence:
        """First elements that differ from the canonical bits, then steady ones, then others.

        within: flat, where alone elements are taken from; all of the case if omitted.
        """
        got = (got[0].copy(), got[1].copy())  # a port may use its results' memory again
        expected = lion_ref.step(*case.arrays, **case.scalars)
        param, momentum = (
            np.flatnonzero(~same_bits(a, b).reshape(-1)) for a, b in zip(got, expected, strict=True)
        )
        certain = np.flatnonzero(steady(case))
        stride = max(1, case.param.size // ORDINARY)
        order = [
            *momentum[: HEAD // 2],
            *param[: HEAD // 2],
            *momentum[:TELLING],
            *param[:TELLING],
            *np.intersect1d(param, certain)[:TELLING],
            *certain[:TELLING],
            *range(0, case.param.size, stride),
        ]
        at = np.array(list(dict.fromkeys(map(int, order))), np.intp)
        if within is not None:
            at = np.concatenate((at[within[at]], np.flatnonzero(within)[:TELLING]))
        return cls.cut(case, got, at)

    @classmethod
    def cut(cls, case: Case, got: tuple[Array, Array], at: NDArray[np.intp]) -> Evidence:
        """These elements of the flat case alone."""
        flat = case.with_arrays(x.reshape(-1) for x in case.arrays)
        telling = flat.with_arrays(x[at] for x in flat.arrays)
        new_param, new_momentum = (x.reshape(-1)[at] for x in got)
        return cls(case, got, telling, (new_param, new_momentum), steady(telling), at)

    def misses(self, semantics: Semantics, part: Part) -> Mask:
        """The telling elements in which a semantics does not give the port's bits."""
        return self._misses(semantics, part, slice(None))

    def fits(self, semantics: Semantics, part: Part) -> bool:
        """Whether a semantics gives the port's bits in all telling elements."""
        if part is Part.STEADY and not self.steady.any():
            return True
        return not any(self._misses(semantics, part, s).any() for s in (slice(HEAD), slice(None)))

    def _misses(self, semantics: Semantics, part: Part, piece: slice) -> Mask:
        case = self.telling.with_arrays(x[piece] for x in self.telling.arrays)
        param, momentum = _stepped(case, semantics)
        if part is Part.MOMENTUM:
            return ~same_bits(momentum, self.told[1][piece])
        differs = ~same_bits(param, self.told[0][piece])
        return differs & self.steady[piece] if part is Part.STEADY else differs

    def contradiction(self, semantics: Semantics) -> Evidence | None:
        """In full: evidence of the elements in which a semantics does not give the port's bits."""
        expected = lion_ref.step(*self.case.arrays, **self.case.scalars, semantics=semantics)
        differs = np.zeros(self.case.param.size, bool)
        for actual, wanted in zip(self.got, expected, strict=True):
            differs |= ~same_bits(actual, wanted).reshape(-1)
        at = np.flatnonzero(differs)[: HEAD + TELLING]
        return self.cut(self.case, self.got, at) if at.size else None


def _stepped(case: Case, semantics: Semantics) -> tuple[Array, Array]:
    """As lion_ref.step has it, of flat arrays that were checked: a search steps thousands of times.

    What the step checks each time costs as much here as the step.
    """
    theta, m, _ = (x.dtype for x in case.arrays)
    values = Hyperparameters(**case.scalars)
    with np.errstate(all="ignore"):
        update = dialect(semantics, values, compute_dtype(theta.name), theta, m)
        param, momentum = update(*case.arrays)
        return round_to(param, theta), round_to(momentum, m)
