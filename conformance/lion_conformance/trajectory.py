"""Runs of several steps and several tensors in one session, judged after every event.

A single step cannot show what a port keeps between steps: a buffer shared by two tensors, the
learning rate of the step before, a first step that is special. Each event is judged from the state
that the port itself was in, so that the accepted set holds here too, event by event. By induction a
port that is bit-exact at every event has gone through the reference's run bit for bit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lion_conformance.cases import Case, adversarial
from lion_conformance.events import Step, spelled
from lion_conformance.judge import Failure
from lion_conformance.port import Port, PortError
from lion_conformance.walk import State, Walk
from lion_ref import STORAGE_DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lion_conformance.judge import Tally
    from lion_conformance.port import Triple

Array = NDArray[Any]
Answer = tuple[Case, tuple[Array, Array]]

TENSORS: tuple[tuple[int, ...], ...] = ((31,), (), (3, 4), (0,), (31,), (2, 3, 2), (1,))
FEW_TENSORS: tuple[tuple[int, ...], ...] = ((31,), (), (0,), (31,))
"""For ports that compile anew for every shape."""

RATES = (0.1, 0.0, 3e-4, 1.0, 0.02, 2.5, 0.003)
DECAYS = (0.1, 0.3, 0.0, 1.0, 0.05)
"""Of different lengths, so that a step has neither η nor λ of the step before."""

STEPS, LONG = 12, 40


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Where a run starts, and what happens to it."""

    start: State
    beta1: float
    beta2: float
    events: tuple[Step, ...]

    def asked(self) -> Case:
        """The last event, for the first tensor as at the start; where no answer says more."""
        (param, momentum), last = self.start.tensors[0], self.events[-1]
        return Case(
            param, momentum, last.grads[0], last.lr, self.beta1, self.beta2, last.weight_decay
        )

    def lines(self) -> list[str]:
        """The run as text, one event a line; small tensors as their bits."""
        tensors = [
            f"tensor {i}: θ {spelled(param)}, m {spelled(momentum)}"
            for i, (param, momentum) in enumerate(self.start.tensors)
        ]
        events = [f"event {t}: {event}" for t, event in enumerate(self.events)]
        return [*tensors, *events]


@dataclass(frozen=True, slots=True)
class RunFailure:
    """A run that is rejected at its last event, and why in one line."""

    run: Trajectory
    last: Failure
    """That event for one tensor; `got` is None where the port did not answer."""
    why: str


def trajectories(triples: Sequence[Triple], *, compiles: bool) -> Iterator[Trajectory]:
    """The fixed runs for ports that take these triples: several tensors, then a longer run of one.

    A second triple, whose m has another dtype than θ, is tried unless the port compiles.
    """
    alike = [triple for triple in triples if len(set(triple)) == 1]
    mixed = [triple for triple in triples if triple[0] != triple[1]]
    chosen = [*alike[:1], *mixed[:1]] or list(triples[:1])
    for triple in chosen[:1] if compiles else chosen:
        yield _run(triple, FEW_TENSORS if compiles else TENSORS, STEPS)
    for triple in chosen[:1]:
        yield _run(triple, FEW_TENSORS[:1], STEPS if compiles else LONG)


def _run(triple: Triple, shapes: Sequence[tuple[int, ...]], steps: int) -> Trajectory:
    rng = np.random.default_rng(steps)
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    beta1, beta2 = 0.9, 0.99

    def drawn(i: int) -> tuple[Array, Array, Array]:
        # One tensor has what is extreme too; the others stay finite over many steps.
        size, profile = int(np.prod(shapes[i])), "mixed" if i == 2 else "ordinary"
        theta, m, g = adversarial(rng, size, dtypes, profile, beta1)
        return theta.reshape(shapes[i]), m.reshape(shapes[i]), g.reshape(shapes[i])

    first = [drawn(i) for i in range(len(shapes))]
    events = [
        Step(
            tuple(drawn(i)[2] for i in range(len(shapes))),
            lr=RATES[t % len(RATES)],
            weight_decay=DECAYS[t % len(DECAYS)],
        )
        for t in range(steps)
    ]
    start = State.of([x[0] for x in first], [x[1] for x in first])
    return Trajectory(start, beta1, beta2, tuple(events))


def answers(port: Port, run: Trajectory) -> Iterator[list[Answer]]:
    """For each event the port's answers, tensor by tensor, with what they answer.

    Raises PortError where the port does not answer.
    """
    walk = Walk(port, run.start, beta1=run.beta1, beta2=run.beta2)
    for event in run.events:
        before = walk.state
        after = walk.step(event.grads, lr=event.lr, weight_decay=event.weight_decay)
        yield [
            (Case(*old, grad, event.lr, run.beta1, run.beta2, event.weight_decay), new)
            for old, grad, new in zip(before.tensors, event.grads, after.tensors, strict=True)
        ]


def follow(port: Port, run: Trajectory, tally: Tally) -> RunFailure | None:
    """Judge a run after every event; what is rejected ends it."""
    walked = answers(port, run)
    for t in range(len(run.events)):
        so_far = replace(run, events=run.events[: t + 1])
        begin = time.perf_counter()
        try:
            answered = next(walked)
        except PortError as error:
            return RunFailure(
                so_far, Failure(so_far.asked(), None, str(error)), f"event {t}: {error}"
            )
        tally.port_seconds += time.perf_counter() - begin
        for i, answer in enumerate(answered):
            why = tally.take(*answer)
            if why:
                return RunFailure(so_far, Failure(*answer, why), f"event {t}, tensor {i}: {why}")
    return None


def judge_runs(port: Port, triples: Sequence[Triple], tally: Tally) -> RunFailure | None:
    """Judge the fixed runs, up to the first that is rejected."""
    runs = trajectories(triples, compiles=port.compiles)
    return next((x for run in runs if (x := follow(port, run, tally)) is not None), None)
