"""A program for tests: a run into variables that are mirrored on two devices, a step, and out.

    python run_state_program.py

Prints two lines: what differs in any copy from lion_ref's step, and in the file; or "same bits".
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from lion_ref import run_state
from lion_ref.run_state import Group

RATES: dict[str, Any] = {"lr": 0.1, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3}


def main() -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    devices = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    from lion_tf import Lion, export_state, import_state
    from tests.lion_tf.doors import difference, normal, reference

    path = Path(tempfile.mkdtemp(), "run.safetensors")
    theta, momentum, gradient = normal(0, (5,), "float32", "float32", "float32")
    run_state.save(path, {"w": (theta, momentum)}, step=3, groups=Group(**RATES))
    with devices.scope():
        variable, opt = keras.Variable(np.zeros(5), dtype="float32", name="w"), Lion(7.0)
    import_state(opt, path, variables=[variable])  # outside of the scope, as a user may

    @tf.function
    def step() -> None:
        devices.run(lambda: opt.apply([tf.constant(gradient) / 2], [variable]))  # summed

    step()
    local = devices.experimental_local_results
    copies = zip(local(variable.value), local(opt.variables[-1].value), strict=True)
    expected = reference(theta, momentum, [gradient], **RATES)
    found = [difference([(x.numpy(), y.numpy())], expected) for x, y in copies]
    sys.stdout.write(f"{len(found)} copies: {max(found) or 'same bits'}\n")
    export_state(opt, path)
    state = run_state.load(path)
    assert state.header.step == 4
    assert all(int(x.numpy()) == 4 for x in local(opt.iterations.value))
    difference_there = difference([tuple(state.tensors["w"])], expected)
    sys.stdout.write(f"back: {difference_there or 'same bits'}\n")


if __name__ == "__main__":
    main()
