"""A session under way: one event after another, and read and checked after every one.

What it checks are the promises of a session itself: it starts where it was told to, keeps the
number, shapes and dtypes of its tensors, shows the same state when it is read twice, and never
changes what it has shown. Whether the bits are right is for `follow` to judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.ports.layouts import LAYOUTS
from lion_conformance.ports.protocol import Port, PortError, answering
from lion_conformance.ports.state import State
from lion_conformance.runs.events import Event, Step
from lion_conformance.runs.session import OpenSession, read
from lion_ref.arithmetic import Array, all_same_bits

LATELY = 4
"""States that are looked at again after each event, beside the first: arrays shown in turn."""

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
    otherwise: str = "have bits that this must not leave"
    """What is said of elements that are not as expected."""


def without_gradient(
    tensor: tuple[Array, Array],
    betas: tuple[float, float],
    lr: float = 0.0,
    weight_decay: float = 0.0,
) -> Case:
    """The case that stands for a tensor in an event that leaves it no choice."""
    return Case(*tensor, NO_GRADIENT, lr, *betas, weight_decay)


class ObservedSession(OpenSession):
    """An open session and the state that it showed last; a broken promise is a PortError."""

    def __init__(self, port: Port, start: State, *, beta1: float, beta2: float) -> None:
        super().__init__(port, start, beta1=beta1, beta2=beta2)
        self._shown: list[list[tuple[Array, Array]]] = []
        self._steps = 0
        self.state = self._read(start)
        if not self.state.equals(start):
            raise PortError(
                "the session does not start with the parameters and momenta that it was given"
            )

    def apply(self, event: Event) -> list[Answer]:
        """Let an event happen; what it made of each tensor."""
        if isinstance(event, Step):
            return self._stepped(event)
        expected = event.leaves(self.state)
        self.happen(event)
        self.state = self._read(expected)
        return [
            Answer(i, without_gradient(want, self._betas), got, want)
            for i, (want, got) in enumerate(zip(expected.tensors, self.state.tensors, strict=True))
        ]

    def _stepped(self, event: Step) -> list[Answer]:
        before, grads = self.state, self.thawed(event)
        self._steps += 1
        # A tensor's gradients lie otherwise at every step, and the tensors' at one.
        lr, weight_decay = self.step(
            event,
            [
                None if x is None else LAYOUTS[(self._steps + i) % len(LAYOUTS)](x)
                for i, x in enumerate(grads)
            ],
        )
        self.state = self._read(before)
        return [
            Answer(i, without_gradient(old, self._betas, lr, weight_decay), new, old)
            if grad is None
            else Answer(i, Case(*old, grad, lr, *self._betas, weight_decay), new)
            for i, (old, grad, new) in enumerate(
                zip(before.tensors, grads, self.state.tensors, strict=True)
            )
        ]

    def look_back(self) -> None:
        """PortError if any state that was ever shown has changed, however long ago that was."""
        self._check_shown(self._shown)

    @staticmethod
    def _check_shown(states: Iterable[list[tuple[Array, Array]]]) -> None:
        if not all(all_same_bits(*pair) for pairs in states for pair in pairs):
            raise PortError("the session changed arrays that read() had returned before")

    def _read(self, like: State) -> State:
        """The session's state, read twice."""
        self._check_shown([*self._shown[:1], *self._shown[1:][-LATELY:]])
        state, shown = read(self._session, like)
        with answering():
            again = State.of(*self._session.read())
        if not state.equals(again):
            raise PortError("the session shows another state when it is read a second time")
        self._shown.append(list(zip(shown, (*state.params, *state.momenta), strict=True)))
        return state
