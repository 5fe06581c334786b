"""States of Lion in other forms: restored by a checkpoint, or of optax.lion inside a wrapper."""

from __future__ import annotations

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
        (jnp.ones(2, jnp.int32), jnp.ones(99)),
        [lion_jax.LionState(0, jnp.ones(99))] * 2,
        optax.adam(0.1).init(jnp.ones(99)),
        None,
        jnp.ones(99),
    ],
    ids=["no mu", "nu", "a half", "a bool", "counts", "two", "adam", "none", "array"],
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


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("changes", OPTAX)
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
    if wrapper != "chain":  # whose state, converted, is taken for a chain of optax.lion's own parts
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
            "lion_jax.lion or of optax.lion; of a wrapper's state, what lion_jax.from_optax "
            "makes of it"
        )
