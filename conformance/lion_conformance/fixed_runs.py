"""The runs that every `verify` judges, whatever the seed: steps, then all events on offer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lion_conformance.cases import adversarial
from lion_conformance.events import (
    Freeze,
    Merge,
    MomentumDtype,
    Move,
    Refuse,
    Restore,
    Schedule,
    Split,
    Step,
    Thaw,
)
from lion_conformance.offers import Offer
from lion_conformance.state import State
from lion_conformance.trajectory import Trajectory
from lion_ref import STORAGE_DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lion_conformance.events import Event, Other
    from lion_conformance.port import Port, Triple

Array = NDArray[Any]
Shape = tuple[int, ...]

TENSORS: tuple[Shape, ...] = ((31,), (), (3, 4), (2, 3, 2), (31,), (0,), (1,))
FEW_TENSORS: tuple[Shape, ...] = ((31,), (0,), (), (31,))
"""For ports that compile anew for every shape."""

MANY_TENSORS: tuple[Shape, ...] = (*((3,), (), (5,), (2, 2)) * 30, (257, 65))
"""More than one launch over a list of tensors takes, and the last of many blocks."""

RATES = (0.1, 0.0, 3e-4, 1.0, 0.02, 2.5, 0.003)
DECAYS = (0.1, 0.3, 0.0, 1.0, 0.05)
"""Of different lengths, so that a step has neither η nor λ of the step before."""

ILLEGAL: tuple[tuple[str, float], ...] = (
    *(("lr", x) for x in (-0.1, math.inf, math.nan)),
    *(("weight_decay", x) for x in (-0.1, math.inf, math.nan)),
    *(("beta1", x) for x in (1.0, -0.1, math.nan)),
    *(("beta2", x) for x in (1.0, -0.1, math.nan)),
)
"""What SPEC C13 refuses."""

STEPS, SHORT = 12, 4
LONG, BEGINNING = 300, 40
"""Beyond a counter of 8 bits; and what is enough to tell roundings."""
BETAS = (0.9, 0.99)
OTHER_BETAS = (0.95, 0.98)
"""No port's default: one that falls back to its own after a step, or an event, is seen."""


def rates(step: int) -> tuple[float, float]:
    """η and λ of a step: neither is that of the step before."""
    return RATES[step % len(RATES)], DECAYS[step % len(DECAYS)]


class Script:
    """A run that is being written: its gradients have the shapes that the tensors then have.

    triples: of the first tensor, the second and so on; then again from the first.
    """

    def __init__(
        self,
        seed: int,
        triples: Sequence[Triple],
        shapes: Sequence[Shape],
        betas: tuple[float, float] = BETAS,
        offers: frozenset[Offer] = frozenset(Offer),
    ) -> None:
        self._betas, self._offers = betas, offers
        self._rng = np.random.default_rng(seed)
        self._dtypes = [[STORAGE_DTYPES[name] for name in triple] for triple in triples]
        first = [self._drawn(i, shape) for i, shape in enumerate(shapes)]
        self._start = self.state = State.of([x[0] for x in first], [x[1] for x in first])
        self._events: list[Event] = []
        self._steps = 0

    def step(self, without: Sequence[int] = (), *, scheduled: bool = False) -> Script:
        """Add a step with an η and a λ that the step before did not have."""
        grads = tuple(
            None if i in without else self._drawn(i, x.shape)[2]
            for i, x in enumerate(self.state.params)
        )
        lr, weight_decay = rates(self._steps)
        self._steps += 1
        step = Step(grads, None, None) if scheduled else Step(grads, lr, weight_decay)
        self._events.append(step)
        return self

    def then(self, *events: Other) -> Script:
        """Add events that are no steps: those that the port offers."""
        for event in events:
            if event.needs in self._offers:
                self.state = event.leaves(self.state)
                self._events.append(event)
        return self

    def written(self) -> Trajectory:
        """The run so far."""
        return Trajectory(self._start, *self._betas, tuple(self._events))

    def _drawn(self, i: int, shape: Shape) -> tuple[Array, Array, Array]:
        # One tensor has what is extreme too; the others stay finite over many steps.
        size, profile = int(np.prod(shape)), "mixed" if i == 2 else "ordinary"
        dtypes = self._dtypes[i % len(self._dtypes)]
        theta, m, g = adversarial(self._rng, size, dtypes, profile, self._betas[0])
        return theta.reshape(shape), m.reshape(shape), g.reshape(shape)


def fixed_runs(port: Port, dtype: str) -> Iterator[Trajectory]:
    """Runs for a port whose θ has one dtype, each to be judged after every event."""
    yield from whole_runs(port, dtype)
    yield from further_runs(port, dtype)
    yield from mixed_runs(port, dtype)
    yield long_run(port, dtype).until(BEGINNING)


def whole_runs(port: Port, dtype: str) -> Iterator[Trajectory]:
    """Several tensors, then all events that the port offers: runs that are also made `once_more`.

    A port that compiles anew for every shape has the events in the first of its dtypes alone.
    """
    triple = triples_of(port, dtype)[0]
    shapes = FEW_TENSORS if port.compiles else TENSORS
    yield _steps(Script(0, [triple], shapes), STEPS)
    if port.offers and (not port.compiles or dtype == port.params()[0]):
        yield eventful(port, triple, shapes)


