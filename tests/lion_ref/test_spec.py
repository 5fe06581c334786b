"""SPEC.md's own examples run, and a wrong one is found."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

SPEC = Path(__file__).parents[2] / "SPEC.md"


def failures(text: str) -> tuple[int, int]:
    """(failed, attempted) examples of a Markdown text."""
    examples = doctest.DocTestParser().get_doctest(text, {}, "SPEC.md", "SPEC.md", 0)
    result = doctest.DocTestRunner(verbose=False).run(examples, out=lambda _: None)
    return result.failed, result.attempted


def test_the_examples_of_the_specification_hold() -> None:
    failed, attempted = failures(SPEC.read_text(encoding="utf-8"))
    assert failed == 0
    assert attempted > 50


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(array([0.625], dtype=float32)", "(array([0.624], dtype=float32)"),
        ("array([-0.], dtype=float32)", "array([0.], dtype=float32)"),
        ("legal: a finite number >= 0\n", "legal: any number\n"),
    ],
)
def test_a_wrong_example_is_found(right: str, wrong: str) -> None:
    text = SPEC.read_text(encoding="utf-8")
    assert right in text
    assert failures(text.replace(right, wrong, 1))[0] == 1
