"""Train an Equinox regressor with lion_jax: the whole step in one function, buffers donated.

python examples/jax_equinox.py
"""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import lion_jax

STEPS = 500

schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 20, STEPS)
tx = lion_jax.lion(schedule, weight_decay=1e-3)


def loss(model: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean((jax.vmap(model)(x) - y) ** 2)


@partial(eqx.filter_jit, donate="all-except-first")
def train_step(data: Any, model: Any, state: Any) -> Any:
    value, grads = eqx.filter_value_and_grad(loss)(model, *data)
    # Activation functions are leaves of an Equinox model too: only arrays are optimized, and what
    # is left is None in both trees.
    params, static = eqx.partition(model, eqx.is_inexact_array)
    # In half precision eqx.apply_updates needs lion(..., update_dtype="params"); step does not.
    params, state = tx.step(grads, state, params)
    return eqx.combine(params, static), state, value


def main() -> None:
    key = jax.random.key(0)
    x = jax.random.uniform(key, (256, 1), minval=-1.0, maxval=1.0)
    data = x, jnp.sin(4 * x)
    model = eqx.nn.MLP(1, 1, 64, 2, activation=jnp.tanh, key=key)
    state = tx.init(eqx.filter(model, eqx.is_inexact_array))
    losses = []
    for _ in range(STEPS):
        model, state, value = train_step(data, model, state)
        losses.append(value)
    first, last = losses[0], losses[-1]
    print(f"loss {first:.4f} -> {last:.5f} in {int(state.count)} steps")
    if not last < 0.01 * first:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
