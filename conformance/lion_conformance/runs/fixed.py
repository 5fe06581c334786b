"""The runs that every `verify` judges, whatever the seed: steps, then all events on offer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from lion_conformance.cases.case import NEARLY, Shape, adversarial
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, Triple, params_of
from lion_conformance.ports.state import State
from lion_conformance.runs.events import (
    Freeze,
    Merge,
    MomentumDtype,
    Refuse,
    Restore,
    Schedule,
    Split,
    Step,
    Thaw,
)
from lion_conformance.runs.interleaved import hops, interleaved_runs
from lion_conformance.runs.script import (
    BETAS,
    DECAYS,
    FEW_TENSORS,
    OTHER_BETAS,
    RATES,
    TENSORS,
    Kind,
    Script,
    Writing,
    momenta_beside,
    rates,
    round_all_devices,
    triples_of,
    written_once,
)
from lion_conformance.runs.trajectory import Trajectory
from lion_ref import STORAGE_DTYPES

MANY_TENSORS: tuple[Shape, ...] = (
    (0,),
    *((3,), (), (5,), (2, 2)) * 20,
    (257, 65),
    *((3,), (), (5,), (2, 2)) * 55,
    (2, 3, 4, 5),
    (65_541,),
    (3,),
)
"""More than a byte counts, and than one launch over a list takes; of one block and of many."""

LISTS_OF_ONE_SHAPE: tuple[tuple[Shape, ...], ...] = (((),) * 5, ((7,),) * 9, ((0, 3), (0, 3)))
"""Tensors that a port may stack; scalars alone, and nothing at all."""

LARGE_TENSORS: tuple[Shape, ...] = ((131_073,), (3,), (131_073,), (5,), (40, 41))
"""More elements in all than 18 bits count, before a list's end."""


def illegal(triple: Triple) -> Iterator[Refuse]:
    """What SPEC C13 refuses, and C3 where the compute dtype is float32."""
    never = (-0.1, -5e-324, math.inf, -math.inf, math.nan, "0.1", True, None, np.full(2, 0.1))
    beyond = () if triple[0] == "float64" else (1e39,)
    for argument in ("lr", "weight_decay"):
        for value in (*never, *beyond):
            yield Refuse(argument, value, triple[2])
    for argument in ("beta1", "beta2"):
        for value in (1.0, *never):
            yield Refuse(argument, value, triple[2])
    yield Refuse("grad", "of another shape", triple[2])


STEPS = 12
LONG, BEGINNING = 300, 40
"""Beyond a counter of 8 bits; and what is enough to tell roundings."""


def fixed_runs(port: Port, dtype: str) -> Iterator[Trajectory]:
    """Runs for a port whose θ has one dtype, each to be judged after every event."""
    for named in (whole_runs, interleaved_runs, hops, further_runs, mixed_runs):
        yield from (write() for _, write in named(port, dtype))
    yield long_run(port, dtype).until(BEGINNING)


@written_once
def whole_runs(port: Kind, dtype: str) -> Writing:
    """Several tensors, then all events that the port offers: runs that are also made `rerun`.

    A port that compiles anew for every shape has the events in the first of its dtypes alone.
    """
    triple = triples_of(port, dtype)[0]
    shapes = FEW_TENSORS if port.compiles else TENSORS
    yield "steps", partial(_steps, triple, shapes)
    if port.offers and (not port.compiles or dtype == params_of(port.triples)[0]):
        yield "eventful", partial(eventful, port, triple, shapes)


@written_once
def further_runs(port: Kind, dtype: str) -> Writing:
    """Runs of steps: under scalars that nearly stay, in another triple, of one shape, of many.

    A port that compiles anew for every shape has the first alone.
    """
    triple, *others = triples_of(port, dtype)
    yield "near", partial(_near, triple)
    if port.compiles:
        return
    for other in others:
        yield "steps in another triple", partial(_steps, other, TENSORS)
    for i, shapes in enumerate(LISTS_OF_ONE_SHAPE):
        yield f"of one shape {i}", partial(_stacked, port, triple, shapes)
    yield "large", partial(_large, port, triple)
    yield "many", partial(_many, port, triple)


@written_once
def mixed_runs(port: Kind, dtype: str) -> Writing:
    """Steps of tensors of one dtype among tensors of the others, where the port offers that."""
    if Offer.SEVERAL_DTYPES in port.offers and len(port.triples) > 1:
        yield "several dtypes", partial(_mixed, port, dtype)


def _near(triple: Triple) -> Trajectory:
    near = Script(9, [triple], TENSORS[:1])
    for given in NEARLY:
        near.step(given=given)
    return near.written()


