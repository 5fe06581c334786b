"""A Triton kernel as a user writes one, compiled to PTX without a GPU and judged: the example."""

from __future__ import annotations

from types import ModuleType

import pytest

pytest.importorskip("triton", reason="pip install triton")

from lion_conformance import Verdict, ptx_port, verify
from lion_ref import CANONICAL, Semantics
from tests.lion_conformance.ptx import triton_example
from tests.lion_conformance.ptx.nvcc_kernels import has_bits


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return triton_example.example()


def test_the_kernel_of_the_example_has_the_reference_bits(example: ModuleType) -> None:
    assert has_bits(example.port, CANONICAL)
    assert example.port.variants == ()


@pytest.mark.slow
def test_the_kernel_of_the_example_is_bit_exact(example: ModuleType) -> None:
    report = verify(example.port, max_examples=1)
    assert report.verdict is Verdict.BIT_EXACT, report.results


def test_what_triton_makes_of_it_otherwise_is_found(example: ModuleType) -> None:
    text = example.ptx(enable_fp_fusion=True)
    port = ptx_port(text, arguments=example.ARGUMENTS, elements_per_program=example.BLOCK)
    assert not has_bits(port, CANONICAL)
    form = Semantics(
        sign_fused="momentum", momentum_fused="momentum", decay_fused=True, step_fused=True
    )
    assert has_bits(port, form)


@pytest.mark.slow
def test_a_block_of_another_size_than_the_launch_has_is_found(example: ModuleType) -> None:
    """Half of a block's elements are then stepped by nobody."""
    port = ptx_port(
        example.ptx(), arguments=example.ARGUMENTS, elements_per_program=2 * example.BLOCK
    )
    report = verify(port, max_examples=1)
    assert report.verdict is Verdict.REJECTED
