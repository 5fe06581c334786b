"""Train on two devices with MirroredStrategy, and end in the bits of one.

python examples/tf_mirrored.py
"""

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

STEPS, SIZE = 20, 64


def train(strategy: Any, theta: Any, gradients: Any) -> Any:
    """θ after a step for each row of gradients, of which each replica has a share."""
    # Imported here, as the first use of TensorFlow settles the devices.
    from lion_tf import Lion

    with strategy.scope():
        variable = keras.Variable(theta)
        optimizer = Lion(1e-3, weight_decay=0.1)
        optimizer.build([variable])
    replicas = strategy.num_replicas_in_sync

    @tf.function
    def step(shares: Any) -> None:
        # The optimizer sums the replicas' gradients.
        strategy.run(lambda g: optimizer.apply([tf.identity(g)], [variable]), args=(shares,))

    for gradient in gradients:

        def share(_: Any, gradient: Any = gradient) -> Any:
            return tf.constant(gradient / replicas)  # halves are exact, and so is their sum

        step(strategy.experimental_distribute_values_from_function(share))
    return [copy.numpy() for copy in strategy.experimental_local_results(variable.value)]


def main() -> None:
    # Two devices on one CPU, for want of two real ones.
    (cpu,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    tf.config.set_logical_device_configuration(cpu, halves)

    rng = np.random.default_rng(0)
    theta = rng.standard_normal(SIZE).astype(np.float32)
    gradients = rng.standard_normal((STEPS, SIZE)).astype(np.float32)
    apart = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), theta, gradients)
    (together,) = train(tf.distribute.OneDeviceStrategy("CPU:0"), theta, gradients)

    same = all(np.array_equal(copy, together) for copy in apart)
    moved = bool((together != theta).all())
    print(f"{STEPS} steps on {len(apart)} devices, bits of one device: {same}")
    if not (same and moved and len(apart) == 2):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
