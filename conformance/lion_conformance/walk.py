"""A session under way: one event after another, and read and checked after every one.

What it checks are the promises of a session itself: it starts where it was told to, keeps the
number, shapes and dtypes of its tensors, shows the same state when it is read twice, and never
changes what it has shown. Whether the bits are right is for whoever walks to judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lion_conformance.cases import Case
from lion_conformance.events import Freeze, Merge, Restore, Schedule, Split, Step, Thaw
from lion_conformance.offers import Offer
from lion_conformance.port import (
    Port,
    PortError,
    answering,
    check_environment,
    check_gradients,
    shown_by_read,
)
from lion_conformance.state import State
from lion_ref.arithmetic import same_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_conformance.events import Event, Other
    from lion_conformance.port import Session

Array = NDArray[Any]

NO_GRADIENT = np.zeros(0, np.float32)
"""Stands in a case for the gradient that there is none of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an event made of one tensor."""

    tensor: int
    case: Case
    got: tuple[Array, Array]
    expected: tuple[Array, Array] | None = None
    """What it has to be, to the bit; None for a step, whose result is judged."""


class Walk:
    """An open session and the state that it showed last; a broken promise is a PortError."""

    def __init__(self, port: Port, start: State, *, beta1: float, beta2: float) -> None:
        self._port, self._betas = port, (beta1, beta2)
        self._shown: list[tuple[Array, Array]] = []
        self.frozen: set[int] = set()
        self._schedule: Schedule | None = None
        self._scheduled = 0
        given = State.of(start.params, start.momenta)
        with answering():
            self._session: Any = port.open(
                list(given.params), list(given.momenta), beta1=beta1, beta2=beta2
            )
        self.state = self._read(start)
        if not self.state.equals(start):
            raise PortError(
                "the session does not start with the parameters and momenta that it was given"
            )

    def apply(self, event: Event) -> list[Answer]:
        """Let an event happen; what it made of each tensor."""
        if isinstance(event, Step):
            return self._step(event)
        expected = event.leaves(self.state)
        with answering():
            returned = event.happen(self._session)
            if isinstance(event, Restore):
                self._session = restored(self._port, returned)
        self._note(event)
        self.state = self._read(expected)
        return [
            Answer(i, self._case(want, None, 0.0, 0.0), got, want)
            for i, (want, got) in enumerate(zip(expected.tensors, self.state.tensors, strict=True))
        ]

    def saved(self) -> bytes:
        """What the session saves of itself."""
        with answering():
            saved: bytes = self._session.save()
        return saved

    def _step(self, event: Step) -> list[Answer]:
        before = self.state
        grads = [None if i in self.frozen else x for i, x in enumerate(event.grads)]
        lr, weight_decay = self._scalars(event)
        given = [None if x is None else x.copy() for x in grads]
        with answering():
            if event.lr is None:
                self._session.step_as_scheduled(given)
            else:
                self._session.step(given, lr=lr, weight_decay=weight_decay)
        check_gradients(given, grads)
        self.state = self._read(before)
        return [
            Answer(i, self._case(old, grad, lr, weight_decay), new, old if grad is None else None)
            for i, (old, grad, new) in enumerate(
                zip(before.tensors, grads, self.state.tensors, strict=True)
            )
        ]

    def _scalars(self, event: Step) -> tuple[float, float]:
        if event.lr is not None and event.weight_decay is not None:
            self._schedule = None
            return event.lr, event.weight_decay
        if self._schedule is None:
            raise ValueError("a step as scheduled, but no schedule")
        self._scheduled += 1
        return self._schedule.at(self._scheduled - 1)

    def _case(
        self, tensor: tuple[Array, Array], grad: Array | None, lr: float, weight_decay: float
    ) -> Case:
        given = NO_GRADIENT if grad is None else grad
        return Case(*tensor, given, lr, *self._betas, weight_decay)

    def _note(self, event: Other) -> None:
        """What the walk itself has to know of an event later."""
        if isinstance(event, Freeze):
            self.frozen.add(event.tensor)
        elif isinstance(event, Thaw):
            self.frozen.discard(event.tensor)
        elif isinstance(event, Schedule):
            self._schedule, self._scheduled = event, 0
        elif isinstance(event, (Split, Merge)):
            by = 1 if isinstance(event, Split) else -1
            self.frozen = {i + by if i > event.tensor else i for i in self.frozen}

    def _read(self, like: State) -> State:
        """The session's state, which has the number, shapes and dtypes of another."""
        check_environment()
        if not all(same_bits(shown, copy).all() for shown, copy in self._shown):
            raise PortError("the session changed arrays that read() had returned before")
        with answering():
            shown = self._session.read()
            state = State.of(*_checked(shown, like))
            again = State.of(*self._session.read())
        check_environment()
        if not state.equals(again):
            raise PortError("the session shows another state when it is read a second time")
        self._shown = list(
            zip((*shown[0], *shown[1]), (*state.params, *state.momenta), strict=True)
        )
        return state


def restored(port: Port, saved: bytes) -> Session:
    """The session that a port makes of what another session saved."""
    if port.restore is None:
        raise PortError(f"{port.name} offers {Offer.RESTORE.value}, but its restore is None")
    return port.restore(saved)


def _checked(shown: object, like: State) -> tuple[Sequence[Array], Sequence[Array]]:
    read = shown_by_read(shown, len(like.params))
    for name, arrays, expected in zip(
        ("params", "momenta"), read, (like.params, like.momenta), strict=True
    ):
        for i, (array, given) in enumerate(zip(arrays, expected, strict=True)):
            found, wanted = (f"{x.dtype} {x.shape}" for x in (array, given))
            if found != wanted:
                raise PortError(f"read() returned {name}[{i}] as {found}; legal: {wanted}")
    return read
