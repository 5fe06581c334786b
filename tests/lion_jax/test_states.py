"""States of Lion in other forms: restored by a checkpoint, or of optax.lion inside a wrapper."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lion_jax
from lion_ref.arithmetic import same_bits
from tests.lion_jax.doors import by_apply_updates, difference, normal, reference
from tests.lion_jax.test_refusals import failed

ARRAYS = normal(0, 99)
FORMS: dict[str, Any] = {
    "state": lion_jax.LionState,
    "dict": lambda count, mu: {"mu": mu, "count": count},
    "list": lambda count, mu: [count, mu],
    "tuple": lambda count, mu: (count, mu),
    "Python's int": lambda count, mu: {"count": int(count), "mu": mu},
    "NumPy": lambda count, mu: [np.int32(count), np.asarray(mu)],
    "optax.lion's": lambda count, mu: (
        lion_jax.LionState(count, mu), optax.EmptyState(), optax.EmptyState()
    ),
    "optax.lion's, a list of dicts": lambda count, mu: [{"count": count, "mu": mu}, {}, None],
    "optax.lion's, lists": lambda count, mu: [[count, mu], [], []],
    "optax.lion's, with counts": lambda count, mu: [
        {"count": count, "mu": mu}, {"inner_state": {"count": count}}, {"count": count}
    ],
    "optax.lion's, a dict": lambda count, mu: {"1": {}, "2": {}, "0": {"mu": mu, "count": count}},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("door", ["update", "step"])
@pytest.mark.clause("C30")
def test_a_restored_state_is_continued(form: str, door: str) -> None:
    theta, m, g = map(jnp.asarray, ARRAYS)
    state = FORMS[form](jnp.int32(3), m)
    tx = lion_jax.lion(lambda count: 0.1 * (count == 3), weight_decay=0.1)
    for call in (getattr(tx, door), jax.jit(getattr(tx, door))):
        new, after = call(g, state, theta)
        if door == "update":
            new = optax.apply_updates(theta, new)
        expected = reference(ARRAYS, lr=float(np.float32(0.1)), weight_decay=0.1)
        assert not difference((np.asarray(new), np.asarray(after.mu)), expected, ARRAYS)
        assert isinstance(after, lion_jax.LionState)
        assert (int(after.count), after.count.dtype) == (4, jnp.int32)
    converted = lion_jax.from_optax(state)
    assert isinstance(converted, lion_jax.LionState)
    assert int(converted.count) == 3


@pytest.mark.parametrize(
    "state",
    [
        {"count": 0},
        {"count": 0, "mu": jnp.ones(99), "nu": jnp.ones(99)},
        (0.5, jnp.ones(99)),
        (True, jnp.ones(99)),
        [lion_jax.LionState(0, jnp.ones(99))] * 2,
        optax.adam(0.1).init(jnp.ones(99)),
        None,
        jnp.ones(99),
    ],
    ids=["no mu", "nu", "a half", "a bool", "two", "adam", "none", "array"],
)
@pytest.mark.clause("C13")
def test_what_is_no_state_is_refused(state: Any) -> None:
    theta = jnp.ones(99)
    tx = lion_jax.lion(0.1)
    words = (
        f"TypeError: state is of type {type(state).__name__}; "
        "legal: the state of lion_jax.lion or of optax.lion"
    )
    for door in (tx.update, tx.step):
        assert failed(partial(door, theta, state, theta)).startswith(words)
    if not isinstance(state, list):
        assert failed(partial(lion_jax.from_optax, state)) == words


WRAPPERS: dict[str, Any] = {
    "MultiSteps": lambda tx: optax.MultiSteps(tx, every_k_schedule=2),
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 3),
    "conditionally_mask": lambda tx: optax.conditionally_mask(tx, lambda step: step != 1),
    "chain": lambda tx: optax.chain(optax.scale(2.0), tx, optax.scale(1.0)),
    "chain in a wrapper": lambda tx: optax.apply_if_finite(optax.chain(optax.scale(2.0), tx), 3),
    "partition": lambda tx: optax.partition({"a": tx, "b": tx}, "b"),
    "masked": lambda tx: optax.masked(tx, True),
}
OPTAX: dict[str, Any] = {
    "plain": {},
    "schedules": {"learning_rate": lambda count: 0.5 / (count + 1), "weight_decay": lambda _: 0.25},
    "mask": {"mask": True},
}


# Every wrapper with schedules, and everything inside the deepest.
@pytest.mark.parametrize(
    ("wrapper", "changes"),
    [
        pytest.param(
            *pair, marks=[] if {"schedules", "chain in a wrapper"} & {*pair} else pytest.mark.slow
        )
        for pair in itertools.product(WRAPPERS, OPTAX)
    ],
)
@pytest.mark.clause("C30")
def test_optax_lion_inside_a_wrapper_is_continued(wrapper: str, changes: str) -> None:
    """From there on in lion_jax's bits: those of a run that began with that θ, m and count."""
    arguments = {"learning_rate": 0.5, "weight_decay": 0.25, **OPTAX[changes]}
    theirs, ours = (WRAPPERS[wrapper](f(**arguments)) for f in (optax.lion, lion_jax.lion))
    theta, _, g = map(jnp.asarray, ARRAYS)
    state = theirs.init(theta)
    for _ in range(2):
        theta, state = by_apply_updates(theirs)(theta, state, g)
    converted = lion_jax.from_optax(state)
    assert structure(converted) == structure(ours.init(theta))
    for before, now in zip(lions(state), lions(converted), strict=True):
        assert int(before.count) == int(now.count) > 0
        assert same_bits(*(np.asarray(x.mu) for x in (before, now))).all()
    assert structure(lion_jax.from_optax(converted)) == structure(converted)
    train = jax.jit(by_apply_updates(ours))
    after = converted
    for _ in range(2):
        theta, after = train(theta, after, g)
    assert structure(after) == structure(converted)
    for before, now in zip(lions(converted), lions(after), strict=True):
        assert not same_bits(*(np.asarray(x.mu) for x in (before, now))).all()


