"""The cases hold what they promise: cancellation, subnormals, edges, every triple."""

from __future__ import annotations

import numpy as np
import pytest

from lion_conformance.cases.case import Case, Seeded, build
from lion_ref import STORAGE_DTYPES, legal_triples
from lion_ref.rational import FORMATS

FLOAT32 = [("float32", "float32", "float32")]


def drawn(count: int, triples: list[tuple[str, str, str]] | None = None) -> list[Case]:
    draws = Seeded(1)
    return [build(draws, triples or legal_triples()) for _ in range(count)]


def test_one_triple_is_kept_to() -> None:
    assert {case.triple for case in drawn(20, FLOAT32)} == set(FLOAT32)


def test_every_triple_turns_up() -> None:
    assert {case.triple for case in drawn(400)} == set(legal_triples())


def test_shapes_include_bulk_scalars_and_nothing() -> None:
    shapes = {case.param.shape for case in drawn(80, FLOAT32)}
    assert {(), (0,), (1,)} < shapes
    assert any(len(shape) == 2 for shape in shapes)


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_the_interesting_elements_are_there(dtype: str) -> None:
    cases = drawn(40, [(dtype, dtype, dtype)])
    counts = dict.fromkeys(
        ("cancels", "nearly cancels", "subnormal", "smallest normal", "inf", "nan", "-0"), 0
    )
    smallest = 2.0 ** FORMATS[dtype].min_exponent
    for case in cases:
        with np.errstate(all="ignore"):
            m, g = (np.asarray(x, np.float64) for x in (case.momentum, case.grad))
            a, b = case.beta1 * m, (1 - case.beta1) * g
            c = np.abs(a + b)
            unit = 2.0 ** -FORMATS[dtype].precision
            alive = np.isfinite(c) & (a != 0) & (b != 0)
            counts["cancels"] += int((alive & (c <= unit * np.abs(a))).sum())
            counts["nearly cancels"] += int((alive & (c <= 16 * unit * np.abs(a))).sum())
            size = np.abs(np.asarray(case.param, np.float64))
            counts["subnormal"] += int(((size > 0) & (size < smallest)).sum())
            counts["smallest normal"] += int((size == smallest).sum())
            counts["inf"] += int(np.isinf(size).sum())
            counts["nan"] += int(np.isnan(size).sum())
            counts["-0"] += int(((size == 0) & np.signbit(case.param)).sum())
    assert min(counts.values()) > 50, counts


def test_hypothesis_draws_and_seeds_draw_from_the_same_cases() -> None:
    from lion_conformance.cases.strategies import feed_by_hypothesis

    seen: list[Case] = []

    def keep(case: Case) -> bool:
        seen.append(case)
        return True

    feed_by_hypothesis(keep, FLOAT32, max_examples=6, seed=0)
    assert len(seen) == 6
    assert all(case.triple == FLOAT32[0] for case in seen)


def test_the_drive_stops_at_the_first_rejection() -> None:
    from lion_conformance.cases.strategies import feed_by_hypothesis

    seen: list[Case] = []

    def reject_the_third(case: Case) -> bool:
        seen.append(case)
        return len(seen) < 3

    feed_by_hypothesis(reject_the_third, FLOAT32, max_examples=50, seed=0)
    assert len(seen) == 3
