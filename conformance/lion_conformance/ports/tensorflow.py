"""lion_tf, through apply_gradients: eagerly, in tf.function, and under XLA."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import lion_tf
from lion_conformance.port import Port, Session, Triple
from lion_conformance.ports import NotRunnable
from lion_ref import legal_triples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = NDArray[Any]
Key = tuple[tuple[str, tuple[int, ...]], ...]

DOORS: dict[str, Callable[[Callable[..., None]], Callable[..., None]]] = {
    "apply_gradients, eager": lambda function: function,
    "apply_gradients, tf.function": tf.function,
    "apply_gradients, jit_compile": partial(tf.function, jit_compile=True),
}


def ports(device: str) -> list[Port]:
    """One port for each way to run a train step; in Keras m has its variable's dtype."""
    if device != "cpu" and not tf.config.list_physical_devices("GPU"):
        raise NotRunnable(f"tensorflow has no device {device!r} here; legal: cpu")
    # Every case has variables of its own, so the warning that retracing is expensive says nothing.
    tf.get_logger().setLevel("ERROR")
    place = "CPU:0" if device == "cpu" else "GPU:0"
    triples: tuple[Triple, ...] = tuple(x for x in legal_triples() if x[0] == x[1])
    declared = lion_tf.declared_semantics(place)
    return [
        Port(
            name="lion_tf",
            door=door,
            open=partial(TensorFlowSession, door=door, place=place),
            declared=declared,
            triples=triples,
            device=device,
            compiles=True,
        )
        for door in DOORS
    ]


class TrainingLoop:
    """Variables, an optimizer and a train step for given shapes and dtypes; built once."""

    def __init__(self, variables: Key, beta1: float, beta2: float, door: str, place: str) -> None:
        with tf.device(place):
            self.variables = [tf.Variable(tf.zeros(shape, dtype)) for dtype, shape in variables]
            self.learning_rate = tf.Variable(0.0, dtype=tf.float64)
            self.weight_decay = tf.Variable(0.0, dtype=tf.float64)
            self.optimizer = lion_tf.Lion(
                self.learning_rate.read_value,
                beta_1=beta1,
                beta_2=beta2,
                weight_decay=self.weight_decay.read_value,
            )
            self.optimizer.build(self.variables)
        self.train_step = DOORS[door](self._train_step)

    def _train_step(self, grads: list[Any]) -> None:
        self.optimizer.apply_gradients(zip(grads, self.variables, strict=True))

    @property
    def momenta(self) -> list[Any]:
        """The optimizer's own variables: the iterations and η come first."""
        return [x.value for x in self.optimizer.variables if "momentum" in x.name]


_training_loop = lru_cache(maxsize=128)(TrainingLoop)


class TensorFlowSession(Session):
    """A custom training loop around lion_tf.Lion."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        beta1: float,
        beta2: float,
        door: str,
        place: str,
    ) -> None:
        key = tuple((x.dtype.name, x.shape) for x in params)
        self._loop = _training_loop(key, beta1, beta2, door, place)
        for variable, value in zip(
            [*self._loop.variables, *self._loop.momenta], [*params, *momenta], strict=True
        ):
            variable.assign(tf.constant(value))

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """Set η and λ as a callback would, then train."""
        self._loop.learning_rate.assign(lr)
        self._loop.weight_decay.assign(weight_decay)
        self._loop.train_step([tf.constant(x) for x in grads])

    def read(self) -> tuple[list[Array], list[Array]]:
        """Variables and momenta."""
        return [np.asarray(x.numpy()) for x in self._loop.variables], [
            np.asarray(x.numpy()) for x in self._loop.momenta
        ]
