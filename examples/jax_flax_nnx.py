"""Train a Flax NNX classifier with lion_jax, and check the last step against lion_ref.

python examples/jax_flax_nnx.py
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import lion_jax
import lion_ref
from lion_ref.arithmetic import same_bits

STEPS = 300


class Classifier(nnx.Module):
    """Two linear layers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(2, 32, rngs=rngs)
        self.out = nnx.Linear(32, 2, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits of shape (batch, 2)."""
        return self.out(jax.nn.relu(self.hidden(x)))


def loss(model: Classifier, x: jax.Array, label: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(model(x), label).mean()


def matrices(params: Any) -> Any:
    """Decay kernels, leave biases alone."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


@nnx.jit
def train_step(model: Classifier, optimizer: nnx.Optimizer, x: jax.Array, label: jax.Array) -> Any:
    value, grads = nnx.value_and_grad(loss)(model, x, label)
    optimizer.update(model, grads)
    return value, grads


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((512, 2)).astype(np.float32)
    label = (np.hypot(*x.T) > 1).astype(np.int32)  # inside or outside a circle

    model = Classifier(nnx.Rngs(0))
    schedule = optax.cosine_decay_schedule(1e-2, STEPS)
    tx = lion_jax.lion(schedule, weight_decay=0.1, mask=matrices)
    # It adds by optax.apply_updates, which rounds exact updates once, in half precision too.
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    data = jnp.asarray(x), jnp.asarray(label)
    for _ in range(STEPS - 1):
        train_step(model, optimizer, *data)
    before = np.asarray(model.hidden.kernel[...])
    momentum = np.asarray(optimizer.opt_state.mu.hidden.kernel[...])
    value, grads = train_step(model, optimizer, *data)

    # The last step again, by the reference: every bit of a kernel and of its momentum.
    expected = lion_ref.step(
        before,
        momentum,
        np.asarray(grads.hidden.kernel[...]),
        lr=float(jax.jit(schedule)(STEPS - 1)),
        weight_decay=0.1,
        semantics=lion_jax.declared_semantics(),
    )
    ours = model.hidden.kernel[...], optimizer.opt_state.mu.hidden.kernel[...]
    same = all(same_bits(np.asarray(a), b).all() for a, b in zip(ours, expected, strict=True))
    accuracy = float((model(data[0]).argmax(axis=1) == label).mean())
    print(f"loss {float(value):.3f}, accuracy {accuracy:.2f}; last step bit-exact: {same}")
    if not same or accuracy < 0.9:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
