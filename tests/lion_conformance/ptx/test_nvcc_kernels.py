"""Kernels as nvcc made them, judged without a GPU: those that are right, and those that are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lion_conformance import Verdict, verify
from lion_conformance.ptx import kernel_file
from lion_ref import CANONICAL, Semantics
from tests.lion_conformance.ptx.nvcc_kernels import has_bits, kernel

CUDA = Path(__file__).parents[3] / "examples" / "ports" / "cuda"
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "launch", ["bfloat16", *(pytest.param(x, marks=SLOW) for x in ("kernel", "vectorized"))]
)
def test_the_kernels_of_the_example_are_bit_exact(launch: str) -> None:
    report = verify(kernel_file.load(CUDA / f"{launch}.toml"), max_examples=1)
    assert report.verdict is Verdict.BIT_EXACT, report.results


@pytest.mark.slow
def test_a_kernel_may_go_through_shared_memory() -> None:
    report = verify(kernel("through_shared"), max_examples=1)
    assert report.verdict is Verdict.BIT_EXACT, report.results


@pytest.mark.parametrize(
    ("entry", "cause"),
    [
        ("sign_of_zero", "sign(0) is -1"),
        ("truncated", "θ' is truncated when it is stored, not rounded"),
        ("without_tail", "nothing is updated in the last n mod 4 elements"),
        ("one_too_many", "reads 4 bytes past the end of momentum"),
        ("overlapping", "element 255 of momentum, which thread 0 of program 1 writes"),
        ("misaligned", "reads 16 bytes of grad at an address that is no multiple of 16"),
        ("without_barrier", "of shared memory, which thread 1 of program 0 writes"),
        ("unwritten_word", "of shared memory, which nobody wrote"),
        pytest.param("sign_of_nan", "u is +1 where c > 0, else -1", marks=SLOW),
        pytest.param("wrong_beta", "β1 is used for β2", marks=SLOW),
        pytest.param("never_ends", "never ends: thread 0 of program 0", marks=SLOW),
        pytest.param("coupled_decay", "with g + λ·θ as the gradient", marks=SLOW),
    ],
)
def test_a_wrong_kernel_is_rejected_and_told(entry: str, cause: str) -> None:
    report = verify(kernel(entry), max_examples=1)
    assert report.verdict is Verdict.REJECTED
    assert cause in report.results[0].sentence


# What is another form of Lion


FUSED: dict[str, Any] = {
    "sign_fused": "gradient",
    "momentum_fused": "gradient",
    "decay_fused": True,
}
FORMS = {
    "contracted.ptx": Semantics(**FUSED),
    "fast_math.ptx": Semantics(**FUSED, subnormals="flush"),
}


@pytest.mark.parametrize("file", FORMS)
def test_options_of_the_compiler_change_the_bits(file: str) -> None:
    port, form = kernel("lion", file), FORMS[file]
    assert has_bits(port, form)
    assert not has_bits(port, CANONICAL)
    assert not has_bits(port, FORMS[next(other for other in FORMS if other != file)])
    # η·s, which a difference takes up, has no rounding of its own in the PTX.
    (variant,) = port.variants
    assert has_bits(variant.port, replace(form, step_fused=True))
    assert not has_bits(variant.port, form)


@pytest.mark.parametrize("entry", ["lion", "lion_bfloat16", "lion_vectorized"])
def test_the_right_options_leave_the_assembler_no_choice(entry: str) -> None:
    dtypes = "bfloat16" if entry == "lion_bfloat16" else "kernel"
    assert kernel_file.load(CUDA / f"{dtypes}.toml", entry=entry).variants == ()


@pytest.mark.slow
@pytest.mark.parametrize("file", FORMS)
def test_a_verdict_says_that_it_depends_on_the_assembler(file: str) -> None:
    report = verify(kernel("lion", file), max_examples=1)
    assert report.verdict is Verdict.ACCEPTED
    sentence = report.results[0].sentence
    assert "its bits depend on the assembler" in sentence
    assert "c = fma(1-β1, g, β1·m)" in sentence
    assert ("subnormals flushed" in sentence) == (file == "fast_math.ptx")


def test_a_parameter_that_is_stored_twice_is_no_known_rounding() -> None:
    port = kernel("stored_twice")
    for precision in ("compute", "storage"):
        form = Semantics(decay="factor", decay_scalar="compute", precision=precision)
        assert not has_bits(port, form)


@pytest.mark.slow
def test_a_parameter_that_is_stored_twice_is_told() -> None:
    """θ is rounded after the decay and after the step."""
    (result,) = verify(kernel("stored_twice"), max_examples=1).results
    assert result.verdict is not Verdict.BIT_EXACT
    assert "every operation of c and θ' rounded to the storage dtype" in result.sentence
