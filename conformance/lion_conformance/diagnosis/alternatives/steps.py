"""What a step may do otherwise with one tensor: other scalars, another m or g, half of its work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from lion_conformance.diagnosis.alternatives.session import Pair, Session, Turn
from lion_conformance.ports.state import recast
from lion_conformance.verdict.code import Code
from lion_ref.arithmetic import Array

Act = Callable[[Session, Turn], Pair]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a step does otherwise."""

    words: str
    """As a sentence: `η is halved`."""
    code: Code
    act: Act
    between: bool = False
    """Whether the words say that it is from the second step on."""
    done: str = ""
    """What is then not done with a tensor, if that is it: `updated`."""


GREEK: Final = {"lr": "η", "weight_decay": "λ", "beta1": "β1", "beta2": "β2"}

PARTS: Final = {0.5: "halved", 0.1: "divided by ten", 2.0: "doubled", 10.0: "ten times as large"}


def changes() -> Iterator[Change]:
    """All of them, the plainest first."""
    yield Change("nothing is updated", Code.SOME_STEPS_WRONG, _left_out, done="updated")
    yield Change("θ is not updated", Code.SOME_STEPS_WRONG, _param_kept, done="updated in θ")
    yield Change("m is not updated", Code.SOME_STEPS_WRONG, _momentum_kept, done="updated in m")
    for name in ("lr", "weight_decay"):
        yield from _scalars(name)
    yield from _betas()
    yield from _momenta()
    yield from _gradients()
    yield Change("the update is made twice", Code.SOME_STEPS_WRONG, _twice)
    yield from _stored()


def _scalars(name: str) -> Iterator[Change]:
    greek = GREEK[name]
    for which, words in (("scalars", "the step before"), ("first scalars", "the first step")):
        yield Change(
            f"the {greek} of {words} is used",
            Code.STALE_SCALARS,
            partial(_remembered, name, which),
        )
    for factor, words in PARTS.items():
        yield Change(
            f"{greek} is {words}", Code.HIDDEN_SCHEDULE, partial(_multiplied, name, factor)
        )
    nought = "there is no decay" if name == "weight_decay" else "η is 0"
    yield Change(nought, Code.HIDDEN_SCHEDULE, partial(_multiplied, name, 0.0))


def _betas() -> Iterator[Change]:
    swapped = ({"beta1": "beta2", "beta2": "beta1"}, "β1 and β2 change places")
    for taken, words in (
        ({"beta1": "beta2"}, "β2 is used for both"),
        ({"beta2": "beta1"}, "β1 is used for both"),
        swapped,
    ):
        yield Change(words, Code.BETAS_LOST, partial(_betas_from, taken))
    yield Change(
        "β1 = 0.9 and β2 = 0.99 are used",
        Code.BETAS_LOST,
        partial(_with, {"beta1": 0.9, "beta2": 0.99}),
    )


def _momenta() -> Iterator[Change]:
    yield Change("the momentum begins anew with zeros", Code.MOMENTUM_LOST, _from_zeros)
    yield Change(
        "each step starts from the momentum of the session's beginning",
        Code.MOMENTUM_LOST,
        partial(_kept_momentum, "begun"),
        between=True,
    )
    yield Change(
        "the momentum of the step before is used",
        Code.STALE_ARRAY,
        partial(_kept_momentum, "momenta"),
    )
    for dtype in ("float16", "bfloat16", "float32"):
        yield Change(
            f"m is kept in {dtype} between steps",
            Code.STATE_ROUNDED,
            partial(_from_rounded, dtype),
            between=True,
        )
    words = "the momentum of another tensor of its shape is used"
    yield Change(words, Code.TENSORS_MIXED_UP, _momentum_of_alike)


def _gradients() -> Iterator[Change]:
    added = Code.GRADIENTS_ACCUMULATE
    yield Change("the gradients of the steps before are added", added, _added_up, between=True)
    yield Change("the gradient of the step before is added", added, _added, between=True)
    for which, words in (("grads", "the step before"), ("first grads", "the first step")):
        yield Change(
            f"the gradient of {words} is used", Code.STALE_ARRAY, partial(_old_gradient, which)
        )
    yield Change("the gradient is taken for zeros", Code.SOME_STEPS_WRONG, _no_gradient)
    yield Change("the gradient is negated", Code.SOME_STEPS_WRONG, _negated)


def _stored() -> Iterator[Change]:
    for dtype in ("float16", "bfloat16", "float32"):
        for name, which in (("m'", (False, True)), ("θ'", (True, False))):
            yield Change(
                f"{name} is rounded to {dtype}",
                Code.STATE_ROUNDED,
                partial(_result_rounded, dtype, which),
            )


