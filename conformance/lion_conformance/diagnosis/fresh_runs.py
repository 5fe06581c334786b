"""Runs like one that failed, with other numbers, for what is said of it to be confirmed on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lion_conformance.cases.case import adversarial
from lion_conformance.ports.state import State
from lion_conformance.runs.events import Event, Schedule, Step
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
            old = [p.dtype if g is None else g.dtype for p, g in zip(state.params, like.grads, strict=True)]  # fmt: skip
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


def twin(run: Trajectory, seed: int, *, before: int = 0, after: int = 0) -> Trajectory:
    """The run with other numbers, and more steps before and after it."""
    fresh = Fresh(seed, run)
    drawn = [
        fresh.arrays(i, p.shape, [p.dtype.name, m.dtype.name]) for i, (p, m) in enumerate(run.start.tensors)
    ]  # fmt: skip
    start = state = State.of([x[0] for x in drawn], [x[1] for x in drawn])
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
    return replace(run, start=start, beta1=fresh.betas[0], beta2=fresh.betas[1], events=tuple(events))
