"""The reference as a session that offers everything, and in which one thing is otherwise."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Final

import numpy as np

import lion_ref
from lion_conformance.ports.protocol import Port
from lion_conformance.ports.state import recast
from lion_ref import Semantics
from lion_ref.arithmetic import Array

Pair = tuple[Array, Array]
Grads = list[Array | None]

MOST: Final = 2**28
"""Bytes of results that are kept: alternatives have most of their steps in common."""


@dataclass(slots=True)
class Turn:
    """One tensor's part in a step, which an alternative may change before it is made."""

    tensor: int
    param: Array
    momentum: Array
    grad: Array | None
    lr: float
    weight_decay: float
    beta1: float
    beta2: float


class Reference:
    """Steps of one semantics; what was stepped before is not computed again."""

    def __init__(self, semantics: Semantics) -> None:
        self.semantics = semantics
        self._known: dict[Any, Pair] = {}
        self._size = 0

    def step(self, turn: Turn) -> Pair:
        """θ' and m' of a turn that has a gradient."""
        assert turn.grad is not None  # noqa: S101 - for mypy: whoever has none is not stepped
        arrays = (turn.param, turn.momentum, turn.grad)
        scalars = (turn.lr, turn.beta1, turn.beta2, turn.weight_decay)
        key = (scalars, *((x.tobytes(), x.dtype, x.shape) for x in arrays))
        found = self._known.get(key)
        if found is None:
            names = ("lr", "beta1", "beta2", "weight_decay")
            given: Any = dict(zip(names, scalars, strict=True))
            found = lion_ref.step(*arrays, **given, semantics=self.semantics)
            self._size += 4 * turn.param.nbytes + turn.grad.nbytes
            if self._size < MOST:
                self._known[key] = found
        return found


@dataclass
class Kept:
    """What decides the bits of a run, and what sessions may share by mistake."""

    params: list[Array]
    momenta: list[Array]
    betas: dict[str, float]
    frozen: set[int] = field(default_factory=set)
    rates: list[Any] = field(default_factory=lambda: [None])
    place: list[int] = field(default_factory=lambda: [0])
    """The step of the schedule that is next."""


class Otherwise:
    """One thing that is otherwise than right; here, nothing."""

    def opened(self, session: Session) -> None:
        """A session begins."""

    def given(self, session: Session, grads: Grads) -> Grads:
        """The gradients that a step takes."""
        del session
        return grads

    def stepped(self, session: Session, turn: Turn) -> Pair:
        """θ' and m' of a tensor that has a gradient."""
        return session.reference.step(turn)

    def absent(self, session: Session, turn: Turn) -> Pair:
        """θ and m behind a step of a tensor that has none, or is frozen."""
        del session
        return turn.param, turn.momentum

    def rates(self, session: Session) -> tuple[float, float]:
        """η and λ of the scheduled step, which is counted."""
        kept = session.kept
        found: tuple[float, float] = tuple(x[min(kept.place[0], len(x) - 1)] for x in kept.rates[0])
        kept.place[0] += 1
        return found

    def step(self, session: Session, grads: Grads, lr: float, weight_decay: float) -> None:
        """A whole step."""
        session.make(grads, lr, weight_decay)

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """An event is over: split, merge, freeze, thaw, save, restore, and so on."""

    def before(self, session: Session, event: str, *where: Any) -> None:
        """An event is about to happen."""

    def shown(self, session: Session) -> tuple[list[Array], list[Array]]:
        """What read() returns."""
        return list(session.kept.params), list(session.kept.momenta)

    def saved(self, session: Session) -> bytes:
        """What save() returns."""
        return session.octets()

    def restored(self, session: Session, saved: bytes) -> None:
        """A new session takes over what was saved."""
        session.resume(saved)