def _left_out(session: Session, turn: Turn) -> Pair:
    del session
    return turn.param, turn.momentum


def _param_kept(session: Session, turn: Turn) -> Pair:
    return turn.param, session.reference.step(turn)[1]


def _momentum_kept(session: Session, turn: Turn) -> Pair:
    return session.reference.step(turn)[0], turn.momentum


def _twice(session: Session, turn: Turn) -> Pair:
    param, momentum = session.reference.step(turn)
    return session.reference.step(replace(turn, param=param, momentum=momentum))


def _with(changed: dict[str, Any], session: Session, turn: Turn) -> Pair:
    return session.reference.step(replace(turn, **changed))


def _remembered(name: str, which: str, session: Session, turn: Turn) -> Pair:
    before = session.memory.get(which)
    return _with({} if before is None else {name: before[name]}, session, turn)


def _multiplied(name: str, factor: float, session: Session, turn: Turn) -> Pair:
    return _with({name: factor * getattr(turn, name)}, session, turn)


def _betas_from(taken: dict[str, str], session: Session, turn: Turn) -> Pair:
    return _with({name: getattr(turn, other) for name, other in taken.items()}, session, turn)


def _from_zeros(session: Session, turn: Turn) -> Pair:
    return _with({"momentum": np.zeros_like(turn.momentum)}, session, turn)


def _kept_momentum(which: str, session: Session, turn: Turn) -> Pair:
    kept = session.memory.get(which, ())
    return _with(_if_it_fits("momentum", kept, turn), session, turn)


def _if_it_fits(name: str, kept: Any, turn: Turn) -> dict[str, Any]:
    """The tensor's old array, where there is one of its shape and dtype."""
    own = getattr(turn, name)
    old = kept[turn.tensor] if turn.tensor < len(kept) else None
    fits = old is not None and (old.shape, old.dtype) == (own.shape, own.dtype)
    return {name: old} if fits else {}


def narrowed(array: Array, dtype: str) -> Array:
    """Rounded to another dtype and back."""
    with np.errstate(all="ignore"):
        return recast(recast(array, dtype), array.dtype.name)


def _from_rounded(dtype: str, session: Session, turn: Turn) -> Pair:
    return _with({"momentum": narrowed(turn.momentum, dtype)}, session, turn)


def _momentum_of_alike(session: Session, turn: Turn) -> Pair:
    momenta = session.kept.momenta
    others = [i for i in alike(momenta, turn.tensor) if i != turn.tensor]
    return _with({"momentum": momenta[others[0]]} if others else {}, session, turn)


def alike(arrays: list[Any], tensor: int) -> list[int]:
    """The tensors of one's shape and dtype, with oneself."""
    own = arrays[tensor]
    return [
        i
        for i, x in enumerate(arrays)
        if x is not None and (x.shape, x.dtype) == (own.shape, own.dtype)
    ]


def _sum(turn: Turn, kept: Any) -> Array | None:
    if kept is None or turn.grad is None or kept.shape != turn.grad.shape:
        return turn.grad
    with np.errstate(all="ignore"):
        total: Array = turn.grad + kept
        return total


def _added(session: Session, turn: Turn) -> Pair:
    old = _if_it_fits("grad", session.memory.get("grads", ()), turn)
    return _with({"grad": _sum(turn, old.get("grad"))}, session, turn)


def _added_up(session: Session, turn: Turn) -> Pair:
    """As in a buffer that nobody empties."""
    sums = session.memory.get("sums", {})
    old = _if_it_fits("grad", session.memory.get("grads", ()), turn).get("grad")
    total = _sum(turn, sums.get(turn.tensor, old))
    session.memory["sums"] = sums | {turn.tensor: total}
    return _with({"grad": total}, session, turn)


def _old_gradient(which: str, session: Session, turn: Turn) -> Pair:
    return _with(_if_it_fits("grad", session.memory.get(which, ()), turn), session, turn)


def _no_gradient(session: Session, turn: Turn) -> Pair:
    return _with({"grad": None if turn.grad is None else np.zeros_like(turn.grad)}, session, turn)


def _negated(session: Session, turn: Turn) -> Pair:
    return _with({"grad": None if turn.grad is None else -turn.grad}, session, turn)


def _result_rounded(dtype: str, which: tuple[bool, bool], session: Session, turn: Turn) -> Pair:
    param, momentum = session.reference.step(turn)
    return (
        narrowed(param, dtype) if which[0] else param,
        narrowed(momentum, dtype) if which[1] else momentum,
    )
