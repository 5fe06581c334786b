"""A certificate in words: the verdict, what was judged, the first differences, the hash."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lion_conformance.exhaustive.certificate import SPLIT, Certificate
from lion_conformance.exhaustive.digests import in_words, spans
from lion_conformance.exhaustive.judging import Example
from lion_conformance.exhaustive.question import (
    BLOCKS,
    PARAMETER_PAIRS,
    SIZE,
    TRIPLES,
    numbers,
)
from lion_conformance.verdict.verdict import Verdict


def lines(certificate: Certificate) -> Iterator[str]:
    """The verdict first."""
    x, question = certificate, certificate.question
    verdict = x.verdict.value
    if x.verdict is Verdict.BIT_EXACT_AS:
        verdict += f" {question.semantics.describe()}"
    yield f"{verdict}: {x.port.name}, {x.port.door}, {x.port.device}, {question.dtype}"
    yield "    " + ", ".join(f"{name}={value!r}" for name, value in question.scalars.items())
    blocks = x.blocks
    for count, of, what in (
        (x.differing.pairs, SIZE * len(blocks), "pairs (m, g)"),
        (x.differing.parameters, PARAMETER_PAIRS, "pairs (θ, u)"),
        (x.differing.triples, TRIPLES, "random triples (θ, m, g)"),
    ):
        yield f"    {count} of {of} {what} differ"
    for example in x.examples:
        yield from _differs(example, question.dtype)
    if len(blocks) < BLOCKS:
        yield f"    {in_words(spans(blocks))} of {BLOCKS}: a part of the certificate"
    yield f"    {SPLIT}"
    yield f"    SHA-256 of all result bits: {x.hash}"
    yield f"    {x.seconds:.1f} s"


def _differs(example: Example, dtype: str) -> Iterator[str]:
    given = zip(("θ", "m", "g"), example.given, strict=True)
    words = ", ".join(f"{name} = {_number(x, dtype)}" for name, x in given)
    for name, found, expected in zip(("θ'", "m'"), example.found, example.expected, strict=True):
        if found != expected:
            wrong, right = _number(found, dtype), _number(expected, dtype)
            yield f"    at {words}: {name} = {wrong} instead of {right}"


def _number(pattern: int, dtype: str) -> str:
    (value,) = numbers(np.array([pattern], np.uint16), dtype)
    return f"0x{pattern:04x} ({float(value):g})"
