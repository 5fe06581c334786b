"""An alternative: what it is in a sentence, and how to make it anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lion_conformance.diagnosis.alternatives.places import EVERYWHERE, When, Where, from_step
from lion_conformance.diagnosis.alternatives.session import Otherwise, Pair, Session, Turn
from lion_conformance.diagnosis.alternatives.steps import Change
from lion_conformance.verdict.code import Code


@dataclass(frozen=True, slots=True)
class Alternative:
    """A right session with one thing otherwise."""

    sentence: str
    code: Code
    make: Callable[[], Otherwise]
    """Each has memory of its own, which its sessions share."""
    clause: str = "C30"


class InSteps(Otherwise):
    """Steps that make a change, some of them, with some tensors."""

    def __init__(self, change: Change, when: When, where: Where = EVERYWHERE) -> None:
        self.change, self.when, self.where = change, when, where

    def stepped(self, session: Session, turn: Turn) -> Pair:
        """Changed, if it is the time and the tensor."""
        if self.when.holds(session) and self.where.holds(session, turn.tensor):
            return self.change.act(session, turn)
        return session.reference.step(turn)


def in_steps(change: Change, when: When, where: Where = EVERYWHERE) -> Alternative:
    """The change, for some steps and tensors."""
    left_out = change.done and where.words
    return Alternative(
        said(change, when, where),
        Code.TENSORS_LEFT_OUT if left_out else change.code,
        lambda: InSteps(change, when, where),
        "C30" if when.words else "C12",
    )


def said(change: Change, when: When, where: Where) -> str:
    """The sentence.

    >>> from lion_conformance.diagnosis.alternatives.places import at_step, from_step
    >>> code = Code.SOME_STEPS_WRONG
    >>> left_out = Change("nothing is updated", code, lambda *_: ..., done="updated")
    >>> said(left_out, at_step(2), EVERYWHERE)
    'the second step is left out'
    >>> said(left_out, from_step(2), Where("the last of several tensors", lambda *_: True))
    'from the second step on, the last of several tensors is not updated'
    """
    if change.done == "updated" and when.one and not where.words:
        return f"{when.one} left out"
    unsaid = not when.words or (change.between and when.words == from_step(2).words)
    before = "" if unsaid else f"{when.words}, "
    if not where.words:
        return before + change.words
    if not change.done:
        return f"{before}in {where.words}, {change.words}"
    if where.but:
        return f"{before}only {where.but} is {change.done}"
    return f"{before}{where.words} {'are' if where.plural else 'is'} not {change.done}"
