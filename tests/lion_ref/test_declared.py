"""The step that tells how a platform treats subnormals, and refuses a contracted sign."""

from __future__ import annotations

from typing import Any

import pytest

from lion_ref import Semantics, step
from lion_ref.declared import telling, told

DTYPES = pytest.mark.parametrize("compute", ["float32", "float64"])


def told_of(compute: str, semantics: Semantics) -> Semantics | None:
    inputs, scalars = telling(compute)
    return told(compute, step(*inputs, **scalars, semantics=semantics))


@pytest.mark.clause("C18", "C29")
@DTYPES
@pytest.mark.parametrize("subnormals", ["keep", "flush", "flush-before-rounding"])
def test_the_three_are_told_apart(subnormals: Any, compute: str) -> None:
    semantics = Semantics(subnormals=subnormals)
    assert told_of(compute, semantics) == semantics


@pytest.mark.clause("C29")
def test_both_results_are_asked_for() -> None:
    (theta, *_), _ = telling("float32")
    for part in ((), (theta,)):
        with pytest.raises(ValueError, match="zip"):
            told("float32", part)


@pytest.mark.clause("C5", "C29")
@DTYPES
@pytest.mark.parametrize("fused", ["momentum", "gradient"])
def test_a_sign_that_contracts_is_none_of_them(fused: Any, compute: str) -> None:
    assert told_of(compute, Semantics(sign_fused=fused)) is None
