"""The semantics of a port's first step, among the commonest: what its runs are built of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import lion_ref
from lion_conformance.cases.case import ORDINARY, Case, adversarial
from lion_conformance.ports.protocol import Port, Triple, run_once
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import all_same_bits

SIZE = 3000
"""So many that two roundings part somewhere, in half precision too."""


def semantics_of_a_step(port: Port, triple: Triple) -> Semantics | None:
    """The semantics that a fresh session's first step has; None if it is none of the commonest.

    Raises PortError where the port does not answer.
    """
    lr, beta1, beta2, weight_decay = ORDINARY
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    rng = np.random.default_rng(11)
    drawn = (adversarial(rng, SIZE // 2, dtypes, x, beta1) for x in ("ordinary", "cancellation"))
    param, momentum, grad = map(np.concatenate, zip(*drawn, strict=True))
    case = Case(param, momentum, grad, lr, beta1, beta2, weight_decay)
    got = run_once(port, *case.arrays, **case.scalars)
    for semantics in _common(port.declared):
        expected = lion_ref.step(*case.arrays, **case.scalars, semantics=semantics)
        of_param, of_momentum = map(all_same_bits, got, expected)
        if of_param and of_momentum:
            return semantics
        if of_momentum:
            for other in _beside(semantics):
                expected = lion_ref.step(*case.arrays, **case.scalars, semantics=other)
                if all(map(all_same_bits, got, expected)):
                    return other
    return None


def _common(declared: Semantics | None) -> Iterator[Semantics]:
    """For each m' that there is, one semantics."""
    if declared is not None:
        yield declared
    yield CANONICAL
    for precision in ("compute", "storage"):
        for form in _forms():
            where: dict[str, Any] = {"precision": precision, "momentum_precision": precision}
            yield Semantics(**where, **form)


def _beside(semantics: Semantics) -> Iterator[Semantics]:
    """The same m' beside another θ'."""
    alike: dict[str, Any] = {
        "sign_interpolation": semantics.momentum_interpolation,
        "sign_fused": semantics.momentum_fused,
    }
    for decay in _decays():
        yield replace(semantics, **decay)
        yield replace(semantics, **decay, **alike)


def _forms() -> Iterator[dict[str, Any]]:
    """Of m'."""
    for name, fusions in (
        ("weighted", ("none", "momentum", "gradient")),
        ("lerp-from-momentum", ("none", "difference")),
        ("lerp-from-gradient", ("none", "difference")),
        ("lerp-from-nearer", ("none", "difference")),
    ):
        for fused in fusions:
            yield {"momentum_interpolation": name, "momentum_fused": fused}


def _decays() -> Iterator[dict[str, Any]]:
    for step_fused in (False, True):
        for decay_fused in (False, True):
            fused = {"step_fused": step_fused, "decay_fused": decay_fused}
            yield fused
            for scalar in ("wide", "compute"):
                if not decay_fused:
                    yield fused | {"decay": "factor", "decay_scalar": scalar}
                yield fused | {"decay": "product", "decay_scalar": scalar}
