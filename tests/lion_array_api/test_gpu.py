"""CuPy's arrays on a GPU: the bits that are declared, with float32's subnormals flushed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lion_array_api
import lion_ref
from lion_array_api import declared_semantics, kernel
from lion_ref import CANONICAL, Semantics, legal_triples
from lion_ref.arithmetic import Array, same_bits
from tests.adversarial import elements, hyperparameters

try:
    import cupy

    MISSING = "" if cupy.cuda.is_available() else "needs a GPU"
except ImportError:
    MISSING = "needs CuPy: pip install cupy-cuda12x"

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

Triple = tuple[str, str, str]

SMALLEST = float(np.finfo(np.float32).smallest_normal)
TRIPLES = [x for x in legal_triples() if "bfloat16" not in x]  # CuPy has no bfloat16
SEEDS = range(8)


def is_mixed(triple: Triple) -> bool:
    """Whether float64 computes, which keeps subnormals, beside float32, which is flushed."""
    return triple[0] == "float64" and "float32" in triple


def given(triple: Triple, seed: int, size: int) -> tuple[list[Array], dict[str, Any]]:
    """Adversarial elements; of a mixed triple, zeros in the place of float32's subnormals."""
    rng = np.random.default_rng(seed)
    scalars = hyperparameters(rng)
    arrays = elements(rng, triple, size, beta1=scalars["beta1"], beta2=scalars["beta2"])
    if is_mixed(triple):
        for array in arrays:
            if array.dtype == np.float32:
                array[np.abs(array) < SMALLEST] = 0
    return list(arrays), scalars


def told(triple: Triple, arrays: list[Array], scalars: dict[str, Any]) -> Array:
    """Which momenta are specified: not those that a mixed triple stores as float32's subnormals."""
    if not is_mixed(triple) or triple[1] != "float32":
        return np.ones(arrays[1].shape, bool)
    theta, m, g = arrays
    with np.errstate(invalid="ignore"):  # a signalling NaN
        _, wide = lion_ref.step(theta, m.astype(np.float64), g, **scalars)
    # What rounds up to the smallest normal number may be tiny to one processor and not to another.
    magnitude = np.abs(wide)
    return np.asarray((wide == 0) | ~(magnitude <= SMALLEST))


def differences(triple: Triple, seed: int, size: int = 1000, semantics: Any = None) -> list[str]:
    """Elements whose bits are not those of the declared semantics."""
    arrays, scalars = given(triple, seed, size)
    on_device = [cupy.asarray(array) for array in arrays]
    results = lion_array_api.step(*on_device, **scalars)
    semantics = semantics or declared_semantics(on_device[0])
    expected = lion_ref.step(*arrays, **scalars, semantics=semantics)
    found = []
    compared = (np.ones(size, bool), told(triple, arrays, scalars))
    for name, result, right, which in zip(("θ'", "m'"), results, expected, compared, strict=True):
        got = cupy.asnumpy(result)
        assert (got.dtype, got.shape) == (right.dtype, right.shape)
        for i in np.flatnonzero(~same_bits(got, right) & which):
            values = [array[i] for array in arrays]
            found.append(f"{name} of {values} at {scalars}: {got[i]!r}, expected {right[i]!r}")
    return found


@pytest.mark.clause("C18", "C29")
@pytest.mark.parametrize(
    ("dtype", "semantics"),
    [
        ("float16", Semantics(subnormals="flush")),
        ("float32", Semantics(subnormals="flush")),
        ("float64", CANONICAL),
    ],
)
def test_float32_s_subnormals_are_declared_as_flushed(dtype: str, semantics: Semantics) -> None:
    assert declared_semantics(cupy.ones(3, dtype)) == semantics


@pytest.mark.clause("C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C18", "C29")
@pytest.mark.parametrize("triple", TRIPLES, ids="-".join)
def test_the_bits_are_the_declared_ones(triple: Triple) -> None:
    for seed in SEEDS:
        assert differences(triple, seed)[:3] == []


# --- what the comparison rejects --------------------------------------------------------------


# Of float16 alone no number is so small that float32 computes with subnormals that show.
TELLING = [x for x in TRIPLES if not is_mixed(x) and set(x) != {"float16"}]


@pytest.mark.parametrize("triple", TELLING, ids="-".join)
def test_other_semantics_are_rejected(triple: Triple) -> None:
    """What is not declared: the subnormals of the compute dtype kept, or flushed, instead."""
    other = CANONICAL if triple[0] != "float64" else Semantics(subnormals="flush")
    assert any(differences(triple, seed, semantics=other) for seed in SEEDS)


@pytest.mark.parametrize("triple", TRIPLES, ids="-".join)
def test_a_wrong_step_is_rejected(monkeypatch: pytest.MonkeyPatch, triple: Triple) -> None:
    def sign_without_nan(xp: Any, c: Any) -> Any:
        return xp.astype(c > 0, c.dtype) - xp.astype(c < 0, c.dtype)

    monkeypatch.setattr(kernel, "_sign", sign_without_nan)
    declared = declared_semantics(cupy.ones(1, triple[0]))
    assert any(differences(triple, seed, semantics=declared) for seed in SEEDS)
