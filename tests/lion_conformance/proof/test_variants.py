"""A kernel that the assembler may contract is proved in each way, and never as if it were one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lion_conformance import Port, Variant
from lion_conformance.proof.proof import Finding, Proof
from lion_conformance.proof.prove import prove
from lion_conformance.proof.variants import together
from lion_conformance.ptx import kernel_file
from lion_ref import CANONICAL, Semantics

KERNEL = Path(__file__).parents[3] / "examples" / "ports" / "cuda" / "kernel.toml"
TRIPLE = ("float32",) * 3


@pytest.fixture
def variant() -> Variant:
    port = kernel_file.load(KERNEL)
    return Variant("contracted", port, "the assembler", "mul.rn decides it")


def proof(finding: Finding) -> Proof:
    return Proof("lion", (finding,))


SAME = Finding(TRIPLE, "equals", CANONICAL, (1,))
OTHER = Finding(TRIPLE, "equals", Semantics(sign_fused="gradient"), (1,))
WRONG = Finding(TRIPLE, "differs", sizes=(1,), difference="u = sign(g)")
UNKNOWN = Finding(TRIPLE, "not decided", not_understood="an instruction")


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (SAME, "equals", "equals the reference"),
        (OTHER, "not decided", "its bits depend on the assembler; as written: for every θ, "),
        (WRONG, "differs", "contracted: u = sign(g)"),
        (UNKNOWN, "not decided", "contracted: an instruction; mul.rn decides it"),
    ],
)
def test_what_holds_in_one_way_alone_is_no_proof(
    variant: Variant, found: Finding, verdict: str, words: str
) -> None:
    told = together(proof(SAME), [(variant, proof(found))])
    assert told.verdict == verdict
    assert words in told.sentence


def test_what_differs_as_written_differs(variant: Variant) -> None:
    told = together(proof(WRONG), [(variant, proof(SAME))])
    assert told.sentence == "as written: u = sign(g)"


def free(source: Path) -> str:
    return re.sub(r"\b(mul|add|sub)\.rn\.", r"\1.", source.read_text())


@pytest.mark.slow
def test_a_kernel_that_may_be_contracted_is_not_decided(tmp_path: Path) -> None:
    source = tmp_path / "free.ptx"
    source.write_text(free(KERNEL.with_name("lion.ptx")))
    port: Port = kernel_file.load(KERNEL, source=source)
    told = prove(port)
    assert told.verdict == "not decided"
    assert "contracted: for every θ, m, g" in told.sentence
    assert prove(replace(port, variants=())).verdict == "equals"
