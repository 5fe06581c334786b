"""What sessions share whose state is two lists of arrays, of NumPy or of a library like it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from lion_conformance.ports.protocol import Session
from lion_conformance.ports.state import recast
from lion_ref.arithmetic import Array

Arrays = tuple[list[Any], list[Any]]


class ListSession(Session):
    """A session whose `step` passes a tensor without a gradient over.

    The hooks below say how a library's arrays differ from NumPy's.
    """

    _context: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Entered around whatever makes arrays."""

    @abstractmethod
    def _state_lists(self) -> Arrays:
        """The parameters and momenta, to be changed in place."""

    def _rebuilt(self, params: list[Any], momenta: list[Any], /) -> None:
        """The tensors are others than before."""

    def _put(self, array: Array) -> Any:
        return array

    def _get(self, array: Any) -> Array:
        found: Array = array
        return found

    def _joined(self, parts: Sequence[Any]) -> Any:
        return np.concatenate(parts)

    def freeze(self, tensor: int) -> None:
        """Nothing to do: a frozen tensor has no gradient."""

    def thaw(self, tensor: int) -> None:
        """Nothing to do: see `freeze`."""

    def split(self, tensor: int, at: int) -> None:
        """The first rows, then the rest."""
        with self._context():
            for arrays in (lists := self._state_lists()):
                whole = arrays[tensor]
                arrays[tensor : tensor + 1] = [whole[:at, ...], whole[at:, ...]]
            self._rebuilt(*lists)

    def merge(self, tensor: int) -> None:
        """The rows of both, in a new array."""
        with self._context():
            for arrays in (lists := self._state_lists()):
                arrays[tensor : tensor + 2] = [self._joined(arrays[tensor : tensor + 2])]
            self._rebuilt(*lists)

    def momentum_dtype(self, dtype: str) -> None:
        """Rounded by NumPy: a library's own cast of float64 to bfloat16 may round twice."""
        with self._context():
            params, momenta = self._state_lists()
            momenta[:] = [self._put(recast(self._get(x), dtype)) for x in momenta]
            self._rebuilt(params, momenta)

    def read(self) -> tuple[list[Array], list[Array]]:
        """Both as NumPy arrays."""
        params, momenta = self._state_lists()
        return [self._get(x) for x in params], [self._get(x) for x in momenta]
