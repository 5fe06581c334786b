"""Runs like one that failed, with other numbers, for what is said of it to be confirmed on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from lion_conformance.cases.case import Shape, adversarial
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, Triple
from lion_conformance.ports.state import State
from lion_conformance.runs.events import (
    Event,
    Freeze,
    Merge,
    MomentumDtype,
    Restore,
    Schedule,
    Split,
    Step,
    Thaw,
)
from lion_conformance.runs.script import (
    DECAYS,
    OTHER_BETAS,
    RATES,
    TENSORS,
    Script,
    momenta_beside,
    round_all_devices,
)
from lion_conformance.runs.trajectory import Trajectory
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array

BETAS = ((0.93, 0.985), (0.87, 0.975), (0.96, 0.955))

LARGEST = 10.0
"""An η or λ beyond is drawn anew, not scaled."""


class Fresh:
    """Draws the numbers of one run: of finite ones where the run that failed has no others."""

    def __init__(self, seed: int, like: Trajectory) -> None:
        self._rng = np.random.default_rng(1000 + seed)
        self.betas = BETAS[seed % len(BETAS)]
        self._scale, self._more = 0.6 + 0.07 * seed, 0.013 + 0.003 * seed
        with np.errstate(all="ignore"):
            self._wild = [not np.isfinite(np.float64(x)).all() for x in like.start.momenta]

    def arrays(self, tensor: int, shape: tuple[int, ...], names: list[str]) -> list[Array]:
        """Arrays of one shape in some dtypes."""
        dtypes = [STORAGE_DTYPES[name] for name in names]
        wild = tensor < len(self._wild) and self._wild[tensor]
        profile = "mixed" if wild else "ordinary"
        size = int(np.prod(shape))
        dtypes = (dtypes * 3)[:3]
        drawn = adversarial(self._rng, size, dtypes, profile, self.betas[0])
        return [x.reshape(shape) for x in drawn][: len(names)]

    def rate(self, given: float) -> float:
        """Another η or λ, never zero, and near another that the given one was near."""
        if given > LARGEST:
            return float(self._rng.uniform(0.05, 0.5))
        return given * self._scale + self._more

    def step(self, state: State, like: Step | None = None) -> Step:
        """A step with new gradients, none where there was none."""
        count = len(state.params)
        old: list[Any] = [x.dtype for x in state.params]
        missing = [False] * count
        if like is not None:
            pairs = zip(state.params, like.grads, strict=True)
            old = [p.dtype if g is None else g.dtype for p, g in pairs]
            missing = [g is None for g in like.grads]
        grads = tuple(
            None if missing[i] else self.arrays(i, x.shape, [old[i].name] * 3)[2]
            for i, x in enumerate(state.params)
        )
        if like is None:
            lr, weight_decay = self._rng.uniform(0.02, 0.5, 2)
            return Step(grads, float(lr), float(weight_decay))
        if like.lr is None or like.weight_decay is None:
            return Step(grads, None, None)
        return Step(grads, self.rate(like.lr), self.rate(like.weight_decay))


def twin(
    run: Trajectory, seed: int, *, before: int = 0, after: int = 0, turned: bool = False
) -> Trajectory:
    """The run with other numbers, and more steps before and after it.

    turned: starting with the run's own numbers, negated and from the last to the first, where it is
    numbers that are hard to round.
    """
    fresh = Fresh(seed, run)
    drawn = [
        fresh.arrays(i, param.shape, [param.dtype.name, momentum.dtype.name])
        for i, (param, momentum) in enumerate(run.start.tensors)
    ]
    start = State.of([x[0] for x in drawn], [x[1] for x in drawn])
    if turned:
        start = State.of(map(_turned, run.start.params), map(_turned, run.start.momenta))
    state = start
    events: list[Event] = [fresh.step(state) for _ in range(before)]
    for event in run.events:
        if isinstance(event, Step):
            events.append(fresh.step(state, event))
            continue
        if isinstance(event, Schedule):
            rates = (tuple(map(fresh.rate, x)) for x in (event.lr, event.weight_decay))
            events.append(Schedule(*rates))
            continue
        state = event.leaves(state)
        events.append(event)
    events += [fresh.step(state) for _ in range(after)]
    return replace(
        run, start=start, beta1=fresh.betas[0], beta2=fresh.betas[1], events=tuple(events)
    )


def _turned(array: Array) -> Array:
    return -array.reshape(-1)[::-1].reshape(array.shape)


FEW_STEPS = 3

ONE_SHAPE: tuple[Shape, ...] = ((5,),) * 9
"""Tensors that a port may take for one."""

SMALL = 60_000
"""Elements of a list to which more tensors are added."""


def designed(port: Port, run: Trajectory, step: int) -> Iterator[Trajectory]:
    """Other runs of the port, for what is said of one that was wrong at a step, or behind it.

    Its tensors in steps alone; fewer of them, and more; others, some of them without gradients or
    frozen, each time for longer.
    """
    triple = _triple(run)
    shapes = tuple(x.shape for x in run.start.params)
    size = sum(x.size for x in run.start.params)
    uniform = len({x.dtype for x in (*run.start.params, *run.start.momenta)}) == 1
    steps = step + FEW_STEPS if size * step <= SMALL else 1
    several = Script(20, [triple], TENSORS, OTHER_BETAS, port.offers)
    lists = [
        several,
        Script(21, [triple], TENSORS[:1], offers=port.offers),
        Script(28, [triple], ONE_SHAPE, offers=port.offers),
    ]
    if uniform:
        lists.append(Script(22, [triple], shapes, offers=port.offers))
        lists.append(Script(23, [triple], shapes[:-1] or shapes, OTHER_BETAS, port.offers))
        if size <= SMALL:
            lists.append(Script(24, [triple], (*shapes, *shapes[:2]), offers=port.offers))
    for script in lists:
        for _ in range(min(steps, 12) if script is several else steps):
            script.step()
        yield script.written()
    yield separately(port, triple)
    yield from _absent(port, triple)


def separately(port: Port, triple: Triple) -> Trajectory:
    """Every event that the port offers with steps around it, by a schedule if there is one."""
    script = Script(29, [triple], TENSORS, OTHER_BETAS, port.offers)
    others = [x for x in momenta_beside(port.triples, triple[0], triple[2]) if x != triple[1]]
    script.step().then(Schedule(RATES[:1] + RATES[2:] * 3, DECAYS[:2] * 12))
    script.step(scheduled=True)
    for event in (
        Split(0, 12), Merge(0), Freeze(0), Thaw(0), Restore(), *round_all_devices(port),
        *map(MomentumDtype, (*others[:1], triple[1]) if others else ()),
    ):  # fmt: skip
        script.then(event).step(scheduled=True).step(scheduled=True)
    return script.written()


def _triple(run: Trajectory) -> Triple:
    param, momentum = (x[0].dtype.name for x in (run.start.params, run.start.momenta))
    given = (x for event in run.events if isinstance(event, Step) for x in event.grads[:1])
    return param, momentum, next((x.dtype.name for x in given if x is not None), param)


def _absent(port: Port, triple: Triple) -> Iterator[Trajectory]:
    """Tensors that take no part, each time for a step more."""
    if Offer.NO_GRADIENT in port.offers:
        script = Script(25, [triple], TENSORS, OTHER_BETAS, port.offers).step()
        for age in range(1, 5):
            for _ in range(age):
                script.step(without=[0, 3])
            script.step()
        yield script.written()
    if Offer.FREEZE in port.offers:
        script = Script(26, [triple], TENSORS, OTHER_BETAS, port.offers).step()
        for age in range(1, 5):
            script.then(Freeze(0), Freeze(3))
            for _ in range(age):
                script.step()
            script.then(Thaw(3), Thaw(0)).step()
        yield script.written()
    if Offer.RESTORE in port.offers:
        script = Script(27, [triple], TENSORS, OTHER_BETAS, port.offers).step().step()
        yield script.then(Restore()).step().step().then(Restore()).step().written()
