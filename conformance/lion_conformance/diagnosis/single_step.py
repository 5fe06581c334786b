"""The semantics of a port's first step, among the commonest: what its runs are built of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import lion_ref
from lion_conformance.cases.case import ORDINARY, Case, adversarial
from lion_conformance.ports.protocol import Port, Triple, run_once
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import all_same_bits

SIZE = 400


def semantics_of_a_step(port: Port, triple: Triple) -> Semantics | None:
    """The semantics that a fresh session's first step has; None if it is none of the commonest.

    Raises PortError where the port does not answer.
    """
    lr, beta1, beta2, weight_decay = ORDINARY
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    rng = np.random.default_rng(11)
    case = Case(*adversarial(rng, SIZE, dtypes, "ordinary", beta1), lr, beta1, beta2, weight_decay)
    got = run_once(port, *case.arrays, **case.scalars)
    for semantics in _common(port.declared):
        expected = lion_ref.step(*case.arrays, **case.scalars, semantics=semantics)
        if all(all_same_bits(a, b) for a, b in zip(got, expected, strict=True)):
            return semantics
    return None


def _common(declared: Semantics | None) -> Iterator[Semantics]:
    if declared is not None:
        yield declared
    yield CANONICAL
    for precision in ("compute", "storage"):
        for form in _forms():
            for decay in _decays():
                where: dict[str, Any] = {"precision": precision, "momentum_precision": precision}
                yield Semantics(**where, **form, **decay)


def _forms() -> Iterator[dict[str, Any]]:
    """Of both interpolations alike, or of m' alone."""
    for name, fusions in (
        ("weighted", ("none", "momentum", "gradient")),
        ("lerp-from-momentum", ("none", "difference")),
        ("lerp-from-gradient", ("none", "difference")),
        ("lerp-from-nearer", ("none", "difference")),
    ):
        for fused in fusions:
            of_m = {"momentum_interpolation": name, "momentum_fused": fused}
            yield of_m
            yield of_m | {"sign_interpolation": name, "sign_fused": fused}


def _decays() -> Iterator[dict[str, Any]]:
    for step_fused in (False, True):
        for decay_fused in (False, True):
            fused = {"step_fused": step_fused, "decay_fused": decay_fused}
            yield fused
            for scalar in ("wide", "compute"):
                if not decay_fused:
                    yield fused | {"decay": "factor", "decay_scalar": scalar}
                yield fused | {"decay": "product", "decay_scalar": scalar}
