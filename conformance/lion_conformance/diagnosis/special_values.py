"""Special values: each combination of those at which an operation's case changes, in θ, m and g.

Zeros of either sign, the smallest subnormal and normal numbers, 1, infinities and NaN. Some choices
show in one such combination alone: that sign(-0) is -0, in θ = m = -0 beside a g whose product
underflows, if c is a lerp from m.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.probes import SIZE
from lion_conformance.ports.protocol import Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import round_to
from lion_ref.rational import FORMATS

SCALARS: Final = ((0.5, 0.9, 0.99, 0.1), (0.3, 0.6, 0.7, 0.0))
"""η, β1, β2, λ of one case each; where λ is 0, an η that no narrow dtype of u has."""


@lru_cache(maxsize=64)
def cases(triple: Triple) -> tuple[Case, ...]:
    """The special values of a triple of dtypes, in the probes' one shape, once for each λ.

    >>> [case.param.size == SIZE for case in cases(("bfloat16", "float32", "bfloat16"))]
    [True, True]
    """
    columns = zip(*product(*(_values(name) for name in triple)), strict=True)
    theta, m, g = (
        np.resize(round_to(np.array(column), STORAGE_DTYPES[name]), SIZE)
        for column, name in zip(columns, triple, strict=True)
    )
    return tuple(
        Case(theta, m, g, lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
        for lr, beta1, beta2, weight_decay in SCALARS
    )


def _values(dtype: str) -> tuple[float, ...]:
    form = FORMATS[dtype]
    sizes = (0.0, float(form.smallest_subnormal), 2.0**form.min_exponent, 1.0, np.inf)
    return *sizes, *(-x for x in sizes), np.nan
