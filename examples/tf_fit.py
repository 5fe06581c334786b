"""Train with model.fit: both rates follow schedules, and biases are not decayed.

python examples/tf_fit.py
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

import lion_ref
import lion_tf
from lion_ref.arithmetic import same_bits

EPOCHS, BATCH, ROWS = 20, 64, 512
STEPS = EPOCHS * ROWS // BATCH


def main() -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 2)).astype(np.float32)
    label = (np.hypot(*x.T) > 1).astype(np.float32)  # inside or outside a circle

    hidden = keras.layers.Dense(32, activation="relu")
    model = keras.Sequential([keras.Input((2,)), hidden, keras.layers.Dense(1)])
    optimizer = lion_tf.Lion(
        keras.optimizers.schedules.CosineDecay(1e-2, STEPS),
        weight_decay=keras.optimizers.schedules.PolynomialDecay(0.1, STEPS, 0.0),
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    accuracy = keras.metrics.BinaryAccuracy(threshold=0.0)
    model.compile(optimizer, loss=loss, metrics=[accuracy], jit_compile=True)

    history = model.fit(x, label, batch_size=BATCH, epochs=EPOCHS, verbose=0).history
    print(f"loss {history['loss'][0]:.3f} to {history['loss'][-1]:.3f}")
    print(f"accuracy {history['binary_accuracy'][-1]:.2f}")

    # One more step, on a gradient of our own, and the same by the reference: every bit of a bias,
    # which is not decayed, and of its momentum.
    momentum = optimizer.variables[-len(model.trainable_variables) :][1]
    gradient = rng.standard_normal(32).astype(np.float32)
    expected = lion_ref.step(
        hidden.bias.numpy(),
        momentum.numpy(),
        gradient,
        lr=float(optimizer.learning_rate),
        semantics=lion_tf.declared_semantics(),
    )
    zeros = [np.zeros(v.shape, np.float32) for v in model.trainable_variables]
    zeros[1] = gradient
    optimizer.apply(zeros)
    ours = hidden.bias.numpy(), momentum.numpy()
    same = all(same_bits(a, b).all() for a, b in zip(ours, expected, strict=True))
    print(f"the reference's bits: {same}")
    if not same or history["binary_accuracy"][-1] < 0.9:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
