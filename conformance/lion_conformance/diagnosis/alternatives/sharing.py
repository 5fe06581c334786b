"""What only shows when nobody reads, beside another session, or when what was saved comes back."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.events import after_event
from lion_conformance.diagnosis.alternatives.session import Grads, Otherwise, Pair, Session, Turn
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array

_SAVED: Final = Code.SAVED_STATE_CHANGES


def sharing(*, restores: bool) -> Iterator[Alternative]:
    """All of them; restores: whether sessions can be saved."""
    yield from _late()
    for names, words in (
        (("momenta",), "sessions share their momenta: those of the session opened last"),
        (("params",), "sessions share their parameters: those of the session opened last"),
        (("betas",), "sessions share β1 and β2: those of the session opened last"),
        (("frozen",), "a tensor frozen in one session is frozen in every other"),
        (("place",), "the steps of all sessions advance one schedule"),
        (("rates", "place"), "sessions share their schedule: that of the session opened last"),
        (("params", "momenta"), "sessions share θ and m: those of the session opened last"),
    ):
        yield Alternative(words, Code.SESSIONS_SHARE_STATE, partial(Shared, names))
    yield Alternative(
        "sessions whose tensors have the same shapes are one session",
        Code.SESSIONS_SHARE_STATE,
        OneSession,
    )
    yield Alternative(
        "a gradient is known by its array: new numbers in it are not read",
        Code.KNOWN_BY_ARRAY,
        Known,
    )
    if restores:
        yield from after_event("save")
        for words, code, make in (
            ("what was saved goes on changing with the session", _SAVED, ByReference),
            ("all sessions save into one place, and restore what is there", _SAVED, OneFile),
            (
                "a restored session has the betas of the session opened last",
                Code.SESSIONS_SHARE_STATE,
                LastBetas,
            ),
        ):
            yield Alternative(words, code, make)


def _late() -> Iterator[Alternative]:
    made = "steps are made only when the state is read"
    for words, how in (
        ("of several the last alone", "last alone"),
        ("all with η of the last", "last rate"),
        ("from gradients that have changed by then", "late gradients"),
    ):
        yield Alternative(f"{made}, {words}", Code.READING_MATTERS, partial(Waiting, how))
    words = "read() shows an old state where several steps were made since"
    yield Alternative(words, Code.READING_MATTERS, OldState)


class Waiting(Otherwise):
    """Steps wait for a reading."""

    def __init__(self, how: str) -> None:
        self.how = how

    def step(self, session: Session, grads: Grads, lr: float, weight_decay: float) -> None:
        """Note the step."""
        if self.how != "late gradients":
            grads = [None if x is None else x.copy() for x in grads]
        waiting = session.memory.get("waiting", [])
        if self.how == "last alone":
            waiting = []
        elif self.how == "last rate":
            waiting = [(given, lr, decay) for given, _, decay in waiting]
        session.memory["waiting"] = [*waiting, (grads, lr, weight_decay)]

    def shown(self, session: Session) -> tuple[list[Array], list[Array]]:
        """Make the steps."""
        for grads, lr, weight_decay in session.memory.pop("waiting", []):
            session.make(grads, lr, weight_decay)
        return super().shown(session)


class OldState(Otherwise):
    """What was shown is shown again unless one step has been made since."""

    def shown(self, session: Session) -> tuple[list[Array], list[Array]]:
        """The state, or an older one."""
        memory = session.memory
        since = session.steps - memory.get("shown at", 0)
        memory["shown at"] = session.steps
        if since == 1 or "shown" not in memory:
            memory["shown"] = super().shown(session)
        found: tuple[list[Array], list[Array]] = memory["shown"]
        return found


class Shared(Otherwise):
    """Some of what is kept belongs to the module."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.of_all: dict[str, Any] = {}

    def opened(self, session: Session) -> None:
        """What is new goes to all; what is frozen stays."""
        kept = session.kept
        for name in self.names:
            own = getattr(kept, name)
            shared = self.of_all.setdefault(name, own)
            if name in ("params", "momenta"):
                shared[:] = own
            elif name == "betas":
                shared.update(own)
            setattr(kept, name, shared)


class OneSession(Otherwise):
    """Whoever has the same shapes has the same state, set anew by each."""

    def __init__(self) -> None:
        self.pool: dict[Any, Session] = {}

    def opened(self, session: Session) -> None:
        """The state of the shapes."""
        key = tuple(x.shape for x in session.kept.params)
        if key in self.pool:
            first = self.pool[key]
            first.kept.params[:] = session.kept.params
            first.kept.momenta[:] = session.kept.momenta
            first.kept.betas.update(session.kept.betas)
            session.kept, session.memory = first.kept, first.memory
        else:
            self.pool[key] = session


class Known(Otherwise):
    """A gradient is read once from each array."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[Array, Array]] = {}

    def stepped(self, session: Session, turn: Turn) -> Pair:
        """The numbers that the array had first."""
        grad: Any = turn.grad
        turn.grad = self.seen.setdefault(id(grad), (grad, grad.copy()))[1]
        return super().stepped(session, turn)


class ByReference(Otherwise):
    """What is saved is the session's name."""

    def __init__(self) -> None:
        self.of_all: list[Session] = []

    def saved(self, session: Session) -> bytes:
        """Its number."""
        self.of_all.append(session)
        return pickle.dumps(len(self.of_all) - 1)

    def restored(self, session: Session, saved: bytes) -> None:
        """What it has by now."""
        session.resume(self.of_all[pickle.loads(saved)].octets())


class OneFile(Otherwise):
    """The file is written over by every session."""

    file = b""

    def saved(self, session: Session) -> bytes:
        """Its name."""
        self.file = session.octets()
        return b"the file"

    def restored(self, session: Session, saved: bytes) -> None:
        """What is in it."""
        del saved
        session.resume(self.file)


class LastBetas(Otherwise):
    """The betas are not saved, and belong to the module."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def opened(self, session: Session) -> None:
        """These are the last."""
        self.last.update(session.kept.betas)

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """It takes the last."""
        del where
        if event == "restore":
            session.kept.betas = dict(self.last)
