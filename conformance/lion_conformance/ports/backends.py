"""The backends that `lion-conformance run` judges, each a file beside this one.

Such a file has `ports(device) -> list[Port]`, and is imported, with its framework and adapter, only
when asked for. Those of other projects, which `lion-conformance ports` judges, are in `published`.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Final

from lion_conformance.ports.protocol import Port


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


BACKENDS: Final = {
    backend.name: backend
    for backend in (
        Backend("numpy", "lion_conformance.ports.reference", (), "lion-ref", 2),
        Backend("torch", "lion_conformance.ports.torch", ("torch",), "'lion-ref[torch]'", 4),
        Backend("jax", "lion_conformance.ports.jax", ("jax", "optax"), "'lion-ref[jax]'", 6),
        Backend(
            "tensorflow",
            "lion_conformance.ports.tensorflow",
            ("tensorflow", "keras"),
            "'lion-ref[tensorflow]'",
            7,
        ),
        Backend(
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


def load(wanted: Backend, device: str = "cpu") -> list[Port]:
    """The ports of a backend on a device; NotRunnable if it is missing or its import fails."""
    command = f"pip install {wanted.install}"
    for package in wanted.needs:
        if importlib.util.find_spec(package) is None:
            raise NotRunnable(f"{package} is not installed; {command}")
    try:
        found: list[Port] = importlib.import_module(wanted.module).ports(device)
    except NotRunnable:
        raise
    except Exception as error:  # a framework can fail in any way while it is imported
        text = " ".join(str(error).split())[:300]
        raise NotRunnable(
            f"importing {wanted.name} failed half-way with {type(error).__name__}: {text}; "
            f"repair its installation: {command}"
        ) from error
    return found


def only_cpu(name: str, device: str) -> None:
    """NotRunnable for any other device, for backends that have none."""
    if device != "cpu":
        raise NotRunnable(f"{name} has no device {device!r}; legal: cpu")
