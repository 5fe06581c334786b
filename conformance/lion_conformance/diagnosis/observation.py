"""A port's answer to a case, beside the bits that a base semantics has there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import lion_ref
from lion_conformance.cases.case import Case
from lion_ref import CANONICAL, Semantics
from lion_ref.arithmetic import Array, Mask, same_bits


@dataclass(frozen=True, slots=True)
class Observation:
    """What a port gave for a case, and in which elements it is not what the base gives."""

    case: Case
    got: tuple[Array, Array]
    wrong_param: Mask
    """Flat: where θ' is not that of the base."""
    wrong_momentum: Mask
    """Flat: where m' is not."""

    @classmethod
    def of(cls, case: Case, got: tuple[Array, Array], base: Semantics = CANONICAL) -> Observation:
        """The answer beside the base's."""
        got = (got[0].copy(), got[1].copy())  # a port may use its results' memory again
        expected = lion_ref.step(*case.arrays, **case.scalars, semantics=base)
        param, momentum = (~same_bits(a, b).reshape(-1) for a, b in zip(got, expected, strict=True))
        return cls(case, got, param, momentum)

    @property
    def wrong(self) -> Mask:
        """Flat: where either is not the base's."""
        return np.asarray(self.wrong_param | self.wrong_momentum)
