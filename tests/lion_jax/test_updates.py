"""Updates in their parameters' dtypes, as optax asks for them, and what is done with them then.

optax's own tests of its aliases (preserve_dtype, state_shape_dtype_shard_stability,
gradient_accumulation) are here as behaviours; the other mode is shown to lack each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lion_jax
import lion_ref
from lion_ref import legal_triples
from lion_ref.arithmetic import same_bits
from tests.adversarial import elements, hyperparameters
from tests.lion_jax.doors import (
    SEMANTICS,
    by_apply_updates,
    by_step,
    difference,
    normal,
    run,
    run_tree,
)
from tests.lion_jax.test_contexts import unfenced
from tests.lion_jax.test_lowered import uses

HALF = pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
DOCUMENTATION = Path(__file__).parents[2] / "docs/reference/lion_jax.md"
DECLARED = lion_jax.declared_semantics(update_dtype="params")


def lion(lr: Any = 0.1, **changes: Any) -> Any:
    return lion_jax.lion(lr, **{"weight_decay": 0.1, "update_dtype": "params", **changes})


def reference(arrays: Any, semantics: Any = DECLARED, **scalars: Any) -> tuple[Any, Any]:
    with np.errstate(all="ignore"):
        return lion_ref.step(*arrays, **scalars, semantics=semantics)


@cache
def compared(seed: int, compiled: bool, wide: bool) -> dict[Any, str]:
    """The verdict on each triple, those with a float64 or the others, of one step of a tree."""
    scalars: dict[str, Any] = hyperparameters(np.random.default_rng(seed))
    betas = {name: scalars[name] for name in ("beta1", "beta2")}
    arrays = {
        triple: elements(np.random.default_rng(seed), triple, 5003, **betas)
        for triple in legal_triples()
        if ("float64" in triple) is wide
    }
    tx = lion(
        scalars["lr"],
        b1=scalars["beta1"],
        b2=scalars["beta2"],
        weight_decay=scalars["weight_decay"],
    )
    train = by_apply_updates(tx)
    with jax.enable_x64(wide):
        ours = run_tree(jax.jit(train) if compiled else train, arrays)
    return {
        triple: difference(ours[triple], reference(given, **scalars), given)
        for triple, given in arrays.items()
    }


@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
@pytest.mark.parametrize(
    ("compiled", "seed"),
    [(False, 20), (True, 20), pytest.param(True, 31, marks=pytest.mark.slow)],
)
@pytest.mark.clause("C9", "C18", "C31")
@pytest.mark.filterwarnings("ignore:.*encountered in cast")
def test_every_triple_on_adversarial_inputs(
    triple: tuple[str, str, str], compiled: bool, seed: int
) -> None:
    assert not compared(seed, compiled, "float64" in triple)[triple]


@HALF
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.clause("C31")
def test_it_is_not_the_exact_update(dtype: str, compiled: bool) -> None:
    arrays = normal(0, 5003, (dtype,) * 3)
    scalars: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1}
    ours = run((jax.jit if compiled else lambda f: f)(by_apply_updates(lion())), arrays)
    assert not difference(ours, reference(arrays, **scalars), arrays)
    assert difference(ours, reference(arrays, SEMANTICS, **scalars), arrays)


NARROWED = re.compile(r"(%\d+) = stablehlo\.convert .*-> tensor<7x11x(?:bf16|f16)>")


def users_of_what_is_narrowed(dtype: str) -> list[set[str]]:
    """What takes each array of 16 bits that a step and its apply_updates make, for a GPU."""
    abstract: Any = jax.ShapeDtypeStruct
    struct = abstract((7, 11), dtype)
    train = jax.jit(by_apply_updates(lion(mu_dtype="float32")))
    state = lion_jax.LionState(abstract((), "int32"), struct.update(dtype="float32"))
    exported = jax.export.export(train, platforms=["cuda"])(struct, state, struct)
    module = str(exported.mlir_module())
    main = module[module.index("@main") :].split("\n  func.func private", maxsplit=1)[0]
    return [set(uses(value, main)) for value in NARROWED.findall(main)]


@HALF
@pytest.mark.clause("C31")
def test_what_is_narrowed_goes_through_a_fence(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler may add what it narrows as it was before, and XLA has leave to."""
    fenced = {"stablehlo.bitcast_convert"}
    assert fenced in users_of_what_is_narrowed(dtype)
    assert not any("stablehlo.add" in taking for taking in users_of_what_is_narrowed(dtype))
    unfenced(monkeypatch)
    assert any("stablehlo.add" in taking for taking in users_of_what_is_narrowed(dtype))


