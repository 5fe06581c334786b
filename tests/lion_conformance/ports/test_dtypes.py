"""Which triples of dtypes are judged: those asked for or named, else what the port takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import lion_conformance
import lion_ref
from lion_conformance import PortTests, Verdict, diagnose, diagnosis, from_callable, verify
from lion_conformance.cli import main
from lion_conformance.report.as_text import render
from lion_conformance.runner import Options, judge_port
from lion_conformance.runs.tape import load
from lion_ref import CANONICAL

MIXED = ("bfloat16", "float32", "bfloat16")


def of_float32(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """As a kernel of one dtype called through NumPy, which would cast: it answers in float32."""
    given = (x.astype(np.float32) for x in (param, momentum, grad))
    return lion_ref.step(*given, **scalars)


def refuses_others(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A kernel of one dtype that says so."""
    if {x.dtype.name for x in (param, momentum, grad)} != {"float32"}:
        raise TypeError(f"expected float32, got {param.dtype.name}")
    return lion_ref.step(param, momentum, grad, **scalars)


def momentum_through_storage(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Wrong where m is wider than θ alone: it loses what it was kept wider for."""
    if momentum.dtype.itemsize > param.dtype.itemsize:
        narrow = momentum.astype(param.dtype).astype(momentum.dtype)
        return lion_ref.step(param, narrow, grad, **scalars)
    return lion_ref.step(param, momentum, grad, **scalars)


@pytest.mark.clause("C29")
@pytest.mark.parametrize("step", [of_float32, refuses_others])
def test_a_port_of_one_dtype_is_judged_in_that_one_alone(step: Any) -> None:
    report = verify(step, dtypes=["float32"], max_examples=1)
    assert (report.ok, report.verdict) == (True, Verdict.BIT_EXACT)
    assert report.results[0].triples == ("float32",)
    assert diagnose(step, dtypes=["float32"]) == CANONICAL
    name = f"{__name__}:{step.__name__}"
    assert main(["verify", name, "--dtype", "float32", "--max-examples", "1"]) == 0


@pytest.mark.clause("C29")
@pytest.mark.parametrize(
    ("step", "words"),
    [
        (of_float32, "the port returned param as float32; legal: float16, as given"),
        (refuses_others, "the port raised TypeError: expected float32, got float16"),
    ],
)
def test_a_dtype_that_nobody_asked_for_and_the_port_does_not_take(step: Any, words: str) -> None:
    report = verify(step, max_examples=1)
    others = dict.fromkeys(("float16", "bfloat16", "float64"), Verdict.NOT_TAKEN)
    assert report.verdicts == others | {"float32": Verdict.BIT_EXACT}
    assert (report.ok, report.verdict, report.semantics) == (True, Verdict.BIT_EXACT, CANONICAL)
    assert report.results[0].not_taken == {"float16": words}
    text = render([report])
    assert f"float16 not taken: {words}" in text or words.replace("float16", "bfloat16") in text
    assert "triples of several dtypes were not asked for (--mixed asks)" in text
    assert f"{words.partition(';')[0]}" in report.to_html()
    assert words in report.to_markdown().replace("\\", "")
    document = json.loads(report.to_json())
    judged = document["reports"][0]["dtypes"][0]
    assert (judged["verdict"], judged["not_taken"]) == ("not taken", {"float16": words})
    assert document["reports"][0]["mixed_unasked"] is True
    schema = Path(lion_conformance.__path__[0], "data", "lion-report.schema.json")
    Draft202012Validator(json.loads(schema.read_text(encoding="utf-8"))).validate(document)
    assert diagnose(step) == CANONICAL


@pytest.mark.clause("C29")
def test_a_dtype_asked_for_by_name_has_to_be_taken() -> None:
    report = verify(refuses_others, dtypes=["float16", "float32"], max_examples=1, explain=False)
    assert report.verdicts == {"float16": Verdict.REJECTED, "float32": Verdict.BIT_EXACT}
    found = report.counterexample
    assert found is not None
    assert found.why == "the port raised TypeError: expected float32, got float16"
    named = from_callable(refuses_others, triples=(("float16",) * 3,))
    assert verify(named, max_examples=1, explain=False).verdict is Verdict.REJECTED


@pytest.mark.clause("C29")
def test_a_port_that_takes_nothing_has_not_passed() -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise NameError("momentun")

    report = verify(broken, max_examples=1, explain=False)
    assert {*report.verdicts.values()} == {Verdict.REJECTED}
    assert not report.ok


@pytest.mark.clause("C29")
def test_a_port_that_is_wrong_at_first_is_not_said_to_take_no_such_dtype() -> None:
    calls = []

    def wrong_at_first(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        calls.append(param.dtype)
        if param.dtype != np.float16:
            raise TypeError("no such kernel")
        result = lion_ref.step(param, momentum, grad, **scalars)
        return result if len(calls) > 1 else (result[0] + 1, result[1])

    report = verify(wrong_at_first, max_examples=1, explain=False)
    assert report.verdicts["float16"] is Verdict.REJECTED


@pytest.mark.clause("C29")
@pytest.mark.parametrize("taken", [lambda n: n > 1, lambda n: False])
def test_a_dtype_that_is_refused_at_times_is_taken_and_wrong(taken: Callable[[int], bool]) -> None:
    """Refused at the first call, or for odd sizes: no way around being judged."""
    calls: list[Any] = []

    def at_times(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if param.dtype not in (np.float16, np.float32):
            raise TypeError("no such kernel")
        if param.dtype == np.float16:
            calls.append(param)
            if param.size % 2 and not taken(len(calls)):
                raise ValueError("an odd number of elements")
        return lion_ref.step(param, momentum, grad, **scalars)

    report = verify(at_times, max_examples=1, explain=False)
    assert report.verdicts["float16"] is Verdict.REJECTED
    assert report.verdicts["float32"] is Verdict.BIT_EXACT
    assert not report.ok


@pytest.mark.clause("C29")
def test_a_diagnosis_says_what_was_not_taken() -> None:
    found = diagnosis(refuses_others)
    assert found.semantics == CANONICAL
    assert list(found.not_taken) == ["float16", "bfloat16", "float64"]
    assert found.not_taken["float16"] == "the port raised TypeError: expected float32, got float16"


@pytest.mark.clause("C2", "C29")
@pytest.mark.parametrize("entry", [MIXED, "/".join(MIXED)])
def test_a_mixed_triple_is_judged_where_it_is_asked_for(entry: Any) -> None:
    report = verify(momentum_through_storage, dtypes=[entry], max_examples=1, explain=False)
    assert report.verdicts == {"bfloat16": Verdict.REJECTED}
    assert report.results[0].triples == ("bfloat16/float32/bfloat16",)
    found = report.counterexample
    assert found is not None
    assert tuple(found.dtypes.values()) == MIXED


@pytest.mark.clause("C2", "C29")
def test_a_mixed_triple_is_judged_beside_the_one_of_one_dtype_and_nowhere_unasked() -> None:
    assert verify(momentum_through_storage, dtypes=["bfloat16"], max_examples=1).ok
    right = verify(lion_ref.step, dtypes=["bfloat16", MIXED], max_examples=1)
    assert right.results[0].triples == ("bfloat16", "bfloat16/float32/bfloat16")
    assert right.ok


@pytest.mark.clause("C29")
def test_a_port_is_judged_once_more_in_the_triples_that_fell_short() -> None:
    calls = []

    def wrong_later(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        calls.append(momentum.dtype == np.float32)
        if sum(calls) > 5:
            return momentum_through_storage(param, momentum, grad, **scalars)
        return lion_ref.step(param, momentum, grad, **scalars)

    report = verify(wrong_later, dtypes=["bfloat16", MIXED], max_examples=1, explain=False)
    assert (
        "judge_port(port, ['bfloat16', 'bfloat16/float32/bfloat16'], "
        in replace(
            report, results=tuple(replace(r, counterexample=None) for r in report.results)
        ).reproduction()
    )


@pytest.mark.clause("C29")
def test_all_mixed_triples_can_be_asked_for() -> None:
    report = verify(momentum_through_storage, dtypes=["float32"], mixed=True, max_examples=1)
    assert report.ok  # no m is wider than a float32 θ
    assert len(report.results[0].triples) == 9
    asked: Any = {"dtypes": ["bfloat16"], "mixed": True, "max_examples": 1, "explain": False}
    assert not verify(momentum_through_storage, **asked).ok
    name = f"{__name__}:momentum_through_storage"
    line = ["verify", name, "--dtype", "bfloat16", "--max-examples", "1", "--reproduction"]
    assert main([*line, "build/mixed.py"]) == 0
    assert main([*line, "build/mixed.py", "--mixed"]) == 1
    assert main([*line, "build/mixed.py", "--dtype", "/".join(MIXED)]) == 1


@pytest.mark.clause("C29")
def test_of_mixed_triples_that_nobody_named_some_may_not_be_taken() -> None:
    def keeps_dtypes(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if momentum.dtype == np.float16:
            raise TypeError("no float16 momentum")
        return lion_ref.step(param, momentum, grad, **scalars)

    report = verify(keeps_dtypes, dtypes=["float32"], mixed=True, max_examples=1)
    assert report.ok
    assert report.results[0].not_taken == {
        f"float32/float16/{grad}": "the port raised TypeError: no float16 momentum"
        for grad in ("float16", "bfloat16", "float32")
    }
    assert "--mixed" not in render([report])


@pytest.mark.clause("C29")
def test_a_port_that_names_mixed_triples_is_judged_in_them() -> None:
    named = from_callable(momentum_through_storage, triples=(("bfloat16",) * 3, MIXED))
    for dtypes in (None, ["bfloat16"], [MIXED]):
        assert not verify(named, dtypes=dtypes, max_examples=1, explain=False).ok
    alone = from_callable(momentum_through_storage, triples=(("bfloat16",) * 3,))
    report = verify(alone, max_examples=1)
    assert (report.ok, report.mixed_unasked) == (True, False)


def test_a_backend_is_judged_in_the_triples_asked_for() -> None:
    port = from_callable(momentum_through_storage, triples=lion_ref.legal_triples())
    options = Options(max_examples=1)
    assert judge_port(port, [("bfloat16",) * 3], options, load()).ok
    assert not judge_port(port, [MIXED], options, load()).ok


@pytest.mark.parametrize(
    ("dtypes", "message"),
    [
        (["float8"], "dtype='float8' is not legal; legal: float16, bfloat16, float32, float64, or"),
        ([("float32", "float64", "float32")], r"dtype=\('float32', 'float64', 'float32'\) is not"),
        (["float32/float32"], "dtype='float32/float32' is not legal; legal: float16, "),
        (
            [],
            r"dtypes=\[\] is not legal; legal: one or more of float16, bfloat16, float32",
        ),
        ([1], "dtype=1 is not legal; legal: float16, bfloat16, float32, float64, or three of them"),
    ],
)
def test_what_is_no_dtype_is_refused(dtypes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        verify(lion_ref.step, dtypes=dtypes)


def test_a_triple_that_a_port_does_not_name_is_refused() -> None:
    port = from_callable(lion_ref.step, name="narrow", triples=(("float32",) * 3,))
    message = "^dtype='bfloat16/float32/bfloat16' is not taken by narrow; legal: float32$"
    with pytest.raises(ValueError, match=message):
        verify(port, dtypes=["/".join(MIXED)])


@pytest.mark.clause("C29")
def test_the_test_class_skips_what_is_not_taken() -> None:
    class Narrow(PortTests):
        port = staticmethod(refuses_others)
        max_examples = 1

    test: Any = vars(PortTests)["test_answers_every_case"]
    test(Narrow(), "float32")
    words = "^float16 not taken: the port raised TypeError: expected float32, got float16$"
    with pytest.raises(pytest.skip.Exception, match=words):
        test(Narrow(), "float16")
