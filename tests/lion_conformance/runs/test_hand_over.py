"""A run that is handed over: what loses anything on the way is rejected, in words that say what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Verdict, verify
from lion_conformance.checks import Check, Checklist, words
from lion_conformance.report.origin import Origin
from lion_conformance.runs import hand_over
from lion_conformance.runs.relay import Side, difference, expected, recorded, special
from lion_ref import Semantics
from tests.lion_conformance.runs import rich
from tests.lion_conformance.runs.handed import DTYPES, WRONG, ForgetsMomentum, offering

pytestmark = pytest.mark.clause("C34")


def judged(session: type[rich.Rich]) -> hand_over.HandOverResult:
    found = hand_over.judge(offering(session), DTYPES)
    assert found is not None
    return found


def test_what_loses_nothing_is_bit_exact() -> None:
    found = judged(rich.Rich)
    assert (found.verdict, found.why, found.as_promised) == (Verdict.BIT_EXACT, "", True)
    assert set(found.dtypes) == {"float32", "bfloat16", "bfloat16/float32"}


@pytest.mark.parametrize(
    ("session", "words"), WRONG.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_what_loses_anything_is_rejected(session: type[rich.Rich], words: str) -> None:
    found = judged(session)
    assert found.verdict is Verdict.REJECTED
    assert words in found.why
    assert "\n" not in found.why


def test_a_file_of_another_semantics_is_rejected() -> None:
    declared = Semantics(subnormals="flush")
    found = hand_over.judge(replace(offering(rich.Rich), declared=declared), DTYPES)
    assert found is not None
    words = "export: the file has the semantics “canonical” instead of “subnormals flushed”"
    assert words in found.why


def test_it_is_judged_of_who_offers_it_and_told_in_every_report() -> None:
    report = verify(offering(ForgetsMomentum), dtypes=["float32"], max_examples=1)
    assert report.verdict is Verdict.REJECTED
    assert report.fell_short
    assert all(x.as_promised for x in report.results)
    for text in (report.to_markdown(), report.to_html(), report.to_json(), str(report)):
        assert "m of the weight of 64 × 8" in text
    without = verify(replace(offering(rich.Rich), offers=frozenset()), dtypes=["float32"])
    assert without.hand_over is None
    assert "hand-over" in without.not_offered


def test_it_is_a_check_of_a_test_suite() -> None:
    origin = Origin("import", "here:port")
    for session, falls_short in ((rich.Rich, False), (ForgetsMomentum, True)):
        port = offering(session)
        checks = Checklist(port, dtypes=None, max_examples=1, seed=0, origin=origin)
        assert [Check.HAND_OVER in checks.checks(x) for x in checks.dtypes] == [True, False]
        found = checks.shortfall(checks.dtypes[0], Check.HAND_OVER)
        assert (found is not None) is falls_short
        if found is not None:
            assert "hand-over" in words(found, Check.HAND_OVER)
            assert "m of the weight of 64 × 8" in words(found, Check.HAND_OVER)


def test_an_interrupted_run_is_the_uninterrupted_one_with_other_semantics_behind() -> None:
    run = recorded(("float32", "float32"), 2)
    flushed = Semantics(subnormals="flush")
    canonical = Semantics()
    whole = expected(run, (canonical, canonical), (False, False))
    other = expected(run, (canonical, flushed), (False, False))
    assert difference(whole, whole) == ""
    assert "special values" in difference(other, whole)


@pytest.mark.parametrize("dtype", lion_ref.STORAGE_DTYPES)
def test_special_numbers_are_special_in_every_dtype(dtype: str) -> None:
    numbers = special(dtype)
    assert numbers[0] > 0
    assert numbers[0] / 2 == 0
    assert np.signbit(numbers[2])
    assert np.isnan(numbers[3])
    assert np.isinf(numbers[6])


@pytest.mark.parametrize(("here", "there"), [(False, True), (True, False), (True, True)])
def test_names_and_axes_are_mapped(here: bool, there: bool) -> None:
    run = recorded(("float32", "float32"), 1)
    ours, theirs = Side(here), Side(there)
    state = theirs.state(run.start)
    names = [str(i) for i in range(len(state.params))]
    place: Callable[..., Any] = ours.mapping([f"here.{x}" for x in names], theirs, names)  # type: ignore[assignment]
    for i, (name, array) in enumerate(zip(names, state.params, strict=True)):
        found = place(name, array.shape)
        target, axes = found if isinstance(found, tuple) else (found, range(array.ndim))
        assert target == f"here.{i}"
        assert np.transpose(array, axes).shape == ours.state(run.start).params[i].shape
        assert np.array_equal(
            np.transpose(array, axes), ours.state(run.start).params[i], equal_nan=True
        )
