"""A run as a plain value: where it starts, and what happens to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.ports.protocol import PortError
from lion_conformance.ports.state import State
from lion_conformance.runs.events import Event, Step, spelled
from lion_conformance.verdict.failure import Failure

TOLD = 20
"""Events of a long run that are told from its beginning, and as many from its end."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Where a run starts, and what happens to it."""

    start: State
    beta1: float
    beta2: float
    events: tuple[Event, ...]

    def until(self, event: int) -> Trajectory:
        """The run up to an event, and with it."""
        return replace(self, events=self.events[: event + 1])

    def unanswered(self, error: PortError) -> Failure:
        """A failure without an answer: shown for the first tensor, as it was at the start."""
        param, momentum = self.start.tensors[0]
        steps = [x for x in self.events if isinstance(x, Step)]
        given = (x for step in steps[-1:] for x in step.grads[:1] if x is not None)
        grad = next(given, np.zeros(param.shape, param.dtype))
        lr, weight_decay = (steps[-1].lr, steps[-1].weight_decay) if steps else (0.0, 0.0)
        if grad.shape != param.shape:  # the tensors were cut or joined since
            grad = np.zeros(param.shape, param.dtype)
        betas = (self.beta1, self.beta2)
        case = Case(param, momentum, grad, lr or 0.0, *betas, weight_decay or 0.0)
        return Failure(case, None, str(error), error=error)

    def lines(self) -> list[str]:
        """The run as text, one event a line; small tensors as their bits."""
        tensors = [
            f"tensor {i}: θ {spelled(param)}, m {spelled(momentum)}"
            for i, (param, momentum) in enumerate(self.start.tensors)
        ]
        events = [f"event {t}: {event}" for t, event in enumerate(self.events)]
        if len(events) > 2 * TOLD:
            more = f"events {TOLD} to {len(events) - TOLD - 1}: as many more"
            events[TOLD:-TOLD] = [more]
        return [*tensors, *events]
