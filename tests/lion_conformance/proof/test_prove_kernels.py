"""Kernels as nvcc made them: the right ones are proved, and no wrong one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lion_conformance import prove, ptx_port
from lion_conformance.ptx import kernel_file
from lion_ref import CANONICAL, Semantics
from tests.lion_conformance.ptx import kernels
from tests.lion_conformance.ptx.kernels import ARGUMENTS
from tests.lion_conformance.ptx.nvcc_kernels import kernel

pytestmark = pytest.mark.clause("C37")

ROOT = Path(__file__).parents[3]
CUDA = ROOT / "examples" / "ports" / "cuda"
SLOW = pytest.mark.slow


@pytest.mark.parametrize("launch", ["kernel", "bfloat16", pytest.param("vectorized", marks=SLOW)])
def test_a_right_kernel_is_proved(launch: str) -> None:
    proof = prove(kernel_file.load(CUDA / f"{launch}.toml"))
    assert proof.verdict == "equals", str(proof)
    assert [x.semantics for x in proof.findings] == [CANONICAL]


@SLOW
def test_data_may_go_through_shared_memory() -> None:
    proof = prove(kernel("through_shared"))
    assert proof.verdict == "equals", str(proof)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("sign_of_zero", "where c = +0"),
        pytest.param("sign_of_nan", "where c = +0, θ' is θ - (-1 + ", marks=SLOW),
        pytest.param("wrong_beta", "m' is β1·m", marks=SLOW),
        pytest.param("coupled_decay", "c is β1·m + (1 - β1)·(", marks=SLOW),
        pytest.param("stored_twice", "bfloat16(bfloat16(", marks=SLOW),
        pytest.param("truncated", "θ' is bits 16 to 31 of", marks=SLOW),
        ("without_tail", "θ' of element 0 of 1 is never stored"),
        ("one_too_many", "past the end of momentum"),
        ("overlapping", "race: thread"),
        pytest.param("misaligned", "misaligned", marks=SLOW),
        ("never_ends", "never ends"),
        ("without_barrier", "no barrier is between"),
        pytest.param("unwritten_word", "uninitialized", marks=SLOW),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_wrong_kernel_is_not(entry: str, words: str) -> None:
    proof = prove(kernel(entry))
    assert proof.verdict == "differs", str(proof)
    assert words in proof.sentence


MISALIGNED = """
    and.b64 %beyond, %rd1, 31;
    setp.ne.u64 %is_beyond, %beyond, 0;
    @%is_beyond add.rn.f32 %f1, %f1, %f1;
    mov.u32 	%r3, %ctaid.x;"""


@pytest.mark.parametrize(
    ("aligned", "verdict"), [(16, "not decided"), (256, "equals")], ids=["16", "256"]
)
def test_a_kernel_that_asks_where_an_array_begins_is_traced_there(
    aligned: int, verdict: str
) -> None:
    """θ not at a multiple of 32 bytes has twice the learning rate: no trace began there."""
    text = (CUDA / "lion.ptx").read_text(encoding="utf-8")
    first = text[: text.index("// .globl	lion_bfloat16")]
    declared = first.replace(".reg .pred", ".reg .b64 %beyond;\n.reg .pred %is_beyond, ", 1)
    wrong = declared.replace("mov.u32 	%r3, %ctaid.x;", MISALIGNED)
    usual: dict[str, Any] = {"threads": 64, "elements_per_program": 64, "arguments": ARGUMENTS}
    proof = prove(ptx_port(wrong, aligned=aligned, **usual))
    assert proof.verdict == verdict, str(proof)
    if verdict != "equals":
        assert "where arrays begin: it is another with param 16 bytes past" in proof.sentence


@SLOW
@pytest.mark.parametrize("file", ["contracted.ptx", "fast_math.ptx"])
def test_a_kernel_of_another_semantics_is_proved_to_have_that(file: str) -> None:
    proof = prove(kernel("lion", file))
    assert proof.verdict == "equals", str(proof)
    for finding in proof.findings:
        assert finding.semantics is not None
        assert finding.semantics.momentum_fused == "gradient"
        assert (finding.semantics.subnormals == "flush") == (file == "fast_math.ptx")
        assert bool(finding.condition) == (file == "fast_math.ptx")


@SLOW
def test_every_way_to_contract_a_kernel_is_proved() -> None:
    """Without .rn the assembler has the choice."""
    proof = prove(kernels.kernel(kernels.PTX.replace(".rn.f32", ".f32")))
    assert [x.way for x in proof.findings] == ["", "contracted", "contracted otherwise"]
    fused = [x.semantics.momentum_fused for x in proof.findings if x.semantics]
    assert fused == ["none", "momentum", "gradient"]
    assert "as written" in str(proof)
    assert "its bits depend on the assembler" in str(proof)


@SLOW
def test_a_fused_product_where_two_roundings_are_due_is_named() -> None:
    """One fma in the place of a product and a sum, in m'."""
    wrong = Semantics(momentum_fused="gradient")
    assert prove(kernel("lion", "contracted.ptx", declared=wrong)).verdict != "equals"
