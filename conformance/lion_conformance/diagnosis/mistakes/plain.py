"""Plain cases: one operand at a time, so that what stands in its place can be measured.

ordinary        all of unit size
gradient alone  θ = m = 0: m' is (1-β2)·g, and θ' is -η·u
momentum alone  θ = g = 0: m' is β2·m
parameter       m and g agree: θ' is θ - η·(±1 + λ·θ)
decay alone     m = g = 0: θ' is θ - η·λ·θ
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.probes import SIZE
from lion_conformance.ports.protocol import Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, round_to

SCALARS: Final = ((0.5, 0.9, 0.99, 0.25), (0.03, 0.8, 0.7, 0.5))
"""η, β1, β2, λ of one set of cases each."""


@lru_cache(maxsize=32)
def cases(triple: Triple) -> tuple[Case, ...]:
    """The plain cases of a triple of dtypes, in the probes' one shape.

    >>> {case.param.size for case in cases(("float32",) * 3)} == {SIZE}
    True
    """
    rng = np.random.default_rng([2027, *map(ord, "".join(triple))])
    zero = np.zeros(SIZE)
    found = []
    for scalars in SCALARS:
        one = rng.choice([-1.0, 1.0], SIZE)
        for arrays in (
            rng.standard_normal((3, SIZE)),
            (zero, zero, _spread(rng, triple[2])),
            (zero, _spread(rng, triple[1]), zero),
            (one * rng.exponential(2, SIZE), one, one),
            (rng.standard_normal(SIZE), zero, zero),
        ):
            stored = (
                round_to(np.asarray(x), STORAGE_DTYPES[name])
                for x, name in zip(arrays, triple, strict=True)
            )
            theta, m, g = stored
            found.append(Case(theta, m, g, *scalars))
    return tuple(found)


def _spread(rng: np.random.Generator, dtype: str) -> Array:
    """Numbers of all sizes and of either sign, as many large as small."""
    reach = 12 if dtype == "float16" else 60
    sizes = np.where(
        rng.random(SIZE) < 0.5, rng.uniform(-3, 3, SIZE), rng.uniform(-reach, reach, SIZE)
    )
    return np.asarray(rng.choice([-1.0, 1.0], SIZE) * np.exp2(sizes))
