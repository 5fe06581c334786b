"""A run that changes hands: its tensors on either side, its steps, and what it has to come to.

The gradients are those of the recorded run. Beside its tensors there are those that a file or a
framework may lose something of: a kernel whose axes differ between frameworks, numbers of every
special kind, no axes, no elements.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from ml_dtypes import finfo

import lion_ref
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Port, PortError, answering
from lion_conformance.ports.state import State, recast
from lion_conformance.runs import tape
from lion_conformance.runs.events import spelled
from lion_conformance.runs.session import read
from lion_ref import STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import Array, same_bits
from lion_ref.run_state import Group, Header, NameMap, load
from lion_ref.schedules import Schedule

Dtypes = tuple[str, str]
"""Those of θ and m."""

NAMES: Final = (
    "weight of 64 × 8",
    "bias of 8",
    "weight of 8 × 10",
    "bias of 10",
    "kernel of 3 × 3 × 2 × 4",
    "special values",
    "special values without a gradient",
    "scalar",
    "empty tensor",
)
"""What the tensors are called where a difference is told."""

UNSTEPPED: Final = 6
_KERNEL: Final = (3, 3, 2, 4)
_AXES: Final = {2: (1, 0), 4: (3, 2, 0, 1)}
"""By the number of axes: from those of JAX and Keras to those of PyTorch, where they differ."""


@dataclass(frozen=True, slots=True)
class Side:
    """How the tensors lie with one of the two: as in JAX and Keras, or turned as in PyTorch."""

    turned: bool

    def here(self, arrays: Iterable[Array | None]) -> list[Array | None]:
        """Tensors as they lie on this side, in memory of their own."""
        return [None if x is None else np.array(self._turned(x)) for x in arrays]

    def plain(self, state: State) -> State:
        """A state of this side with the axes of JAX and Keras."""
        return State.of(map(self._back, state.params), map(self._back, state.momenta))

    def state(self, state: State) -> State:
        """The opposite."""
        return State.of(map(self._turned, state.params), map(self._turned, state.momenta))

    def _turned(self, array: Array) -> Array:
        return np.transpose(array, self._axes(array))

    def _back(self, array: Array) -> Array:
        return np.transpose(array, np.argsort(self._axes(array)))

    def _axes(self, array: Array) -> Sequence[int]:
        return _AXES.get(array.ndim, range(array.ndim)) if self.turned else range(array.ndim)

    def mapping(self, names: Sequence[str], other: Side, theirs: Sequence[str]) -> NameMap:
        """From the other side's names to those here, with the order of the axes."""
        found: dict[str, Any] = dict(zip(theirs, names, strict=True))

        def place(name: str, shape: tuple[int, ...]) -> Any:
            axes = _AXES.get(len(shape))
            if axes is None or self.turned == other.turned or name not in found:
                return found.get(name, name)
            return found[name], axes if self.turned else np.argsort(axes).tolist()

        return place


@dataclass(frozen=True, slots=True)
class Relay:
    """A run in two parts, each of so many steps."""

    start: State
    steps: int
    grads: tuple[tuple[Array, ...], ...]
    lr: Schedule
    weight_decay: Schedule
    beta1: float
    beta2: float

    @property
    def elements(self) -> int:
        """Of θ and m together."""
        return 2 * sum(x.size for x in self.start.params)

    def group(self, step: int) -> Group:
        """The numbers of the step that comes after so many."""
        return Group(
            self.lr(step),
            self.beta1,
            self.beta2,
            self.weight_decay(step),
            lr_schedule=self.lr,
            weight_decay_schedule=self.weight_decay,
        )

    def taken(self, step: int, port: Port) -> list[Array | None]:
        """A step's gradients; one tensor has none, if the port offers that."""
        found: list[Array | None] = list(self.grads[step])
        if Offer.NO_GRADIENT in port.offers:
            found[UNSTEPPED] = None
        return found


def recorded(dtypes: Dtypes, steps: int) -> Relay:
    """The run with θ and m of these dtypes; gradients have θ's."""
    param, momentum = dtypes
    whole = tape.load()
    params = [*whole.params, whole.params[0].reshape(-1)[: np.prod(_KERNEL)].reshape(_KERNEL)]
    shapes = [(8,), (8,), (), (0, 3)]
    params = [*params, *(np.zeros(shape, np.float32) for shape in shapes)]
    thetas = [recast(x, param) for x in params]
    momenta = [recast(np.zeros_like(x), momentum) for x in params]
    for i, order in ((5, 1), (UNSTEPPED, -1)):
        thetas[i], momenta[i] = special(param)[::order], special(momentum)[::-order]
    thetas[7], momenta[7] = (
        np.array(x, STORAGE_DTYPES[dtype]) for x, dtype in ((1.5, param), (-0.25, momentum))
    )
    grads = []
    for t in range(2 * steps):
        taken = [x[t] for x in whole.grads]
        taken.append(taken[0].reshape(-1)[: np.prod(_KERNEL)].reshape(_KERNEL))
        taken += [np.full(shape, -0.0, np.float32) for shape in shapes]
        grads.append(tuple(recast(x, param) for x in taken))
    return Relay(
        State.of(thetas, momenta),
        steps,
        tuple(grads),
        Schedule("cosine", 0.01, 0.001, steps=2 * steps, warmup=1),
        Schedule("linear", 0.1, 0.0, steps=3 * steps),
        whole.beta1,
        whole.beta2,
    )