@HALF
@pytest.mark.clause("C31", "C5", "C9")
def test_many_steps_in_one_scan(dtype: str) -> None:
    theta, _, g = normal(1, 999, (dtype,) * 3)
    tx = lion(mu_dtype="float32")

    @jax.jit
    def program(theta: Any, g: Any) -> Any:
        def body(carry: Any, _: Any) -> Any:
            params, state = carry
            return by_apply_updates(tx)(params, state, g), None

        return jax.lax.scan(body, (theta, tx.init(theta)), length=20)[0]

    new, state = program(jnp.asarray(theta), jnp.asarray(g))
    m = np.zeros(999, np.float32)
    start = theta, m, g
    for _ in range(20):
        theta, m = reference((theta, m, g), lr=0.1, weight_decay=0.1)
    assert not difference((np.asarray(new), np.asarray(state.mu)), (theta, m), start)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.clause("C31")
def test_where_theta_is_not_narrow_both_modes_are_one(dtype: str) -> None:
    arrays = normal(2, 999, (dtype,) * 3)
    with jax.enable_x64(True):
        theta, m, g = map(jnp.asarray, arrays)
        state = lion_jax.LionState(jnp.int32(0), m)
        exact, kept = (
            lion(update_dtype=x).update(g, state, theta)[0] for x in ("compute", "params")
        )
        assert exact.dtype == kept.dtype == dtype
        assert same_bits(np.asarray(exact), np.asarray(kept)).all()


@HALF
@pytest.mark.clause("C9")
def test_step_rounds_once_all_the_same(dtype: str) -> None:
    arrays = normal(3, 5003, (dtype,) * 3)
    ours = run(jax.jit(by_step(lion())), arrays)
    expected = reference(arrays, SEMANTICS, lr=0.1, weight_decay=0.1)
    assert not difference(ours, expected, arrays)


@pytest.mark.parametrize("value", ["float32", None, jnp.bfloat16, 1], ids=repr)
@pytest.mark.clause("C13")
def test_another_update_dtype_is_refused(value: Any) -> None:
    message = f"update_dtype={value!r} is not legal; legal: 'compute', 'params'"
    for call in (partial(lion_jax.lion, 0.1), lion_jax.declared_semantics):
        with pytest.raises(ValueError, match="update_dtype") as error:
            call(update_dtype=value)
        assert str(error.value) == message


# optax's contract. Each behaviour is lacking with updates in the compute dtype, and said to be.


def preserve_dtype(tx: Any, params: Any) -> None:
    """test_preserve_dtype: an update has its gradient's dtype."""
    for transform in (lambda f: f, jax.jit):
        updates, _ = transform(tx.update)(params, transform(tx.init)(params), params)
        assert updates.dtype == params.dtype


def stable_in_a_cond(tx: Any, params: Any) -> None:
    """test_state_shape_dtype_shard_stability: a step that may be skipped by a cond."""
    state = tx.init(params)

    @jax.jit
    def step(params: Any, state: Any, taken: Any) -> Any:
        updates, state = jax.lax.cond(
            taken,
            lambda: tx.update(params, state, params),
            lambda: (jnp.zeros_like(params), state),
        )
        return optax.apply_updates(params, updates), state

    for taken in (True, False, True):
        params, state = step(params, state, taken)
    assert int(state.count) == 2


def accumulated(tx: Any, params: Any) -> None:
    """test_gradient_accumulation: inside MultiSteps, whose steps between move nothing."""
    several = optax.MultiSteps(tx, every_k_schedule=4)
    updates, _ = jax.jit(several.update)(params, several.init(params), params)
    assert updates.dtype == params.dtype
    assert not updates.any()


def finite_alone(tx: Any, params: Any) -> None:
    safe = optax.apply_if_finite(tx, 3)
    updates, state = jax.jit(safe.update)(params * jnp.nan, safe.init(params), params)
    assert updates.dtype == params.dtype
    assert not updates.any()
    assert int(state.inner_state.count) == 0


def conditionally_masked(tx: Any, params: Any) -> None:
    seldom = optax.conditionally_mask(tx, lambda step: step % 2 == 1)
    updates, state = jax.jit(seldom.update)(params, seldom.init(params), params)
    assert not updates.any()
    updates, _ = jax.jit(seldom.update)(params, state, params)
    assert updates.all()


def conditionally_transformed(tx: Any, params: Any) -> None:
    seldom = optax.conditionally_transform(tx, lambda step: step % 2 == 1)
    updates, _ = jax.jit(seldom.update)(params, seldom.init(params), params)
    assert same_bits(np.asarray(updates), np.asarray(params)).all()


