"""Fresh calls, one after another, that show what is kept between them."""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lion_conformance.cases.case import Case, adversarial
from lion_conformance.diagnosis.alternatives.calls import Calls
from lion_conformance.diagnosis.alternatives.session import Pair, Reference, Turn
from lion_conformance.ports.protocol import Triple
from lion_ref import STORAGE_DTYPES, legal_triples
from lion_ref.arithmetic import all_same_bits

CALLS = 24

SIZES = (331, 337, 347, 349)
"""In no fixed case: a port that keeps something by shape does not know them."""

OWN_SIZE = 317


def _case(rng: np.random.Generator, triple: Triple, size: int) -> Case:
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    beta1, beta2 = rng.uniform(0.6, 0.95), rng.uniform(0.6, 0.98)
    arrays = adversarial(rng, size, dtypes, "ordinary", float(beta1))
    lr, weight_decay = rng.uniform(0.01, 1, 2)
    return Case(*arrays, float(lr), float(beta1), float(beta2), float(weight_decay))


def drawn(triple: Triple, seed: int, *, avoiding: bool) -> list[Case]:
    """Calls of several shapes and ever other scalars, now and then close to those before.

    avoiding: of one shape, as each costs a compilation.
    """
    rng = np.random.default_rng(500 + seed)
    # What was asked in other dtypes may be kept by shape too.
    more = 40 * seed + 120 * legal_triples().index(triple)
    sizes = [x + more for x in (SIZES[:1] if avoiding else SIZES)]
    cases: list[Case] = []
    for t in range(CALLS):
        case = _case(rng, triple, sizes[(t // 2) % len(sizes)])
        before = cases[-1] if cases else case
        if t % 6 == 5 and before.param.shape == case.param.shape:
            # θ and g of the call before, in arrays of their own
            case = case.with_arrays((before.param.copy(), case.momentum, before.grad.copy()))
        elif t % 6 == 3:
            near = {name: x * (1 + 4e-10) for name, x in before.scalars.items() if x < 0.99}  # type: ignore[operator]
            case = replace(case, **before.scalars | near)  # type: ignore[arg-type]
        cases.append(case)
    return cases


def of_one_shape(triple: Triple) -> list[Case]:
    """Three calls of a shape."""
    rng = np.random.default_rng(77)
    return [_case(rng, triple, OWN_SIZE) for _ in range(3)]


@dataclass
class Sequence:
    """Calls, and what the port said."""

    cases: Several[Case]
    got: Several[Pair]
    reference: Reference

    @cached_property
    def wrong(self) -> list[int]:
        """The calls that are not right."""
        return [
            t
            for t, (case, got) in enumerate(zip(self.cases, self.got, strict=True))
            if not _same(got, self.reference.step(Turn(0, *case.arrays, **case.scalars)))
        ]

    def fits(self, calls: Calls) -> bool:
        """Whether what is kept gives every answer."""
        for case, got in zip(self.cases, self.got, strict=True):
            wanted = calls.call(Turn(0, *case.arrays, **case.scalars))
            if wanted is not None and not _same(got, wanted):
                return False
        return True


def _same(one: Pair, other: Pair) -> bool:
    return all(all_same_bits(a, b) for a, b in zip(one, other, strict=True))
