"""A bare callable with lion_ref.step's signature as a port: NumPy arrays in, new arrays out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np

from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import (
    LONGEST_NAME,
    UNIFORM,
    Betas,
    Port,
    PortError,
    Triple,
    check_unchanged,
)
from lion_conformance.ports.recording.callables import traced_callable
from lion_conformance.ports.recording.names import uses
from lion_conformance.ports.refusal import Refusal
from lion_conformance.ports.sessions import ListSession
from lion_ref import Semantics
from lion_ref.arithmetic import Array, bits

OVERLAP_WORK = 100_000
"""Candidates that NumPy may try before it is taken to be too hard whether arrays overlap."""

_OF_ANY_CALLABLE = frozenset({Offer.NO_GRADIENT, Offer.FREEZE, Offer.SPLIT})
"""A callable keeps nothing between its calls, as these events show; there is nothing to save."""


class CallableSession(ListSession):
    """A session over a callable that keeps no state of its own."""

    def __init__(
        self,
        step: Callable[..., Any],
        params: Sequence[Array],
        momenta: Sequence[Array],
        **betas: Unpack[Betas],
    ) -> None:
        self._step, self._betas = step, betas
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
            try:
                result = self._step(*inputs, lr=lr, weight_decay=weight_decay, **self._betas)
            finally:  # by a step that raises too
                for name, array, pattern in zip(
                    ("param", "momentum", "grad"), inputs, before, strict=True
                ):
                    check_unchanged(name, array, pattern)
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

    def _state_lists(self) -> tuple[list[Array], list[Array]]:
        return self._params, self._momenta

    def _rebuilt(self, *_: list[Array]) -> None:
        self._given.clear()


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


def _traced(step: Callable[..., Any], triple: Triple) -> Iterable[Traced]:
    """The step as NumPy's operations; or as JAX's, where its module has JAX."""
    try:
        return list(traced_callable(step, triple))
    except NotTracedError:
        if not uses("jax", step):
            raise
    from lion_conformance.ports.jaxprs.tracing import traced_by_jax

    return traced_by_jax(step, triple)


def from_callable(
    step: Callable[..., Any],
    *,
    name: str | None = None,
    declared: Semantics | None = None,
    refuses: bool = False,
    triples: tuple[Triple, ...] = UNIFORM,
    declines: tuple[Refusal, ...] = (),
) -> Port:
    """A port from a callable with lion_ref.step's signature: NumPy arrays in, NumPy arrays out.

    Args:
        step: the callable.
        name: what it is called in reports; its module and name if omitted.
        declared: the semantics whose bits it promises.
        refuses: whether it is to be judged by its refusals too, as a port that offers REFUSAL.
        triples: the dtypes (θ, m, g) that it takes, as of a `Port`.
        declines: legal scalars that it does not take, and need not.

    >>> import lion_ref
    >>> from_callable(lion_ref.step).name
    'lion_ref.update.step'
    """
    if not callable(step):
        raise TypeError(
            f"port={step!r} is not legal; legal: a callable step(param, momentum, grad, *, lr, "
            "beta1, beta2, weight_decay) -> (param, momentum), or a lion_conformance.Port"
        )
    if not isinstance(refuses, bool):
        raise TypeError(f"refuses={refuses!r} is not legal; legal: True or False")
    if name is None:
        module = getattr(step, "__module__", None) or "<unknown>"
        name = f"{module}.{getattr(step, '__qualname__', type(step).__name__)}"[-LONGEST_NAME:]

    offers = _OF_ANY_CALLABLE | ({Offer.REFUSAL} if refuses else set())
    return Port(
        name=name,
        open=partial(CallableSession, step),
        declared=declared,
        offers=offers,
        triples=triples,
        declines=declines,
        trace=partial(_traced, step),
    )