def further_runs(port: Port, dtype: str) -> Iterator[Trajectory]:
    """Runs of steps alone: in another triple of dtypes, and of many tensors under other betas.

    There are none for a port that compiles anew for every shape.
    """
    triple, *others = triples_of(port, dtype)
    if port.compiles:
        return
    for other in others:
        yield _steps(Script(0, [other], TENSORS), STEPS)
    yield _steps(Script(3, [triple], MANY_TENSORS, OTHER_BETAS), SHORT)


def mixed_runs(port: Port, dtype: str) -> Iterator[Trajectory]:
    """Steps of tensors of one dtype among tensors of the others, where the port offers that."""
    own = triples_of(port, dtype)
    others = [triples_of(port, other)[0] for other in port.params() if other != dtype]
    triples = [*others[:1], *own[:1], *others[1:], *own[1:]]
    if Offer.SEVERAL_DTYPES not in port.offers or len(triples) == 1:
        return
    shapes = FEW_TENSORS if port.compiles else TENSORS
    script = Script(4, triples, shapes, OTHER_BETAS, port.offers).step().then(Restore()).step()
    if Offer.NO_GRADIENT in port.offers and not port.compiles:
        script.step(without=[1, 4])
    yield script.step().step().written()


def long_run(port: Port, dtype: str) -> Trajectory:
    """Many steps of one small tensor."""
    rng = np.random.default_rng(1)
    dtypes = [STORAGE_DTYPES[name] for name in triples_of(port, dtype)[0]]
    size = int(np.prod(TENSORS[0]))
    drawn = adversarial(rng, LONG * size, dtypes, "ordinary", BETAS[0])
    params, momenta, grads = (x.reshape(LONG, *TENSORS[0]) for x in drawn)
    steps = (Step((grad,), *rates(t)) for t, grad in enumerate(grads))
    return Trajectory(State.of(params[:1], momenta[:1]), *BETAS, tuple(steps))


def triples_of(port: Port, dtype: str) -> list[Triple]:
    """A triple of one dtype, and one whose m has another than θ; what there is of them."""
    triples = [triple for triple in port.triples if triple[0] == dtype]
    alike = [triple for triple in triples if len(set(triple)) == 1]
    mixed = [triple for triple in triples if triple[0] != triple[1]]
    return [*alike[:1], *mixed[:1]] or triples[:1]


def _steps(script: Script, count: int) -> Trajectory:
    for _ in range(count):
        script.step()
    return script.written()


def eventful(port: Port, triple: Triple, shapes: Sequence[Shape]) -> Trajectory:
    """One run of all events that the port offers."""
    offers = port.offers
    script = Script(2, [triple], shapes, OTHER_BETAS, offers)
    second = max(i for i, shape in enumerate(shapes) if shape == shapes[0])
    script.then(Restore(), Freeze(second)).step().then(Thaw(second)).step()
    if Offer.NO_GRADIENT in offers:
        script.step(without=[0]).step(without=[0]).step(without=[0]).step(without=[0]).step()
        if not port.compiles:
            script.step(without=[2, 4]).step(without=range(len(shapes))).step()
    if Offer.FREEZE in offers:
        script.then(Freeze(0)).step().then(Freeze(0), Freeze(second)).step()
        script.then(Restore()).step().step().step()
        script.then(Thaw(0)).step().then(Thaw(second)).step()
    if Offer.RESTORE in offers:
        script.then(Restore()).step()
    if Offer.REFUSAL in offers:
        script.then(*(Refuse(*illegal, triple[2]) for illegal in ILLEGAL)).step()
    if Offer.SPLIT in offers:
        script.then(Freeze(second), Split(0, 12)).step().then(Merge(0)).step().then(Thaw(second))
        if not port.compiles:
            script.then(Split(2, 1)).step().then(Merge(2)).step()
    if Offer.MOMENTUM_DTYPE in offers:
        _momentum_in_others(script, port, triple, second)
    _move_and_schedule(script, port)
    return script.written()


def _momentum_in_others(script: Script, port: Port, triple: Triple, frozen: int) -> None:
    param, momentum, grad = triple
    for other in (t[1] for t in port.triples if (t[0], t[2]) == (param, grad)):
        if other != momentum:
            script.then(Freeze(frozen), MomentumDtype(other)).step().then(Thaw(frozen)).step()
            script.then(Restore()).step().then(MomentumDtype(momentum)).step()


def _move_and_schedule(script: Script, port: Port) -> None:
    offers = port.offers
    if Offer.DEVICE in offers:
        for device in (*port.devices[1:], port.devices[0]):
            script.then(Move(device)).step()
    if Offer.SCHEDULE in offers:
        script.then(Schedule(RATES, DECAYS)).step(scheduled=True).step(scheduled=True)
        without = [0] if Offer.NO_GRADIENT in offers else []
        script.then(Restore()).step(without, scheduled=True)
        script.then(Split(0, 12), Merge(0)).step(scheduled=True)
        # The last of each is for all steps that follow.
        script.then(Schedule(RATES[:2], DECAYS[:3]))
        for _ in range(5):
            script.step(scheduled=True)
