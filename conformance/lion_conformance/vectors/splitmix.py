"""The numbers that vectors are drawn from: splitmix64, which any language can write in five lines.

Output k = 1, 2, … for a seed is mix(seed + k·0x9e3779b97f4a7c15), all modulo 2**64. Source: Steele,
Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array, round_to
from lion_ref.rational import FORMATS

T = TypeVar("T")

GAMMA: Final = 0x9E3779B97F4A7C15
RULE: Final = (
    "Output k = 1, 2, ... of splitmix64 for a seed, all modulo 2^64: "
    "z = seed + k*0x9e3779b97f4a7c15; z = (z xor (z >> 30))*0xbf58476d1ce4e5b9; "
    "z = (z xor (z >> 27))*0x94d049bb133111eb; z = z xor (z >> 31). "
    "The number of a dtype with p bits of precision (float16 11, bfloat16 8, float32 24, float64 "
    "53) that an output z stands for is exact in that dtype: n*2^(-p-e), where n is the top p bits "
    "of z and e is (z >> 1) and 7; negative if z is odd (n = 0 then gives -0). Outputs are used "
    "one after another: one for each element of theta, whose momenta are +0, then at each step one "
    "for each element's gradient. A checkpoint has the SHA-256 of theta after that step, and of m: "
    "of the elements' bytes in order, each number little-endian."
)


class SplitMix:
    """A stream of outputs.

    >>> [hex(int(z)) for z in SplitMix(0).outputs(2)]
    ['0xe220a8397b1dcdaf', '0x6e789e6aa1b965f4']
    """

    def __init__(self, seed: int) -> None:
        self.seed, self._used = seed, 0

    def outputs(self, count: int) -> NDArray[np.uint64]:
        """The next outputs."""
        k = np.arange(self._used + 1, self._used + count + 1, dtype=np.uint64)
        self._used += count
        z = np.uint64(self.seed) + k * np.uint64(GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    def numbers(self, dtype: str, count: int) -> Array:
        """The numbers that the next outputs stand for; RULE says how.

        >>> SplitMix(0).numbers("bfloat16", 2).astype(float).tolist()
        [-0.00689697265625, 0.107421875]
        """
        z = self.outputs(count)
        p = FORMATS[dtype].precision
        n = (z >> np.uint64(64 - p)).astype(np.float64)
        exponent = -p - ((z >> np.uint64(1)) & np.uint64(7)).astype(np.int64)
        magnitude = np.ldexp(n, exponent)
        signed = np.where((z & np.uint64(1)) == 1, -magnitude, magnitude)
        return round_to(signed, STORAGE_DTYPES[dtype])

    def indices(self, options: int, count: int) -> NDArray[np.int64]:
        """Integers in [0, options)."""
        return (self.outputs(count) % np.uint64(options)).astype(np.int64)

    def choices(self, options: Sequence[T], count: int) -> list[T]:
        """Some of the options."""
        return [options[i] for i in self.indices(len(options), count)]
