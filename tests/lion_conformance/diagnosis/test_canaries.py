"""Canaries: each choice has its bits, in each dtype where the search found an input."""

from __future__ import annotations

import json

import pytest

from lion_conformance.diagnosis import canaries
from lion_conformance.diagnosis.canaries import Canary
from lion_conformance.diagnosis.find_canaries import dumps, outputs, search, stirred
from lion_ref import STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import same_bits
from lion_ref.semantics import choices

pytestmark = pytest.mark.clause("C16", "C17", "C18", "C19", "C20", "C21", "C22")

NOT_FOUND = {
    ("float64", "{}", "sign_complement"),
    ("float64", "{}", "momentum_complement"),
    *((dtype, "{}", "precision") for dtype in ("float32", "float64")),
    *((dtype, "{}", "momentum_precision") for dtype in ("float32", "float64")),
    ("float32", "{}", "step_stored"),
    ("float64", "{}", "step_stored"),
    ("float64", "{'decay': 'factor'}", "decay_scalar"),
    ("float16", "{'decay': 'product'}", "decay_scalar"),
    ("bfloat16", "{'decay': 'product'}", "decay_scalar"),
    ("float64", "{'decay': 'product'}", "decay_scalar"),
    ("bfloat16", "{'decay': 'product'}", "decay_fused"),
    ("float16", "{'decay': 'coupled'}", "decay_fused"),
    ("bfloat16", "{'decay': 'coupled'}", "decay_fused"),
    ("float32", "{'precision': 'storage'}", "scalars"),
    ("float64", "{'precision': 'storage'}", "scalars"),
    *((dtype, "{}", "scalars") for dtype in ("float16", "bfloat16", "float32")),
    ("float16", "{'subnormals': 'flush'}", "subnormals"),
    *(
        (
            dtype,
            "{'precision': 'storage', 'sign_interpolation': 'lerp-from-momentum'}",
            "precision",
        )
        for dtype in ("float32", "float64")
    ),
}
"""Where the search found none. In float32 and float64 there is nothing to find: the two formulas
are one there, as are scalars in float32 wherever θ is not float64. In the 16-bit dtypes the
difference rarely outlives the store."""


@pytest.mark.parametrize("canary", canaries.load(), ids=str)
def test_each_canary_sings(canary: Canary) -> None:
    output = ("param", "momentum").index(canary.output)
    patterns = (canary.without, canary.with_choice)
    assert not same_bits(*map(canary.decoded, patterns)).any()
    for semantics, pattern in zip(canary.semantics, patterns, strict=True):
        assert same_bits(outputs(canary.case, semantics)[output], canary.decoded(pattern)).all()
    if not canary.beside:
        assert stirred(canary.case, output, canary.choice) == canary.also


def test_a_choice_without_a_canary_is_listed() -> None:
    found = {(c.dtype, str(c.beside), *c.choice.items()) for c in canaries.load()}
    missing = {
        (dtype, str(beside), next(iter(choice)))
        for beside, choice in canaries.questions()
        for dtype in STORAGE_DTYPES
        if (dtype, str(beside), *choice.items()) not in found
    }
    assert missing == NOT_FOUND


def test_every_choice_has_a_canary_in_some_dtype() -> None:
    covered = {item for canary in canaries.load() for item in canary.choice.items()}
    assert covered == {(name, x) for name, options in choices().items() for x in options[1:]}


def test_the_cases_hold_every_canary() -> None:
    for dtype in STORAGE_DTYPES:
        size = sum(case.param.size for case in canaries.cases(dtype))
        assert size == sum(canary.dtype == dtype for canary in canaries.load())


def test_a_canary_is_silent_under_the_wrong_semantics() -> None:
    canary = next(c for c in canaries.load() if c.choice == {"momentum_fused": "gradient"})
    result = outputs(canary.case, Semantics(sign_fused="momentum"))[1]
    assert not same_bits(result, canary.decoded(canary.with_choice)).any()


@pytest.mark.slow
def test_the_search_finds_the_same_canaries_again() -> None:
    text = canaries.PATH.read_text(encoding="utf-8")
    assert json.loads(dumps(list(search()))) == json.loads(text)
