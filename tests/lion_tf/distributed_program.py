"""A program for tests: train on several devices or workers, compare with lion_ref's one.

    python distributed_program.py mirrored|multi-worker lion_tf|keras

Prints one line a way of training: what differs from one device's bits, or "same bits". Each
replica has a gradient of its own; they are short enough for their sum to be exact.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from lion_ref.arithmetic import Array

os.environ["KERAS_BACKEND"] = "tensorflow"

from collections.abc import Callable

import keras
import tensorflow as tf

STEPS, REPLICAS, SIZE = 4, 2, 33
RATES = {"lr": 2.0**-6, "weight_decay": 0.125}


def strategy(kind: str) -> Any:
    if kind == "multi-worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    (cpu,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration() for _ in range(REPLICAS)]
    tf.config.set_logical_device_configuration(cpu, halves)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def optimizer(kind: str, **more: Any) -> Any:
    # Imported here, as the first use of TensorFlow settles the devices.
    from lion_tf import Lion

    make = Lion if kind == "lion_tf" else keras.optimizers.Lion
    return make(learning_rate=RATES["lr"], weight_decay=RATES["weight_decay"], **more)


def data() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    theta = rng.standard_normal((SIZE, 1)).astype(np.float32)
    gradients = rng.integers(-32, 33, (STEPS, REPLICAS, SIZE, 1)) / 8
    return theta, gradients.astype(np.float32)


def slices(gradient: Any) -> Any:
    """The same gradient, as slices of tuples."""
    return tf.IndexedSlices(tf.reverse(gradient, [0]), tuple(reversed(range(SIZE))), (SIZE, 1))


def by_custom_loop(
    devices: Any,
    kind: str,
    wrap: Callable[..., Any],
    form: Callable[..., Any] = tf.identity,
    **more: Any,
) -> list[tuple[Any, Any]]:
    """apply() in strategy.run; the variable's and the momentum's copies on this worker."""
    theta, gradients = data()
    with devices.scope():
        variable, opt = keras.Variable(theta), optimizer(kind, **more)
        opt.build([variable])

    @wrap
    def step(gradient: Any) -> None:
        # A gradient is reduced to where it was computed; the function's own argument is nowhere.
        devices.run(lambda g: opt.apply([form(g)], [variable]), args=(gradient,))

    for pair in gradients:

        def own(context: Any, pair: Array = pair) -> Any:
            return tf.constant(pair[context.replica_id_in_sync_group])

        step(devices.experimental_distribute_values_from_function(own))
    return local(devices, variable, opt)


def under_a_debugger(devices: Any, kind: str) -> list[tuple[Any, Any]]:
    tf.debugging.enable_check_numerics()
    try:
        return by_custom_loop(devices, kind, tf.function)
    finally:
        tf.debugging.disable_check_numerics()


def by_fit(devices: Any, kind: str) -> list[tuple[Any, Any]]:
    """model.fit, where each replica takes one row of a batch, and the losses are summed."""
    theta, gradients = data()
    with devices.scope():
        dense = keras.layers.Dense(1, use_bias=False)
        model = keras.Sequential([keras.Input((SIZE,)), dense])
        model.compile(optimizer(kind), loss=lambda _, output: keras.ops.sum(output))
    dense.kernel.assign(theta)
    rows = tf.data.Dataset.from_tensor_slices(
        (gradients.reshape(-1, SIZE), np.zeros(STEPS * REPLICAS, np.float32))
    )
    model.fit(rows.batch(REPLICAS), verbose=0)
    return local(devices, dense.kernel, model.optimizer)


def local(devices: Any, variable: Any, opt: Any) -> list[tuple[Any, Any]]:
    momentum = opt.variables[-1].value
    copies = (devices.experimental_local_results(x) for x in (variable.value, momentum))
    return [(theta.numpy(), m.numpy()) for theta, m in zip(*copies, strict=True)]


def main(where: str, kind: str) -> None:
    devices = strategy(where)
    ways: dict[str, Callable[[], list[tuple[Any, Any]]]] = {
        "debugged": lambda: under_a_debugger(devices, kind),  # first: nothing is traced yet
        "custom loop": lambda: by_custom_loop(devices, kind, tf.function),
        "clipped": lambda: by_custom_loop(devices, kind, tf.function, clipvalue=1e3),
    }
    if kind == "lion_tf":  # Keras' own cannot reduce what it takes on one device
        ways["slices"] = lambda: by_custom_loop(devices, kind, tf.function, slices)
    if where == "mirrored":  # Keras' fit takes no MultiWorkerMirroredStrategy, with any optimizer
        ways["fit"] = lambda: by_fit(devices, kind)
        ways["eager"] = lambda: by_custom_loop(devices, kind, lambda function: function)
    results = {name: run() for name, run in ways.items()}

    from tests.lion_tf.doors import difference, reference

    theta, gradients = data()
    expected = reference(theta, 0 * theta, gradients.sum(axis=1), **RATES)[-1:]
    for name, copies in results.items():
        found = {difference([copy], expected) for copy in copies} or {"no copy here"}
        sys.stdout.write(f"{name} on {len(copies)}: {max(found) or 'same bits'}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
