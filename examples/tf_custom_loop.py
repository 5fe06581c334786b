"""A training loop of one's own in mixed precision; a checkpoint continues bit for bit.

python examples/tf_custom_loop.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from lion_tf import Lion

STEPS = 30


class Run:
    """A model, its optimizer and the compiled step of both."""

    def __init__(self) -> None:
        keras.utils.set_random_seed(0)
        # Layers compute in bfloat16; the variables, and so the momenta, are float32.
        self.model = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(32, activation="tanh", dtype="mixed_bfloat16"),
                keras.layers.Dense(1, dtype="mixed_bfloat16"),
            ]
        )
        self.optimizer = Lion(3e-3, weight_decay=0.1, clipnorm=1.0)
        self.optimizer.build(self.model.trainable_variables)
        self.checkpoint = tf.train.Checkpoint(model=self.model, optimizer=self.optimizer)
        self.step = tf.function(self._step, jit_compile=True)

    def _step(self, x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.cast(self.model(x), tf.float32) - y))
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, [v.value for v in variables]), variables, strict=True)
        )
        return loss

    def train(self, steps: int) -> float:
        """The loss before the last of the steps."""
        x = np.linspace(-3, 3, 256, dtype=np.float32)[:, None]
        loss: Any = None
        for _ in range(steps):
            loss = self.step(tf.constant(x), tf.constant(np.sin(x)))
        return float(loss)

    def state(self) -> list[Any]:
        """Every number that the run consists of."""
        return [v.numpy() for v in (*self.model.variables, *self.optimizer.variables)]


def main() -> None:
    whole = Run()
    first = whole.train(1)
    last = whole.train(2 * STEPS - 1)
    print(f"loss {first:.3f} to {last:.3f} in {2 * STEPS} steps")

    with tempfile.TemporaryDirectory() as folder:
        part, continued = Run(), Run()
        part.train(STEPS)
        path = part.checkpoint.save(Path(folder) / "half-way")
        continued.checkpoint.restore(path).assert_existing_objects_matched()
    continued.train(STEPS)

    pairs = list(zip(whole.state(), continued.state(), strict=True))
    same = all(np.array_equal(a, b) for a, b in pairs)
    print(f"stopped half-way and continued, {len(pairs)} variables, same bits: {same}")
    if not same or last >= first:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
