"""What a port is: something that steps Lion, driven through its own public door.

It opens a session: it takes parameters and momenta once and then steps as a training run would.
A bare callable with lion_ref.step's signature is made one by `callable`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, Protocol, TypedDict

import numpy as np

from lion_conformance.operations.traced import Trace
from lion_conformance.ports.layouts import like
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.refusal import Refusal
from lion_ref import STORAGE_DTYPES, Semantics, legal_triples
from lion_ref.arithmetic import Array, bits, require_default_environment

Triple = tuple[str, str, str]


class PortError(Exception):
    """A port raised, or returned what is no result; one line that says which and what is legal."""


class ChangedInputError(PortError):
    """A port wrote to what it was given."""


class ChangedResultError(PortError):
    """A port changed what it had returned before."""


class ChangedAnswerError(PortError):
    """A port gave other bits for the same inputs."""


class RaisedError(PortError):
    """A port raised, or said in its own way that it does not take what it was given."""


class OtherDtypeError(PortError):
    """A port returned a result of another dtype than the array it was made from."""


class ScalarArguments(TypedDict):
    """The keyword arguments of a step."""

    lr: float
    beta1: float
    beta2: float
    weight_decay: float


class Betas(TypedDict):
    """The keyword arguments with which a session is opened."""

    beta1: float
    beta2: float


class Session(Protocol):
    """A run in progress: parameters and momenta live inside."""

    def step(self, grads: Sequence[Array], *, lr: float, weight_decay: float) -> None:
        """One step of all parameters; the gradients are only read."""

    def read(self) -> tuple[list[Array], list[Array]]:
        """(parameters, momenta) as NumPy arrays that no later step changes."""


class Opener(Protocol):
    """Starts a session; the arrays are the port's to keep."""

    def __call__(
        self, params: Sequence[Array], momenta: Sequence[Array], *, beta1: float, beta2: float
    ) -> Session:
        """A session that starts with these parameters and momenta."""


LONGEST_NAME: Final = 200


def check_name(value: str) -> None:
    """ValueError unless a port can be called so, in a table and in a file's name."""
    if not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        shown = repr(value if len(value) <= LONGEST_NAME else f"{value[:20]}…")
        legal = f"1 to {LONGEST_NAME} printable characters"
        raise ValueError(f"name={shown} is not legal; legal: {legal}")


UNIFORM: Final[tuple[Triple, ...]] = tuple((name, name, name) for name in STORAGE_DTYPES)
"""The triples of one dtype: what is judged of a port that says nothing of its dtypes."""

_FIELDS: Final[dict[str, tuple[Any, str]]] = {
    "name": (str, "a string"),
    "open": (Callable, "a callable open(params, momenta, *, beta1, beta2) -> session"),
    "door": (str, "a string"),
    "declared": ((Semantics, NoneType), "a lion_ref.Semantics, or None"),
    "triples": (tuple, "a tuple of one or more of lion_ref.legal_triples()"),
    "declines": (tuple, "a tuple of lion_conformance.Refusal"),
    "device": (str, "a string"),
    "compiles": (bool, "True or False"),
    "offers": (frozenset, "a frozenset of lion_conformance.Offer"),
    "restore": ((Callable, NoneType), "a callable restore(saved) -> session, or None"),
    "devices": (tuple, "a tuple of strings"),
    "unavailable": (str, "a string"),
    "trace": ((Callable, NoneType), "a callable trace(triple) -> iterable of Traced, or None"),
    "variants": (tuple, "a tuple of lion_conformance.Variant"),
    "recipe": (str, "a Python expression, as a string"),
}
"""What each field of a port has to be."""


def _check_fields(port: Port) -> None:
    """TypeError for a field of another type, ValueError for words that no report can show."""
    for name, (kinds, legal) in _FIELDS.items():
        value = getattr(port, name)
        if not isinstance(value, kinds):
            raise TypeError(f"{name}={value!r} is not legal; legal: {legal}")
    check_name(port.name)
    for name in ("door", "device"):
        value = getattr(port, name)
        if not value.isprintable():
            raise ValueError(f"{name}={value!r} is not legal; legal: printable characters")


