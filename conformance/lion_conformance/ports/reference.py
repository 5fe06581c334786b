"""NumPy: the reference itself, and its independent twin, judged against each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, Unpack

import numpy as np

import lion_ref
from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import Port, ScalarArguments
from lion_ref import CANONICAL, Semantics, legal_triples, oracle
from lion_ref.arithmetic import Array, round_to
from lion_ref.dtypes import compute_dtype
from lion_ref.flushed import Flushed
from lion_ref.hyperparameters import Hyperparameters, round_scalars
from lion_ref.subnormals import SubnormalsChoice

Step: TypeAlias = Callable[..., tuple[Array, Array]]
SAMPLE = 401
"""Elements of a case that the oracle evaluates; it takes exact arithmetic a second for 20,000."""


def ports(device: str, subnormals: SubnormalsChoice = "native") -> list[Port]:
    """A twin that shares no code with the reference that judges it: of C6, or of C18's flush."""
    only_cpu("numpy", device)
    if subnormals == "flush":
        flush = Semantics(subnormals="flush")
        return [_named("lion_ref.flushed", "operation by operation", flushed, flush)]
    return [_named("lion_ref.oracle", "exact rationals, sampled", sampled_oracle, CANONICAL)]


def _named(name: str, door: str, step: Step, declared: Semantics) -> Port:
    port = from_callable(step, name=name, declared=declared)
    return Port(port.name, port.open, door, declared=port.declared, triples=legal_triples())


def flushed(
    param: Array, momentum: Array, grad: Array, **given: Unpack[ScalarArguments]
) -> tuple[Array, Array]:
    """SPEC C5 with the operations of `lion_ref.flushed`, which adapters step with."""
    compute = compute_dtype(param.dtype)
    ops = Flushed(compute.name, np.where)
    scalars = round_scalars(Hyperparameters.checked(**given), compute, "flush")
    with np.errstate(all="ignore"):
        theta, m, g = (
            ops.operand(x.astype(compute), x.dtype.name) for x in (param, momentum, grad)
        )
        c = ops.add(ops.product(scalars.beta1, m), ops.product(scalars.one_minus_beta1, g))
        u = np.sign(c) + compute.type(0)  # of -0 too (C7)
        e = ops.product(scalars.lr, ops.add(u, ops.product(scalars.weight_decay, theta)))
        x, y = ops.product(scalars.beta2, m), ops.product(scalars.one_minus_beta2, g)
        results = ops.subtract(theta, e), ops.add(x, y)
        stored = [
            round_to(ops.storable(result, like.dtype.name), like.dtype)
            for result, like in zip(results, (param, momentum), strict=True)
        ]
    return stored[0], stored[1]


def sampled_oracle(
    param: Array, momentum: Array, grad: Array, **scalars: Unpack[ScalarArguments]
) -> tuple[Array, Array]:
    """The oracle on an evenly spread sample of the elements, the reference on the rest."""
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    stride = max(1, param.size // SAMPLE)
    at = np.arange(0, param.size, stride)
    theta, m, g = (x.reshape(-1)[at] for x in (param, momentum, grad))
    sampled = oracle.step(theta, m, g, **scalars)
    for whole, part in zip((new_param, new_momentum), sampled, strict=True):
        whole.reshape(-1)[at] = part
    return new_param, new_momentum
