"""Expressions as a port, so that all that is asked of ports can be asked of them."""

from __future__ import annotations

from collections.abc import Mapping

from lion_conformance.cases.case import Case
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import Port, Triple
from lion_conformance.proof.forms import Form
from lion_conformance.proof.samples import results
from lion_ref.arithmetic import Array


def evaluated_port(forms: Mapping[Triple, Form]) -> Port:
    """A port whose every element is of the form of its triple of dtypes."""

    def step(
        param: Array,
        momentum: Array,
        grad: Array,
        *,
        lr: float,
        beta1: float,
        beta2: float,
        weight_decay: float,
    ) -> tuple[Array, Array]:
        case = Case(param, momentum, grad, lr, beta1, beta2, weight_decay)
        native = (x.astype(x.dtype.newbyteorder("="), copy=False) for x in case.arrays)
        case = case.with_arrays(native)
        return results(forms[case.triple], case)

    return from_callable(step, name="expressions", triples=tuple(forms))
