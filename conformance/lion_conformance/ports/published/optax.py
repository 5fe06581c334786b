"""optax.lion, through tx.update and optax.apply_updates, outside jit and in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.protocol import Betas, Port, Session, Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array

TRIPLES: tuple[Triple, ...] = (
    *((dtype, dtype, dtype) for dtype in STORAGE_DTYPES),
    ("bfloat16", "float32", "bfloat16"),
)
"""Momenta have their parameter's dtype, or that of mu_dtype."""


def ports(device: str) -> list[Port]:
    """One port for each door; float64 is judged with x64 enabled, the rest without."""
    only_cpu("optax", device)
    return [
        Port(
            name="optax",
            door=door,
            open=partial(OptaxSession, train_step=train_step),
            triples=TRIPLES,
            compiles=True,
        )
        for door, train_step in DOORS.items()
    ]


def _train_step(
    params: Any, state: Any, grads: Any, lr: Any, weight_decay: Any, *, beta1: float, beta2: float
) -> Any:
    mu_dtype = _mu(state)[0].dtype
    tx = optax.lion(lr, b1=beta1, b2=beta2, mu_dtype=mu_dtype, weight_decay=weight_decay)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state


def _mu(state: Any) -> list[Any]:
    found: list[Any] = optax.tree_utils.tree_get(state, "mu")
    return found


@lru_cache(maxsize=64)
def _compiled(beta1: float, beta2: float) -> Callable[..., Any]:
    """One compiled train step for each pair of betas; η and λ are traced."""
    return jax.jit(partial(_train_step, beta1=beta1, beta2=beta2))


def _in_jit(*args: Any, beta1: float, beta2: float) -> Any:
    return _compiled(beta1, beta2)(*args)


DOORS: dict[str, Callable[..., Any]] = {"tx.update": _train_step, "tx.update, jit": _in_jit}


class OptaxSession(Session):
    """A training loop around optax.lion; η and λ are Python's numbers, which widen no array."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        train_step: Callable[..., Any],
        **betas: Unpack[Betas],
    ) -> None:
        self._train_step = partial(train_step, **betas)
        self._x64 = any(x.dtype == np.float64 for x in params)
        with jax.enable_x64(self._x64):
            self._params = [jnp.asarray(x) for x in params]
            mu = [jnp.asarray(x) for x in momenta]
            self._state = optax.tree_utils.tree_set(optax.lion(1.0).init(mu), mu=mu)

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """One train step."""
        with jax.enable_x64(self._x64):
            # NumPy's copies: JAX may read an array after the step has returned.
            given = [jnp.asarray(np.array(x)) for x in grads]
            self._params, self._state = self._train_step(
                self._params, self._state, given, lr, weight_decay
            )

    def read(self) -> tuple[list[Array], list[Array]]:
        """Parameters and the momenta in optax's state."""
        return [np.array(x) for x in self._params], [np.array(x) for x in _mu(self._state)]
