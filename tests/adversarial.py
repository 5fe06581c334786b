"""Arrays on which an update is most likely to go wrong, from a seed; see `elements`."""

from __future__ import annotations

import numpy as np

from lion_ref.arithmetic import Array, round_to
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.rational import FORMATS

Triple = tuple[str, str, str]

LEARNING_RATES = (0.0, 5e-324, 2.0**-149, 1e-30, 1e-4, 0.1, 2.0**-24, 2.0**-9, 0.5, 1.0, 3e38)
BETAS = (0.0, 2.0**-60, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1 - 2.0**-24, 1 - 2.0**-53)
WEIGHT_DECAYS = (0.0, 5e-324, 1e-40, 1e-2, 0.1, 0.5, 1.0, 3.0, 1e38)


def hyperparameters(rng: np.random.Generator) -> dict[str, float]:
    """Four scalars: edges of what SPEC C13 allows, and what people use."""
    return {
        "lr": float(rng.choice(LEARNING_RATES)),
        "beta1": float(rng.choice(BETAS)),
        "beta2": float(rng.choice(BETAS)),
        "weight_decay": float(rng.choice(WEIGHT_DECAYS)),
    }


def elements(
    rng: np.random.Generator, triple: Triple, size: int, *, beta1: float, beta2: float
) -> tuple[Array, Array, Array]:
    """(θ, m, g) of `size` elements, each drawn from all kinds of `values`.

    In a quarter of the elements g is made to cancel m in c, in another quarter in m': to the bit,
    or a few ulps beside. An eighth of the elements are zeros and smallest numbers throughout.
    """
    param, momentum, grad = (values(rng, dtype, size) for dtype in triple)
    for quarter, beta in ((0, beta1), (1, beta2)):
        chosen = rng.integers(0, 4, size) == quarter
        with np.errstate(all="ignore"):
            opposite = -beta / (1.0 - beta) * momentum.astype(np.float64)
            near = round_to(opposite, grad.dtype)
            for _ in range(2):
                away = np.nextafter(near, grad.dtype.type(np.inf))
                near = np.where(rng.integers(0, 3, size) == 0, away, near).astype(grad.dtype)
        grad = np.where(chosen, near, grad).astype(grad.dtype)
    vanishing = rng.integers(0, 8, size) == 0
    for array in (param, momentum, grad):
        tiny = 2.0 ** (FORMATS[array.dtype.name].min_exponent - FORMATS[array.dtype.name].precision)
        array[vanishing] = rng.choice(np.array([0, -0.0, 0, -0.0, 2 * tiny, -2 * tiny]), size)[
            vanishing
        ]
    return param, momentum, grad


def values(rng: np.random.Generator, name: str, size: int) -> Array:
    """Any bit pattern; landmarks; ordinary numbers; numbers of few bits (ties); subnormals."""
    dtype, form = STORAGE_DTYPES[name], FORMATS[name]
    width = 8 * dtype.itemsize
    unsigned = np.dtype(f"u{dtype.itemsize}")

    def of_patterns(patterns: Array) -> Array:
        return patterns.astype(unsigned).view(dtype)

    anything = rng.integers(0, 1 << width, size, dtype=np.uint64 if width == 64 else np.int64)
    sign = rng.integers(0, 2, size).astype(np.uint64) << np.uint64(width - 1)
    small = rng.integers(0, 1 << (form.precision - 1), size).astype(np.uint64) | sign
    few = rng.integers(-64, 65, size) * 2.0 ** rng.integers(-12, 3, size)
    long = rng.standard_normal(size) * 2.0 ** rng.integers(-2, 3, size)
    kinds = [
        of_patterns(anything),
        rng.choice(landmarks(name), size),
        round_to(long, dtype),
        round_to(few, dtype),
        of_patterns(small),
    ]
    kind = rng.choice(len(kinds), size, p=[0.15, 0.3, 0.25, 0.2, 0.1])
    result: Array = np.choose(kind, [k.view(unsigned) for k in kinds]).astype(unsigned).view(dtype)
    return result


def landmarks(name: str) -> Array:
    """±0, ±inf, NaN, and both ends of the subnormals, of the binades and of the range."""
    dtype, form = STORAGE_DTYPES[name], FORMATS[name]
    hidden = 1 << (form.precision - 1)
    infinity = (form.max_exponent - form.min_exponent + 2) * hidden
    bias = form.max_exponent
    starts = [0, hidden, 2 * hidden, infinity - hidden, infinity]
    starts += [(bias + e) * hidden for e in (-form.precision, -1, 0, 1, form.precision)]
    starts += [(bias + e) * hidden for e in (-2 * form.precision, 2 * form.precision)]
    near = {start + offset for start in starts for offset in (-2, -1, 0, 1, 2)}
    # Halfway between two numbers of the next narrower dtypes, and its neighbours.
    near |= {bias * hidden + (1 << bit) + o for bit in (12, 15, 28, 44) for o in (-1, 0, 1)}
    legal = np.array(sorted(p for p in near if 0 <= p <= infinity + 1), dtype=np.uint64)
    negative = legal + np.uint64(1 << (8 * dtype.itemsize - 1))
    both = np.concatenate([legal, negative]).astype(f"u{dtype.itemsize}")
    result: Array = both.view(dtype)
    return result


def around_underflow(
    rng: np.random.Generator, triple: Triple, size: int, *factors: float
) -> tuple[Array, Array, Array]:
    """(θ, m, g) whose products with one of the factors end around where results are tiny.

    At, just below and half of a last place below the smallest normal number of any dtype. A third
    are drawn from all kinds of `values`, and a third of m and g are a hair apart in their products.
    """

    def one(name: str) -> Array:
        dtype = STORAGE_DTYPES[name]
        factor = rng.choice(np.array([1.0, *(x for x in factors if x)]), size)
        exponent = rng.choice([form.min_exponent for form in FORMATS.values()], size)
        below = rng.choice([0.0, -1, 1, 2, 3], size) * 2.0 ** -rng.choice([8, 9, 24, 25, 53], size)
        with np.errstate(all="ignore"):
            near = round_to((1 - below) / factor * 2.0**exponent, dtype)
            away = rng.choice([0.0, np.inf], size).astype(dtype)
            near = np.where(rng.random(size) < 0.5, near, np.nextafter(near, away))
            near = np.where(rng.random(size) < 0.5, near, -near).astype(dtype)
        result: Array = np.where(rng.random(size) < 1 / 3, values(rng, name, size), near)
        return result.astype(dtype)

    theta, m, g = map(one, triple)
    return theta, m, g