@dataclass(frozen=True, slots=True)
class Port:
    """A port under test, and what it says of itself.

    declared is the semantics whose bits the port promises. None promises nothing: such a port is
    in order as long as every result is accepted (SPEC C29).
    """

    name: str
    open: Opener
    door: str = "step(...)"
    declared: Semantics | None = None
    triples: tuple[Triple, ...] = UNIFORM
    """The dtypes (θ, m, g) that it takes, and so has to be right in. If left out, nothing is said
    of them: those of one dtype are tried, and any other may be asked for (SPEC C29)."""
    declines: tuple[Refusal, ...] = ()
    """Legal scalars that it says it does not take: refusing these is no shortfall."""
    device: str = "cpu"
    compiles: bool = False
    """Whether each new shape costs a compilation: then fewer sizes are tried."""
    offers: frozenset[Offer] = frozenset()
    """What its sessions can do beyond steps: docs/reference/runs.md."""
    restore: Callable[[bytes], Session] | None = None
    """Makes a session of what another saved; found by name in another process, if it can be."""
    devices: tuple[str, ...] = ()
    """Where its sessions can be moved, `device` first."""
    unavailable: str = ""
    """Why this door cannot be judged here, though its framework is installed."""
    trace: Trace | None = None
    """The update as expressions, for `lion_conformance.prove`; what cannot be traced has none."""
    variants: tuple[Variant, ...] = ()
    """What else the same code may come to: all are judged, and the verdict is the worst."""
    recipe: str = ""
    """A Python expression of `lion_conformance` and `lion_ref` that makes the port again: the way
    back to it for a reproduction, where no name leads to it."""

    def __post_init__(self) -> None:
        """TypeError or ValueError, in one line, for what no port can say of itself."""
        _check_fields(self)
        if not self.triples:
            raise ValueError(f"triples=() is not legal; legal: {_FIELDS['triples'][1]}")
        legal_here = legal_triples()
        for triple in self.triples:
            if triple not in legal_here:
                raise ValueError(
                    f"triples holds {triple!r}, which is not legal; legal: those of "
                    "lion_ref.legal_triples(), the dtypes (param, momentum, grad)"
                )
        members = (
            ("declines", Refusal),
            ("offers", Offer),
            ("devices", str),
            ("variants", Variant),
        )
        for name, kind in members:
            for member in getattr(self, name):
                if not isinstance(member, kind):
                    raise TypeError(
                        f"{name} holds {member!r}, which is not legal; legal: {_FIELDS[name][1]}"
                    )
        if Offer.DEVICE in self.offers and not self.devices:
            raise ValueError(
                f"devices={self.devices!r} is not legal with Offer.DEVICE; legal: the devices that "
                "sessions can be moved to, `device` first"
            )
        if Offer.RESTORE in self.offers and self.restore is None:
            raise ValueError(
                f"restore={self.restore!r} is not legal with Offer.RESTORE; legal: a callable that "
                "makes a session of what another saved"
            )

    @property
    def dtypes_unsaid(self) -> bool:
        """Whether `triples` was left out, so that one which it does not take is no shortfall."""
        return self.triples is UNIFORM

    def params(self) -> tuple[str, ...]:
        """The dtypes of θ that the port takes, in the order of `triples`."""
        return params_of(self.triples)


@dataclass(frozen=True, slots=True)
class Variant:
    """What the code of a port may come to where that is not for the code to say."""

    words: str
    """How it does, as in "contracted by the assembler"."""
    port: Port
    depends_on: str
    """Whose choice it is, as in "the assembler"."""
    decided_by: str
    """What its author can do so that it does not depend."""


_MEMBERS: Final[dict[str, type]] = {
    "declines": Refusal,
    "offers": Offer,
    "devices": str,
    "variants": Variant,
}
"""What each field of a port holds that holds several."""


def params_of(triples: Iterable[Triple]) -> tuple[str, ...]:
    """The dtypes of θ among triples, in their order."""
    return tuple(dict.fromkeys(param for param, *_ in triples))


