"""tf_keras.optimizers.Lion, of Keras 2, which Keras 3 has replaced: as model.fit runs it."""

from __future__ import annotations

from typing import Any

import tf_keras

from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.protocol import Port
from lion_conformance.ports.published.through_tensorflow import tensorflow_ports


def ports(device: str) -> list[Port]:
    """A train step in tf.function."""
    only_cpu("tf_keras", device)
    doors = ["apply_gradients, tf.function"]
    return tensorflow_ports("tf_keras", tf_keras.optimizers.Lion, _momenta, doors)


def _momenta(optimizer: Any) -> list[Any]:
    return list(optimizer.momentums)
