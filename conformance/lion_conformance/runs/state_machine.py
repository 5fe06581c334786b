"""Runs that Hypothesis makes up: a state machine over the events that a port offers (SPEC C30)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lion_conformance.cases.case import BETAS, LEARNING_RATES, WEIGHT_DECAYS, adversarial
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, PortError
from lion_conformance.ports.state import State
from lion_conformance.runs.avoiding import avoided, avoided_betas
from lion_conformance.runs.events import (
    Event,
    Freeze,
    Merge,
    MomentumDtype,
    Move,
    Restore,
    Schedule,
    Split,
    Step,
    Thaw,
)
from lion_conformance.runs.follow import judged, same_again
from lion_conformance.runs.observed import ObservedSession
from lion_conformance.runs.script import FEW_TENSORS, TENSORS, Script, momenta_beside
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.failure import RunFailure
from lion_conformance.verdict.tally import Tally
from lion_ref import STORAGE_DTYPES

EVENTS = 12
"""In one run, at the most, beside the steps that follow them."""

SEEDS = st.integers(0, 2**32 - 1)
RATES = st.sampled_from(LEARNING_RATES)
DECAYS = st.sampled_from(WEIGHT_DECAYS)


class Stop(Exception):
    """A run was rejected: no further ones."""


def drive_state_machine(
    port: Port, dtype: str, tally: Tally, *, runs: int, seed: int | None = 0
) -> None:
    """Judge runs of drawn events, up to the first that is rejected: tally.failure.

    Hypothesis generates; `shortest_run` makes the rejected run short. Without a seed every call has
    other runs.
    """

    class Bound(DrawnRun):
        judging = (port, dtype, tally)

    drawn = settings(
        max_examples=runs,
        stateful_step_count=EVENTS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # a port's sessions are no slow draws
        report_multiple_bugs=False,
    )
    machine = Bound if seed is None else seeded(seed)(Bound)
    try:
        run_state_machine_as_test(machine, settings=drawn)
    except (Stop, Flaky):  # the rejected run is made a second time, where a port may do otherwise
        if tally.failure is None:
            raise


def offered(offer: Offer) -> Callable[[DrawnRun], bool]:
    """The precondition that the port offers something."""
    return lambda machine: offer in machine.judging[0].offers


class DrawnRun(RuleBasedStateMachine):
    """One run: its rules are the events, each followed by a step."""

    judging: ClassVar[tuple[Port, str, Tally]]
    again = False
    """Whether the run passed so far, and is to be made once more."""
    refused = False
    """Whether the port has refused a step: the run goes no further."""

    @initialize(data=st.data(), seed=SEEDS, betas=st.sampled_from(BETAS), again=st.booleans())
    def open(self, data: st.DataObject, seed: int, betas: tuple[float, float], again: bool) -> None:
        """Open a session of several tensors."""
        port, dtype, self.tally = self.judging
        self.port = port
        self.triples = [triple for triple in port.triples if triple[0] == dtype]
        self.triple = data.draw(st.sampled_from(self.triples))
        shapes = FEW_TENSORS if port.compiles else TENSORS
        self.start = Script(seed, [self.triple], shapes).state
        self.betas = avoided_betas(betas, self.tally.refusals)
        self.events: list[Event] = []
        self.shown: list[State] = []
        self.scheduled = False
        try:
            self.session = ObservedSession(
                port, self.start, beta1=self.betas[0], beta2=self.betas[1]
            )
        except PortError as error:
            run = self.run_so_far()
            self.reject(RunFailure(run, run.unanswered(error)))
        self.again = again

    def run_so_far(self) -> Trajectory:
        """What has happened."""
        return Trajectory(self.start, *self.betas, tuple(self.events))

    def happen(self, event: Event) -> None:
        """Let an event happen and judge it."""
        if self.refused:
            return
        event = avoided(event, self.tally.refusals)
        self.events.append(event)
        before, last = self.session.state, len(self.events) - 1
        answered = map(self.session.apply, [event])
        failure = judged(self.run_so_far(), answered, self.tally, first=last)
        if failure is not None:
            self.reject(failure)
        self.refused = self.session.state is before
        if self.refused:
            self.events.pop()
        else:
            self.shown.append(self.session.state)

    def teardown(self) -> None:
        """Half of the runs are made once more."""
        if not self.again:
            return
        failure = same_again(self.port, self.run_so_far(), self.shown, self.tally)
        if failure is not None:
            self.reject(failure)

    def reject(self, failure: RunFailure[Trajectory]) -> None:
        """Keep the first failure; Hypothesis replays it, and a port may differ then."""
        self.again = False
        self.tally.failure = self.tally.failure or failure
        raise Stop

    def then_step(self, data: st.DataObject) -> None:
        """Let a step follow an event: as scheduled, if there is a schedule."""
        rng = np.random.default_rng(data.draw(SEEDS))
        params = self.session.state.params
        none: set[int] = set()
        if Offer.NO_GRADIENT in self.port.offers and data.draw(st.booleans()):
            none = data.draw(st.sets(st.integers(0, len(params) - 1)))
        profile = data.draw(st.sampled_from(("ordinary", "ordinary", "cancellation", "mixed")))
        dtypes = [STORAGE_DTYPES[name] for name in self.triple]
        grads = tuple(
            None
            if i in none
            else adversarial(rng, x.size, dtypes, profile, self.betas[0])[2].reshape(x.shape)
            for i, x in enumerate(params)
        )
        if self.scheduled:
            self.happen(Step(grads, None, None))
        else:
            self.happen(Step(grads, data.draw(RATES), data.draw(DECAYS)))

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """A step and no more."""
        self.then_step(data)

    @precondition(offered(Offer.SCHEDULE))
    @rule(
        data=st.data(),
        rates=st.lists(RATES, min_size=1, max_size=4),
        decays=st.lists(DECAYS, min_size=1, max_size=4),
    )
    def schedule(self, data: st.DataObject, rates: list[float], decays: list[float]) -> None:
        """Steps are scheduled from here on."""
        self.scheduled = True
        self.happen(Schedule(tuple(rates), tuple(decays)))
        self.then_step(data)

    @precondition(lambda self: self.scheduled)
    @rule(data=st.data())
    def end_schedule(self, data: st.DataObject) -> None:
        """A step with η and λ of its own ends a schedule."""
        self.scheduled = False
        self.then_step(data)

    @precondition(offered(Offer.FREEZE))
    @rule(data=st.data())
    def freeze(self, data: st.DataObject) -> None:
        """Freeze a tensor."""
        tensor = data.draw(st.integers(0, len(self.session.state.params) - 1))
        self.happen(Freeze(tensor))
        self.then_step(data)

    @precondition(lambda self: self.session.frozen)
    @rule(data=st.data())
    def thaw(self, data: st.DataObject) -> None:
        """Thaw a frozen tensor."""
        tensor = data.draw(st.sampled_from(sorted(self.session.frozen)))
        self.happen(Thaw(tensor))
        self.then_step(data)

    @precondition(offered(Offer.RESTORE))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """Save and restore."""
        self.happen(Restore())
        self.then_step(data)

    @precondition(offered(Offer.SPLIT))
    @precondition(lambda self: self.cuttable)
    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        """Cut a tensor, perhaps into all of it and nothing."""
        tensor = data.draw(st.sampled_from(self.cuttable))
        rows = self.session.state.params[tensor].shape[0]
        self.happen(Split(tensor, data.draw(st.integers(0, rows))))
        self.then_step(data)

    @precondition(offered(Offer.SPLIT))
    @precondition(lambda self: self.joinable)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        """Join two tensors."""
        self.happen(Merge(data.draw(st.sampled_from(self.joinable))))
        self.then_step(data)

    @precondition(offered(Offer.MOMENTUM_DTYPE))
    @rule(data=st.data())
    def momentum_dtype(self, data: st.DataObject) -> None:
        """Another dtype of m that the port takes beside θ's and g's."""
        param, _, grad = self.triple
        dtype = data.draw(st.sampled_from(momenta_beside(self.triples, param, grad)))
        self.triple = (param, dtype, grad)
        self.happen(MomentumDtype(dtype))
        self.then_step(data)

    @precondition(offered(Offer.DEVICE))
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """Go on on another device."""
        self.happen(Move(data.draw(st.sampled_from(self.port.devices))))
        self.then_step(data)

    @property
    def cuttable(self) -> list[int]:
        """Tensors with a first axis, while there are not too many of them."""
        params, frozen = self.session.state.params, self.session.frozen
        few = len(params) < 2 * len(TENSORS)
        return [i for i, x in enumerate(params) if few and x.ndim and i not in frozen]

    @property
    def joinable(self) -> list[int]:
        """Tensors that fit onto the next, axis by axis but the first."""
        pairs = enumerate(pairwise(x.shape for x in self.session.state.params))
        fitting = (i for i, (a, b) in pairs if a and b and a[1:] == b[1:])
        return [i for i in fitting if not {i, i + 1} & self.session.frozen]
