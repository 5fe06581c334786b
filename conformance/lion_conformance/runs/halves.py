"""The two parts of a run that changes hands, each as the process of its own backend takes it.

Nothing goes from the one to the other but the file and the names in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lion_conformance.ports.backends import Backend, NotRunnable, load
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, PortError, answering
from lion_conformance.ports.reference import reference
from lion_conformance.ports.state import State
from lion_conformance.runs import relay
from lion_conformance.runs.hand_over import pairs
from lion_conformance.runs.relay import Dtypes, Side
from lion_ref import CANONICAL, Semantics
from lion_ref.subnormals import SubnormalsChoice

STEPS: Final = 8
"""Of each part."""

TURNED: Final = frozenset({"torch", "array-api"})
"""Backends whose kernels lie as PyTorch's: elsewhere other axes come first."""


@dataclass(frozen=True, slots=True)
class File:
    """A run half-way, as a backend wrote it."""

    path: Path
    names: tuple[str, ...]
    state: State
    """What the session then showed, with the axes of JAX and Keras."""


@dataclass(frozen=True, slots=True)
class Written:
    """A backend's first parts; plain values, which travel between processes."""

    backend: str
    declared: Semantics | None = None
    skips: bool = False
    """Whether a tensor may have no gradient."""
    dtypes: tuple[Dtypes, ...] = ()
    """Of θ and m, that it takes."""
    files: dict[Dtypes, File] = field(default_factory=dict)
    errors: dict[Dtypes, str] = field(default_factory=dict)
    not_run: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """What a backend's second part came to; or why it came to nothing."""

    state: State | None
    """With the axes of JAX and Keras."""
    lost: str = ""


def side(backend: str) -> Side:
    """How tensors lie in a backend."""
    return Side(turned=backend in TURNED)


def first_parts(
    one: Backend, folder: Path, wanted: Sequence[Dtypes], subnormals: SubnormalsChoice
) -> Written:
    """Begin the run in each pair of dtypes that is wanted and taken, and write it to a file."""
    try:
        port = _port(one, subnormals)
    except NotRunnable as error:
        return Written(one.name, not_run=f"{one.name}: {error}")
    here = side(one.name)
    files: dict[Dtypes, File] = {}
    errors: dict[Dtypes, str] = {}
    for dtypes in (x for x in wanted if x in pairs(port)):
        run = relay.recorded(dtypes, STEPS)
        path = folder / f"{one.name}-{'-'.join(dtypes)}.safetensors"
        try:
            session = relay.begun(port, run, here)
            with answering():
                session.export_state(path, step=STEPS, group=run.group(STEPS))
                names = tuple(session.names())
            files[dtypes] = File(path, names, relay.shown(session, run, here))
        except PortError as error:
            errors[dtypes] = str(error)
    skips = Offer.NO_GRADIENT in port.offers
    return Written(one.name, port.declared, skips, pairs(port), files, errors)


def second_parts(
    one: Backend, written: Written, subnormals: SubnormalsChoice
) -> dict[Dtypes, Read]:
    """Go on with what another backend, or the same, has written, as far as it is taken."""
    port, here, there = _port(one, subnormals), side(one.name), side(written.backend)
    return {
        dtypes: _second_part(port, here, there, written.declared, dtypes, file)
        for dtypes, file in written.files.items()
        if dtypes in pairs(port)
    }


def _second_part(
    port: Port, here: Side, there: Side, declared: Semantics | None, dtypes: Dtypes, file: File
) -> Read:
    run = relay.recorded(dtypes, STEPS)
    try:
        session, header = relay.taken_over(port, run, here, file.path, there, file.names)
        taken = relay.shown(session, run, here)
        lost = relay.lost(header, run, STEPS, declared) or relay.difference(taken, file.state)
        if lost:
            return Read(None, f"after the import {lost}")
        if lost := relay.lost_inside(session, run, STEPS, port.declared):
            return Read(None, f"exported again after the import, {lost}")
        return Read(relay.finished(session, header, port, run, here))
    except PortError as error:
        return Read(None, str(error))


def _port(one: Backend, subnormals: SubnormalsChoice) -> Port:
    """The backend's first door that hands a run over."""
    flush = Semantics(subnormals="flush") if subnormals == "flush" else CANONICAL
    numpy = one.name == "numpy"
    offered = [reference(flush)] if numpy else load(one, subnormals=subnormals)
    for port in offered:
        if Offer.HAND_OVER in port.offers and not port.unavailable:
            return port
    raise NotRunnable("no port of it offers a hand-over")
