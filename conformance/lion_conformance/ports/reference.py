"""NumPy: the reference itself, and its independent twin, judged against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias, Unpack

import numpy as np

import lion_ref
from lion_conformance.ports.backends import only_cpu
from lion_conformance.ports.callable import CallableSession
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Betas, Port, ScalarArguments
from lion_ref import CANONICAL, Semantics, legal_triples, oracle, run_state
from lion_ref.arithmetic import Array, round_to
from lion_ref.dtypes import compute_dtype
from lion_ref.flushed import Flushed
from lion_ref.hyperparameters import Hyperparameters, round_scalars
from lion_ref.run_state import Group, Header, Here, NameMap
from lion_ref.subnormals import SubnormalsChoice

Step: TypeAlias = Callable[..., tuple[Array, Array]]
SAMPLE = 401
"""Elements of a case that the oracle evaluates; it takes exact arithmetic a second for 20,000."""

OFFERS = frozenset({Offer.NO_GRADIENT, Offer.HAND_OVER})


def ports(device: str, subnormals: SubnormalsChoice = "native") -> list[Port]:
    """A twin that shares no code with the reference that judges it: of C6, or of C18's flush."""
    only_cpu("numpy", device)
    if subnormals == "flush":
        flush = Semantics(subnormals="flush")
        return [_port(flushed, "lion_ref.flushed", "operation by operation", flush)]
    return [_port(sampled_oracle, "lion_ref.oracle", "exact rationals, sampled", CANONICAL)]


def reference(semantics: Semantics = CANONICAL) -> Port:
    """lion_ref itself, which takes over what others hand over, with the bits of a semantics."""
    return _port(partial(lion_ref.step, semantics=semantics), "lion_ref", "step(...)", semantics)


def _port(step: Step, name: str, door: str, declared: Semantics) -> Port:
    return Port(
        name,
        partial(NumPySession, step, declared),
        door,
        declared=declared,
        triples=legal_triples(),
        offers=OFFERS,
    )


class NumPySession(CallableSession):
    """A loop around a step in NumPy, whose run lion_ref.run_state keeps as a file."""

    def __init__(
        self,
        step: Step,
        semantics: Semantics,
        params: Sequence[Array],
        momenta: Sequence[Array],
        **betas: Unpack[Betas],
    ) -> None:
        super().__init__(step, params, momenta, **betas)
        self._semantics = semantics
        self._group = Group(lr=0.0, **betas)

    def names(self) -> list[str]:
        """What the tensors are called in a file."""
        return [f"layers.{i}" for i in range(len(self._params))]

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        """All tensors as they are."""
        run_state.save(
            path,
            dict(zip(self.names(), zip(*self.read(), strict=True), strict=True)),
            step=step,
            groups=group or self._group,
            semantics=self._semantics,
            versions={"numpy": np.__version__},
        )

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        """Take the tensors, and the numbers of the group."""
        state = run_state.load(path)
        tensors = zip(self.names(), self._params, self._momenta, strict=True)
        here = {name: Here(x.shape, x.dtype.name, m.dtype.name) for name, x, m in tensors}
        found = run_state.matched(state, here, mapping)
        taken = [found[name].of(state) for name in here]
        self._params = [np.array(x.param) for x in taken]
        self._momenta = [np.array(x.momentum) for x in taken]
        self._rebuilt()
        first = state.header.groups[0]
        self._group = Group(first.lr, first.beta1, first.beta2, first.weight_decay)
        self._betas = {"beta1": first.beta1, "beta2": first.beta2}
        return state.header


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
