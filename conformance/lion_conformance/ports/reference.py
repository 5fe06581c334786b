"""NumPy: the reference itself, and its independent twin, judged against each other."""

from __future__ import annotations

from typing import Unpack

import numpy as np

import lion_ref
from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import Port, ScalarArguments
from lion_ref import CANONICAL, legal_triples, oracle
from lion_ref.arithmetic import Array

SAMPLE = 401
"""Elements of a case that the oracle evaluates; it takes exact arithmetic a second for 20,000."""


def ports(device: str) -> list[Port]:
    """lion_ref.oracle, which shares no code with the reference that judges it."""
    only_cpu("numpy", device)
    return [_named("lion_ref.oracle", "exact rationals, sampled")]


def _named(name: str, door: str) -> Port:
    port = from_callable(sampled_oracle, name=name, declared=CANONICAL)
    return Port(port.name, port.open, door, declared=port.declared, triples=legal_triples())


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
