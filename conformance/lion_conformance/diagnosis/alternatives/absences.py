"""What happens to a tensor that takes no part in a step: without a gradient, or frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.places import EVERYWHERE, Where
from lion_conformance.diagnosis.alternatives.session import Otherwise, Pair, Session, Turn
from lion_conformance.verdict.code import Code


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of such a tensor."""

    words: str
    act: Callable[[Session, Turn], Pair]


def _decays(session: Session, turn: Turn) -> Pair:
    del session
    factor = turn.param.dtype.type(1 - turn.lr * turn.weight_decay)
    return turn.param * factor, turn.momentum


def _decays_in_wide(session: Session, turn: Turn) -> Pair:
    still = replace(turn, momentum=turn.momentum * 0, grad=turn.param * 0)
    return session.reference.step(still)[0], turn.momentum


def _as_zeros(session: Session, turn: Turn) -> Pair:
    return session.reference.step(replace(turn, grad=np.zeros_like(turn.param)))


def _momentum_decays(session: Session, turn: Turn) -> Pair:
    return turn.param, _as_zeros(session, turn)[1]


def _moves_alone(session: Session, turn: Turn) -> Pair:
    return _as_zeros(session, turn)[0], turn.momentum


def _momentum_lost(session: Session, turn: Turn) -> Pair:
    del session
    return turn.param, np.zeros_like(turn.momentum)


def _old_gradient(session: Session, turn: Turn) -> Pair:
    grads = session.memory.get("grads taken", {})
    grad = grads.get(turn.tensor)
    if grad is None or grad.shape != turn.param.shape:
        return turn.param, turn.momentum
    return session.reference.step(replace(turn, grad=grad))


def _gradient_before(session: Session, turn: Turn) -> Pair:
    grads = session.memory.get("grads", ())
    grad = grads[turn.tensor] if turn.tensor < len(grads) else None
    if grad is None or grad.shape != turn.param.shape:
        return turn.param, turn.momentum
    return session.reference.step(replace(turn, grad=grad))


FATES: Final = (
    Fate("takes a step as with a gradient of zeros", _as_zeros),
    Fate("decays", _decays),
    Fate("decays", _decays_in_wide),
    Fate("loses its momentum", _momentum_lost),
    Fate("moves with the gradient that it had last", _old_gradient),
    Fate("moves with the gradient of the step before", _gradient_before),
    Fate("has its momentum decay", _momentum_decays),
    Fate("moves, though its momentum stays", _moves_alone),
)


@dataclass(frozen=True, slots=True)
class Who:
    """Which tensors."""

    words: str
    holds: Callable[[Session, int], bool]


def _frozen(session: Session, tensor: int) -> bool:
    return tensor in session.kept.frozen


def _frozen_before_another(session: Session, tensor: int) -> bool:
    order: list[int] = session.memory.get("order", [])
    return tensor in order and tensor != order[-1] and order[-1] in session.kept.frozen


def _free(session: Session, tensor: int) -> bool:
    return tensor not in session.kept.frozen


def _at_the_first_step(session: Session, tensor: int) -> bool:
    return session.steps == 1 and _frozen(session, tensor)


WHO: Final = (
    Who("a tensor without a gradient", _free),
    Who("a frozen tensor", _frozen),
    Who("a tensor without a gradient or frozen", lambda _s, _i: True),
    Who("a tensor that is frozen at the first step", _at_the_first_step),
    Who("of several frozen tensors, one that was frozen before another", _frozen_before_another),
)


def absences(ages: Sequence[int], where: Sequence[Where] = (EVERYWHERE,)) -> Iterator[Alternative]:
    """Fates of such tensors; ages: so many steps without a gradient, one after another."""
    for age in ages:
        for who in WHO:
            for place in where:
                for fate in FATES:
                    late = f" for {age} steps or more" if age > 1 else ""
                    which = f": {place.words}" if place.words else ""
                    yield Alternative(
                        f"{who.words}{late} {fate.words}{which}",
                        Code.ABSENT_TENSOR_CHANGED,
                        partial(Absent, fate, who, place, age),
                    )


class Absent(Otherwise):
    """A tensor that takes no part has a fate all the same."""

    def __init__(self, fate: Fate, who: Who, where: Where, age: int) -> None:
        self.fate, self.who, self.where, self.age = fate, who, where, age

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """In which order tensors are frozen."""
        order = [x for x in session.memory.get("order", []) if where and x != where[0]]
        if event in ("freeze", "thaw"):
            session.memory["order"] = order + ([where[0]] if event == "freeze" else [])

    def stepped(self, session: Session, turn: Turn) -> Pair:
        """A right step, and the gradient is remembered."""
        grads = session.memory.get("grads taken", {})
        session.memory["grads taken"] = grads | {turn.tensor: turn.grad}
        return super().stepped(session, turn)

    def absent(self, session: Session, turn: Turn) -> Pair:
        """The fate, if it is one of these tensors, and the time."""
        i = turn.tensor
        ages = session.memory.get("absent", [])
        age = 1 + (ages[i] if i < len(ages) else 0)
        if age >= self.age and self.who.holds(session, i) and self.where.holds(session, i):
            return self.fate.act(session, turn)
        return turn.param, turn.momentum