class Session:
    """A session of the reference in which one thing may be otherwise."""

    def __init__(
        self,
        otherwise: Otherwise,
        reference: Reference,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        beta1: float,
        beta2: float,
    ) -> None:
        self.otherwise, self.reference = otherwise, reference
        self.kept = Kept(list(params), list(momenta), {"beta1": beta1, "beta2": beta2})
        self.memory: dict[str, Any] = {"steps": 0, "begun": list(momenta), "since": {}}
        """What the steps before had: see `remember`."""
        otherwise.opened(self)

    @property
    def steps(self) -> int:
        """Which step of the session this is, the first being 1."""
        count: int = self.memory["steps"]
        return count

    def thawed(self, grads: Sequence[Array | None]) -> Grads:
        """The gradients, none for what is frozen."""
        return [None if i in self.kept.frozen else x for i, x in enumerate(grads)]

    def step(self, grads: Sequence[Array | None], *, lr: float, weight_decay: float) -> None:
        """One step."""
        self.otherwise.step(self, list(grads), lr, weight_decay)

    def step_as_scheduled(self, grads: Sequence[Array | None]) -> None:
        """One step with the schedule's η and λ."""
        self.memory["without"] = all(x is None for x in grads)
        lr, weight_decay = self.otherwise.rates(self)
        self.step(grads, lr=lr, weight_decay=weight_decay)

    def make(self, grads: Grads, lr: float, weight_decay: float) -> None:
        """Make a step now."""
        self.memory["steps"] += 1
        since = self.memory["since"]
        for event in since:
            since[event] += 1
        begun = list(self.kept.momenta), list(self.kept.params)
        taken = self.otherwise.given(self, self.thawed(grads))
        for i, grad in enumerate(taken):
            turn = Turn(
                i, self.kept.params[i], self.kept.momenta[i], grad, lr, weight_decay,
                **self.kept.betas,
            )  # fmt: skip
            how = self.otherwise.absent if grad is None else self.otherwise.stepped
            self.kept.params[i], self.kept.momenta[i] = how(self, turn)
        self.remember(grads, begun, lr, weight_decay)

    def remember(
        self, grads: Grads, begun: tuple[list[Array], list[Array]], lr: float, weight_decay: float
    ) -> None:
        """Note what the next steps may take by mistake."""
        memory = self.memory
        copies = [None if x is None else x.copy() for x in grads]
        scalars = {"lr": lr, "weight_decay": weight_decay}
        memory["grads"], memory["scalars"] = copies, scalars
        memory.setdefault("first grads", copies)
        memory.setdefault("first scalars", scalars)
        memory["momenta"], memory["params"] = begun
        ages = memory.get("absent", [0] * len(grads))
        if len(ages) != len(grads):
            ages = [0] * len(grads)
        memory["absent"] = [n + 1 if x is None else 0 for n, x in zip(ages, grads, strict=True)]

    def _happens(self, event: str, how: Callable[[], None], *where: Any) -> None:
        self.otherwise.before(self, event, *where)
        how()
        self.memory["since"][event] = 0
        self.otherwise.happened(self, event, *where)

    def freeze(self, tensor: int) -> None:
        """A tensor has no gradient from here on."""
        self._happens("freeze", partial(self.kept.frozen.add, tensor), tensor)

    def thaw(self, tensor: int) -> None:
        """It has again."""
        self._happens("thaw", partial(self.kept.frozen.discard, tensor), tensor)

    def schedule(self, lr: Sequence[float], weight_decay: Sequence[float]) -> None:
        """η and λ of the steps that follow."""

        def begin() -> None:
            self.kept.rates[0], self.kept.place[0] = (lr, weight_decay), 0

        self._happens("schedule", begin)

    def split(self, tensor: int, at: int) -> None:
        """The first rows, then the rest."""

        def cut() -> None:
            for arrays in (self.kept.params, self.kept.momenta):
                whole = arrays[tensor]
                arrays[tensor : tensor + 1] = [whole[:at].copy(), whole[at:].copy()]
            self._renumber(tensor, 1)

        self._happens("split", cut, tensor, at)

    def merge(self, tensor: int) -> None:
        """The rows of both."""

        def join() -> None:
            for arrays in (self.kept.params, self.kept.momenta):
                arrays[tensor : tensor + 2] = [np.concatenate(arrays[tensor : tensor + 2])]
            self._renumber(tensor, -1)

        self._happens("merge", join, tensor)

    def _renumber(self, tensor: int, by: int) -> None:
        frozen = {i + by if i > tensor else i for i in self.kept.frozen}
        self.kept.frozen.clear()
        self.kept.frozen |= frozen

    def momentum_dtype(self, dtype: str) -> None:
        """The momenta rounded once."""

        def cast() -> None:
            self.kept.momenta[:] = [recast(x, dtype) for x in self.kept.momenta]

        self._happens("momentum_dtype", cast, dtype)

    def move(self, device: str) -> None:
        """Nothing to do: see `happened`."""
        self._happens("move", lambda: None, device)

    def read(self) -> tuple[list[Array], list[Array]]:
        """θ and m."""
        return self.otherwise.shown(self)

    def save(self) -> bytes:
        """All that the run needs."""
        saved = self.otherwise.saved(self)
        self.otherwise.happened(self, "save")
        return saved

    def octets(self) -> bytes:
        """All of it, as bytes."""
        return pickle.dumps((self.kept, self.memory))

    def resume(self, saved: bytes) -> None:
        """Be what was saved."""
        self.kept, self.memory = pickle.loads(saved)
        self.memory["since"]["restore"] = 0

    def fork(self) -> Session:
        """A session that goes on from here by itself."""
        other = object.__new__(Session)
        other.otherwise, other.reference = self.otherwise, self.reference
        values = {f.name: getattr(self.kept, f.name).copy() for f in fields(Kept)}
        other.kept = replace(self.kept, **values)
        other.memory = self.memory | {"since": dict(self.memory["since"])}
        return other


def as_port(like: Port, otherwise: Callable[[], Otherwise], reference: Reference) -> Port:
    """A port of such sessions that offers what another does.

    otherwise: called here once: what the sessions share is this port's alone.
    """
    how = otherwise()
    return replace(
        like,
        open=partial(Session, how, reference),
        restore=None if like.restore is None else partial(restored, how, reference),
    )


def restored(otherwise: Otherwise, reference: Reference, saved: bytes) -> Session:
    """A session of what was saved."""
    session = object.__new__(Session)  # nothing is opened: what it has is what was saved
    session.otherwise, session.reference = otherwise, reference
    otherwise.restored(session, saved)
    otherwise.happened(session, "restore")
    return session
