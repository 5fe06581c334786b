"""keras.optimizers.Lion on TensorFlow: eagerly, in tf.function, and under XLA."""

from __future__ import annotations

from typing import Any

import keras

from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_keras import only_on
from lion_conformance.ports.published.through_tensorflow import tensorflow_ports


def ports(device: str) -> list[Port]:
    """One port for each way to run a train step."""
    only_cpu("keras", device)
    only_on("tensorflow")
    return tensorflow_ports("keras", keras.optimizers.Lion, _momenta)


def _momenta(optimizer: Any) -> list[Any]:
    return [x.value for x in optimizer.variables if "momentum" in x.name]
