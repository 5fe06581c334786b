"""What an event leaves behind that it must not: zeros, fewer bits, another order, no betas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.lists import swap
from lion_conformance.diagnosis.alternatives.session import Otherwise, Session
from lion_conformance.diagnosis.alternatives.steps import narrowed
from lion_conformance.ports.state import recast
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array

OCCASIONS: Final = {
    "save": "saving changes the session: ",
    "restore": "after a restore, ",
    "freeze": "when a tensor is frozen, ",
    "thaw": "when a tensor is thawed, ",
    "split": "when a tensor is cut in two, ",
    "merge": "when two tensors are joined, ",
    "momentum_dtype": "when the momenta get another dtype, ",
    "move": "after a move to another device, ",
    "schedule": "when a schedule begins, ",
}

NARROW: Final = ("float16", "bfloat16", "float32")


@dataclass(frozen=True, slots=True)
class Effect:
    """What an event does to a session beside what it should."""

    words: str
    code: Code
    act: Callable[[Session, Sequence[int]], None]
    """On some of its tensors."""
    parts: frozenset[str] = frozenset()
    """What it changes at once: `params`, `momenta`; nothing of these: what only a step shows."""


class After(Otherwise):
    """An effect, behind every event of a kind."""

    def __init__(self, event: str, effect: Effect, *, its_own: bool, least: int = 0) -> None:
        self.event, self.effect, self.its_own, self.least = event, effect, its_own, least

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """The effect, on the event's tensors or on all."""
        if event == "freeze":
            session.memory.setdefault("frozen at", {})[where[0]] = session.steps
        if event != self.event:
            return
        if self.least and session.steps - self._frozen_at(session, where[0]) < self.least:
            return
        count = len(session.kept.params)
        tensors = [where[0]] if self.its_own else range(count)
        if self.its_own and event == "split":
            tensors = [where[0], where[0] + 1]
        self.effect.act(session, tensors)

    @staticmethod
    def _frozen_at(session: Session, tensor: int) -> int:
        found: int = session.memory.get("frozen at", {}).get(tensor, session.steps)
        return found


def after_event(event: str, age: int = 0) -> Iterator[Alternative]:
    """All that may be left behind an event; age: the steps for which the tensor was frozen."""
    its_own = event in ("freeze", "thaw", "split", "merge")
    momenta = "its momenta become" if event == "save" else "the momenta become"
    for effect in effects("its momentum becomes" if its_own else momenta, plural=not its_own):
        said = OCCASIONS[event] + effect.words
        code = Code.SAVING_CHANGES_SESSION if event == "save" else effect.code
        if its_own:
            yield Alternative(said, code, partial(After, event, effect, its_own=True))
            for least in range(2, age + 1) if event == "thaw" else ():
                yield Alternative(
                    f"when a tensor is thawed after {least} steps or more, {effect.words}",
                    code,
                    partial(After, event, effect, its_own=True, least=least),
                )
        else:
            yield Alternative(said, code, partial(After, event, effect, its_own=False))


