"""Runs written line by line, and what they are made of: shapes, rates, betas, triples of dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache, wraps
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from lion_conformance.cases.case import Shape, adversarial, ordinary_elements
from lion_conformance.cases.feed import KEPT
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, Triple
from lion_conformance.ports.state import State
from lion_conformance.runs.events import Event, Move, Other, Step
from lion_conformance.runs.trajectory import Trajectory
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import Array

TENSORS: tuple[Shape, ...] = ((31,), (), (3, 4), (2, 3, 2), (31,), (0,), (1,))
FEW_TENSORS: tuple[Shape, ...] = ((31,), (0,), (), (31,))
"""For ports that compile anew for every shape."""

RATES = (0.1, 0.0, 3e-4, 1.0, 0.02, 2.5, 0.003)
DECAYS = (0.1, 0.3, 0.0, 1.0, 0.05)
"""Of different lengths, so that a step has neither η nor λ of the step before."""

BETAS = (0.9, 0.99)
OTHER_BETAS = (0.95, 0.98)
"""No port's default: one that falls back to its own after a step, or an event, is seen."""


def rates(step: int) -> tuple[float, float]:
    """η and λ of a step: neither is that of the step before."""
    return RATES[step % len(RATES)], DECAYS[step % len(DECAYS)]


class Script:
    """A run that is being written: its gradients have the shapes that the tensors then have.

    triples: of the first tensor, the second and so on; then again from the first.
    extreme: the tensor that has numbers of every kind; the others stay finite over many steps.

    What the port does not offer is left out.
    """

    def __init__(
        self,
        seed: int,
        triples: Sequence[Triple],
        shapes: Sequence[Shape],
        betas: tuple[float, float] = BETAS,
        offers: frozenset[Offer] = frozenset(Offer),
        *,
        extreme: int = 2,
    ) -> None:
        self._betas, self._offers, self._extreme = betas, offers, extreme
        self._rng = np.random.default_rng(seed)
        self._dtypes = [[STORAGE_DTYPES[name] for name in triple] for triple in triples]
        first = self._drawn(dict(enumerate(shapes)))
        params, momenta = ([first[i][k] for i in range(len(shapes))] for k in (0, 1))
        self._start = self.state = State.of(params, momenta)
        self._events: list[Event] = []
        self._steps = 0

    def step(
        self,
        without: Sequence[int] = (),
        *,
        scheduled: bool = False,
        given: tuple[float, float] | None = None,
    ) -> Script:
        """Add a step with an η and a λ that the step before did not have, if none are given."""
        none = without if Offer.NO_GRADIENT in self._offers else ()
        shapes = {i: x.shape for i, x in enumerate(self.state.params)}
        drawn = self._drawn({i: shape for i, shape in shapes.items() if i not in none}, (2,))
        grads = tuple(drawn[i][0] if i in drawn else None for i in shapes)
        lr, weight_decay = given or rates(self._steps)
        self._steps += 1
        by_schedule = scheduled and Offer.SCHEDULE in self._offers
        step = Step(grads, None, None) if by_schedule else Step(grads, lr, weight_decay)
        self._events.append(step)
        return self

    def then(self, *events: Other) -> Script:
        """Add events that are no steps."""
        for event in events:
            if event.needs in self._offers:
                self.state = event.leaves(self.state)
                self._events.append(event)
        return self

    def written(self) -> Trajectory:
        """The run so far."""
        return Trajectory(self._start, *self._betas, tuple(self._events))

    def _drawn(
        self, shapes: dict[int, Shape], which: Sequence[int] = (0, 1)
    ) -> dict[int, list[Array]]:
        """Of θ, m and g those that are wanted, for some of the tensors; alike ones at once."""
        alike: dict[tuple[int, bool], list[int]] = {}
        for i in shapes:
            alike.setdefault((i % len(self._dtypes), i == self._extreme), []).append(i)
        drawn = {}
        for (place, extreme), tensors in alike.items():
            sizes = [math.prod(shapes[i]) for i in tensors]
            n, dtypes = sum(sizes), self._dtypes[place]
            if extreme:
                every = adversarial(self._rng, n, dtypes, "mixed", self._betas[0])
                flat = [every[k] for k in which]
            else:
                flat = [ordinary_elements(self._rng, n, dtypes[k]) for k in which]
            for i, size, end in zip(tensors, sizes, accumulate(sizes), strict=True):
                drawn[i] = [x[end - size : end].reshape(shapes[i]).copy() for x in flat]
        return drawn


class Kind(NamedTuple):
    """What of a port its runs depend on; what `Port` says of each."""

    triples: tuple[Triple, ...]
    offers: frozenset[Offer]
    compiles: bool
    devices: tuple[str, ...]


class Named(NamedTuple):
    """A run and the name that it has for every port, whatever it offers."""

    name: str
    write: Callable[[], Trajectory]
    """Writes it when it is wanted, and once."""


def written_once(
    named: Callable[[Kind, str], Iterable[tuple[str, Callable[[], Trajectory]]]],
) -> Callable[[Port, str], tuple[Named, ...]]:
    """The runs for a port and a dtype of θ, kept: a diagnosis goes through them again."""

    @lru_cache(maxsize=KEPT)
    def kept(kind: Kind, dtype: str) -> tuple[Named, ...]:
        return tuple(Named(name, cache(write)) for name, write in named(kind, dtype))

    @wraps(named)
    def runs(port: Port, dtype: str) -> tuple[Named, ...]:
        return kept(Kind(port.triples, port.offers, port.compiles, port.devices), dtype)

    return runs


Writing = Iterator[tuple[str, Callable[[], Trajectory]]]
"""Runs that can be written, each with its name."""


def momenta_beside(triples: Sequence[Triple], param: str, grad: str) -> list[str]:
    """The dtypes of m that there are beside those of θ and g."""
    return [triple[1] for triple in triples if (triple[0], triple[2]) == (param, grad)]


def round_all_devices(port: Port | Kind) -> list[Move]:
    """From the first device to each other, and back."""
    return [Move(device) for device in (*port.devices[1:], *port.devices[:1])]


def triples_of(port: Port | Kind, dtype: str) -> list[Triple]:
    """A triple of one dtype, and one whose m has another than θ; what there is of them."""
    triples = [triple for triple in port.triples if triple[0] == dtype]
    alike = [triple for triple in triples if len(set(triple)) == 1]
    mixed = [triple for triple in triples if triple[0] != triple[1]]
    return [*alike[:1], *mixed[:1]] or triples[:1]
