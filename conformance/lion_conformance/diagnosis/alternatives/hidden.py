"""What is kept beside θ and m: more bits than are shown, what rounding has lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.session import Grads, Otherwise, Pair, Session, Turn
from lion_conformance.ports.state import recast
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array


def hidden(dtype: str, momentum: str) -> Iterator[Alternative]:
    """All of them, for the dtypes of θ and m."""
    for wide in ("float32", "float64"):
        if dtype not in (wide, "float64") and not (wide == "float64" and dtype != "float32"):
            yield Alternative(
                f"θ is kept in {wide} between steps and shown in {dtype}",
                Code.HIDDEN_STATE,
                partial(KeptWider, wide, "param"),
            )
        if momentum not in (wide, "float64") and wide == "float32":
            yield Alternative(
                f"m is kept in {wide} between steps and shown in {momentum}",
                Code.HIDDEN_STATE,
                partial(KeptWider, wide, "momentum"),
            )
    yield from stale()
    for tolerance in (1e-5, 1e-9):
        yield Alternative(
            "η and λ are those of the step before where they are close to them",
            Code.STALE_SCALARS,
            partial(NearlyTheSame, tolerance),
        )
    words = "what rounding m' lost is added in the next step"
    yield Alternative(words, Code.HIDDEN_STATE, Compensated)


def stale() -> Iterator[Alternative]:
    """A reading that is a step late."""
    for words, which in (("parameters", "params"), ("momenta", "momenta")):
        yield Alternative(
            f"read() shows the {words} of the step before",
            Code.READING_MATTERS,
            partial(Stale, which),
        )


class KeptWider(Otherwise):
    """A wide copy is stepped, and what is shown is rounded from it."""

    def __init__(self, wide: str, which: str) -> None:
        self.wide, self.which = wide, which

    def stepped(self, session: Session, turn: Turn) -> Pair:
        """A step of the wide copy."""
        copies: dict[int, Any] = session.memory.setdefault("wide", {})
        own = getattr(turn, self.which)
        copy = copies.get(turn.tensor)
        if copy is None or copy.shape != own.shape:
            copy = recast(own, self.wide)
        wider: dict[str, Any] = {self.which: copy}
        found = list(session.reference.step(replace(turn, **wider)))
        at = 0 if self.which == "param" else 1
        copies[turn.tensor] = found[at]
        found[at] = recast(found[at], own.dtype.name)
        return found[0], found[1]


class Compensated(Otherwise):
    """As Kahan's summation does."""

    def stepped(self, session: Session, turn: Turn) -> Pair:
        """A step, and what the one before lost."""
        lost: dict[int, Any] = session.memory.setdefault("lost", {})
        param, momentum = session.reference.step(turn)
        before = lost.get(turn.tensor)
        kind = momentum.dtype
        with np.errstate(all="ignore"):
            if before is not None and before.shape == momentum.shape:
                momentum = momentum + before
            exact = turn.beta2 * np.float64(turn.momentum)
            exact = exact + (1 - turn.beta2) * np.float64(turn.grad)
            lost[turn.tensor] = np.nan_to_num(np.asarray(exact - momentum).astype(kind))
        return param, momentum


class Stale(Otherwise):
    """What is read is a step old."""

    def __init__(self, which: str) -> None:
        self.which = which

    def shown(self, session: Session) -> tuple[list[Array], list[Array]]:
        """θ and m, one of them as it was."""
        now = dict(zip(("params", "momenta"), super().shown(session), strict=True))
        now |= {self.which: session.memory.get(self.which, now[self.which])}
        return now["params"], now["momenta"]


class NearlyTheSame(Otherwise):
    """η and λ are sent again only if one of them is not close to what was sent last."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance

    def step(self, session: Session, grads: Grads, lr: float, weight_decay: float) -> None:
        """A step with what was sent."""
        now = (lr, weight_decay)
        sent = session.memory.get("sent")
        absolute = 1e-8 if self.tolerance > 1e-8 else 0.0
        if sent is None or not np.allclose(now, sent, rtol=self.tolerance, atol=absolute):
            sent = now
        session.memory["sent"] = sent
        super().step(session, grads, *sent)


def known_by_place() -> Iterator[Alternative]:
    """Of a callable that keeps an array and what it has made of it: see `from_callable`."""
    for which, words in (("param", "a θ"), ("momentum", "a momentum")):
        yield Alternative(
            f"{words} is known by its array: new numbers in it are not read",
            Code.KNOWN_BY_ARRAY,
            partial(KnownByPlace, which),
        )


class KnownByPlace(Otherwise):
    """From its second call on a tensor comes in the same arrays, whose numbers are read once."""

    def __init__(self, which: str) -> None:
        self.which = which

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """Tensors that are made anew come in new arrays."""
        del where
        if event in ("split", "merge", "momentum_dtype"):
            session.memory["calls"] = {}

    def stepped(self, session: Session, turn: Turn) -> Pair:
        """A step from what was read at the second."""
        calls = session.memory.setdefault("calls", {})
        own = getattr(turn, self.which)
        count, first = calls.get(turn.tensor, (0, own))
        if count < 2 or first.shape != own.shape:
            first = own
        calls[turn.tensor] = (count + 1, first)
        return session.reference.step(replace(turn, **{self.which: first}))
