"""Shard a step over eight devices, and end in the bits that one device gives.

python examples/jax_sharded.py
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import lion_jax

STEPS = 50

tx = lion_jax.lion(1e-3, weight_decay=0.1)


@jax.jit
def train(params: Any, state: Any, grads: Any) -> Any:
    # In this order of arguments and results, donated buffers would keep their roles.
    return tx.step(grads, state, params)


def run(params: Any, grads: Any) -> Any:
    state = tx.init(params)
    for _ in range(STEPS):
        params, state = train(params, state, grads)
    return params, state


def main() -> None:
    # Eight devices on one CPU, for want of eight real ones; before JAX is used for the first time.
    jax.config.update("jax_num_cpu_devices", 8)
    rng = np.random.default_rng(0)
    params, grads = (jnp.asarray(rng.standard_normal((64, 32)), jnp.float32) for _ in range(2))

    mesh = jax.make_mesh((4, 2), ("data", "model"))
    sharding = NamedSharding(mesh, P("data", "model"))
    together = run(params, grads)
    apart = run(*jax.device_put((params, grads), sharding))

    same = all(
        np.array_equal(np.asarray(a), np.asarray(b))
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True)
    )
    print(f"{apart[1].mu.sharding.spec} on {mesh.size} devices, bits of one device: {same}")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
