"""One step through every public door, bit for bit as lion_ref with the declared semantics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lion_jax
from lion_jax import kernel, rounding
from lion_ref import CANONICAL, Semantics, legal_triples
from lion_ref import step as canonical_step
from lion_ref.arithmetic import round_to, same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from tests.adversarial import Triple, elements, hyperparameters
from tests.lion_jax.doors import (
    DOORS,
    Arrays,
    Train,
    by_step,
    difference,
    jitted,
    normal,
    reference,
    run,
    run_tree,
)

NARROW = [t for t in legal_triples() if t[0] != "float64"]
SIZE = 5003
TRIPLES = pytest.mark.parametrize("triple", legal_triples(), ids="-".join)


def transformation(scalars: dict[str, float]) -> Any:
    return lion_jax.lion(
        scalars["lr"], scalars["beta1"], scalars["beta2"], weight_decay=scalars["weight_decay"]
    )


def drawn(triple: Triple, seed: int) -> tuple[dict[str, float], Arrays]:
    """Scalars, which depend on the seed alone, and arrays."""
    rng = np.random.default_rng(seed)
    scalars = hyperparameters(rng)
    return scalars, elements(rng, triple, SIZE, beta1=scalars["beta1"], beta2=scalars["beta2"])


def compare(door: str, triple: Triple, seed: int) -> str:
    scalars, arrays = drawn(triple, seed)
    ours = run(DOORS[door](transformation(scalars)), arrays)
    return difference(ours, reference(arrays, **scalars), arrays)


@cache
def program(door: str, seed: int) -> tuple[Train, dict[str, Any]]:
    """A step, compiled once for each tree, and its scalars."""
    scalars: dict[str, Any] = hyperparameters(np.random.default_rng(seed))
    return DOORS[door](transformation(scalars)), scalars


@cache
def compared(door: str, seed: int, x64: bool) -> dict[Triple, str]:
    """The verdict on each triple, of one step of a tree with a leaf for each."""
    train, scalars = program(door, seed)
    arrays = {triple: drawn(triple, seed)[1] for triple in (legal_triples() if x64 else NARROW)}
    with jax.enable_x64(x64):
        ours = run_tree(train, arrays)
    return {
        triple: difference(ours[triple], reference(given, **scalars), given)
        for triple, given in arrays.items()
    }


@TRIPLES
@pytest.mark.parametrize(
    ("door", "seed"), [("jit-apply_updates", 0), ("jit-apply_updates", 4), ("jit-step", 6)]
)
@pytest.mark.clause("C3", "C5", "C7", "C8", "C9", "C10", "C11", "C18")
def test_every_triple_on_adversarial_inputs(triple: Triple, door: str, seed: int) -> None:
    assert not compared(door, seed, True)[triple]


@pytest.mark.parametrize("triple", NARROW, ids="-".join)
@pytest.mark.parametrize(("door", "seed"), [("jit-apply_updates", 10), ("jit-step", 11)])
@pytest.mark.clause("C3", "C4", "C5", "C9")
def test_every_triple_without_64_bit_types(triple: Triple, door: str, seed: int) -> None:
    assert not compared(door, seed, False)[triple]


@pytest.mark.parametrize("triple", NARROW[::4], ids="-".join)
@pytest.mark.parametrize("door", ["apply_updates", "step"])
@pytest.mark.clause("C5", "C9")
def test_outside_jit(triple: Triple, door: str, x64: bool) -> None:
    assert not compare(door, triple, 20)


@pytest.mark.slow
@TRIPLES
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.clause("C5", "C9", "C18")
def test_every_triple_and_door_with_many_hyperparameters(triple: Triple, door: str) -> None:
    with jax.enable_x64(True):
        for seed in range(100, 130):
            assert not compare(door, triple, seed)


@cache
def compared_with_canonical() -> dict[Triple, str]:
    """The same of numbers of which no operation is subnormal; its scalars are ordinary ones."""
    train, scalars = program("jit-step", 6)
    arrays = {triple: normal(3, SIZE, triple) for triple in legal_triples()}
    with jax.enable_x64(True):
        ours = run_tree(train, arrays)
    return {
        triple: difference(ours[triple], canonical_step(*given, **scalars), given)
        for triple, given in arrays.items()
    }


@TRIPLES
@pytest.mark.clause("C6", "C29")
def test_canonical_where_every_operation_is_normal(triple: Triple) -> None:
    assert not compared_with_canonical()[triple]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3, 5), (17,)], ids=str)
@pytest.mark.clause("C12")
def test_shapes(door: str, shape: tuple[int, ...]) -> None:
    arrays = normal(4, shape)
    ours = run(DOORS[door](lion_jax.lion(0.1, weight_decay=0.3)), arrays)
    assert not difference(ours, reference(arrays, lr=0.1, weight_decay=0.3), arrays)


@pytest.mark.clause("C9", "C18")
@pytest.mark.parametrize("momentum", ["bfloat16", "float16", "float32"])
def test_float64_is_stored_with_one_rounding(momentum: str) -> None:
    """Ties of the narrow dtype and their float64 neighbours; the ends of its range."""
    precision, smallest = {"bfloat16": (8, -133), "float16": (11, -24), "float32": (24, -149)}[
        momentum
    ]
    ties = (np.arange(2.0 ** (precision - 1), 2.0**precision)[:4000] + 0.5) / 2.0**precision
    offsets = np.array([0, 2.0**-52, -(2.0**-52), 2.0**-30, -(2.0**-30)])
    scales = [1.0, 2.0**-125, 2.0**-126, 2.0**-14, 2.0**16, 2.0**128, 2.0**smallest]
    m_new = np.concatenate([(ties[:, None] * (1 + offsets)).ravel() * s for s in scales])
    g = np.concatenate([m_new, -m_new])
    theta, m = np.zeros_like(g), np.zeros(g.shape, STORAGE_DTYPES[momentum])
    arrays = (theta, m, g)
    with jax.enable_x64(True):
        ours = run(DOORS["jit-step"](lion_jax.lion(0.0, 0.5, 0.0)), arrays)  # m' = g
    expected = reference(arrays, lr=0.0, beta1=0.5, beta2=0.0)
    assert not difference(ours, expected, arrays)
    twice = round_to(round_to(g, STORAGE_DTYPES["float32"]), STORAGE_DTYPES[momentum])
    if momentum != "float32":
        assert difference((ours[0], twice), expected, arrays), "two roundings must be told apart"


@pytest.mark.clause("C9")
def test_bfloat16_subnormals_where_they_are_kept() -> None:
    """Formed in float64, so a platform that flushes can compute them, if not convert them."""
    rng = np.random.default_rng(7)
    halves = np.arange(0, 2 * 130) / 2.0 * 2.0**-133
    near = halves[:, None] * (1 + np.array([0, 2.0**-52, -(2.0**-52), 2.0**-20, -(2.0**-20)]))
    anywhere = rng.standard_normal(999) * 2.0 ** rng.integers(-140, -120, 999)
    x = np.concatenate([near.ravel(), -near.ravel(), anywhere])
    once = round_to(x, STORAGE_DTYPES["bfloat16"]).astype(np.float64)
    with jax.enable_x64(True):
        ours = np.asarray(jax.jit(rounding._to_eight_bits_or_subnormal)(jnp.asarray(x)))
        flushing = np.asarray(jax.jit(rounding._to_eight_bits)(jnp.asarray(x)))
    assert same_bits(ours, once).all()
    assert not same_bits(flushing, once).all()


@pytest.mark.clause("C18")
def test_subnormal_bfloat16_meets_float64() -> None:
    """The processor widens bfloat16 by way of float32, and flushes there."""
    m = round_to(np.array([2.0**-133, -(2.0**-127), 2.0**-126]), STORAGE_DTYPES["bfloat16"])
    arrays = (np.ones(3), m, np.zeros(3))
    with jax.enable_x64(True):
        ours = run(DOORS["jit-step"](lion_jax.lion(0.5, weight_decay=0.0)), arrays)
    assert not difference(ours, reference(arrays, lr=0.5), arrays)


@pytest.mark.clause("C6", "C18", "C29")
def test_the_declared_treatment_of_subnormals_is_what_happens() -> None:
    for device in jax.local_devices():
        probed = lion_jax.probe_subnormals(device)
        assert lion_jax.declared_semantics(device.platform) == Semantics(subnormals=probed)
    assert lion_jax.declared_semantics("gpu") == CANONICAL


def clear_caches() -> None:
    jax.clear_caches()  # type: ignore[no-untyped-call]


WRONG: dict[str, dict[str, Callable[..., Any]]] = {
    "contracted": {"fence": lambda x: x, "fence_after": lambda x, _: x},
    "sign of zero": {"_sign": jnp.sign},
    "new momentum": {
        "_direction": lambda ops, m, g, scalars: kernel._sign(
            kernel._new_momentum(ops, m, g, scalars, after=m)
        ),
    },
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.clause("C5", "C7", "C8")
def test_a_wrong_kernel_is_caught(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, replacement in WRONG[wrong].items():
        monkeypatch.setattr(kernel, name, replacement)
    clear_caches()
    try:
        zeros: Any = [np.array(x, np.float32) for x in ([-0.0, 0.0], [-0.0, -0.0], [-0.0, -0.0])]
        ordinary = normal(5, 4096)
        joined: Any = [np.concatenate(both) for both in zip(ordinary, zeros, strict=True)]
        train = jitted(by_step)(lion_jax.lion(0.1, weight_decay=0.0))
        for ours in (run(train, joined), run_tree(train, {"a leaf": joined})["a leaf"]):
            assert difference(ours, reference(joined, lr=0.1), joined)
    finally:
        clear_caches()
