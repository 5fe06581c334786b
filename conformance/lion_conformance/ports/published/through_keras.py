"""What Keras's families on PyTorch and JAX share: variables and an optimizer around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from lion_conformance.ports.backends import NotRunnable


def only_on(backend: str) -> None:
    """NotRunnable where Keras runs on another backend: a process has one, from its first import."""
    if keras.backend.backend() != backend:
        raise NotRunnable(
            f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND={backend}"
        )


class Trained:
    """Variables and keras.optimizers.Lion, built for them."""

    def __init__(
        self, zeros: Sequence[Any], dtypes: Sequence[str], beta1: float, beta2: float
    ) -> None:
        self.variables = [
            keras.Variable(value, dtype=dtype, name=f"tensor_{i}")
            for i, (value, dtype) in enumerate(zip(zeros, dtypes, strict=True))
        ]
        self.optimizer = keras.optimizers.Lion()
        self.optimizer.beta_1, self.optimizer.beta_2 = beta1, beta2  # its constructor refuses 0
        self.optimizer.build(self.variables)
        self.momenta = [x for x in self.optimizer.variables if "momentum" in x.name]

    def start(self, params: Iterable[Any], momenta: Iterable[Any]) -> None:
        """Begin from these."""
        for variable, value in zip(
            [*self.variables, *self.momenta], [*params, *momenta], strict=True
        ):
            variable.assign(value)

    def set(self, lr: float, weight_decay: float) -> None:
        """η and λ as a callback sets them."""
        self.optimizer.learning_rate.assign(lr)
        self.optimizer.weight_decay = weight_decay
