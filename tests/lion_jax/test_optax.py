"""What an optax user expects: schedules, injected hyperparameters, masks, wrappers, None leaves."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lion_jax
from lion_ref.arithmetic import same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from tests.lion_jax.doors import DOORS, by_apply_updates, by_step, difference, normal, reference

DOOR = pytest.mark.parametrize("door", ["jit-apply_updates", "jit-step"])


def several_steps(train: Any, tx: Any, arrays: Any, count: int) -> tuple[Any, Any]:
    """(θ, state) after steps that all have the same gradient."""
    theta, _, g = map(jnp.asarray, arrays)
    state = tx.init(theta)
    for _ in range(count):
        theta, state = train(theta, state, g)
    return theta, state


def expected_steps(arrays: Any, scalars: list[dict[str, float]]) -> tuple[Any, Any]:
    theta, m, g = arrays
    m = np.zeros_like(m)
    for each in scalars:
        theta, m = reference((theta, m, g), **each)
    return theta, m


@DOOR
@pytest.mark.clause("C1", "C4")
def test_schedules(door: str) -> None:
    lr = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 3, 10)
    decay = optax.linear_schedule(0.5, 0.0, 4)
    tx = lion_jax.lion(lr, weight_decay=decay)
    arrays = normal(0, 999)
    theta, state = several_steps(DOORS[door](tx), tx, arrays, 6)
    # Inside jit and outside a schedule may round differently: take the values jit gives.
    values = [(float(jax.jit(lr)(i)), float(jax.jit(decay)(i))) for i in range(6)]
    expected = expected_steps(arrays, [{"lr": a, "weight_decay": b} for a, b in values])
    assert not difference((np.asarray(theta), np.asarray(state.mu)), expected, arrays)
    assert int(state.count) == 6


@pytest.mark.clause("C4")
def test_injected_hyperparameters_with_static_betas() -> None:
    tx = optax.inject_hyperparams(lion_jax.lion, static_args=("b1", "b2"))(1e-3, weight_decay=0.1)
    arrays = normal(1, 999)
    train = jax.jit(by_apply_updates(tx))
    theta, state = several_steps(train, tx, arrays, 2)
    state.hyperparams["learning_rate"] = jnp.float32(0.25)
    theta, state = train(theta, state, jnp.asarray(arrays[2]))
    rates = [float(np.float32(x)) for x in (1e-3, 1e-3, 0.25)]
    expected = expected_steps(
        arrays, [{"lr": x, "weight_decay": float(np.float32(0.1))} for x in rates]
    )
    assert not difference((np.asarray(theta), np.asarray(state.inner_state.mu)), expected, arrays)


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.3, 1e-9, 2.0**-25 + 2.0**-40, 0.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.clause("C4")
def test_a_traced_beta_is_the_number_of_its_dtype(beta: float, dtype: str, x64: bool) -> None:
    """1-β of that number, rounded once: inject_hyperparams traces the betas unless told not to."""
    arrays = normal(2, 999)
    traced = jnp.asarray(beta, dtype)

    def train(b: Any, params: Any, mu: Any, grads: Any) -> Any:
        tx = lion_jax.lion(1e-3, b, b, weight_decay=0.0)
        return tx.step(grads, lion_jax.LionState(jnp.int32(0), mu), params)

    theta, state = jax.jit(train)(traced, *map(jnp.asarray, arrays))
    number = float(traced)
    expected = reference(arrays, lr=1e-3, beta1=number, beta2=number)
    assert not difference((np.asarray(theta), np.asarray(state.mu)), expected, arrays)


@DOOR
@pytest.mark.parametrize(
    "mask",
    [
        {"w": True, "b": False},
        {"w": np.True_, "b": jnp.array(False)},
        lambda params: jax.tree.map(lambda p: p.ndim > 1, params),
        False,
        None,
    ],
    ids=["tree", "arrays", "callable", "prefix", "none"],
)
@pytest.mark.clause("C10")
def test_mask(mask: Any, door: str) -> None:
    """False means λ = 0, nothing else."""
    tx = lion_jax.lion(0.1, weight_decay=0.5, mask=mask)
    trees = {"w": normal(3, (4, 5)), "b": normal(4, (5,))}
    params, mu, grads = ({k: jnp.asarray(v[i]) for k, v in trees.items()} for i in range(3))
    params, state = DOORS[door](tx)(params, lion_jax.LionState(jnp.int32(0), mu), grads)
    decays = {"w": mask is not False, "b": mask is None}
    for name, arrays in trees.items():
        expected = reference(arrays, lr=0.1, weight_decay=0.5 * decays[name])
        ours = np.asarray(params[name]), np.asarray(state.mu[name])
        assert not difference(ours, expected, arrays)


@DOOR
def test_none_leaves_are_passed_over(door: str) -> None:
    tx = lion_jax.lion(0.1)
    params = {"a": jnp.ones(2), "b": None, "frozen": jnp.ones(3)}
    state = tx.init(params)
    grads = {"a": jnp.ones(2), "b": None, "frozen": None}
    updates, _ = tx.update(grads, state, params)
    assert updates["b"] is None
    assert updates["frozen"] is None
    if door == "jit-step":
        params, state = DOORS[door](tx)(params, state, grads)
        assert params["b"] is None
        assert (params["frozen"] == 1).all()
        assert (params["a"] != 1).all()
    assert state.mu["b"] is None
    assert (state.mu["frozen"] == 0).all()


@pytest.mark.parametrize("mu_dtype", [None, "bfloat16", jnp.float16, np.float32])
def test_the_state_is_stable(mu_dtype: Any) -> None:
    tx = lion_jax.lion(optax.cosine_decay_schedule(1e-3, 10), mu_dtype=mu_dtype)
    params = {"w": jnp.ones((2, 3), jnp.bfloat16), "empty": jnp.zeros((0,)), "n": None}
    state = tx.init(params)
    assert state._fields == ("count", "mu")
    assert (state.count.shape, state.count.dtype) == ((), jnp.int32)
    for leaf, p in zip(jax.tree.leaves(state.mu), jax.tree.leaves(params), strict=True):
        assert leaf.shape == p.shape
        assert leaf.dtype == (p.dtype if mu_dtype is None else mu_dtype)
    for train in (by_apply_updates(tx), by_step(tx)):
        after = jax.eval_shape(train, params, state, params)
        same = jax.tree.map(
            lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), after, (params, state)
        )
        assert all(jax.tree.leaves(same))
    assert optax.tree.get(state, "count") == 0


@DOOR
@pytest.mark.parametrize("schedules", [False, True])
def test_optax_lions_state_is_continued(door: str, schedules: bool) -> None:
    rates: Any = (lambda i: 0.1 / (i + 1), lambda i: 0.5 * i) if schedules else (0.1, 0.5)
    theirs, ours = (f(rates[0], weight_decay=rates[1]) for f in (optax.lion, lion_jax.lion))
    arrays = normal(5, 777)
    theta, g = jnp.asarray(arrays[0]), jnp.asarray(arrays[2])
    theta, their_state = by_apply_updates(theirs)(theta, theirs.init(theta), g)
    start: Any = [np.asarray(x) for x in (theta, their_state[0].mu, g)]
    theta, state = DOORS[door](ours)(theta, their_state, g)
    scalars = (
        {"lr": float(jnp.float32(0.05)), "weight_decay": 0.5}
        if schedules
        else {"lr": 0.1, "weight_decay": 0.5}
    )
    assert not difference(
        (np.asarray(theta), np.asarray(state.mu)), reference(start, **scalars), start
    )
    assert isinstance(state, lion_jax.LionState)
    assert int(state.count) == 2
    again = lion_jax.from_optax(their_state)
    assert same_bits(np.asarray(again.mu), start[1]).all()


# Wrappers: what they hand to Lion is what Lion must have got.


def trained(tx: Any, params: Any, gradients: list[Any]) -> tuple[Any, Any]:
    train = jax.jit(by_apply_updates(tx))
    state = tx.init(params)
    for grads in gradients:
        params, state = train(params, state, grads)
    return params, state


@pytest.mark.clause("C5")
def test_chain_with_scaling_in_the_same_jit() -> None:
    """XLA would fold (1-β)·(0.3·g) into ((1-β)·0.3)·g: the gradient is the rounded product."""
    arrays = normal(6, 4096)
    tx = optax.chain(optax.scale(0.3), lion_jax.lion(0.1, weight_decay=0.1))
    theta, state = trained(tx, jnp.asarray(arrays[0]), [jnp.asarray(arrays[2])])
    start = (arrays[0], np.zeros_like(arrays[1]), np.float32(0.3) * arrays[2])
    expected = reference(start, lr=0.1, weight_decay=0.1)
    assert not difference((np.asarray(theta), np.asarray(state[1].mu)), expected, start)


def test_chain_with_clipping() -> None:
    arrays = normal(7, 4096)
    clip = optax.clip_by_global_norm(1.0)
    tx = optax.chain(clip, lion_jax.lion(0.1, weight_decay=0.1))
    g = jnp.asarray(arrays[2])
    clipped = np.asarray(jax.jit(lambda g: clip.update(g, clip.init(g))[0])(g))
    theta, state = trained(tx, jnp.asarray(arrays[0]), [g])
    start = (arrays[0], np.zeros_like(arrays[1]), clipped)
    expected = reference(start, lr=0.1, weight_decay=0.1)
    assert not difference((np.asarray(theta), np.asarray(state[1].mu)), expected, start)


def test_partition_gives_each_part_its_own_lion() -> None:
    arrays = {"w": normal(8, (3, 4)), "b": normal(9, 5)}
    rates = {"w": 0.1, "b": 0.3}
    tx = optax.partition(
        {k: lion_jax.lion(v, weight_decay=0.0) for k, v in rates.items()}, {"w": "w", "b": "b"}
    )
    params, grads = ({k: jnp.asarray(v[i]) for k, v in arrays.items()} for i in (0, 2))
    params, state = trained(tx, params, [grads])
    for name, each in arrays.items():
        start = (each[0], np.zeros_like(each[1]), each[2])
        mu = state.inner_states[name].inner_state.mu[name]
        ours = (np.asarray(params[name]), np.asarray(mu))
        assert not difference(ours, reference(start, lr=rates[name]), start)


def test_multi_steps_moves_at_every_second_gradient() -> None:
    arrays = normal(10, 512)
    tx = optax.MultiSteps(lion_jax.lion(0.1, weight_decay=0.0), every_k_schedule=2)
    g = [jnp.asarray(arrays[2]), jnp.asarray(3 * arrays[2])]
    theta = jnp.asarray(arrays[0])
    train, state = jax.jit(by_apply_updates(tx)), tx.init(theta)
    theta, state = train(theta, state, g[0])
    assert same_bits(np.asarray(theta), arrays[0]).all()
    accumulated = np.asarray(state.acc_grads)
    theta, state = train(theta, state, g[1])
    mean = np.asarray(jax.jit(lambda a, u: a + (u - a) / 2)(accumulated, g[1]))
    start = (arrays[0], np.zeros_like(arrays[1]), mean)
    expected = reference(start, lr=0.1)
    assert not difference(
        (np.asarray(theta), np.asarray(state.inner_opt_state.mu)), expected, start
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_apply_if_finite_skips_what_is_not(dtype: str) -> None:
    """In 16 bits the gradients are widened first: a wrapper's zeros have the gradients' dtype."""
    arrays = normal(11, 512, (dtype,) * 3)
    widen = optax.stateless(lambda g, _: optax.tree.cast(g, jnp.float32))
    tx = optax.chain(widen, optax.apply_if_finite(lion_jax.lion(0.1, weight_decay=0.1), 5))
    theta, g = jnp.asarray(arrays[0]), jnp.asarray(arrays[2])
    theta, state = trained(tx, theta, [g, g * jnp.nan, g])
    expected = expected_steps(arrays, [{"lr": 0.1, "weight_decay": 0.1}] * 2)
    inner = state[1].inner_state
    assert not difference((np.asarray(theta), np.asarray(inner.mu)), expected, arrays)
    assert int(inner.count) == 2


def test_masked_leaves_may_be_of_any_kind() -> None:
    """optax.masked keeps from Lion what it cannot train: integers, keys."""
    params = {"w": jnp.ones(3), "steps": jnp.arange(3), "key": jax.random.key(0)}
    tx = optax.masked(lion_jax.lion(0.25), {"w": True, "steps": False, "key": False})
    updates, state = jax.jit(tx.update)(params, tx.init(params), params)
    assert isinstance(state.inner_state.mu["steps"], optax.MaskedNode)
    assert (updates["steps"] == params["steps"]).all()
    assert (updates["w"] != params["w"]).all()


def test_flattened_into_one_array() -> None:
    """optax.flatten hands over one long array: the same bits, since a step is elementwise."""
    arrays = {"a": normal(13, (3, 4)), "b": normal(14, 5)}
    params, grads = ({k: jnp.asarray(v[i]) for k, v in arrays.items()} for i in (0, 2))
    tx = lion_jax.lion(0.1, weight_decay=0.1)
    apart, state = trained(tx, params, [grads, grads])
    together, flat = trained(optax.flatten(tx), params, [grads, grads])
    for name in arrays:
        assert same_bits(np.asarray(together[name]), np.asarray(apart[name])).all()
    joined = np.concatenate([np.asarray(state.mu[name]).ravel() for name in arrays])
    assert same_bits(np.asarray(flat.mu), joined).all()


def test_schedule_free_gets_the_updates_of_lion() -> None:
    arrays = normal(15, 99)
    theta, g = jnp.asarray(arrays[0]), jnp.asarray(arrays[2])
    tx = lion_jax.lion(0.25, weight_decay=0.0)
    free = optax.contrib.schedule_free(tx, 0.25)
    _, state = jax.jit(free.update)(g, free.init(theta), theta)
    # The average begins at the first iterate, so z is Lion's θ'.
    assert same_bits(np.asarray(state.z), np.asarray(tx.step(g, tx.init(theta), theta)[0])).all()


def test_the_update_has_the_compute_dtype() -> None:
    for name, expected in (("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32")):
        x = jnp.ones(2, STORAGE_DTYPES[name])
        tx = lion_jax.lion(0.1)
        assert tx.update(x, tx.init(x), x)[0].dtype.name == expected


def test_it_is_an_optax_transformation() -> None:
    tx = lion_jax.lion(0.1)
    assert isinstance(tx, optax.GradientTransformationExtraArgs)
    init, update = tx
    params = jnp.ones(2)
    assert update(params, init(params), params, value=1.0)[0].shape == (2,)
    by_name = tx.update(updates=params, state=tx.init(params), params=params, grads=None)
    assert by_name[0].shape == (2,)


@pytest.mark.clause("C12")
def test_no_recompilation_when_the_rates_change() -> None:
    traces = 0
    schedule = optax.linear_schedule(1e-2, 0.0, 20)
    tx = lion_jax.lion(schedule, weight_decay=optax.linear_schedule(0.0, 1.0, 20))

    @jax.jit
    def train(params: Any, state: Any, grads: Any) -> Any:
        nonlocal traces
        traces += 1
        return by_apply_updates(tx)(params, state, grads)

    params = jnp.ones(7)
    state = tx.init(params)
    for _ in range(10):
        params, state = train(params, state, params)
    assert traces == 1
    assert train._cache_size() == 1  # type: ignore[attr-defined]  # there, but not declared


def test_no_recompilation_when_injected_rates_are_set_by_hand() -> None:
    tx = optax.inject_hyperparams(lion_jax.lion, static_args=("b1", "b2"))(1e-3)
    params = jnp.ones(7)
    state = tx.init(params)
    train: Any = jax.jit(by_apply_updates(tx))
    for lr in (0.1, 0.01, 0.0):
        state.hyperparams["learning_rate"] = jnp.float32(lr)
        params, state = train(params, state, params)
    assert train._cache_size() == 1


def test_python_numbers_as_parameters_keep_the_state_stable() -> None:
    """JAX calls such arrays weakly typed; a state that is not strongly typed would change."""
    tx = lion_jax.lion(0.1)
    params = {"w": 1.0}
    state = tx.init(params)
    _, after = tx.step(params, state, params)
    assert state.mu["w"].weak_type == after.mu["w"].weak_type


@pytest.mark.clause("C9")
def test_under_strict_promotion() -> None:
    """apply_updates adds float32 to bfloat16, which strict promotion forbids; step does not."""
    arrays = normal(12, 99, ("bfloat16", "float32", "bfloat16"))
    theta, m, g = (jnp.asarray(x) for x in arrays)
    tx = lion_jax.lion(jnp.float32(0.5), weight_decay=0.1)
    with jax.numpy_dtype_promotion("strict"):
        new_theta, state = jax.jit(tx.step)(g, lion_jax.LionState(jnp.int32(0), m), theta)
    expected = reference(arrays, lr=0.5, weight_decay=0.1)
    assert not difference((np.asarray(new_theta), np.asarray(state.mu)), expected, arrays)
