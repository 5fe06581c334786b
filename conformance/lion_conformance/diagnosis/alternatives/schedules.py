"""What a schedule may count, and freezing, otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.session import Otherwise, Session
from lion_conformance.verdict.code import Code


def schedules() -> Iterator[Alternative]:
    """All of them."""
    for words, make in (
        ("the schedule is not advanced by a step without gradients", Waits),
        ("the schedule is a step ahead", partial(Places, 1, over=False)),
        ("the schedule is a step behind", partial(Places, -1, over=False)),
        ("the schedule starts over at its end", partial(Places, 0, over=True)),
        ("the schedule is advanced by steps that have their own η", CountsAll),
    ):
        yield Alternative(words, Code.SCHEDULE_MISCOUNTED, make)
    words = "a schedule's η and λ are rounded to float32"
    yield Alternative(words, Code.SCALARS_ROUNDED, InFloat32)
    words = "a tensor frozen twice is thawed by the second thawing alone"
    yield Alternative(words, Code.FROZEN_FORGOTTEN, Counted)


WARM_UPS: Final = (10, 100, 1000, 10_000)
"""Steps, or calls, over which people let a rate grow."""


def warm_ups() -> Iterator[Alternative]:
    """η, or λ, that grows with the number of the step, whatever the caller's schedule."""
    for steps in WARM_UPS:
        for name, greek in (("lr", "η"), ("weight_decay", "λ")):
            yield Alternative(
                f"{greek} grows over the first {steps:,} steps",
                Code.HIDDEN_SCHEDULE,
                partial(WarmedUp, name, steps),
            )


class WarmedUp(Otherwise):
    """A part of the scalar, as large as the share of the steps that have been."""

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.over = name, steps

    def step(self, session: Session, grads: Any, lr: float, weight_decay: float) -> None:
        """A step with that part."""
        scalars = {"lr": lr, "weight_decay": weight_decay}
        scalars[self.name] *= min(1.0, (session.steps + 1) / self.over)
        super().step(session, grads, **scalars)


class Waits(Otherwise):
    """A step without any gradient returns at once."""

    def rates(self, session: Session) -> tuple[float, float]:
        """The step's, which is counted if there is a gradient."""
        place = session.kept.place[0]
        found = super().rates(session)
        if session.memory["without"]:
            session.kept.place[0] = place
        return found


class Places(Otherwise):
    """Another place in the schedule."""

    def __init__(self, by: int, *, over: bool) -> None:
        self.by, self.over = by, over

    def rates(self, session: Session) -> tuple[float, float]:
        """Those of the other place."""
        place = session.kept.place[0]
        session.kept.place[0] = place + 1
        at = max(0, place + self.by)
        lr, weight_decay = (
            x[at % len(x) if self.over else min(at, len(x) - 1)] for x in session.kept.rates[0]
        )
        return lr, weight_decay


class CountsAll(Otherwise):
    """Any step advances it."""

    def step(self, session: Session, grads: Any, lr: float, weight_decay: float) -> None:
        """A step, and one on."""
        super().step(session, grads, lr, weight_decay)
        counted = session.memory.pop("counted", False)
        session.kept.place[0] += 0 if counted else 1

    def rates(self, session: Session) -> tuple[float, float]:
        """Counted here."""
        session.memory["counted"] = True
        return super().rates(session)


class InFloat32(Otherwise):
    """The schedule is an array of float32."""

    def rates(self, session: Session) -> tuple[float, float]:
        """Rounded."""
        lr, weight_decay = (float(np.float32(x)) for x in super().rates(session))
        return lr, weight_decay


class Counted(Otherwise):
    """Freezings are counted."""

    def before(self, session: Session, event: str, *where: Any) -> None:
        """One more, or one less."""
        times = session.memory.setdefault("times", {})
        if event in ("freeze", "thaw"):
            by = 1 if event == "freeze" else -1
            times[where[0]] = times.get(where[0], 0) + by

    def given(self, session: Session, grads: Any) -> Any:
        """No gradient for what was frozen more often than thawed."""
        times = session.memory.get("times", {})
        return [None if times.get(i, 0) > 0 else x for i, x in enumerate(grads)]
