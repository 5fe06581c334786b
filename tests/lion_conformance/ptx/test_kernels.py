"""Kernels as nvcc made them, judged without a GPU: those that are right, and those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lion_conformance import Port, Verdict, ptx_port, verify
from lion_conformance.ptx import kernel_file

ROOT = Path(__file__).parents[3]
CUDA = ROOT / "examples" / "ports" / "cuda"
WRONG = Path(__file__).with_name("wrong")
ARGUMENTS = [
    "param",
    "momentum",
    "grad",
    "size",
    "lr",
    "beta1",
    "one_minus_beta1",
    "beta2",
    "one_minus_beta2",
    "weight_decay",
]
MIXED = (("bfloat16", "float32", "bfloat16"),)


def kernel(entry: str, file: str = "wrong.ptx", **options: Any) -> Port:
    """One of the kernels that are wrong, or of those that belong beside them."""
    options = {"threads": 256, "elements_per_program": 256, "arguments": ARGUMENTS, **options}
    return ptx_port(WRONG / file, entry=entry, **options)


@pytest.mark.parametrize("launch", ["kernel", "bfloat16", "vectorized"])
def test_the_kernels_of_the_example_are_bit_exact(launch: str) -> None:
    report = verify(kernel_file.load(CUDA / f"{launch}.toml"), max_examples=1)
    assert report.verdict is Verdict.BIT_EXACT, str(report)


def test_a_kernel_may_go_through_shared_memory() -> None:
    report = verify(kernel("through_shared", elements_per_program=512), max_examples=1)
    assert report.verdict is Verdict.BIT_EXACT, str(report)


@pytest.mark.parametrize(
    ("entry", "options", "verdict", "cause"),
    [
        ("sign_of_zero", {}, Verdict.REJECTED, "sign(0) is -1"),
        ("sign_of_nan", {}, Verdict.REJECTED, "sign(0) is -1"),
        ("wrong_beta", {}, Verdict.REJECTED, "β1 is used for β2"),
        ("coupled_decay", {}, Verdict.REJECTED, ""),
        ("stored_twice", {"dtypes": MIXED}, Verdict.REJECTED, ""),
        ("truncated", {"dtypes": MIXED}, Verdict.REJECTED, ""),
        ("without_tail", {}, Verdict.REJECTED, ""),
        ("one_too_many", {}, Verdict.REJECTED, ""),
        ("overlapping", {"elements_per_program": 255}, Verdict.REJECTED, ""),
        ("misaligned", {"elements_per_program": 1024}, Verdict.REJECTED, ""),
        ("never_ends", {}, Verdict.REJECTED, ""),
        ("without_barrier", {"elements_per_program": 512}, Verdict.REJECTED, ""),
        ("unwritten_word", {"elements_per_program": 512}, Verdict.REJECTED, ""),
        ("lion", {"file": "contracted.ptx"}, Verdict.BIT_EXACT_AS, ""),
        ("lion", {"file": "fast_math.ptx"}, Verdict.REJECTED, ""),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_wrong_kernel_is_told(
    entry: str, options: dict[str, Any], verdict: Verdict, cause: str
) -> None:
    report = verify(kernel(entry, **options), max_examples=1)
    assert report.verdict is verdict, str(report)
    assert cause in str(report)
