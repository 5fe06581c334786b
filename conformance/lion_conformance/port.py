"""What a port is: something that steps Lion, driven through its own public door.

A bare callable with lion_ref.step's signature is a port already (`from_callable`). A richer one
opens a session: it takes parameters and momenta once and then steps as a training run would.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lion_conformance.layouts import like
from lion_conformance.offers import Offer
from lion_ref import STORAGE_DTYPES, Semantics, legal_triples
from lion_ref.arithmetic import bits, require_default_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Array = NDArray[Any]
Triple = tuple[str, str, str]


OVERLAP_WORK = 100_000
"""Candidates that NumPy may try before it is taken to be too hard whether arrays overlap."""


class PortError(Exception):
    """A port raised, or returned what is no result; one line that says which and what is legal."""


class ChangedInputError(PortError):
    """A port wrote to what it was given."""


class ChangedResultError(PortError):
    """A port changed what it had returned before."""


class ChangedAnswerError(PortError):
    """A port gave other bits for the same inputs."""


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
    triples: tuple[Triple, ...] = field(default_factory=legal_triples)
    device: str = "cpu"
    compiles: bool = False
    """Whether each new shape costs a compilation: then fewer sizes are tried."""
    offers: frozenset[Offer] = frozenset()
    """What its sessions can do beyond steps: docs/trajectories.md."""
    restore: Callable[[bytes], Session] | None = None
    """Makes a session of what another saved; found by name in another process, if it can be."""
    devices: tuple[str, ...] = ()
    """Where its sessions can be moved, `device` first."""
    unavailable: str = ""
    """Why this door cannot be judged here, though its framework is installed."""

    def __post_init__(self) -> None:
        """TypeError or ValueError, in one line, for what no port can say of itself."""
        legal = "legal: a frozenset of lion_conformance.Offer"
        if not isinstance(self.offers, frozenset):
            raise TypeError(f"offers={self.offers!r} is not legal; {legal}")
        for offer in self.offers:
            if not isinstance(offer, Offer):
                raise TypeError(f"offers holds {offer!r}, which is not legal; {legal}")
        if Offer.DEVICE in self.offers and not self.devices:
            raise ValueError(
                f"devices={self.devices!r} is not legal with Offer.DEVICE; legal: the devices that "
                "sessions can be moved to, `device` first"
            )
        if Offer.RESTORE in self.offers and not callable(self.restore):
            raise ValueError(
                f"restore={self.restore!r} is not legal with Offer.RESTORE; legal: a callable that "
                "makes a session of what another saved"
            )

    def params(self) -> tuple[str, ...]:
        """The dtypes of θ that the port takes, in the order of `triples`."""
        return tuple(dict.fromkeys(triple[0] for triple in self.triples))


_OF_ANY_CALLABLE = frozenset({Offer.NO_GRADIENT, Offer.FREEZE, Offer.SPLIT})
"""A callable keeps nothing between its calls, as these events show; there is nothing to save."""


class _Stateless:
    """A session over a callable that keeps no state of its own."""

    def __init__(
        self,
        step: Callable[..., Any],
        params: Sequence[Array],
        momenta: Sequence[Array],
        beta1: float,
        beta2: float,
    ) -> None:
        self._step, self._betas = step, {"beta1": beta1, "beta2": beta2}
        self._params, self._momenta = list(params), list(momenta)
        self._given: dict[int, tuple[Array, ...]] = {}

    def step(self, grads: Sequence[Array | None], *, lr: float, weight_decay: float) -> None:
        """One call of the callable for each tensor; inputs that it changed are an error."""
        for i, grad in enumerate(grads):
            if grad is None:
                continue
            param, momentum = self._refilled(i)
            inputs = (param, momentum, grad)
            before = [bits(x).copy() for x in inputs]
            result = self._step(*inputs, lr=lr, weight_decay=weight_decay, **self._betas)
            for name, array, pattern in zip(
                ("param", "momentum", "grad"), inputs, before, strict=True
            ):
                _check_unchanged(name, array, pattern)
            results = _pair(result)
            if all(a.shape == b.shape for a, b in zip(results, inputs, strict=False)):
                _check_new(results, inputs)  # else the wrong shape is what there is to say
            self._params[i], self._momenta[i] = results

    def _refilled(self, i: int) -> tuple[Array, ...]:
        """θ and m: as they lie in memory at first, later always in the same two arrays.

        So whoever knows an array by its identity, or looks at one after the call, has old numbers.
        """
        state = (self._params[i], self._momenta[i])
        if i not in self._given:
            self._given[i] = ()
            return state
        given = self._given[i]
        if [(x.shape, x.dtype) for x in given] != [(x.shape, x.dtype) for x in state]:
            given = self._given[i] = tuple(x.copy() for x in state)
        for array, numbers in zip(given, state, strict=True):
            array[...] = numbers
        return given

    def freeze(self, tensor: int) -> None:
        """Nothing to do: without a gradient the callable is not called."""

    def thaw(self, tensor: int) -> None:
        """Nothing to do: see `freeze`."""

    def split(self, tensor: int, at: int) -> None:
        """Views of the rows: what is one array of another's memory is nothing to a callable."""
        for arrays in (self._params, self._momenta):
            whole = arrays[tensor]
            arrays[tensor : tensor + 1] = [whole[:at], whole[at:]]
        self._given.clear()

    def merge(self, tensor: int) -> None:
        """The rows of both, in a new array."""
        self._given.clear()
        for arrays in (self._params, self._momenta):
            arrays[tensor : tensor + 2] = [np.concatenate(arrays[tensor : tensor + 2])]

    def read(self) -> tuple[list[Array], list[Array]]:
        """The arrays that the callable returned last."""
        return list(self._params), list(self._momenta)