def effects(momenta: str, *, plural: bool) -> Iterator[Effect]:
    """All of them; plural: on all tensors."""
    thetas = "the parameters are" if plural else "θ is"
    ms = "the momenta are" if plural else "m is"
    lost, rounded, altered = Code.MOMENTUM_LOST, Code.STATE_ROUNDED, Code.STATE_ALTERED
    yield Effect(f"{momenta} zeros", lost, partial(_each, "momenta", np.zeros_like))
    for dtype in NARROW:
        rounding = partial(_round, dtype)
        yield Effect(f"{ms} rounded to {dtype}", rounded, partial(_each, "momenta", rounding))
        yield Effect(f"{thetas} rounded to {dtype}", rounded, partial(_each, "params", rounding))
    yield Effect(f"{ms} in the dtype of θ", rounded, _like_params)
    for words, which in ((f"{momenta} 0", "momenta"), (f"{thetas} made 0", "params")):
        effect = partial(_each, which, _made_finite)
        yield Effect(f"{words} where not finite", altered, effect)
    yield Effect(f"{ms} those of the session's beginning", lost, _begun)
    yield Effect(f"{ms} negated", altered, partial(_each, "momenta", lambda x: -x))
    yield Effect(
        "momenta of two tensors of one shape change places",
        Code.TENSORS_MIXED_UP,
        lambda s, _: swap(s),
    )
    yield Effect("β1 and β2 are 0.9 and 0.99 again", Code.BETAS_LOST, _defaults)
    for words, place in (
        ("starts over", partial(_place, 0, 0)),
        ("is a step behind", partial(_place, 1, -1)),
        ("is a step ahead", partial(_place, 1, 1)),
    ):
        yield Effect(f"the schedule {words}", Code.SCHEDULE_MISCOUNTED, place)
    yield Effect(
        "frozen tensors are thawed", Code.FROZEN_FORGOTTEN, lambda s, _: s.kept.frozen.clear()
    )


def _each(
    which: str, how: Callable[[Array], Array], session: Session, tensors: Sequence[int]
) -> None:
    arrays = getattr(session.kept, which)
    with np.errstate(all="ignore"):
        for i in tensors:
            arrays[i] = how(arrays[i])


def _round(dtype: str, array: Array) -> Array:
    return narrowed(array, dtype)


def _made_finite(array: Array) -> Array:
    return np.where(np.isfinite(array), array, array.dtype.type(0))


def _like_params(session: Session, tensors: Sequence[int]) -> None:
    kept = session.kept
    for i in tensors:
        kept.momenta[i] = recast(kept.momenta[i], kept.params[i].dtype.name)


def _begun(session: Session, tensors: Sequence[int]) -> None:
    begun = session.memory["begun"]
    for i in tensors:
        if i < len(begun) and begun[i].shape == session.kept.momenta[i].shape:
            session.kept.momenta[i] = begun[i]


def _defaults(session: Session, _: Sequence[int]) -> None:
    session.kept.betas.update(beta1=0.9, beta2=0.99)


def _place(factor: int, by: int, session: Session, _: Sequence[int]) -> None:
    session.kept.place[0] = max(0, session.kept.place[0] * factor + by)


def cuts() -> Iterator[Alternative]:
    """What splitting and joining may do otherwise."""
    for words, how in (
        ("the halves' momenta change places", _halves_swapped),
        ("the second half's momentum becomes zeros", _second_anew),
        ("both halves start with the first rows of m", _rows_of_the_first),
        ("the momentum of a matrix is cut by columns", _by_columns),
    ):
        said = f"when a tensor is cut in two, {words}"
        yield Alternative(said, Code.CUT_MOMENTUM_WRONG, partial(Cut, "split", how))
    for words, how in (
        ("the second comes first", partial(_joined_backwards, ("params", "momenta"))),
        ("the second's momentum comes first", partial(_joined_backwards, ("momenta",))),
        ("the second's momentum becomes zeros", _second_joined_anew),
    ):
        said = f"when two tensors are joined, {words}"
        yield Alternative(said, Code.CUT_MOMENTUM_WRONG, partial(Cut, "merge", how))
    words = "frozen tensors are known by their place, which a split changes"
    yield Alternative(words, Code.FROZEN_FORGOTTEN, ByPlace)


class Cut(Otherwise):
    """A split or a merge, and what becomes of it then."""

    def __init__(self, event: str, how: Callable[[Session, dict[str, Any], int], None]) -> None:
        self.event, self.how = event, how
        self.whole: dict[str, Any] = {}

    def before(self, session: Session, event: str, *where: Any) -> None:
        """What there was."""
        if event == self.event:
            kept, i = session.kept, where[0]
            self.whole = {
                "params": kept.params[i : i + 2],
                "momenta": kept.momenta[i : i + 2],
                "at": where[-1],
            }

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """What becomes of it."""
        if event == self.event:
            self.how(session, self.whole, where[0])


