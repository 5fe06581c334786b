"""The sentence of a proof leaves nothing out that makes it weaker."""

from __future__ import annotations

import pytest

from lion_conformance.proof.proof import Finding, Proof
from lion_ref import CANONICAL, Semantics

pytestmark = pytest.mark.clause("C37")

TRIPLE = ("float32",) * 3
SAME = Finding(TRIPLE, "equals", semantics=CANONICAL)
CONTRACTED = Finding(TRIPLE, "equals", way="contracted", semantics=Semantics(sign_fused="gradient"))
ALSO_SAME = Finding(TRIPLE, "equals", way="contracted otherwise", semantics=CANONICAL)
WRONG = Finding(TRIPLE, "differs", way="contracted", difference="u = sign(g)")


def sentence(*findings: Finding) -> str:
    return Proof("lion", findings).sentence


def test_each_way_that_equals_something_else_is_in_it() -> None:
    assert sentence(SAME, ALSO_SAME) == SAME.statement
    assert sentence(SAME, CONTRACTED, ALSO_SAME) == (
        f"{SAME.statement}; contracted: {CONTRACTED.statement}"
    )


def test_what_differs_in_one_way_differs() -> None:
    assert sentence(SAME, WRONG) == "u = sign(g)"