def _check_unchanged(name: str, array: Array, pattern: Array) -> None:
    """ChangedInputError unless an array that a port was given still has these bits."""
    if not np.array_equal(bits(array), pattern):
        raise ChangedInputError(
            f"the port changed its input {name}; legal: inputs are only read, "
            "results are new arrays"
        )


def check_gradients(given: Iterable[Array | None], before: Iterable[Array | None]) -> None:
    """ChangedInputError if a session has written to the gradients that it was given."""
    for grad, original in zip(given, before, strict=True):
        if grad is not None and original is not None:
            _check_unchanged("grad", grad, bits(original))


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


def _check_new(results: tuple[Array, Array], inputs: tuple[Array, Array, Array]) -> None:
    """PortError if an element of a result lies where one of an input or the other result does."""
    for name, result, others in (
        ("param", results[0], (*inputs, results[1])),
        ("momentum", results[1], inputs),
    ):
        if any(_overlap(result, other) for other in others):
            raise PortError(
                f"the port returned {name} in memory that an input or the other result lies in; "
                "legal: new arrays"
            )


def _overlap(first: Array, second: Array) -> bool:
    """Whether they share memory: two columns of one matrix do not.

    Strides so odd that it takes long to say are taken for shared memory.
    """
    try:
        # NumPy's stub knows of no work but none and all.
        return np.shares_memory(first, second, max_work=OVERLAP_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _pair(result: object) -> tuple[Array, Array]:
    legal = "legal: a tuple (param, momentum) of NumPy arrays"
    if not isinstance(result, (tuple, list)):
        raise PortError(f"the port returned {type(result).__name__}; {legal}")
    if len(result) != 2:
        raise PortError(f"the port returned {len(result)} values; {legal}")
    param, momentum = result
    return _array("param", param, legal), _array("momentum", momentum, legal)


def _array(name: str, value: object, legal: str) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise PortError(f"the port returned a masked array for {name}; {legal}")
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    raise PortError(f"the port returned a {type(value).__name__} for {name}; {legal}")


def from_callable(
    step: Callable[..., Any],
    *,
    name: str | None = None,
    declared: Semantics | None = None,
    refuses: bool = False,
) -> Port:
    """A port from a callable with lion_ref.step's signature: NumPy arrays in, NumPy arrays out.

    refuses: whether it is to be judged by its refusals too, as a port that offers REFUSAL.

    >>> import lion_ref
    >>> from_callable(lion_ref.step).name
    'lion_ref.update.step'
    """
    if not callable(step):
        raise TypeError(
            f"port={step!r} is not legal; legal: a callable step(param, momentum, grad, *, lr, "
            "beta1, beta2, weight_decay) -> (param, momentum), or a lion_conformance.Port"
        )
    if name is None:
        module = getattr(step, "__module__", None) or "<unknown>"
        name = f"{module}.{getattr(step, '__qualname__', type(step).__name__)}"

    def open_session(
        params: Sequence[Array], momenta: Sequence[Array], *, beta1: float, beta2: float
    ) -> Session:
        return _Stateless(step, params, momenta, beta1, beta2)

    offers = _OF_ANY_CALLABLE | ({Offer.REFUSAL} if refuses else set())
    return Port(name=name, open=open_session, declared=declared, offers=offers)


def check_dtypes(port: Port, dtypes: Iterable[str] | None) -> tuple[str, ...]:
    """The dtypes of θ to judge; ValueError for one that no port or not this port takes."""
    if dtypes is None:
        return port.params()
    known = ", ".join(STORAGE_DTYPES)
    if not isinstance(dtypes, Iterable):
        raise TypeError(f"dtypes={dtypes!r} is not legal; legal: some of {known}")
    wanted = (dtypes,) if isinstance(dtypes, str) else tuple(dtypes)
    for dtype in wanted:
        if dtype not in list(STORAGE_DTYPES):  # it need not be hashable
            raise ValueError(f"dtype={dtype!r} is not legal; legal: {known}")
        if dtype not in port.params():
            raise ValueError(
                f"dtype={dtype!r} is not taken by {port.name}; legal: {', '.join(port.params())}"
            )
    return wanted


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
        text = " ".join(str(error).split())
        raise PortError(f"the port raised {type(error).__name__}: {text[:300]}") from error


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
    with answering():
        session = port.open([like(param)], [like(momentum)], beta1=beta1, beta2=beta2)
        session.step([given_grad], lr=lr, weight_decay=weight_decay)
        shown = session.read()
    check_environment()
    check_gradients([given_grad], [grad])
    params, momenta = shown_by_read(shown, 1)
    results = (params[0], momenta[0])
    for name, result, given in zip(("param", "momentum"), results, (param, momentum), strict=True):
        if result.dtype != given.dtype:
            raise PortError(
                f"the port returned {name} as {result.dtype}; legal: {given.dtype}, as given"
            )
        if result.shape != given.shape:
            raise PortError(
                f"the port returned {name} with shape {result.shape}; "
                f"legal: {given.shape}, as given"
            )
    return results
