"""An open session to which events happen, and what has to be known of it for the next of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import (
    ChangedInputError,
    Port,
    PortError,
    Session,
    answering,
    check_environment,
    check_gradients,
    shown_by_read,
)
from lion_conformance.ports.state import State
from lion_conformance.runs.events import (
    Event,
    Freeze,
    Merge,
    Other,
    Refuse,
    Restore,
    Schedule,
    Split,
    Step,
    Thaw,
)
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array


class OpenSession:
    """A session to which events happen, unjudged; what goes wrong with it is a PortError."""

    def __init__(self, port: Port, start: State, *, beta1: float, beta2: float) -> None:
        self._port, self._betas = port, (beta1, beta2)
        self.frozen: set[int] = set()
        self._like = start
        """The shapes and dtypes of the tensors; the numbers are those of the start."""
        self._schedule: Schedule | None = None
        self._scheduled = 0
        given = State.of(start.params, start.momenta)
        with answering():
            self._session: Any = port.open(
                list(given.params), list(given.momenta), beta1=beta1, beta2=beta2
            )

    def thawed(self, event: Step) -> list[Array | None]:
        """A step's gradients; none for what is frozen."""
        return [None if i in self.frozen else x for i, x in enumerate(event.grads)]

    def step(self, event: Step, grads: Sequence[Array | None]) -> tuple[float, float]:
        """Let a step happen with these gradients, which are only to be read; its η and λ."""
        lr, weight_decay = self._scalars(event)
        before = [None if x is None else x.copy() for x in grads]
        given = list(grads)
        with answering():
            event.happen(self._session, given)
        check_gradients(grads, before)
        if list(map(id, given)) != list(map(id, grads)):
            raise ChangedInputError(
                "the port changed the list of gradients; legal: inputs are only read"
            )
        return lr, weight_decay

    def happen(self, event: Other) -> None:
        """Let an event happen that is no step."""
        if isinstance(event, Refuse):
            self._refuse(event)
            return
        self._like = event.leaves(self._like)
        if isinstance(event, Restore):
            self.resume(self.saved())
            return
        with answering():
            event.happen(self._session)
        self._note(event)

    def saved(self) -> bytes:
        """What the session saves of itself; it goes on."""
        with answering():
            saved: object = self._session.save()
        if not isinstance(saved, bytes):
            raise PortError(f"save() returned {type(saved).__name__}; legal: bytes")
        return saved

    def again(self) -> OpenSession:
        """What is known of the session now, for one that is restored later: see `resume`."""
        later = copy.copy(self)
        later.frozen = set(self.frozen)
        return later

    def resume(self, saved: bytes) -> None:
        """Go on in the session that the port makes of what was saved."""
        if self._port.restore is None:
            what = Offer.RESTORE.value
            raise PortError(f"{self._port.name} offers {what}, but its restore is None")
        with answering():
            self._session = self._port.restore(saved)

    def read(self, like: State) -> State:
        """The session's state, which has the number, shapes and dtypes of another."""
        return read(self._session, like)[0]

    def _refuse(self, event: Refuse) -> None:
        """PortError unless the port raises, in opening a session with a β or in the step."""
        scalars: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1}
        scalars |= {"beta1": self._betas[0], "beta2": self._betas[1]}
        dtype = STORAGE_DTYPES[event.grad]
        ones = [np.ones(x.shape, dtype) for x in self._like.params]
        if event.argument == "grad":
            ones[0] = np.ones((*ones[0].shape, 2), dtype)
        else:
            scalars[event.argument] = event.value
        grads = self.thawed(Step(tuple(ones), 0, 0))
        session = self._session
        try:
            if event.argument.startswith("beta"):
                given = State.of(self._like.params, self._like.momenta)
                betas = {name: scalars[name] for name in ("beta1", "beta2")}
                session = self._port.open(list(given.params), list(given.momenta), **betas)
            session.step(grads, lr=scalars["lr"], weight_decay=scalars["weight_decay"])
        except Exception:  # noqa: BLE001 - whatever it is, it is a refusal
            return
        raise PortError(f"the port took {event.argument}={event.value!r}; legal: it raises")

    def _scalars(self, event: Step) -> tuple[float, float]:
        if event.lr is not None and event.weight_decay is not None:
            self._schedule = None
            return event.lr, event.weight_decay
        if self._schedule is None:
            raise ValueError("a step as scheduled, but no schedule")
        self._scheduled += 1
        return self._schedule.at(self._scheduled - 1)

    def _note(self, event: Event) -> None:
        if isinstance(event, Freeze):
            self.frozen.add(event.tensor)
        elif isinstance(event, Thaw):
            self.frozen.discard(event.tensor)
        elif isinstance(event, Schedule):
            self._schedule, self._scheduled = event, 0
        elif isinstance(event, (Split, Merge)):
            by = 1 if isinstance(event, Split) else -1
            self.frozen = {i + by if i > event.tensor else i for i in self.frozen}


def read(session: Session, like: State) -> tuple[State, list[Array]]:
    """What a session shows, as copies and as the arrays themselves.

    Raises PortError unless it has the number, shapes and dtypes of another state.
    """
    check_environment()
    with answering():
        shown = session.read()
        params, momenta = _checked(shown, like)
        state = State.of(params, momenta)
    check_environment()
    return state, [*params, *momenta]


def _checked(shown: object, like: State) -> tuple[Sequence[Array], Sequence[Array]]:
    read = shown_by_read(shown, len(like.params))
    for name, arrays, expected in zip(
        ("params", "momenta"), read, (like.params, like.momenta), strict=True
    ):
        for i, (array, given) in enumerate(zip(arrays, expected, strict=True)):
            if (array.dtype, array.shape) != (given.dtype, given.shape):
                found, wanted = (f"{x.dtype} {x.shape}" for x in (array, given))
                raise PortError(f"read() returned {name}[{i}] as {found}; legal: {wanted}")
    return read
