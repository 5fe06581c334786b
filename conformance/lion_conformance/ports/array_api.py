"""lion_array_api, in every array-API namespace that is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np

import lion_array_api
import lion_cpu
from lion_conformance.ports.archive import pack, unpack
from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Betas, Port, Triple
from lion_conformance.ports.recording.callables import traced_callable
from lion_conformance.ports.sessions import ListSession
from lion_ref import STORAGE_DTYPES, legal_triples
from lion_ref.arithmetic import Array
from lion_ref.run_state import Group, Header, NameMap
from lion_ref.subnormals import SubnormalsChoice


@dataclass(frozen=True, slots=True)
class Namespace:
    """How NumPy arrays get into a namespace and back."""

    name: str
    put: Callable[[Array], Any]
    get: Callable[[Any], Array] = np.asarray
    dtypes: tuple[str, ...] = tuple(STORAGE_DTYPES)
    settle: Callable[[list[Any]], list[Any]] = list
    """Applied to the whole state after each step: a lazy graph would grow with every one."""
    compiles: bool = False
    wide: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)
    """Entered for float64, which JAX otherwise lacks."""


def _numpy() -> Namespace:
    return Namespace("numpy", np.asarray)


def _array_api_strict() -> Namespace:
    import array_api_strict

    return Namespace(
        "array-api-strict", array_api_strict.asarray, np.asarray, ("float32", "float64")
    )


def _torch() -> Namespace:
    from lion_conformance.ports.torch import to_numpy, to_torch

    return Namespace("torch", partial(to_torch, device="cpu"), to_numpy)


def _jax() -> Namespace:
    import jax

    def put(array: Array) -> Any:
        return jax.numpy.asarray(np.array(array))  # NumPy's copy: JAX may read an array later

    return Namespace("jax.numpy", put, compiles=True, wide=lambda: jax.enable_x64(True))


def _dask() -> Namespace:
    import dask
    import dask.array

    def put(array: Array) -> Any:
        # Several chunks, the last of them shorter.
        return dask.array.from_array(array, chunks=10_000 if array.ndim else -1)

    return Namespace(
        "dask.array",
        put,
        lambda lazy: np.asarray(lazy.compute(scheduler="sync")),
        settle=lambda lazies: list(dask.persist(*lazies, scheduler="sync")),
    )


NAMESPACES = {
    "numpy": _numpy,
    "array_api_strict": _array_api_strict,
    "torch": _torch,
    "jax": _jax,
    "dask": _dask,
}


def ports(device: str, subnormals: SubnormalsChoice = "native") -> list[Port]:
    """One port for each namespace of NAMESPACES that is installed; NumPy's always is."""
    only_cpu("array-api", device)
    return [
        _port(package, subnormals) for package in NAMESPACES if importlib.util.find_spec(package)
    ]


def _port(package: str, subnormals: SubnormalsChoice) -> Port:
    namespace = NAMESPACES[package]()
    triples: tuple[Triple, ...] = tuple(
        triple for triple in legal_triples() if set(triple) <= set(namespace.dtypes)
    )
    one = namespace.put(np.ones(1, np.float32))
    declared, unavailable = None, ""
    try:
        declared = lion_array_api.declared_semantics(one, subnormals=subnormals)
    except ValueError as error:  # the namespace has no such rule; the others may
        unavailable = str(error)
    update = partial(lion_array_api.step, subnormals=subnormals)
    return Port(
        offers=OFFERS,
        restore=partial(restored, package=package, subnormals=subnormals),
        name="lion_array_api",
        door=f"step, {namespace.name}",
        open=partial(ArraySession, namespace=namespace, subnormals=subnormals),
        declared=declared,
        unavailable=unavailable,
        triples=triples,
        compiles=namespace.compiles,
        trace=partial(traced_callable, update, numpys=package == "numpy")
        if _runs_as_traced(package)
        else None,
    )


def _runs_as_traced(package: str) -> bool:
    """Whether the step in a namespace is the operations of NumPy's, one by one, as when traced.

    NumPy's own arrays go through the compiled kernel, where there is one.
    """
    return package == "array_api_strict" or (package == "numpy" and bool(lion_cpu.missing()))


OFFERS = frozenset(
    {
        Offer.NO_GRADIENT,
        Offer.FREEZE,
        Offer.RESTORE,
        Offer.SPLIT,
        Offer.MOMENTUM_DTYPE,
        Offer.REFUSAL,
        Offer.SEVERAL_DTYPES,
        Offer.HAND_OVER,
    }
)


def restored(saved: bytes, *, package: str, subnormals: SubnormalsChoice) -> ArraySession:
    """A session of a namespace that goes on where a saved one was."""
    arrays, betas = unpack(saved)
    namespace = NAMESPACES[package]()
    return ArraySession(
        arrays["params"], arrays["momenta"], **betas, namespace=namespace, subnormals=subnormals
    )


class ArraySession(ListSession):
    """A loop around lion_array_api.step; the state is the namespace's own arrays."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        namespace: Namespace,
        subnormals: SubnormalsChoice,
        **betas: Unpack[Betas],
    ) -> None:
        self._namespace, self._betas, self._subnormals = namespace, betas, subnormals
        self._groups: Sequence[Group] = ()
        wide = any(x.dtype == np.float64 for x in params)
        self._context = namespace.wide if wide else nullcontext
        with self._context():
            self._params = [self._put(x) for x in params]
            self._momenta = [self._put(x) for x in momenta]

    def _state_lists(self) -> tuple[list[Any], list[Any]]:
        return self._params, self._momenta

    def _put(self, array: Array) -> Any:
        return self._namespace.put(array)

    def _get(self, array: Any) -> Array:
        return self._namespace.get(array)

    def _joined(self, parts: Sequence[Any]) -> Any:
        return self._put(np.concatenate([self._get(x) for x in parts]))

    def step(self, grads: Sequence[Array | None], *, lr: float, weight_decay: float) -> None:
        """One step, tensor by tensor; those without a gradient are passed over."""
        with self._context():
            for i, grad in enumerate(grads):
                if grad is None:
                    continue
                self._params[i], self._momenta[i] = lion_array_api.step(
                    self._params[i],
                    self._momenta[i],
                    self._put(grad),
                    lr=lr,
                    weight_decay=weight_decay,
                    subnormals=self._subnormals,
                    **self._betas,
                )
            settled = self._namespace.settle([*self._params, *self._momenta])
        count = len(self._params)
        self._params, self._momenta = settled[:count], settled[count:]

    def names(self) -> list[str]:
        """A name for each array."""
        return [f"array{i}" for i in range(len(self._params))]

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        """The arrays, with the numbers that the loop has, as it was imported if it was."""
        pairs = zip(self._params, self._momenta, strict=True)
        lion_array_api.export_state(
            dict(zip(self.names(), pairs, strict=True)),
            path,
            step=step,
            groups=self._groups if group is None else [group],
            subnormals=self._subnormals,
        )

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        """New arrays, in the namespace of those that are here."""
        with self._context():
            found, header = lion_array_api.import_state(
                path,
                params=dict(zip(self.names(), self._params, strict=True)),
                mapping=mapping,
            )
        self._params, self._momenta = (
            list(x) for x in zip(*(found[name] for name in self.names()), strict=True)
        )
        self._groups = header.groups
        self._betas = {"beta1": header.groups[0].beta1, "beta2": header.groups[0].beta2}
        return header

    def save(self) -> bytes:
        """The state as bit patterns, with the betas."""
        params, momenta = self.read()
        return pack({"params": params, "momenta": momenta}, **self._betas)
