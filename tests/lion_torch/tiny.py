"""Cases around the smallest normal numbers, where the choices of `subnormals` part (SPEC C33)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

import lion_ref
from lion_ref.arithmetic import Array, round_to
from lion_ref.dtypes import STORAGE_DTYPES
from tests.lion_torch.support import Case

SMALLEST = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
"""The smallest normal numbers."""


@dataclass(frozen=True)
class Tiny(Case):
    """Subnormals; factors of products around the smallest normal number; what cancels."""

    def params(self) -> list[Array]:
        return self.momenta(np.random.default_rng(self.seed), self.dtypes[0])

    def momenta(self, random: np.random.Generator, dtype: str = "") -> list[Array]:
        return [self._values(random, shape, dtype or self.dtypes[1]) for shape in self.shapes]

    def grads(self, random: np.random.Generator, momenta: Sequence[Array]) -> list[Array]:
        """Half of them cancel β1·m or β2·m but for a last place or two, so that sums are tiny."""
        own = self.momenta(random, self.dtypes[2])
        opposite = replace(self, beta1=random.choice([self.beta1, self.beta2]))
        near = super(Tiny, opposite).grads(random, momenta)
        return [
            np.where(random.random(x.shape) < 0.5, x, y) for x, y in zip(own, near, strict=True)
        ]

    def _values(self, random: np.random.Generator, shape: tuple[int, ...], name: str) -> Array:
        dtype = STORAGE_DTYPES[name]
        integer = np.dtype(f"u{dtype.itemsize}")
        normal = np.array(SMALLEST[name], dtype).view(integer)  # the bits of subnormals are fewer
        subnormal = random.integers(1, int(normal), shape).astype(integer).view(dtype)
        factors = [self.lr, self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2]
        factors = [x for x in (*factors, self.weight_decay, 1.0) if x >= 2.0**-126]
        smallest = [x for x in SMALLEST.values() if x >= SMALLEST[name]]
        with np.errstate(all="ignore"):
            quotient = round_to(
                random.choice(smallest, shape) / random.choice(factors, shape), dtype
            )
            moved = quotient.view(integer) + random.integers(-2, 3, shape).astype(integer)
            scaled = random.standard_normal(shape) * 2.0 ** random.integers(-135, -100, shape)
        special = random.choice(np.array([0, 1, 0.5, np.inf, np.nan], dtype), shape)
        kinds = [subnormal, moved.view(dtype), moved.view(dtype), round_to(scaled, dtype), special]
        values = np.choose(random.integers(0, len(kinds), shape), [x.view(integer) for x in kinds])
        signs = random.integers(0, 2, shape).astype(integer) << np.array(
            8 * dtype.itemsize - 1, integer
        )
        return np.asarray(values ^ signs).view(dtype).reshape(shape)


_SCALARS: tuple[tuple[float, float, float, float], ...] = (
    (1e-3, 0.9, 0.99, 0.1),
    (1e-40, 0.9, 0.99, 1e-40),
    (2.0**-126, 1 - 2.0**-24, 1 - 2.0**-53, 1 - 2.0**-24),
    # Rounded to float32 they are its smallest normal number, but tiny; and just not.
    (2.0**-126 * (1 - 0.75 * 2.0**-24), 0.5, 2.0**-126 * (1 - 2.0**-26), 1.0),
    (1.0, 0.0, 1 - 2.0**-40, 2.0**-126 * (1 - 2.0**-25)),
    (3.0 * 2.0**-126, 1e-39, 2.0**-1000, 3e38),
    (2.0**-1022, 0.75, 2.0**-1023, 3.0 * 2.0**-1022),
)
"""η, β1, β2, λ."""

TINY_CASES = tuple(
    Tiny(dtypes, ((23, 19), ()), *scalars, seed=seed, steps=1)
    for dtypes in lion_ref.legal_triples()
    for seed, scalars in enumerate(_SCALARS)
)
"""Every rule of C18, over all 43 triples."""
