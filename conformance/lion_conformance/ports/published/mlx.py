"""mlx.optimizers.Lion on a CPU, step by step.

In mx.compile β1, β2 and λ are part of the code, which a C++ compiler then makes anew for each of
them: that takes seconds a case, and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np

from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.protocol import Port, Session, Triple
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array

TRIPLES: tuple[Triple, ...] = tuple((dtype, dtype, dtype) for dtype in STORAGE_DTYPES)
"""Gradients have their parameter's dtype, as autodiff makes them, and momenta are made of it."""


def ports(device: str) -> list[Port]:
    """The one door."""
    only_cpu("mlx", device)
    mx.set_default_device(mx.cpu)  # which alone has float64
    return [Port(name="mlx", door="apply_gradients", open=MlxSession, triples=TRIPLES)]


def _to_mlx(array: Array) -> Any:
    """A copy, by way of its bits: NumPy's bfloat16 is not MLX's."""
    unsigned = f"uint{8 * array.dtype.itemsize}"
    patterns = mx.array(np.ascontiguousarray(array).view(unsigned).reshape(array.shape))
    return patterns.view(getattr(mx, array.dtype.name))


def _to_numpy(array: Any, dtype: np.dtype[Any]) -> Array:
    patterns = array.view(getattr(mx, f"uint{8 * dtype.itemsize}"))
    return np.array(patterns).view(dtype).reshape(array.shape)


class MlxSession(Session):
    """A training loop around mlx.optimizers.Lion, which begins with the given momenta."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        beta1: float,
        beta2: float,
    ) -> None:
        self._dtypes = [x.dtype for x in params]
        self._params = self._named(params)
        self._optimizer = mlx.optimizers.Lion(1.0, betas=[beta1, beta2])
        self._optimizer.init(self._params)
        for name, momentum in self._named(momenta).items():
            self._optimizer.state[name]["m"] = momentum

    @staticmethod
    def _named(arrays: Sequence[Array]) -> dict[str, Any]:
        """The arrays as a model has them: its state is a tree of the same names."""
        return {f"tensor {i}": _to_mlx(x) for i, x in enumerate(arrays)}

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """Set η and λ as a schedule would, then step."""
        self._optimizer.learning_rate, self._optimizer.weight_decay = lr, weight_decay
        self._params = self._optimizer.apply_gradients(self._named(grads), self._params)
        mx.eval(self._params, self._optimizer.state)

    def read(self) -> tuple[list[Array], list[Array]]:
        """Parameters, and the momenta in the optimizer's state."""
        momenta = (self._optimizer.state[name]["m"] for name in self._params)
        return [_to_numpy(*x) for x in zip(self._params.values(), self._dtypes, strict=True)], [
            _to_numpy(*x) for x in zip(momenta, self._dtypes, strict=True)
        ]
