"""Runs in which events come amid others: split, frozen, scheduled, in another dtype, all at once.

In `fixed` each event has a step to itself. A port may do right by each and not by two: save as
many tensors as it was opened with, though one was split; start a schedule over where a tensor is
thawed. None of it is for ports that compile anew for every shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice

import numpy as np

from lion_conformance.cases.case import SPECIALS
from lion_conformance.cases.sweep import beside_middles
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Triple
from lion_conformance.ports.state import State
from lion_conformance.runs.events import (
    Freeze,
    Merge,
    MomentumDtype,
    Other,
    Refuse,
    Restore,
    Schedule,
    Split,
    Step,
    Thaw,
)
from lion_conformance.runs.script import (
    BETAS,
    DECAYS,
    OTHER_BETAS,
    RATES,
    TENSORS,
    Kind,
    Script,
    Writing,
    momenta_beside,
    round_all_devices,
    triples_of,
    written_once,
)
from lion_conformance.runs.trajectory import Trajectory
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import round_to
from lion_ref.rational import FORMATS

ALL = range(len(TENSORS))

LONG_SCHEDULE = (0.123456789,), (0.0234567,)
"""Of one entry each, for ever, with more digits than somebody would keep."""

TIES = 192
"""Momenta at and beside the middle of two numbers of another dtype."""


@written_once
def interleaved_runs(port: Kind, dtype: str) -> Writing:
    """Runs for a port whose θ has one dtype, each to be judged after every event."""
    if port.compiles or not port.offers:
        return
    triple = triples_of(port, dtype)[0]
    yield "early", partial(_early, port, triple)
    yield "of pieces", partial(_of_pieces, port, triple)
    yield "by schedule", partial(_by_schedule, port, triple)


@written_once
def hops(port: Kind, dtype: str) -> Writing:
    """From each dtype of momentum straight to each other, at numbers that are hard to round."""
    if port.compiles or Offer.MOMENTUM_DTYPE not in port.offers:
        return
    param, _, grad = triples_of(port, dtype)[0]
    legal = momenta_beside(port.triples, param, grad)
    for source in legal:
        for target in legal:
            if source != target:
                yield f"{source} to {target}", partial(_hop, (param, source, grad), target)


def _early(port: Kind, triple: Triple) -> Trajectory:
    """Events before any step, on numbers of every kind; then all tensors frozen at once."""
    script = Script(5, [triple], TENSORS, OTHER_BETAS, port.offers, extreme=0)
    script.then(
        Freeze(0), Thaw(0), *round_all_devices(port), Restore(), Split(0, 12), Merge(0)
    ).step()
    script.then(*map(Freeze, ALL)).step().then(Restore(), *round_all_devices(port)).step()
    script.then(*map(Thaw, ALL[1:]), Refuse("lr", -0.1, triple[2])).step().then(Thaw(0)).step()
    return script.step(without=ALL).step().written()


def _of_pieces(port: Kind, triple: Triple) -> Trajectory:
    """What else happens to a tensor in pieces, and pieces of nothing."""
    script = Script(6, [triple], TENSORS, OTHER_BETAS, port.offers)
    script.then(Split(0, 12), Split(1, 5)).step().then(Restore()).step()
    script.then(*_other_dtypes(port, triple)).step().then(*round_all_devices(port)).step()
    script.then(Freeze(1)).step(without=[0]).then(Thaw(1)).step()
    script.then(Merge(0)).step().then(Merge(0)).step()
    script.then(Split(3, 1)).step().then(Merge(3))
    for rows in (0, 31):
        script.then(Split(0, rows)).step().then(Merge(0))
    return script.step().written()


def _by_schedule(port: Kind, triple: Triple) -> Trajectory:
    """Every other event while a schedule counts the steps; then past its end."""
    script = Script(7, [triple], TENSORS, OTHER_BETAS, port.offers)

    def amid(*events: Other) -> None:
        script.then(*events).step(scheduled=True)

    amid(Schedule(*LONG_SCHEDULE))
    amid()
    amid(Schedule(RATES, DECAYS))
    script.step(without=ALL, scheduled=True)
    amid(Freeze(0))
    amid(Freeze(4))
    amid(Thaw(0), Thaw(4))
    amid(*round_all_devices(port))
    amid(*_other_dtypes(port, triple))
    for _ in range(3):
        amid()
    amid(Restore())
    return script.written()


def _other_dtypes(port: Kind, triple: Triple) -> Iterator[Other]:
    """To another dtype of m, if there is one."""
    param, momentum, grad = triple
    others = (x for x in momenta_beside(port.triples, param, grad) if x != momentum)
    return (MomentumDtype(x) for x in islice(others, 1))


def _hop(triple: Triple, target: str) -> Trajectory:
    rng = np.random.default_rng(8)
    theta, m, g = (STORAGE_DTYPES[name] for name in triple)
    digits, held = FORMATS[target].precision, FORMATS[triple[1]].precision
    ties = round_to(beside_middles(rng, TIES, digits, (digits + 1, max(held, digits + 2))), m)
    with np.errstate(all="ignore"):
        low = round_to(np.ldexp(np.float64(ties), FORMATS[target].min_exponent), m)
        momenta = np.concatenate([ties, low, round_to(SPECIALS, m)])
    params, grads = (round_to(rng.standard_normal(momenta.size), x) for x in (theta, g))
    state = State((params,), (momenta,))
    return Trajectory(state, *BETAS, (MomentumDtype(target), Step((grads,), 0.1, 0.1)))