def special(dtype: str) -> Array:
    """Eight numbers that are lost most easily, in a dtype.

    >>> special("float32")[:4]
    array([ 1.e-45, -1.e-45, -0.e+00,     nan], dtype=float32)
    """
    limits = finfo(STORAGE_DTYPES[dtype])  # type: ignore[no-untyped-call]  # of ml_dtypes
    least, normal, most = limits.smallest_subnormal, limits.smallest_normal, limits.max
    numbers = [least, -least, -0.0, np.nan, normal - least, -most, np.inf, 1.0]
    return np.array(numbers, STORAGE_DTYPES[dtype])


def otherwise(state: State) -> State:
    """The same tensors with other numbers, as they are where a run is taken over."""
    return State(*(tuple(np.full_like(x, 3.0) for x in part) for part in astuple(state)))


def begun(port: Port, relay: Relay, side: Side) -> Any:
    """A session at the start of the run, which has taken the first part's steps."""
    start = side.state(relay.start)
    session = opened(port, start, relay.beta1, relay.beta2)
    for step in range(relay.steps):
        stepped(session, port, relay, side, step, relay.group(step))
    return session


def opened(port: Port, start: State, beta1: float, beta2: float) -> Any:
    """A session that starts there."""
    with answering():
        return port.open(*map(list, astuple(State.of(*astuple(start)))), beta1=beta1, beta2=beta2)


def stepped(session: Any, port: Port, relay: Relay, side: Side, step: int, group: Group) -> None:
    """The step after so many, with the gradients that were recorded."""
    grads = side.here(relay.taken(step, port))
    with answering():
        session.step(grads, lr=group.lr, weight_decay=group.weight_decay)


def taken_over(
    port: Port, relay: Relay, side: Side, path: Path, other: Side, names: Sequence[str]
) -> tuple[Any, Header]:
    """A session of other numbers, which has taken a step, and goes on as the file says."""
    session = opened(port, otherwise(side.state(relay.start)), 0.5, 0.5)
    if not port.compiles:  # for other betas, once more
        stepped(session, port, relay, side, 0, relay.group(0))
    with answering():
        mapping = side.mapping(session.names(), other, names)
        header = session.import_state(path, mapping=mapping)
    if not isinstance(header, Header):
        raise PortError(f"import_state returned {type(header).__name__}; legal: the file's Header")
    return session, header


def shown(session: Any, relay: Relay, side: Side) -> State:
    """What a session shows, with the axes of JAX and Keras."""
    return side.plain(read(session, side.state(relay.start))[0])


def finished(session: Any, header: Header, port: Port, relay: Relay, side: Side) -> State:
    """The state after the second part, whose numbers are those of the file."""
    group = header.groups[0]
    if group.lr_schedule is None or group.weight_decay_schedule is None:
        raise PortError("the file has no schedules of η and λ; legal: those that were exported")
    for step in range(header.step, header.step + relay.steps):
        now = replace(
            group, lr=group.lr_schedule(step), weight_decay=group.weight_decay_schedule(step)
        )
        stepped(session, port, relay, side, step, now)
    return shown(session, relay, side)


def expected(relay: Relay, semantics: tuple[Semantics, ...], skips: tuple[bool, ...]) -> State:
    """What lion_ref comes to in one go.

    semantics: the bits of the steps of each part that has been done.
    skips: whether a tensor has no gradient in each part.
    """
    params, momenta = list(relay.start.params), list(relay.start.momenta)
    for step in range(len(semantics) * relay.steps):
        part = step // relay.steps
        group = relay.group(step)
        for i, grad in enumerate(relay.grads[step]):
            if i == UNSTEPPED and skips[part]:
                continue
            params[i], momenta[i] = lion_ref.step(
                params[i],
                momenta[i],
                grad,
                **asdict(group.hyperparameters),
                semantics=semantics[part],
            )
    return State.of(params, momenta)


def difference(found: State, wanted: State) -> str:
    """Which tensor and element differs first, and how; nothing if none does."""
    for name, pair, others in zip(NAMES, found.tensors, wanted.tensors, strict=True):
        for symbol, got, want in zip(("θ", "m"), pair, others, strict=True):
            if (got.dtype, got.shape) != (want.dtype, want.shape):
                return f"{symbol} of the {name} is {got.dtype} {got.shape}, not {want.dtype}"
            differ = ~same_bits(got, want)
            if differ.any():
                index = np.unravel_index(int(differ.reshape(-1).argmax()), differ.shape)
                words = (f"{spelled(x[index])[1:-1]} ({x[index]})" for x in (got, want))
                where = f" at {[int(i) for i in index]}" if index else ""
                return f"{symbol} of the {name}{where} is {' instead of '.join(words)}"
    return ""


NUMBERS: Final = ("lr", "beta1", "beta2", "weight_decay")
SCHEDULES: Final = ("lr_schedule", "weight_decay_schedule")


def lost(
    header: Header,
    relay: Relay,
    step: int,
    declared: Semantics | None = None,
    fields: Sequence[str] = (*NUMBERS, *SCHEDULES),
) -> str:
    """What a header says otherwise than it was written; nothing if all is as it was.

    declared: the semantics of who wrote it, if it declares one.
    fields: of a group, that are compared.
    """
    if header.step != step:
        return f"the file has {header.step} steps instead of {step}"
    if declared not in (None, header.semantics):
        words = header.semantics.describe(), declared.describe()
        return f"the file has the semantics “{words[0]}” instead of “{words[1]}”"
    wanted = relay.group(step)
    for group in header.groups:
        for name in fields:
            found, given = getattr(group, name), getattr(wanted, name)
            if found != given:
                return f"the file has {name}={found!r} instead of {given!r}"
    return ""


def lost_inside(session: Any, relay: Relay, step: int, declared: Semantics | None) -> str:
    """What an import has not put into a session itself, by what that writes when nothing is set."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "again.safetensors")
        with answering():
            session.export_state(path, step=step, group=None)
        return lost(load(path).header, relay, step, declared, NUMBERS)
