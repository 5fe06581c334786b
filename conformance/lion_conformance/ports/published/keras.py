"""keras.optimizers.Lion on TensorFlow: eagerly, in tf.function, and under XLA."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import keras
import numpy as np
import tensorflow as tf

from lion_conformance.ports.backends import NotRunnable, only_cpu
from lion_conformance.ports.protocol import Betas, Port, Session, Triple
from lion_conformance.ports.tensorflow import DOORS, Loops
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array

Key = tuple[tuple[str, tuple[int, ...]], ...]

TRIPLES: tuple[Triple, ...] = tuple((dtype, dtype, dtype) for dtype in STORAGE_DTYPES)
"""Keras casts gradients to their variable's dtype, and makes momenta of it."""


def ports(device: str) -> list[Port]:
    """One port for each way to run a train step."""
    only_cpu("keras", device)
    if keras.backend.backend() != "tensorflow":
        raise NotRunnable(
            f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND=tensorflow"
        )
    tf.get_logger().setLevel("ERROR")  # that retracing is expensive
    return [
        Port(
            name="keras",
            door=door,
            open=partial(KerasSession, door=door),
            triples=TRIPLES,
            compiles=True,
        )
        for door in DOORS
    ]


class TrainingLoop:
    """Variables, keras.optimizers.Lion and a train step for given shapes and dtypes; built once."""

    def __init__(self, variables: Key, beta1: float, beta2: float, door: str) -> None:
        self.variables = [tf.Variable(tf.zeros(shape, dtype)) for dtype, shape in variables]
        self.weight_decay = tf.Variable(0.0, dtype=tf.float32)
        self.optimizer = keras.optimizers.Lion()
        # Its constructor refuses β1 = 0, and a trace reads λ anew only from a variable: of float32,
        # as keras.ops.cast makes of the number that a user gives.
        self.optimizer.beta_1, self.optimizer.beta_2 = beta1, beta2
        self.optimizer.weight_decay = self.weight_decay
        self.optimizer.build(self.variables)
        self.momenta = [x.value for x in self.optimizer.variables if "momentum" in x.name]
        self.train_step = DOORS[door](self._train_step)

    def _train_step(self, grads: list[Any]) -> None:
        self.optimizer.apply_gradients(zip(grads, self.variables, strict=True))


_loops = Loops(TrainingLoop)


class KerasSession(Session):
    """A custom training loop around keras.optimizers.Lion; loops are kept and used again."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        door: str,
        **betas: Unpack[Betas],
    ) -> None:
        key = tuple((x.dtype.name, x.shape) for x in params)
        self._loop: TrainingLoop = _loops.lend(self, key, betas["beta1"], betas["beta2"], door)
        for variable, value in zip(
            [*self._loop.variables, *self._loop.momenta], [*params, *momenta], strict=True
        ):
            variable.assign(tf.constant(value))

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """Set η and λ as a callback would, then train."""
        self._loop.optimizer.learning_rate.assign(lr)
        self._loop.weight_decay.assign(weight_decay)
        self._loop.train_step([tf.constant(x) for x in grads])

    def read(self) -> tuple[list[Array], list[Array]]:
        """Variables and momenta."""
        return [np.array(x.numpy()) for x in self._loop.variables], [
            np.array(x.numpy()) for x in self._loop.momenta
        ]
