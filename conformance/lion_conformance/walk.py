"""A session under way: driven step by step, and read and checked after every one.

What it checks are the promises of a session itself: it starts where it was told to, keeps the
number, shapes and dtypes of its tensors, shows the same state when it is read twice, and never
changes what it has shown. Whether the bits are right is for whoever walks to judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lion_conformance.port import Port, PortError, Session, answering
from lion_ref.arithmetic import same_bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class State:
    """The parameters and momenta of a session, tensor by tensor."""

    params: tuple[Array, ...]
    momenta: tuple[Array, ...]

    @classmethod
    def of(cls, params: Iterable[Array], momenta: Iterable[Array]) -> State:
        """Copies, which nobody else changes."""
        return cls(tuple(np.array(x) for x in params), tuple(np.array(x) for x in momenta))

    @property
    def tensors(self) -> list[tuple[Array, Array]]:
        """(θ, m) of each tensor."""
        return list(zip(self.params, self.momenta, strict=True))

    def equals(self, other: State) -> bool:
        """Same number of tensors, shapes, dtypes and bits."""
        return len(self.params) == len(other.params) and all(
            equal(a, b)
            for mine, theirs in zip(self.tensors, other.tensors, strict=True)
            for a, b in zip(mine, theirs, strict=True)
        )


def equal(first: Array, second: Array) -> bool:
    """Same shape, dtype and bits."""
    return (
        first.shape == second.shape
        and first.dtype == second.dtype
        and bool(same_bits(first, second).all())
    )


class Walk:
    """An open session and the state that it showed last; a broken promise is a PortError."""

    def __init__(self, port: Port, start: State, *, beta1: float, beta2: float) -> None:
        self._shown: list[tuple[Array, Array]] = []
        given = State.of(start.params, start.momenta)
        with answering():
            self._session: Session = port.open(
                list(given.params), list(given.momenta), beta1=beta1, beta2=beta2
            )
        self.state = self._read(start)
        if not self.state.equals(start):
            raise PortError(
                "the session does not start with the parameters and momenta that it was given"
            )

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> State:
        """One step of all tensors; the state after it."""
        with answering():
            self._session.step([x.copy() for x in grads], lr=lr, weight_decay=weight_decay)
        self.state = self._read(self.state)
        return self.state

    def _read(self, like: State) -> State:
        """The session's state, which has the number, shapes and dtypes of another."""
        if not all(same_bits(shown, copy).all() for shown, copy in self._shown):
            raise PortError("the session changed arrays that read() had returned before")
        with answering():
            shown = self._session.read()
            state = State.of(*_checked(shown, like))
            again = State.of(*self._session.read())
        if not state.equals(again):
            raise PortError("the session shows another state when it is read a second time")
        self._shown = list(
            zip((*shown[0], *shown[1]), (*state.params, *state.momenta), strict=True)
        )
        return state


def _checked(shown: object, like: State) -> tuple[list[Array], list[Array]]:
    legal = "legal: read() -> (params, momenta), lists of NumPy arrays"
    if not isinstance(shown, (tuple, list)) or len(shown) != 2:
        raise PortError(f"read() returned {type(shown).__name__}; {legal}")
    for name, arrays, expected in zip(
        ("params", "momenta"), shown, (like.params, like.momenta), strict=True
    ):
        if len(arrays) != len(expected):
            raise PortError(f"read() returned {len(arrays)} {name}; legal: {len(expected)}")
        for i, (array, given) in enumerate(zip(arrays, expected, strict=True)):
            if not isinstance(array, np.ndarray):
                raise PortError(f"read() returned {type(array).__name__} in {name}; {legal}")
            found, wanted = (f"{x.dtype} {x.shape}" for x in (array, given))
            if found != wanted:
                raise PortError(f"read() returned {name}[{i}] as {found}; legal: {wanted}")
    return shown[0], shown[1]
