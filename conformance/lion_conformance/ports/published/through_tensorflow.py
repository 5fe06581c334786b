"""What Keras's families on TensorFlow share: a session around an optimizer of Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from lion_conformance.ports.loops import Loops
from lion_conformance.ports.protocol import UNIFORM, Betas, Port, Session
from lion_conformance.ports.tensorflow import DOORS
from lion_ref.arithmetic import Array

Key = tuple[tuple[str, tuple[int, ...]], ...]
Momenta = Callable[[Any], list[Any]]


def tensorflow_ports(
    name: str, lion: Callable[[], Any], momenta: Momenta, doors: Iterable[str] = tuple(DOORS)
) -> list[Port]:
    """One port for each way to run a train step.

    lion: makes the optimizer; momenta: finds its momenta, as variables of TensorFlow.
    """
    tf.get_logger().setLevel("ERROR")  # that retracing is expensive
    return [
        Port(
            name=name,
            door=door,
            open=partial(KerasSession, lion=lion, momenta_of=momenta, door=door),
            triples=UNIFORM,  # gradients are cast to their variable's dtype, and momenta made of it
            compiles=True,
        )
        for door in doors
    ]


class TrainingLoop:
    """Variables, the optimizer and a train step for given shapes and dtypes; built once."""

    def __init__(
        self,
        variables: Key,
        beta1: float,
        beta2: float,
        door: str,
        lion: Callable[[], Any],
        momenta: Momenta,
    ) -> None:
        self.variables = [tf.Variable(tf.zeros(shape, dtype)) for dtype, shape in variables]
        self.weight_decay = tf.Variable(0.0, dtype=tf.float32)
        self.optimizer = lion()
        # Its constructor refuses β1 = 0, and a trace reads λ anew only from a variable: of float32,
        # as Keras makes of the number that a user gives.
        self.optimizer.beta_1, self.optimizer.beta_2 = beta1, beta2
        self.optimizer.weight_decay = self.weight_decay
        self.optimizer.build(self.variables)
        self.momenta = momenta(self.optimizer)
        self.train_step = DOORS[door](self._train_step)

    def _train_step(self, grads: list[Any]) -> None:
        self.optimizer.apply_gradients(zip(grads, self.variables, strict=True))


_loops = Loops(TrainingLoop)


class KerasSession(Session):
    """A custom training loop around an optimizer of Keras; loops are kept and used again."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        lion: Callable[[], Any],
        momenta_of: Momenta,
        door: str,
        **betas: Unpack[Betas],
    ) -> None:
        key = tuple((x.dtype.name, x.shape) for x in params)
        self._loop: TrainingLoop = _loops.lend(
            self, key, betas["beta1"], betas["beta2"], door, lion, momenta_of
        )
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
