"""What the assembler may make of a product and a sum, and what it may not."""

from __future__ import annotations

import numpy as np
import pytest

from lion_conformance.ptx.contraction import contracted, may_contract
from tests.lion_conformance.ptx.assembled import entry, launched

pytestmark = pytest.mark.clause("C36")

A, B, C, D = 0x3F8CCCCD, 0x3F99999A, 0x3FA66666, 0x3FB33333  # 1.1, 1.2, 1.3, 1.4

VALUES = f"mov.b32 %f1, {A:#x}; mov.b32 %f2, {B:#x}; mov.b32 %f3, {C:#x}; mov.b32 %f4, {D:#x};"


def of(bits: int) -> np.float64:
    return np.float64(np.uint32(bits).view(np.float32))


def result(body: str, way: str) -> int:
    """The bits of %f9."""
    a, _ = launched(f"{VALUES} {body} st.global.f32 [%rd4], %f9; ret;", threads=1, contraction=way)
    return int(a.view(np.uint32)[0])


def rounded(exact: np.float64) -> int:
    # Products of 24 bits are exact in binary64; of their sums the second rounding is of no account
    # for these numbers, which the tests for evaluation hold.
    return int(np.float32(exact).view(np.uint32))


@pytest.mark.parametrize(
    ("body", "sign_of_product", "sign_of_addend"),
    [
        ("mul.f32 %f5, %f1, %f2; add.f32 %f9, %f5, %f3;", 1, 1),
        ("mul.f32 %f5, %f1, %f2; add.f32 %f9, %f3, %f5;", 1, 1),
        ("mul.f32 %f5, %f1, %f2; sub.f32 %f9, %f5, %f3;", 1, -1),
        ("mul.f32 %f5, %f1, %f2; sub.f32 %f9, %f3, %f5;", -1, 1),
        ("mul.f32 %f5, %f1, %f2; neg.f32 %f6, %f5; add.f32 %f9, %f6, %f3;", -1, 1),
        ("mul.f32 %f5, %f1, %f2; neg.f32 %f6, %f5; sub.f32 %f9, %f3, %f6;", 1, 1),
        ("mul.f32 %f5, 0f3F8CCCCD, %f2; sub.f32 %f9, %f3, %f5;", -1, 1),
        ("mul.f32 %f5, %f1, %f2; sub.f32 %f9, %f5, 0f3FA66666;", 1, -1),
        ("mul.f32 %f5, %f1, %f2; mov.b32 %f1, %f4; add.f32 %f9, %f5, %f3;", 1, 1),
    ],
)
def test_one_product(body: str, sign_of_product: int, sign_of_addend: int) -> None:
    assert may_contract(entry(f"{VALUES} {body} ret;"))
    fused = rounded(sign_of_product * of(A) * of(B) + sign_of_addend * of(C))
    apart = rounded(sign_of_product * of(rounded(of(A) * of(B))) + sign_of_addend * of(C))
    assert fused != apart
    assert result(body, "none") == apart
    assert result(body, "first") == result(body, "second") == fused


def test_two_products() -> None:
    body = "mul.f32 %f5, %f1, %f2; mul.f32 %f6, %f3, %f4; add.f32 %f9, %f5, %f6;"
    first = rounded(of(A) * of(B) + of(rounded(of(C) * of(D))))
    second = rounded(of(rounded(of(A) * of(B))) + of(C) * of(D))
    apart = rounded(of(rounded(of(A) * of(B))) + of(rounded(of(C) * of(D))))
    assert len({first, second, apart}) > 1
    assert [result(body, way) for way in ("none", "first", "second")] == [apart, first, second]


@pytest.mark.parametrize(
    "body",
    [
        "mul.rn.f32 %f5, %f1, %f2; add.f32 %f9, %f5, %f3;",
        "mul.f32 %f5, %f1, %f2; add.rn.f32 %f9, %f5, %f3;",
        "mul.ftz.f32 %f5, %f1, %f2; add.f32 %f9, %f5, %f3;",
        "mul.sat.f32 %f5, %f1, %f2; add.f32 %f9, %f5, %f3;",
        "fma.rn.f32 %f5, %f1, %f2, %f4; add.f32 %f9, %f5, %f3;",
        "mul.f32 %f5, %f1, %f2; min.f32 %f9, %f5, %f3;",
        # Which of two products it is depends on the way taken, or on the predicate.
        (
            "setp.lt.f32 %p1, %f1, %f2; mul.f32 %f5, %f1, %f2; @%p1 mul.f32 %f5, %f1, %f4;"
            "add.f32 %f9, %f5, %f3;"
        ),
        (
            "setp.lt.f32 %p1, %f1, %f2; mul.f32 %f5, %f1, %f2; @%p1 bra A; mov.f32 %f5, %f3; A:"
            "add.f32 %f9, %f5, %f3;"
        ),
    ],
)
def test_what_has_to_stay_apart(body: str) -> None:
    kernel = entry(f"{VALUES} {body} ret;")
    assert not may_contract(kernel)
    assert contracted(kernel, "first") is kernel
    assert result(body, "first") == result(body, "none")


def test_in_a_loop_the_factors_are_those_of_the_product() -> None:
    body = """
        mov.u32 %r6, 0;
        mul.f32 %f5, %f1, %f2;
    LOOP:
        add.f32 %f9, %f5, %f3;
        mov.b32 %f1, %f4;
        add.u32 %r6, %r6, 1;
        setp.lt.u32 %p1, %r6, 3;
        @%p1 bra LOOP;
    """
    assert result(body, "first") == rounded(of(A) * of(B) + of(C))


def test_ways_have_names() -> None:
    with pytest.raises(ValueError, match="contraction is one of none, first, second, not 'both'"):
        contracted(entry("ret;"), "both")