def structure(tree: Any) -> Any:
    """A structure that can be compared, to mypy too."""
    return jax.tree.structure(tree)


def lions(state: Any) -> list[Any]:
    """Every state of Lion inside another that has a momentum."""
    found = jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, lion_jax.LionState))
    states = [x for x in found if isinstance(x, lion_jax.LionState)]
    return [x for x in states if not isinstance(x.mu, optax.MaskedNode)]


@pytest.mark.clause("C13")
def test_a_wrappers_state_where_lions_should_be_names_the_way_out() -> None:
    theta = jnp.ones(2)
    tx = lion_jax.lion(0.1)
    for wrap in ("MultiSteps", "apply_if_finite"):
        state = WRAPPERS[wrap](optax.lion(0.1)).init(theta)
        assert failed(partial(tx.update, theta, state, theta)) == (
            f"TypeError: state is of type {type(state).__name__}; legal: the state of "
            "lion_jax.lion or of optax.lion; for the update of a wrapper or a chain, what "
            "lion_jax.from_optax makes of it"
        )


CHAINS: dict[str, Any] = {
    "ema": [optax.ema(0.9)],
    "two": [optax.ema(0.9), optax.ema(0.9)],
    "masked": [optax.masked(optax.ema(0.9), True), optax.identity()],
    "momentum": [optax.trace(0.9), optax.identity()],
    "a chain": [optax.chain(optax.identity()), optax.identity()],
    "nothing": [],
}


