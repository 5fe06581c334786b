"""What a callable may keep from call to call: scalars, a momentum, a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from lion_conformance.diagnosis.alternatives.session import Pair, Reference, Turn
from lion_conformance.diagnosis.alternatives.steps import GREEK
from lion_conformance.ports.protocol import ScalarArguments
from lion_conformance.verdict.code import Code


class Calls:
    """The reference, call by call, with something kept; None where that is not known yet."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    def call(self, turn: Turn) -> Pair | None:
        """The next call's answer."""
        return self.reference.step(turn)


@dataclass(frozen=True, slots=True)
class OfCalls:
    """Something kept from call to call."""

    sentence: str
    code: Code
    make: Callable[[Reference], Calls]


SCALARS: Final = ("lr", "weight_decay", "beta1", "beta2")


def kept_between_calls(first: ScalarArguments) -> Iterator[OfCalls]:
    """All of them, the plainest first; first: the scalars of the first call of all."""
    for names in (*((x,) for x in SCALARS), ("lr", "weight_decay"), ("beta1", "beta2"), SCALARS):
        which = spelled(names)
        yield OfCalls(
            f"from the second call on, the {which} of the call before "
            f"{'is' if len(names) == 1 else 'are'} used",
            Code.STALE_SCALARS,
            partial(ScalarsBefore, names),
        )
        yield OfCalls(
            f"{which} of the first call of each shape "
            f"{'is' if len(names) == 1 else 'are'} used for all",
            Code.STALE_SCALARS,
            partial(ScalarsOfTheShape, names),
        )
        values: dict[str, float] = {name: first[name] for name in names}  # type: ignore[literal-required]
        given = " and ".join(f"{GREEK[name]} = {value:g}" for name, value in values.items())
        yield OfCalls(
            f"{given} {'is' if len(names) == 1 else 'are'} used, whatever is given",
            Code.STALE_SCALARS,
            partial(Constant, values),
        )
    for tolerance in (1e-9, 1e-5):
        yield OfCalls(
            "the scalars of an earlier call are used where those given are close to them",
            Code.STALE_SCALARS,
            partial(Near, tolerance),
        )
    yield OfCalls(
        "the momentum given is ignored for the m' of the call before of its shape",
        Code.CACHED_RESULTS,
        MomentumByShape,
    )
    yield OfCalls("results are cached by shape", Code.CACHED_RESULTS, ResultByShape)
    yield OfCalls(
        "θ' is cached by θ and g: m and the scalars are forgotten",
        Code.CACHED_RESULTS,
        ResultByContent,
    )
    for name, word in (("grad", "gradient"), ("momentum", "momentum")):
        yield OfCalls(
            f"from the second call on, the {word} of the call before is used",
            Code.STALE_ARRAY,
            partial(ArrayBefore, name),
        )


def spelled(names: Sequence[str]) -> str:
    """η and λ.

    >>> spelled(("beta1", "beta2"))
    'β1 and β2'
    """
    if len(names) == len(SCALARS):
        return "scalars"
    return " and ".join(GREEK[name] for name in names)


def _of(turn: Turn, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(turn, name) for name in names}


class ScalarsBefore(Calls):
    """Those of the call before."""

    def __init__(self, names: Sequence[str], reference: Reference) -> None:
        super().__init__(reference)
        self.names, self.last = names, dict[str, Any]()

    def call(self, turn: Turn) -> Pair | None:
        """With the last scalars."""
        last, self.last = self.last, _of(turn, self.names)
        return self.reference.step(replace(turn, **last)) if last else None


class ScalarsOfTheShape(Calls):
    """Those of the first call of the shape."""

    def __init__(self, names: Sequence[str], reference: Reference) -> None:
        super().__init__(reference)
        self.names, self.kept = names, dict[Any, dict[str, Any]]()

    def call(self, turn: Turn) -> Pair | None:
        """With the first scalars."""
        kept = self.kept.setdefault(turn.param.shape, _of(turn, self.names))
        return self.reference.step(replace(turn, **kept))


class Constant(Calls):
    """Always the same scalars."""

    def __init__(self, values: dict[str, float], reference: Reference) -> None:
        super().__init__(reference)
        self.values: dict[str, Any] = values

    def call(self, turn: Turn) -> Pair | None:
        """With these."""
        return self.reference.step(replace(turn, **self.values))


class Near(Calls):
    """New scalars are taken where one of them is not close to those that there are."""

    def __init__(self, tolerance: float, reference: Reference) -> None:
        super().__init__(reference)
        self.tolerance, self.kept = tolerance, dict[str, Any]()

    def call(self, turn: Turn) -> Pair | None:
        """With those that are kept."""
        given = _of(turn, SCALARS)
        near = self.kept and np.allclose(
            list(given.values()), list(self.kept.values()), rtol=self.tolerance, atol=0
        )
        if not near:
            self.kept = given
        return self.reference.step(replace(turn, **self.kept))


class _ByShape(Calls):
    def __init__(self, reference: Reference) -> None:
        super().__init__(reference)
        self.kept: dict[Any, Any] = {}


class MomentumByShape(_ByShape):
    """m is the m' before."""

    def call(self, turn: Turn) -> Pair | None:
        """From the momentum of the shape."""
        momentum = self.kept.get(turn.param.shape, turn.momentum)
        found = self.reference.step(replace(turn, momentum=momentum))
        self.kept[turn.param.shape] = found[1]
        return found


class ResultByShape(_ByShape):
    """A shape has one result."""

    def call(self, turn: Turn) -> Pair | None:
        """The shape's."""
        found: Pair = self.kept.setdefault(turn.param.shape, self.reference.step(turn))
        return found


class ResultByContent(_ByShape):
    """θ and g have one θ'."""

    def call(self, turn: Turn) -> Pair | None:
        """Theirs, with m' of its own."""
        found = self.reference.step(turn)
        grad = b"" if turn.grad is None else turn.grad.tobytes()
        key = (turn.param.shape, turn.param.tobytes(), grad)
        return self.kept.setdefault(key, found[0]), found[1]


class ArrayBefore(Calls):
    """An array of the call before, where it fits."""

    def __init__(self, name: str, reference: Reference) -> None:
        super().__init__(reference)
        self.name, self.last = name, None

    def call(self, turn: Turn) -> Pair | None:
        """With the last array."""
        last: Any = self.last
        self.last = own = getattr(turn, self.name)
        if last is None:
            return None
        return self.reference.step(
            replace(turn, **{self.name: last if last.shape == own.shape else own})
        )