def check_unchanged(name: str, array: Array, pattern: Array) -> None:
    """ChangedInputError unless an array that a port was given still has these bits."""
    now = bits(array)
    if now.shape != pattern.shape or now.tobytes() != pattern.tobytes():
        raise ChangedInputError(
            f"the port changed its input {name}; legal: inputs are only read, "
            "results are new arrays"
        )


def check_gradients(given: Iterable[Array | None], before: Iterable[Array | None]) -> None:
    """ChangedInputError if a session has written to the gradients that it was given."""
    for grad, original in zip(given, before, strict=True):
        if grad is not None and original is not None:
            check_unchanged("grad", grad, bits(original))


def shown_by_read(shown: object, count: int) -> tuple[Sequence[Array], Sequence[Array]]:
    """What `read()` returned, if it is two lists of so many arrays; else PortError."""
    legal = "legal: read() -> (params, momenta), lists of NumPy arrays"
    if not isinstance(shown, (tuple, list)) or len(shown) != 2:
        raise PortError(f"read() returned {type(shown).__name__}; {legal}")
    for name, arrays in zip(("params", "momenta"), shown, strict=True):
        if not isinstance(arrays, (tuple, list)):
            raise PortError(f"read() returned a {type(arrays).__name__} of {name}; {legal}")
        if len(arrays) != count:
            raise PortError(f"read() returned {len(arrays)} {name}; legal: {count}")
        for array in arrays:
            # NumPy makes a scalar of an array of no axes wherever it computes with one.
            if not isinstance(array, (np.ndarray, np.generic)) or isinstance(
                array, np.ma.MaskedArray
            ):
                raise PortError(f"read() returned {type(array).__name__} in {name}; {legal}")
    params, momenta = ([np.asanyarray(x) for x in arrays] for arrays in shown)
    return params, momenta


@contextmanager
def answering() -> Iterator[None]:
    """Around calls of a port: whatever it raises becomes a PortError in one line.

    NumPy's warnings are off meanwhile: cases are extreme on purpose, and no port need warn of it.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except PortError:
        raise
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a port that exits or skips must not end the judging as passed
        check_environment()
        raise RaisedError(f"the port raised {type(error).__name__}: {_words(error)}") from error


def _words(error: BaseException) -> str:
    """What an exception says, in one line that can be printed."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - somebody else's __str__ may raise anything
        return "its words cannot be had"
    shown = "".join(x if x.isprintable() else "?" for x in text[:300])
    return shown or "it does not say why"


def check_environment() -> None:
    """PortError if the port has left this thread in another floating-point environment (SPEC C15).

    The default is set again, so that the judge can go on; where the C library lacks glibc's way of
    saying so, the reference refuses the thread itself.
    """
    try:
        require_default_environment()
    except FloatingPointError as error:
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).fesetenv(ctypes.c_void_p(-1))  # FE_DFL_ENV
        raise PortError(f"the port changed its thread: {error}") from error


def run_once(
    port: Port,
    param: Array,
    momentum: Array,
    grad: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
) -> tuple[Array, Array]:
    """One checked step of one tensor: (θ', m'), or PortError in one line.

    The port gets copies of the same layout, so that one which writes to its inputs cannot change
    the case.
    """
    given_grad = like(grad)
    try:
        with answering():
            session = port.open([like(param)], [like(momentum)], beta1=beta1, beta2=beta2)
            session.step([given_grad], lr=lr, weight_decay=weight_decay)
            shown = session.read()
        check_environment()
    finally:
        check_gradients([given_grad], [grad])  # by a port that raises too
    params, momenta = shown_by_read(shown, 1)
    results = (params[0], momenta[0])
    for name, result, given in zip(("param", "momentum"), results, (param, momentum), strict=True):
        if result.dtype != given.dtype:
            raise OtherDtypeError(
                f"the port returned {name} as {result.dtype}; legal: {given.dtype}, as given"
            )
        if result.shape != given.shape:
            raise PortError(
                f"the port returned {name} with shape {result.shape}; "
                f"legal: {given.shape}, as given"
            )
    return results
