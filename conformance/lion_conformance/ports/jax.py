"""lion_jax, through tx.update with optax.apply_updates and through tx.step, in jit and outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

import lion_jax
from lion_conformance.port import Port, Session
from lion_conformance.ports import NotRunnable

Array = NDArray[Any]
TrainStep = Callable[..., Any]


def ports(device: str) -> list[Port]:
    """One port for each door; float64 is judged with x64 enabled, the rest without."""
    platform = "gpu" if device == "cuda" else device
    try:
        chosen = jax.devices(platform)[0]
    except RuntimeError as error:
        raise NotRunnable(f"jax has no device {device!r} here; legal: cpu") from error
    declared = lion_jax.declared_semantics(chosen.platform)
    return [
        Port(
            name="lion_jax",
            door=door,
            open=partial(JaxSession, train_step=train_step, device=chosen),
            declared=declared,
            device=device,
            compiles=True,
        )
        for door, train_step in DOORS.items()
    ]


def _through_update(
    params: Any, state: Any, grads: Any, lr: Any, weight_decay: Any, beta1: float, beta2: float
) -> Any:
    tx = lion_jax.lion(lr, b1=beta1, b2=beta2, weight_decay=weight_decay)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state


def _through_step(
    params: Any, state: Any, grads: Any, lr: Any, weight_decay: Any, beta1: float, beta2: float
) -> Any:
    tx = lion_jax.lion(lr, b1=beta1, b2=beta2, weight_decay=weight_decay)
    return tx.step(grads, state, params)


@lru_cache(maxsize=64)
def _jitted(train_step: TrainStep, beta1: float, beta2: float) -> TrainStep:
    """One compiled train step for each pair of betas; lr and weight decay are traced."""
    return jax.jit(partial(train_step, beta1=beta1, beta2=beta2))


def _inside_jit(train_step: TrainStep) -> TrainStep:
    def run(*args: Any, beta1: float, beta2: float) -> Any:
        return _jitted(train_step, beta1, beta2)(*args)

    return run


DOORS: dict[str, TrainStep] = {
    "tx.update, jit": _inside_jit(_through_update),
    "tx.step, jit": _inside_jit(_through_step),
    "tx.update": _through_update,
}


class JaxSession(Session):
    """A training loop around lion_jax.lion."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        beta1: float,
        beta2: float,
        train_step: TrainStep,
        device: Any,
    ) -> None:
        self._train_step, self._betas = train_step, {"beta1": beta1, "beta2": beta2}
        self._device = device
        self._x64 = any(x.dtype == np.float64 for x in params)
        with jax.enable_x64(self._x64):
            self._params = [self._put(x) for x in params]
            count = jnp.zeros([], jnp.int32)
            self._state = lion_jax.LionState(count=count, mu=[self._put(x) for x in momenta])

    def _put(self, array: Any) -> Any:
        return jax.device_put(jnp.asarray(array), self._device)

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """One train step; lr and weight decay as a schedule would hand them over, traced."""
        with jax.enable_x64(self._x64):
            dtype = jnp.float64 if self._x64 else jnp.float32
            self._params, self._state = self._train_step(
                self._params,
                self._state,
                [self._put(x) for x in grads],
                jnp.asarray(lr, dtype),
                jnp.asarray(weight_decay, dtype),
                **self._betas,
            )

    def read(self) -> tuple[list[Array], list[Array]]:
        """Parameters and mu."""
        return [np.asarray(x) for x in self._params], [np.asarray(x) for x in self._state.mu]