def strictly_promoted(tx: Any, params: Any) -> None:
    with jax.numpy_dtype_promotion("strict"):
        new, _ = jax.jit(by_apply_updates(tx))(params, tx.init(params), params)
    assert new.dtype == params.dtype


def added_by_equinox(tx: Any, params: Any) -> None:
    equinox = pytest.importorskip("equinox", reason="its apply_updates is p + u")

    def body(carry: Any, _: Any) -> Any:
        params, state = carry
        updates, state = tx.update(params, state, params)
        return (equinox.apply_updates(params, updates), state), None

    (new, _), _ = jax.lax.scan(body, (params, tx.init(params)), length=2)
    assert new.dtype == params.dtype


@HALF
@pytest.mark.clause("C4", "C31")
def test_traced_betas_under_strict_promotion(dtype: str) -> None:
    """In the parameters' dtype, as inject_hyperparams makes them; the bits are no others."""
    injected = optax.inject_hyperparams(lion_jax.lion)(0.1, update_dtype="params")
    theta, _, g = map(jnp.asarray, normal(6, 999, (dtype,) * 3))
    train = by_apply_updates(injected)
    expected = jax.jit(train)(theta, injected.init(theta), g)
    with jax.numpy_dtype_promotion("strict"):
        with pytest.raises(ValueError, match="no available implicit dtype promotion path"):
            jnp.promote_types(dtype, "float32")
        strict = jax.jit(train)(theta, injected.init(theta), g)
    for ours, theirs in zip(jax.tree.leaves(strict), jax.tree.leaves(expected), strict=True):
        assert same_bits(np.asarray(ours), np.asarray(theirs)).all()


EQUAL = "cond branches must have equal output types"
CONTRACT: dict[Callable[[Any, Any], None], str] = {
    preserve_dtype: "",
    stable_in_a_cond: EQUAL,
    accumulated: "",
    finite_alone: EQUAL,
    conditionally_masked: EQUAL,
    conditionally_transformed: EQUAL,
    strictly_promoted: "have no available implicit dtype promotion path when "
    "jax_numpy_dtype_promotion=strict",
    added_by_equinox: "scan body function carry input and carry output must have equal types",
}
"""Each behaviour, and the words of the error where it is lacking."""


@pytest.mark.parametrize("behaviour", CONTRACT)
@pytest.mark.parametrize(
    "dtype",
    ["bfloat16", *(pytest.param(x, marks=pytest.mark.slow) for x in ("float16", "float32"))],
)
def test_optaxs_contract(behaviour: Callable[[Any, Any], None], dtype: str) -> None:
    behaviour(lion(jnp.float32(0.1)), jnp.array([1.0, 2.0], dtype))


@pytest.mark.parametrize(("behaviour", "words"), CONTRACT.items())
def test_exact_updates_do_not_keep_it(behaviour: Callable[[Any, Any], None], words: str) -> None:
    """The documentation has the way out under these words."""
    exact = lion(jnp.float32(0.1), update_dtype="compute")
    with pytest.raises((TypeError, ValueError, AssertionError), match=words or None):
        behaviour(exact, jnp.array([1.0, 2.0], "bfloat16"))
    assert words in " ".join(DOCUMENTATION.read_text(encoding="utf-8").split())


@HALF
@pytest.mark.clause("C31")
def test_apply_if_finite_takes_the_steps_that_are(dtype: str) -> None:
    arrays = normal(4, 999, (dtype,) * 3)
    tx = optax.apply_if_finite(lion(), 5)
    theta, g = jnp.asarray(arrays[0]), jnp.asarray(arrays[2])
    train, state = jax.jit(by_apply_updates(tx)), tx.init(theta)
    for grads in (g, g * jnp.nan, g):
        theta, state = train(theta, state, grads)
    expected = arrays[0], np.zeros_like(arrays[1])
    for _ in range(2):
        expected = reference((*expected, arrays[2]), lr=0.1, weight_decay=0.1)
    assert not difference((np.asarray(theta), np.asarray(state.inner_state.mu)), expected, arrays)


@HALF
@pytest.mark.clause("C31")
def test_equinox_adds_as_optax_does(dtype: str) -> None:
    equinox = pytest.importorskip("equinox", reason="its apply_updates is p + u")
    arrays = normal(5, 5003, (dtype,) * 3)

    def train(params: Any, state: Any, grads: Any) -> Any:
        updates, state = lion().update(grads, state, params)
        return equinox.apply_updates(params, updates), state

    for each in (train, jax.jit(train)):
        ours = run(each, arrays)
        assert not difference(ours, reference(arrays, lr=0.1, weight_decay=0.1), arrays)
