"""Which tensor's gradient, or momentum, a tensor of a list takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.session import (
    Grads,
    Otherwise,
    Pair,
    Session,
    Turn,
)
from lion_conformance.diagnosis.alternatives.steps import alike
from lion_conformance.ports.state import recast
from lion_conformance.verdict.code import Code


def lists() -> Iterator[Alternative]:
    """All of them."""
    for words, make, clause in (
        ("tensors of one shape share a momentum", SharedByShape, "C12"),
        ("gradients of two tensors of one shape change places", Mirrored, "C12"),
        ("tensors of one shape take each other's gradients in turn", Turned, "C12"),
        ("tensors of one shape all take the gradient of the first", OfTheFirst, "C12"),
        ("of several scalars, all take the gradient of the first", OfScalars, "C12"),
        ("momenta of two tensors of one shape change places", MomentaSwapped, "C12"),
        (
            "gradients are counted without the missing ones, where shapes agree",
            GradientsCounted,
            "C30",
        ),
        (
            "momenta are counted without tensors that have no gradient, where shapes agree",
            MomentaCounted,
            "C30",
        ),
    ):
        yield Alternative(words, Code.TENSORS_MIXED_UP, make, clause)
    yield Alternative(
        "all gradients are rounded to the dtype of the first",
        Code.ROUNDED_IN_BETWEEN,
        DtypeOfTheFirst,
        "C2",
    )


class SharedByShape(Otherwise):
    """The first of a shape has the momentum of the last that was stepped."""

    def stepped(self, session: Session, turn: Turn) -> Pair:
        """A step, whose m' is the first one's too."""
        found = super().stepped(session, turn)
        first = alike(session.kept.params, turn.tensor)[0]
        if first != turn.tensor and session.kept.momenta[first].shape == found[1].shape:
            session.kept.momenta[first] = found[1]
        return found


class Mirrored(Otherwise):
    """The last of a shape has the gradient of the first, and so on."""

    def given(self, session: Session, grads: Grads) -> Grads:
        """The gradients in another order."""
        del session
        return [self._other(grads, i) for i in range(len(grads))]

    def _other(self, grads: Grads, i: int) -> Any:
        if grads[i] is None:
            return None
        places = alike(grads, i)
        return grads[self._place(places, places.index(i))]

    def _place(self, places: Sequence[int], own: int) -> int:
        return places[-1 - own]


class Turned(Mirrored):
    """Each has the gradient of the one before."""

    def _place(self, places: Sequence[int], own: int) -> int:
        return places[own - 1]


class OfTheFirst(Mirrored):
    """All have the first one's."""

    def _place(self, places: Sequence[int], own: int) -> int:
        del own
        return places[0]


class OfScalars(OfTheFirst):
    """Where all tensors are scalars."""

    def given(self, session: Session, grads: Grads) -> Grads:
        """The gradients; in a list of anything else each its own."""
        scalars = all(x is not None and x.ndim == 0 for x in grads)
        return super().given(session, grads) if scalars else grads


class MomentaSwapped(Otherwise):
    """Behind each step."""

    def step(self, session: Session, grads: Grads, lr: float, weight_decay: float) -> None:
        """A step, then other places."""
        super().step(session, grads, lr, weight_decay)
        swap(session)


def swap(session: Session) -> None:
    """Let the momenta of two tensors of one shape change places."""
    momenta = session.kept.momenta
    before = list(momenta)
    for i in range(len(momenta)):
        places = alike(before, i)
        momenta[i] = before[places[-1 - places.index(i)]]


def _in_place_of(arrays: Sequence[Any], other: int, own: int) -> int:
    fits = (arrays[other].shape, arrays[other].dtype) == (arrays[own].shape, arrays[own].dtype)
    return other if fits else own


class GradientsCounted(Otherwise):
    """The k-th that there is belongs to the k-th tensor."""

    def given(self, session: Session, grads: Grads) -> Grads:
        """The gradients, moved to the front."""
        moved: Grads = [None] * len(grads)
        for k, i in enumerate(i for i, x in enumerate(grads) if x is not None):
            moved[_in_place_of(session.kept.params, k, i)] = grads[i]
        return moved


class MomentaCounted(Otherwise):
    """The k-th tensor that has a gradient takes the k-th momentum."""

    def step(self, session: Session, grads: Grads, lr: float, weight_decay: float) -> None:
        """A step, in other momenta."""
        kept = session.kept
        for k, i in enumerate(i for i, x in enumerate(grads) if x is not None):
            j = _in_place_of(kept.momenta, k, i)
            turn = Turn(
                i, kept.params[i], kept.momenta[j], grads[i], lr, weight_decay, **kept.betas
            )
            kept.params[i], kept.momenta[j] = session.reference.step(turn)


class DtypeOfTheFirst(Otherwise):
    """A list of several dtypes is gathered in one."""

    def given(self, session: Session, grads: Grads) -> Grads:
        """The gradients, rounded."""
        del session
        dtypes = [x.dtype.name for x in grads if x is not None]
        with np.errstate(all="ignore"):
            return [
                None if x is None else recast(recast(x, dtypes[0]), x.dtype.name) for x in grads
            ]
