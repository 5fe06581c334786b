"""What is saved, or restored, in another order or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.session import Grads, Otherwise, Session
from lion_conformance.verdict.code import Code


def restores() -> Iterator[Alternative]:
    """All of them."""
    for words, code, make in (
        (
            "after a restore, the tenth tensor comes second: sorted as text",
            Code.TENSORS_MIXED_UP,
            AsText,
        ),
        (
            "the momenta of as many tensors are saved as were opened",
            Code.MOMENTUM_LOST,
            AsManyAsOpened,
        ),
        ("the first step after a restore is left out", Code.SOME_STEPS_WRONG, FirstLeftOut),
    ):
        yield Alternative(words, code, make)


class AsText(Otherwise):
    """p0, p1, p10, p2."""

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """In the order of their names."""
        del where
        if event == "restore":
            kept = session.kept
            order = sorted(range(len(kept.params)), key=str)
            kept.params = [kept.params[i] for i in order]
            kept.momenta = [kept.momenta[i] for i in order]


class AsManyAsOpened(Otherwise):
    """The rest are zeros."""

    def opened(self, session: Session) -> None:
        """How many there are."""
        session.memory["count"] = len(session.kept.params)

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """Those beyond."""
        del where
        if event == "restore":
            momenta: Sequence[Any] = session.kept.momenta
            count = session.memory["count"]
            beyond = [np.zeros_like(x) for x in momenta[count:]]
            session.kept.momenta = [*momenta[:count], *beyond]


class FirstLeftOut(Otherwise):
    """As the state is made at the first step."""

    def given(self, session: Session, grads: Grads) -> Grads:
        """None."""
        first = session.memory["since"].get("restore") == 1
        return [None] * len(grads) if first else grads
