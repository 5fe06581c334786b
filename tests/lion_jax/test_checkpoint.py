"""A run interrupted by a checkpoint goes on in the same bits, on the same devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lion_jax
from lion_ref.arithmetic import same_bits
from tests.lion_jax.doors import by_step, normal

orbax = pytest.importorskip("orbax.checkpoint", reason="the round trip needs orbax-checkpoint")


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_orbax_round_trip(sharded: bool, dtype: str, tmp_path: Path) -> None:
    arrays = normal(0, (16, 8), (dtype,) * 3)
    params, grads = {"w": jnp.asarray(arrays[0])}, {"w": jnp.asarray(arrays[2])}
    if sharded:
        mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
        rows = NamedSharding(mesh, PartitionSpec("x"))  # type: ignore[no-untyped-call]
        params, grads = jax.device_put((params, grads), rows)
    tx = lion_jax.lion(optax.linear_schedule(0.1, 0.0, 10), mu_dtype="float32")
    train = jax.jit(by_step(tx))
    state = tx.init(params)
    for _ in range(3):
        params, state = train(params, state, grads)

    saved = {"params": params, "state": state}
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "run", saved)
        checkpointer.wait_until_finished()
        struct: Any = jax.ShapeDtypeStruct
        template = jax.tree.map(lambda x: struct(x.shape, x.dtype, sharding=x.sharding), saved)
        restored: Any = checkpointer.restore(tmp_path / "run", template)

    assert isinstance(restored["state"], lion_jax.LionState)
    for before, after in zip(jax.tree.leaves(saved), jax.tree.leaves(restored), strict=True):
        assert before.sharding == after.sharding
        assert same_bits(np.atleast_1d(before), np.atleast_1d(after)).all()
    on = train(restored["params"], restored["state"], grads)
    uninterrupted = train(params, state, grads)
    for ours, theirs in zip(jax.tree.leaves(on), jax.tree.leaves(uninterrupted), strict=True):
        assert same_bits(np.atleast_1d(ours), np.atleast_1d(theirs)).all()


def test_a_checkpoint_of_optax_lion_is_continued(tmp_path: Path) -> None:
    """Restored with optax.lion's own state as the template, then handed over."""
    params = {"w": jnp.ones((4, 3))}
    theirs = optax.lion(0.1)
    _, their_state = theirs.update(params, theirs.init(params), params)
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "run", their_state)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "run", theirs.init(params))
    state = lion_jax.from_optax(restored)
    assert int(state.count) == 1
    assert same_bits(np.asarray(state.mu["w"]), np.asarray(their_state[0].mu["w"])).all()
