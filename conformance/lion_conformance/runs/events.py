"""What may happen to a run: plain values, so that a run can be told, shortened and replayed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from lion_conformance.ports.offers import Offer
from lion_conformance.ports.state import State, recast
from lion_ref.arithmetic import Array, bits

SPELLED_OUT = 4
"""Tensors of up to so many elements are shown in full, as hexadecimal bits."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step; None for a tensor without a gradient, and for η and λ that a schedule gives."""

    grads: tuple[Array | None, ...]
    lr: float | None
    weight_decay: float | None

    @property
    def needs(self) -> Offer | None:
        """What a port has to offer for it."""
        if any(x is None for x in self.grads):
            return Offer.NO_GRADIENT
        several = len({x.dtype for x in self.grads if x is not None}) > 1
        return Offer.SEVERAL_DTYPES if several else None

    def __str__(self) -> str:
        shown = "; ".join("none" if x is None else spelled(x) for x in self.grads)
        if self.lr is None:
            return f"step as scheduled: gradients {shown}"
        return f"step: lr={self.lr!r}, weight_decay={self.weight_decay!r}, gradients {shown}"

    def happen(self, session: Any, grads: list[Array | None]) -> None:
        """Let it happen to a session, with these gradients."""
        if self.lr is None:
            session.step_as_scheduled(grads)
        else:
            session.step(grads, lr=self.lr, weight_decay=self.weight_decay)

    def with_grads(self, grads: tuple[Array | None, ...]) -> Step:
        """The same step with other gradients."""
        return Step(grads, self.lr, self.weight_decay)


class Other:
    """An event that is no step: it leaves a state whose every bit is determined."""

    __slots__ = ()
    needs: ClassVar[Offer]
    method: ClassVar[str]
    """The session's method for it, which takes the event's fields."""
    words: ClassVar[str]
    """The event in a run that is told, if `__str__` has no words of its own; {0.x}: its field x."""

    def __str__(self) -> str:
        return self.words.format(self)

    def happen(self, session: Any) -> None:
        """Let it happen to a session."""
        values = (getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        getattr(session, self.method)(*values)

    def leaves(self, state: State) -> State:
        """The state after it."""
        return state


@dataclass(frozen=True, slots=True)
class Freeze(Other):
    """A tensor is left out of the steps that follow."""

    tensor: int
    needs, method, words = Offer.FREEZE, "freeze", "freeze tensor {0.tensor}"


@dataclass(frozen=True, slots=True)
class Thaw(Other):
    """A frozen tensor takes part again."""

    tensor: int
    needs, method, words = Offer.FREEZE, "thaw", "thaw tensor {0.tensor}"


@dataclass(frozen=True, slots=True)
class Restore(Other):
    """The run is saved, and goes on in a session that is made of what was saved."""

    fresh: bool = False
    """Whether in another process."""
    needs, method = Offer.RESTORE, "save"

    def __str__(self) -> str:
        return "save and restore" + (" in a fresh process" if self.fresh else "")


@dataclass(frozen=True, slots=True)
class Schedule(Other):
    """From here on the k-th step takes the k-th η and λ, and the last ones for ever."""

    lr: tuple[float, ...]
    weight_decay: tuple[float, ...]
    needs, method = Offer.SCHEDULE, "schedule"

    def __str__(self) -> str:
        return f"schedule: lr={list(self.lr)}, weight_decay={list(self.weight_decay)}"

    def at(self, step: int) -> tuple[float, float]:
        """η and λ of a step."""
        lr, weight_decay = (x[min(step, len(x) - 1)] for x in (self.lr, self.weight_decay))
        return lr, weight_decay


@dataclass(frozen=True, slots=True)
class Split(Other):
    """A tensor is cut in two along its first axis."""

    tensor: int
    at: int
    needs, method, words = Offer.SPLIT, "split", "split tensor {0.tensor} at {0.at}"

    def leaves(self, state: State) -> State:
        """The first rows, then the rest."""
        i, at = self.tensor, self.at
        cut = ((*x[:i], x[i][:at], x[i][at:], *x[i + 1 :]) for x in (state.params, state.momenta))
        return State(*cut)


@dataclass(frozen=True, slots=True)
class Merge(Other):
    """A tensor and the next are joined along their first axis."""

    tensor: int
    needs, method = Offer.SPLIT, "merge"

    def __str__(self) -> str:
        return f"merge tensors {self.tensor} and {self.tensor + 1}"

    def leaves(self, state: State) -> State:
        """The rows of both."""
        i = self.tensor
        joined = (
            (*x[:i], np.concatenate(x[i : i + 2]), *x[i + 2 :])
            for x in (state.params, state.momenta)
        )
        return State(*joined)


@dataclass(frozen=True, slots=True)
class MomentumDtype(Other):
    """The momenta are rounded once to another dtype, and kept in it."""

    dtype: str
    needs, method, words = Offer.MOMENTUM_DTYPE, "momentum_dtype", "momentum in {0.dtype}"

    def leaves(self, state: State) -> State:
        """The rounded momenta."""
        return State(state.params, tuple(recast(x, self.dtype) for x in state.momenta))


@dataclass(frozen=True, slots=True)
class Move(Other):
    """The run goes on on another device."""

    device: str
    needs, method, words = Offer.DEVICE, "move", "move to {0.device}"


@dataclass(frozen=True, slots=True)
class Refuse(Other):
    """A step with what SPEC C13 refuses, a β in a session of its own; nothing changes."""

    argument: str
    """A scalar's name, or `grad` for gradients of another shape."""
    value: Any
    grad: str
    """The dtype of the step's gradients."""
    needs, words = Offer.REFUSAL, "refuse {0.argument}={0.value!r}"


Event = Step | Other


def spelled(array: Array) -> str:
    """A small array's bits, a large one's dtype and shape.

    >>> spelled(np.float32([1.0, -2.0])), spelled(np.zeros((3, 4)))
    ('[0x3f800000 0xc0000000]', 'float64 (3, 4)')
    """
    if array.size > SPELLED_OUT:
        return f"{array.dtype} {array.shape}"
    width = 2 * array.dtype.itemsize
    return f"[{' '.join(f'0x{int(x):0{width}x}' for x in bits(array).reshape(-1))}]"