@pytest.mark.parametrize("others", CHAINS)
@pytest.mark.clause("C13", "C30")
def test_what_others_in_a_chain_keep_is_kept(others: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state of theirs is none of optax.lion's parts, in an outermost chain and in a wrapper."""
    params = jnp.ones(3)
    tx = lion_jax.lion(0.1)
    chain = optax.chain(tx, *CHAINS[others])
    for ours in (chain, optax.apply_if_finite(chain, 3)):
        state = ours.init(params)
        assert structure(lion_jax.from_optax(state)) == structure(state)
    theirs = optax.chain(optax.lion(0.1), *CHAINS[others]).init(params)
    converted = lion_jax.from_optax(theirs)
    assert structure(converted) == structure(lion_jax.from_optax(converted))
    assert structure(converted) == structure(chain.init(params))
    for door in (tx.update, tx.step):
        assert failed(partial(door, params, converted, params)) == (
            "TypeError: state is of type tuple; legal: the state of lion_jax.lion or of "
            "optax.lion; for the update of a wrapper or a chain, what lion_jax.from_optax makes "
            "of it"
        )
    if len(CHAINS[others]) == 2:
        monkeypatch.setattr(lion_jax.state, "_is_beside", lambda *_: True)
        assert isinstance(lion_jax.from_optax(converted), lion_jax.LionState)


ILLEGAL_COUNTS: dict[str, tuple[Any, str]] = {
    "a fraction": (3.7, "TypeError"),
    "a whole float": (np.float32(3.0), "TypeError"),
    "NaN": (float("nan"), "TypeError"),
    "a bool": (True, "TypeError"),
    "an array of a bool": (jnp.array(True), "TypeError"),
    "a word": ("abc", "TypeError"),
    "none": (None, "TypeError"),
    "negative": (-3, "ValueError"),
    "a negative array": (np.int8(-3), "ValueError"),
    "2**31": (2**31, "ValueError"),
    "2**31, unsigned": (jnp.uint32(2**31), "ValueError"),
    "2**40": (np.int64(2**40), "ValueError"),
    "2**70": (2**70, "ValueError"),
}


def refused_count(count: Any, error: str) -> str:
    legal = "legal: an integer >= 0, in int32, without axes"
    return f"{error}: state.count={count!r} is not legal; {legal}"


@pytest.mark.parametrize("case", ILLEGAL_COUNTS)
@pytest.mark.clause("C13")
def test_an_illegal_count_is_refused(case: str) -> None:
    count, error = ILLEGAL_COUNTS[case]
    mu = jnp.ones(3)
    tx = lion_jax.lion(0.1)
    for state in ({"count": count, "mu": mu}, lion_jax.LionState(count, mu)):
        for call in (partial(tx.update, mu, state, mu), partial(tx.step, mu, state, mu)):
            assert failed(call) == refused_count(count, error)
        assert failed(partial(lion_jax.from_optax, state)) == refused_count(count, error)
    last = lion_jax.from_optax({"count": 2**31 - 1, "mu": mu})
    assert int(last.count) == 2**31 - 1


@pytest.mark.parametrize("count", [-3, np.int32(-3), jnp.int32(-3)], ids=["int", "NumPy", "JAX"])
@pytest.mark.clause("C13")
def test_a_restored_count_is_read_in_every_form(count: Any) -> None:
    mu = jnp.ones(3)
    for form in ("dict", "list", "optax.lion's, lists", "optax.lion's, a dict"):
        state = FORMS[form](count, mu)
        assert failed(partial(lion_jax.from_optax, state)) == refused_count(count, "ValueError")


@pytest.mark.clause("C13")
def test_a_traced_count_is_judged_by_its_dtype_and_shape() -> None:
    mu = jnp.ones(3)
    tx = lion_jax.lion(0.1)

    def count_after(count: Any) -> Any:
        return tx.update(mu, {"count": count, "mu": mu}, mu)[1].count

    assert jax.jit(count_after)(np.uint8(3)) == 4
    for count in (jnp.float32(3), jnp.array([1, 2])):
        message = failed(partial(jax.jit(count_after), count))
        assert message.startswith("TypeError: state.count=")
        assert count.dtype.name in message


@pytest.mark.parametrize("schedule", [False, True])
@pytest.mark.clause("C13", "C30")
def test_an_ensembles_counts_keep_their_axes(schedule: bool) -> None:
    """Under vmap each member has a count without axes; outside there is no count to step with."""
    params = jnp.ones((4, 3))
    rate: Any = optax.constant_schedule(0.1) if schedule else 0.1
    tx = lion_jax.lion(rate)
    theirs = jax.vmap(optax.lion(rate).init)(params)
    for state in (theirs, [theirs[0].count, theirs[0].mu]):
        converted = lion_jax.from_optax(state)
        assert converted.count.shape == (4,)
        after = jax.vmap(tx.update)(params, converted, params)[1]
        assert after.count.tolist() == [1] * 4
        message = failed(partial(tx.update, params, converted, params))
        assert message == refused_count(converted.count, "TypeError")
