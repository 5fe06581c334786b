"""A run without the scalars that a port refuses, so that the rest of it can be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from lion_conformance.ports.refusal import Refusal
from lion_conformance.runs.events import Event, Schedule, Step
from lion_conformance.runs.trajectory import Trajectory

_INSTEAD: Final = {"lr": 0.07, "weight_decay": 0.07, "beta1": 0.93, "beta2": 0.985}
"""What a run takes in the place of a refused scalar; no other step has it."""


def avoiding(run: Trajectory, refusals: Sequence[Refusal]) -> Trajectory:
    """The run with other scalars where the port would refuse those that it has."""
    if not refusals:
        return run
    beta1, beta2 = avoided_betas((run.beta1, run.beta2), refusals)
    events = tuple(avoided(event, refusals) for event in run.events)
    return replace(run, beta1=beta1, beta2=beta2, events=events)


def avoided_betas(betas: tuple[float, float], refusals: Sequence[Refusal]) -> tuple[float, float]:
    """Other β where the port would refuse those given."""
    return _instead("beta1", betas[0], refusals), _instead("beta2", betas[1], refusals)


def avoided(event: Event, refusals: Sequence[Refusal]) -> Event:
    """The event with other scalars where the port would refuse those that it has."""
    if isinstance(event, Step) and event.lr is not None and event.weight_decay is not None:
        lr = _instead("lr", event.lr, refusals)
        return replace(
            event, lr=lr, weight_decay=_instead("weight_decay", event.weight_decay, refusals)
        )
    if isinstance(event, Schedule):
        lrs = tuple(_instead("lr", x, refusals) for x in event.lr)
        decays = tuple(_instead("weight_decay", x, refusals) for x in event.weight_decay)
        return Schedule(lrs, decays)
    return event


def _instead(name: str, value: float, refusals: Sequence[Refusal]) -> float:
    return _INSTEAD[name] if any(x.holds(name, value) for x in refusals) else value
