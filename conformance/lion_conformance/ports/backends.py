"""The backends that `lion-conformance run` judges, each a file beside this one.

Such a file has `ports(device, subnormals="native") -> list[Port]`, and is imported, with its
framework and adapter, only when asked for. Those of other projects, which `lion-conformance ports`
judges, are in `published`; they have `ports(device)`, and no choice.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from lion_conformance.ports.protocol import Port
from lion_ref.subnormals import SubnormalsChoice


@dataclass(frozen=True, slots=True)
class Backend:
    """A name on the command line, the file behind it, and what has to be installed for it."""

    name: str
    module: str
    needs: tuple[str, ...]
    install: str
    """What `pip install` has to be given."""
    weight: int = 1
    """Its share of the time for all: about what all its cases and runs take beside the others'."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables of the process that judges it: what its framework reads as it is imported."""
    chooses: bool = False
    """Whether its ports take a rule for subnormals, as those of the adapters do."""


_adapter: Final = partial(Backend, chooses=True)

BACKENDS: Final = {
    backend.name: backend
    for backend in (
        _adapter("numpy", "lion_conformance.ports.reference", (), "lion-ref", 2),
        _adapter("torch", "lion_conformance.ports.torch", ("torch",), "'lion-ref[torch]'", 4),
        _adapter("jax", "lion_conformance.ports.jax", ("jax", "optax"), "'lion-ref[jax]'", 6),
        _adapter(
            "tensorflow",
            "lion_conformance.ports.tensorflow",
            ("tensorflow", "keras"),
            "'lion-ref[tensorflow]'",
            7,
        ),
        _adapter(
            "array-api",
            "lion_conformance.ports.array_api",
            ("array_api_compat",),
            "'lion-ref[array-api]'",
            6,
        ),
    )
}


class NotRunnable(Exception):
    """A backend that cannot be run here; the message says why, and what to do, in one line."""


def backend(name: str) -> Backend:
    """The backend of that name; ValueError for any other.

    >>> backend("pytorch")
    Traceback (most recent call last):
        ...
    ValueError: backend='pytorch' is not legal; legal: numpy, torch, jax, tensorflow, array-api
    """
    if name not in BACKENDS:
        raise ValueError(f"backend={name!r} is not legal; legal: {', '.join(BACKENDS)}")
    return BACKENDS[name]


def load(
    wanted: Backend, device: str = "cpu", subnormals: SubnormalsChoice = "native"
) -> list[Port]:
    """The ports of a backend on a device, with the rule for subnormals that is asked for.

    NotRunnable if it is missing, or its import fails, or it refuses that rule.
    """
    if subnormals != "native" and not wanted.chooses:
        raise NotRunnable(f"{wanted.name} has no choice of subnormals; legal: 'native'")
    chosen = (subnormals,) if wanted.chooses else ()
    command = f"pip install {wanted.install}"
    for package in wanted.needs:
        if importlib.util.find_spec(package) is None:
            raise NotRunnable(f"{package} is not installed; {command}")
    try:
        found: list[Port] = importlib.import_module(wanted.module).ports(device, *chosen)
    except NotRunnable:
        raise
    except Exception as error:  # a framework can fail in any way while it is imported
        text = " ".join(str(error).split())[:300]
        raise NotRunnable(
            f"importing {wanted.name} failed half-way with {type(error).__name__}: {text}; "
            f"repair its installation: {command}"
        ) from error
    return found


@contextmanager
def refusing() -> Iterator[None]:
    """What an adapter refuses inside is why its ports cannot be run, in the adapter's words."""
    try:
        yield
    except ValueError as error:
        raise NotRunnable(str(error)) from error


def only_cpu(name: str, device: str) -> None:
    """NotRunnable for any other device, for backends that have none."""
    if device != "cpu":
        raise NotRunnable(f"{name} has no device {device!r}; legal: cpu")
