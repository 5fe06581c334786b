"""Runs to write to files and to read again: tensors of every dtype, layout and kind of number."""

from __future__ import annotations

from typing import Any

import numpy as np

import lion_ref
from lion_ref.arithmetic import Array
from lion_ref.schedules import Schedule
from lion_torch import Lion
from tests.lion_torch.support import (
    pairs_bits,
    parameter,
    to_numpy,
    to_torch,
    values,
)

PAIRS = sorted({triple[:2] for triple in lion_ref.legal_triples()})
SHAPES = [(), (0,), (7,), (3, 5), (2, 3, 4, 5)]
SCHEDULES = {
    "lr_schedule": Schedule("cosine", first=1e-2, last=1e-3, steps=9, warmup=2),
    "weight_decay_schedule": Schedule("linear", first=0.3, last=0.1, steps=7),
}

Run = dict[str, tuple[Array, Array]]


def drawn(dtypes: tuple[str, str], kind: str = "mixed") -> Run:
    """θ and m of any bits, by name."""
    random = np.random.default_rng(7)
    return {
        f"w{i}": tuple(values(random, shape, name, kind) for name in dtypes)  # type: ignore[misc]
        for i, shape in enumerate(SHAPES)
    }


def optimized(run: Run, **options: Any) -> tuple[dict[str, Any], Lion]:
    """Parameters with the run's bits, by name, and an optimizer with its momenta."""
    params = {name: parameter(theta) for name, (theta, _) in run.items()}
    momentum = next(iter(run.values()))[1].dtype.name
    optimizer = Lion(params.values(), **{"momentum_dtype": momentum, **options})
    for name, (_, m) in run.items():
        optimizer.state[params[name]]["exp_avg"] = to_torch(m)
    return params, optimizer


def zeroed(run: Run, **options: Any) -> tuple[dict[str, Any], Lion]:
    """Other parameters of the same shapes and dtypes, and an optimizer that has made no step."""
    params = {name: parameter(np.zeros_like(theta)) for name, (theta, _) in run.items()}
    return params, Lion(params.values(), **options)


def arrays_of(param: Any, optimizer: Lion) -> tuple[Array, Array]:
    return to_numpy(param), to_numpy(optimizer.state[param]["exp_avg"])


def bits_of(params: dict[str, Any], optimizer: Lion) -> dict[str, Any]:
    return pairs_bits({name: arrays_of(param, optimizer) for name, param in params.items()})