def _halves_swapped(session: Session, whole: dict[str, Any], i: int) -> None:
    rows, at = np.roll(whole["momenta"][0], -whole["at"], axis=0), whole["at"]
    momenta = session.kept.momenta
    if 2 * at == len(rows):
        momenta[i], momenta[i + 1] = momenta[i + 1], momenta[i]
    else:
        momenta[i] = rows[:at].copy()


def _second_anew(session: Session, _: dict[str, Any], i: int) -> None:
    session.kept.momenta[i + 1] = np.zeros_like(session.kept.momenta[i + 1])


def _rows_of_the_first(session: Session, whole: dict[str, Any], i: int) -> None:
    rows, momenta = whole["momenta"][0], session.kept.momenta
    count = len(momenta[i + 1])
    if len(rows) >= count:
        momenta[i + 1] = rows[:count].copy()


def _by_columns(session: Session, whole: dict[str, Any], i: int) -> None:
    rows, momenta = whole["momenta"][0], session.kept.momenta
    if rows.ndim == 2:
        flat, shapes = rows.ravel(order="F"), [momenta[k].shape for k in (i, i + 1)]
        momenta[i] = flat[: momenta[i].size].reshape(shapes[0])


def _joined_backwards(
    which: Sequence[str], session: Session, whole: dict[str, Any], i: int
) -> None:
    for name in which:
        getattr(session.kept, name)[i] = np.concatenate(whole[name][::-1])


def _second_joined_anew(session: Session, whole: dict[str, Any], i: int) -> None:
    first, second = whole["momenta"]
    session.kept.momenta[i] = np.concatenate([first, np.zeros_like(second)])


class ByPlace(Otherwise):
    """A split, or a joining, leaves the numbers of the frozen tensors as they were."""

    def before(self, session: Session, event: str, *where: Any) -> None:
        """The numbers before."""
        del where
        if event in ("split", "merge"):
            session.memory["frozen"] = set(session.kept.frozen)

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """Are the numbers after."""
        del where
        if event in ("split", "merge"):
            session.kept.frozen |= session.memory["frozen"]


def casts() -> Iterator[Alternative]:
    """What giving the momenta another dtype may do otherwise."""
    given = "when the momenta get another dtype"
    for dtype in NARROW:
        for words, frozen_alone in (("they are", False), ("that of a frozen tensor is", True)):
            yield Alternative(
                f"{given}, {words} rounded to {dtype} first",
                Code.STATE_ROUNDED,
                partial(Cast, partial(_by_way_of, dtype), frozen_alone=frozen_alone),
            )
    yield Alternative(
        f"{given}, they are truncated instead of rounded",
        Code.STATE_ROUNDED,
        partial(Cast, _truncated, frozen_alone=False),
    )


class Cast(Otherwise):
    """Another dtype of momentum, by another rounding."""

    def __init__(self, how: Callable[[Array, str], Array], *, frozen_alone: bool) -> None:
        self.how, self.frozen_alone = how, frozen_alone
        self.old: list[Array] = []

    def before(self, session: Session, event: str, *where: Any) -> None:
        """The momenta before."""
        del where
        if event == "momentum_dtype":
            self.old = list(session.kept.momenta)

    def happened(self, session: Session, event: str, *where: Any) -> None:
        """The momenta after."""
        if event != "momentum_dtype":
            return
        for i, old in enumerate(self.old):
            if not self.frozen_alone or i in session.kept.frozen:
                with np.errstate(all="ignore"):
                    session.kept.momenta[i] = self.how(old, where[0])


def _by_way_of(dtype: str, old: Array, new: str) -> Array:
    return recast(recast(old, dtype), new)


def _truncated(old: Array, new: str) -> Array:
    found = recast(old, new)
    if found.dtype.itemsize >= old.dtype.itemsize:
        return found
    larger = np.abs(found.astype(old.dtype)) > np.abs(old)
    return np.where(larger, np.nextafter(found, found * 0), found)
