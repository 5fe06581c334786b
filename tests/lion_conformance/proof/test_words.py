"""What stands in a formula is what a reader of the clauses knows, and is so of the witness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lion_conformance import prove
from lion_conformance.operations.expression import Node, constant, leaf, made
from lion_conformance.operations.operation import Operation
from lion_conformance.proof.facts import Facts
from lion_conformance.proof.words import formula, where

A, B = leaf("param", "f32", 0), leaf("momentum", "f32", 0)
HALF_NAN = constant("b32", 0x7F800001)


def compared(comparison: Any, source: str, first: Node, second: Node) -> Node:
    return made(Operation("compare", "pred", source=source, comparison=comparison), first, second)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (made(Operation("add", "f32", rounding="rm"), A, B), "(θ + m, rounded down)"),
        (made(Operation("mul", "f32", saturate=True), A, B), "(θ·m, cut to [0, 1])"),
        (compared("nan", "f32", B, B), "m is NaN"),
        (compared("gtu", "f32", A, B), "θ > m or one is NaN"),
        (compared("lt", "s32", B, HALF_NAN), "m < 0x7f800001 as bits"),
        (made(Operation("shl", "b32"), B, constant("b32", 1)), "shl(m, 0x1)"),
        (constant("f32", 1), "1e-45"),
        (constant("f32", 0x3DCCCCCD), "0.1"),
        (constant("b32", 0x7FFFFFFF), "0x7fffffff"),
    ],
)
def test_an_operation_in_words(node: Node, words: str) -> None:
    """Roundings and cuts were left out: both sides read alike."""
    assert formula(node) == words


def test_a_number_is_no_nan() -> None:
    facts = Facts(relations={("f32", constant("f32", 0x3F800000), B): "unordered"})
    assert where(facts) == "m is NaN"


def test_what_is_said_of_a_witness_is_so_of_it() -> None:
    """The case named was one that cannot be: float16(c) > 0 where c < 0."""

    def step(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        def mean(beta: float) -> Any:
            return np.float32(beta) * momentum + np.float32(1 - beta) * grad

        u = np.sign(mean(scalars["beta1"]).astype(np.float16)).astype(np.float32)
        u += np.float32(scalars["weight_decay"]) * param
        return param - np.float32(scalars["lr"]) * u, mean(scalars["beta2"])

    (finding,) = prove(step, dtypes=["float32"]).findings
    assert finding.verdict == "differs"
    assert finding.difference.startswith("where float16(c) = -0 and c < 0, θ' is ")