def _stacked(port: Kind, triple: Triple, shapes: Sequence[Shape]) -> Trajectory:
    stacked = Script(5, [triple], shapes, offers=port.offers).step().step()
    if Offer.NO_GRADIENT in port.offers:
        stacked.step(without=[0]).step(without=[1, 2], given=(0.02, 0.3)).step()
    return stacked.written()


def _large(port: Kind, triple: Triple) -> Trajectory:
    large = Script(6, [triple], LARGE_TENSORS, offers=port.offers).step()
    if Offer.NO_GRADIENT in port.offers:
        large.step(without=[0, 2], given=(0.02, 0.3))
    return large.written()


def _many(port: Kind, triple: Triple) -> Trajectory:
    many = Script(3, [triple], MANY_TENSORS, OTHER_BETAS, port.offers)
    many.step().then(Restore()).step(given=(0.02, 0.3))
    if Offer.NO_GRADIENT in port.offers:
        many.step(without=range(2, len(MANY_TENSORS), 3))
    return many.written()


def _mixed(port: Kind, dtype: str) -> Trajectory:
    own = triples_of(port, dtype)
    others = [triples_of(port, other)[0] for other in params_of(port.triples) if other != dtype]
    triples = [*others[:1], *own[:1], *others[1:], *own[1:]]
    if port.compiles:
        script = Script(4, triples, FEW_TENSORS, OTHER_BETAS, port.offers)
        return script.step().then(Restore()).step().step().step().written()
    triples += [triple for triple in port.triples if triple not in triples]
    shapes = (*TENSORS, *TENSORS[:1] * max(0, len(triples) - len(TENSORS)))
    script = Script(4, triples, shapes, OTHER_BETAS, port.offers).step().then(Restore()).step()
    return script.step(without=[1, 4]).then(Freeze(0)).step().then(Thaw(0)).step().written()


def long_run(port: Port, dtype: str) -> Trajectory:
    """Many steps of one small tensor."""
    rng = np.random.default_rng(1)
    dtypes = [STORAGE_DTYPES[name] for name in triples_of(port, dtype)[0]]
    size = int(np.prod(TENSORS[0]))
    drawn = adversarial(rng, LONG * size, dtypes, "ordinary", BETAS[0])
    params, momenta, grads = (x.reshape(LONG, *TENSORS[0]) for x in drawn)
    steps = (Step((grad,), *rates(t)) for t, grad in enumerate(grads))
    return Trajectory(State.of(params[:1], momenta[:1]), *BETAS, tuple(steps))


def _steps(triple: Triple, shapes: Sequence[Shape]) -> Trajectory:
    script = Script(0, [triple], shapes)
    for _ in range(STEPS):
        script.step()
    return script.written()


def eventful(port: Kind, triple: Triple, shapes: Sequence[Shape]) -> Trajectory:
    """One run of all events that the port offers."""
    offers = port.offers
    script = Script(2, [triple], shapes, OTHER_BETAS, offers)
    second = max(i for i, shape in enumerate(shapes) if shape == shapes[0])
    script.then(Restore(), Freeze(second)).step().then(Thaw(second)).step()
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
        script.then(*illegal(triple)).step()
    if Offer.SPLIT in offers:
        script.then(Freeze(second), Split(0, 12)).step().then(Merge(0)).step().then(Thaw(second))
        if not port.compiles:
            script.then(Split(2, 1)).step().then(Merge(2)).step()
    if Offer.MOMENTUM_DTYPE in offers:
        _momentum_in_others(script, port, triple, second)
    _move_and_schedule(script, port)
    return script.written()


def _momentum_in_others(script: Script, port: Kind, triple: Triple, frozen: int) -> None:
    param, momentum, grad = triple
    for other in momenta_beside(port.triples, param, grad):
        if other != momentum:
            script.then(Freeze(frozen), MomentumDtype(other)).step().then(Thaw(frozen)).step()
            script.then(Restore()).step().then(MomentumDtype(momentum)).step()


def _move_and_schedule(script: Script, port: Kind) -> None:
    offers = port.offers
    if Offer.DEVICE in offers:
        for move in round_all_devices(port):
            script.then(move).step()
    if Offer.SCHEDULE in offers:
        script.then(Schedule(RATES, DECAYS)).step(scheduled=True).step(scheduled=True)
        script.then(Restore()).step(without=[0], scheduled=True)
        script.then(Split(0, 12), Merge(0)).step(scheduled=True)
        # The last of each is for all steps that follow.
        script.then(Schedule(RATES[:2], DECAYS[:3]))
        for _ in range(5):
            script.step(scheduled=True)
