"""Slices come to the certificate of the whole; those of another run are refused, and gaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.certificate import Certificate, Door, as_document
from lion_conformance.exhaustive.digests import Span, folded
from lion_conformance.exhaustive.judging import Differing, Example
from lion_conformance.exhaustive.merging import merged
from lion_conformance.exhaustive.question import BLOCKS, PARAMETERS, Question
from lion_ref import CANONICAL, Semantics
from lion_ref.hyperparameters import Hyperparameters
from tests.lion_conformance.exhaustive.commands import PORTS, run

pytestmark = pytest.mark.clause("C38")

QUESTION = Question("bfloat16", Hyperparameters(0.01, 0.9, 0.99, 0.7), CANONICAL)


def digest(block: int) -> bytes:
    return block.to_bytes(32, "big")


def made(*blocks: range) -> Certificate:
    """A certificate of blocks that nobody judged."""
    spans: dict[Span, bytes] = {(k, k): digest(k) for part in blocks for k in part}
    return Certificate(
        port=Door("lion", "step", "cpu"),
        question=QUESTION,
        versions={"numpy": "2.4.6", "torch": "2.13.0"},
        machines=("one",),
        digests=folded(spans | {(PARAMETERS, PARAMETERS): digest(PARAMETERS)}),
        differing=Differing(),
        examples=(),
        seconds=1.5,
        date="2026-11-28T18:00:00+00:00",
    )


@pytest.mark.parametrize("n", [2, 3, 7, 256, 4096])
def test_slices_of_any_number_come_to_one_certificate(n: int) -> None:
    cuts = [BLOCKS * i // n for i in range(n + 1)]
    slices = [made(range(a, b)) for a, b in pairwise(cuts)]
    whole = made(range(BLOCKS))
    found = merged([(f"{i}.json", x) for i, x in enumerate(reversed(slices))])
    assert (found.hash, found.digests) == (whole.hash, whole.digests)
    assert len(found.digests) == BLOCKS // 16 + 1
    assert as_document(found)["blocks"] == "blocks 0-4095 of 4096"
    assert found.seconds == 1.5 * n


def test_differences_are_counted_once_and_the_first_are_kept() -> None:
    def example(k: int) -> Example:
        return Example((0x8000, k, 0), (0, 0), (0, 1))

    slices = [
        replace(
            made(range(half * 2048, half * 2048 + 2048)),
            differing=Differing(pairs=10 + half, parameters=3, triples=2),
            examples=tuple(example(2 * k + half) for k in range(8)),
        )
        for half in (1, 0)
    ]
    found = merged([("a", slices[0]), ("b", slices[1])])
    assert found.differing == Differing(pairs=21, parameters=3, triples=2)
    assert found.examples == tuple(map(example, range(8)))


FOREIGN: dict[str, tuple[Callable[[Certificate], Certificate], str]] = {
    "port": (
        lambda x: replace(x, port=Door("other", "step", "cpu")),
        "port is other instead of lion",
    ),
    "door": (lambda x: replace(x, port=Door("lion", "jit", "cpu")), "door is jit instead of step"),
    "device": (
        lambda x: replace(x, port=Door("lion", "step", "cuda")),
        "device is cuda instead of cpu",
    ),
    "dtype": (
        lambda x: replace(x, question=replace(QUESTION, dtype="float16")),
        "dtype is float16 instead of bfloat16",
    ),
    "semantics": (
        lambda x: replace(x, question=replace(QUESTION, semantics=Semantics(subnormals="flush"))),
        "semantics is subnormals flushed instead of canonical",
    ),
    "lr": (
        lambda x: replace(
            x, question=replace(QUESTION, values=replace(QUESTION.values, lr=0.010000000000000002))
        ),
        "lr is 0.010000000000000002 instead of 0.01",
    ),
    "versions": (
        lambda x: replace(x, versions={"numpy": "2.4.6", "torch": "2.12.0"}),
        "torch is 2.12.0 instead of 2.13.0",
    ),
    "parameters": (
        lambda x: replace(x, digests=x.digests | {(PARAMETERS, PARAMETERS): bytes(32)}),
        f"the digest of block 4096 is {'0' * 64} instead of {digest(PARAMETERS).hex()}",
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_slice_is_refused_by_what_differs(what: str) -> None:
    change, words = FOREIGN[what]
    slices = [("a.json", made(range(2048))), ("b.json", change(made(range(2048, BLOCKS))))]
    with pytest.raises(ValueError, match=r"b\.json is foreign to a\.json: ") as refused:
        merged(slices)
    assert str(refused.value) == f"b.json is foreign to a.json: {words}"


def test_a_framework_is_the_same_in_all_slices_that_have_it() -> None:
    first, *others = (made(range(k * 16, k * 16 + 16)) for k in range(3))
    slices = [("a", replace(first, versions={"numpy": "2.4.6"})), ("b", others[0])]
    assert merged(slices, partial=True).versions["torch"] == "2.13.0"
    other = replace(others[1], versions={"numpy": "2.4.6", "torch": "9.9"})
    with pytest.raises(ValueError, match=r"c is foreign to a: torch is 9\.9 instead of 2\.13\.0"):
        merged([*slices, ("c", other)], partial=True)


def test_slices_that_overlap_or_are_missing_are_refused() -> None:
    first, second = ("a", made(range(2049))), ("b", made(range(2048, BLOCKS)))
    with pytest.raises(ValueError, match=r"^b overlaps a: block 2048$"):
        merged([first, second])
    gaps = [("a", made(range(16))), ("b", made(range(32, 4000), range(4095, 4096)))]
    words = "blocks 16-31, 4000-4094 of 4096 are in no slice; legal: all"
    with pytest.raises(ValueError, match=f"^{words}$"):
        merged(gaps)
    assert merged(gaps, partial=True).blocks == [*range(16), *range(32, 4000), 4095]


@pytest.mark.parametrize("port", ["lion_ref:step", f"{PORTS}:ties_away"])
def test_slices_that_were_judged_come_to_the_hash_of_the_whole(
    port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def judged(part: str, name: str) -> Path:
        out = tmp_path / name
        run("exhaustive", port, "--dtype", "bfloat16", "--jobs", 1, "--slice", part, "--out", out)
        return out

    whole = files.load(judged("3/1024", "whole"))
    parts = [judged(f"{i}/4096", f"{i}") for i in (12, 9, 11, 10)]
    out = tmp_path / "merged"
    capsys.readouterr()
    assert run("certificate", "merge", *parts, "--partial", "--out", out) == whole.differing.any()
    found = files.load(out)
    assert (found.hash, found.digests) == (whole.hash, whole.digests)
    assert (found.differing, found.examples) == (whole.differing, whole.examples)
    said = capsys.readouterr().out
    assert "    blocks 8-11 of 4096: a part of the certificate\n" in said
    assert said.endswith(f"    written: {out}\n")
    with pytest.raises(ValueError, match=r"blocks 0-7, 12-4095 of 4096 are in no slice; legal: al"):
        run("certificate", "merge", *parts, "--out", out)
