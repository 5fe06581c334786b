"""keras.optimizers.Lion on JAX: eagerly, and stateless in a jit, as model.fit runs it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.loops import Loops
from lion_conformance.ports.protocol import UNIFORM, Betas, Port, Session
from lion_conformance.ports.published.through_keras import Trained, only_on
from lion_ref.arithmetic import Array

DOORS = {"apply_gradients": False, "stateless_apply, jit": True}
"""Whether a door compiles its step."""


def ports(device: str) -> list[Port]:
    """One port for each door; float64 is judged with x64 enabled, the rest without."""
    only_cpu("keras-jax", device)
    only_on("jax")
    return [
        Port(
            name="keras-jax",
            door=door,
            open=partial(KerasSession, compiled=compiled),
            triples=UNIFORM,
            compiles=True,
        )
        for door, compiled in DOORS.items()
    ]


class TrainingLoop(Trained):
    """Variables, the optimizer and a train step for given shapes and dtypes; built once."""

    def __init__(self, variables: Any, beta1: float, beta2: float, compiled: bool) -> None:
        zeros = [jnp.zeros(shape, dtype) for dtype, shape in variables]
        super().__init__(zeros, [dtype for dtype, _ in variables], beta1, beta2)
        self.train_step = self._compiled if compiled else self._eagerly
        self._jitted = jax.jit(self._stateless)

    def _eagerly(self, grads: Sequence[Any], lr: float, weight_decay: float) -> None:
        self.set(lr, weight_decay)
        self.optimizer.apply_gradients(zip(grads, self.variables, strict=True))

    def _compiled(self, grads: Sequence[Any], lr: float, weight_decay: float) -> None:
        self.set(lr, weight_decay)
        own, params = ([x.value for x in y] for y in (self.optimizer.variables, self.variables))
        params, own = self._jitted(own, params, grads, weight_decay)
        for variable, value in zip(
            [*self.variables, *self.optimizer.variables], [*params, *own], strict=True
        ):
            variable.assign(value)

    def _stateless(self, own: Any, params: Any, grads: Any, weight_decay: Any) -> Any:
        # Traced, so that not every λ is compiled anew.
        self.optimizer.weight_decay = weight_decay
        return self.optimizer.stateless_apply(own, grads, params)


_loops = Loops(TrainingLoop)


class KerasSession(Session):
    """A custom training loop around keras.optimizers.Lion; loops are kept and used again."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        compiled: bool,
        **betas: Unpack[Betas],
    ) -> None:
        self._x64 = any(x.dtype == np.float64 for x in params)
        key = tuple((x.dtype.name, x.shape) for x in params)
        with jax.enable_x64(self._x64):
            self._loop: TrainingLoop = _loops.lend(
                self, key, betas["beta1"], betas["beta2"], compiled
            )
            self._loop.start(map(jnp.asarray, params), map(jnp.asarray, momenta))

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """Set η and λ as a callback would, then train."""
        with jax.enable_x64(self._x64):
            # NumPy's copies: JAX may read an array after the step has returned.
            self._loop.train_step([jnp.asarray(np.array(x)) for x in grads], lr, weight_decay)

    def read(self) -> tuple[list[Array], list[Array]]:
        """Variables and momenta."""
        return [np.array(x.value) for x in self._loop.variables], [
            np.array(x.value) for x in self._loop.momenta
        ]
