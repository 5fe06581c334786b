"""diagnose: a port's semantics is recovered to the bit, and nothing is named that is not so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import lion_ref
from lion_conformance import Verdict, diagnose, diagnosis, from_callable, verify
from lion_conformance.cases.case import Seeded, build
from lion_conformance.cli import main
from lion_conformance.diagnosis.search import UNKNOWN
from lion_conformance.ports.protocol import Triple
from lion_conformance.runs.script import triples_of
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics, legal_triples
from lion_ref.arithmetic import same_bits
from lion_ref.semantics import choices

pytestmark = pytest.mark.clause("C16", "C29")


PHASES = [Phase.generate]  # a diagnosis takes a second: shrinking one that fails takes hundreds


def _as(**fields: Any) -> Any:
    return partial(lion_ref.step, semantics=Semantics(**fields))


@st.composite
def any_semantics(draw: st.DrawFn) -> Semantics:
    """Any legal combination: a choice without a meaning beside the others is drawn canonical."""
    fields: dict[str, Any] = {}
    for name, options in choices().items():
        legal = [option for option in options if _legal(fields | {name: option})]
        # `scalars` needs a precision that is drawn before it; a lerp's fusion likewise.
        fields[name] = draw(st.sampled_from(legal))
    return Semantics(**fields)


def _legal(fields: dict[str, Any]) -> bool:
    try:
        Semantics(**fields)
    except ValueError:
        return False
    return True


def differing_bits(
    first: Semantics, second: Semantics, among: Sequence[Triple], dtype: str, *, seed: int
) -> int:
    """How many results differ on fresh adversarial cases, which the diagnosis has not seen."""
    triples = [triple for triple in among if triple[0] == dtype]
    draws = Seeded(seed)
    count = 0
    for _ in range(6):
        case = build(draws, triples)
        case = case.with_arrays(x.reshape(-1)[:3000] for x in case.arrays)
        results = [
            lion_ref.step(*case.arrays, **case.scalars, semantics=s) for s in (first, second)
        ]
        count += sum(int((~same_bits(a, b)).sum()) for a, b in zip(*results, strict=True))
    return count


def check_recovered(
    semantics: Semantics, dtype: str, seed: int, triples: Sequence[Triple] = ()
) -> None:
    """In these triples; if omitted, in all with this dtype of θ."""
    step = partial(lion_ref.step, semantics=semantics)
    port = from_callable(step, triples=tuple(triples or legal_triples()))
    found = diagnosis(port, dtypes=[dtype])
    assert found.semantics is not None, found.sentence
    assert differing_bits(semantics, found.semantics, port.triples, dtype, seed=seed) == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@settings(max_examples=1, deadline=None, derandomize=True, database=None, phases=PHASES)
@given(semantics=any_semantics(), seed=st.integers(0, 2**32 - 1))
def test_any_semantics_is_recovered(dtype: str, semantics: Semantics, seed: int) -> None:
    check_recovered(semantics, dtype, seed, two_triples(dtype))


@settings(max_examples=1, deadline=None, derandomize=True, database=None, phases=PHASES)
@given(semantics=any_semantics(), seed=st.integers(0, 2**32 - 1))
def test_any_semantics_is_recovered_in_float64(semantics: Semantics, seed: int) -> None:
    check_recovered(semantics, "float64", seed, two_triples("float64"))


def two_triples(dtype: str) -> list[Triple]:
    """One of a single dtype, one of several; all of them are in the wide run."""
    return triples_of(from_callable(lion_ref.step, triples=legal_triples()), dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
@settings(max_examples=60, deadline=None, derandomize=True, database=None, phases=PHASES)
@given(semantics=any_semantics(), seed=st.integers(0, 2**32 - 1))
def test_any_semantics_is_recovered_widely(dtype: str, semantics: Semantics, seed: int) -> None:
    check_recovered(semantics, dtype, seed)


@pytest.mark.parametrize(
    "fields",
    [
        # Seen in θ = m = -0 alone, beside a g whose product underflows.
        {"sign_interpolation": "lerp-from-momentum", "subnormals": "flush", "zero_sign": "kept"},
        # c alone tells whether its lerp is whole.
        {"sign_interpolation": "lerp-from-momentum", "precision": "storage-whole-lerp"},
        # m' is in the compute dtype, and has no scalars that are rounded to storage.
        {"precision": "storage", "scalars": "storage"},
        # In θ alone, and there in few elements.
        {"step_stored": True},
    ],
    ids=str,
)
def test_what_few_elements_show_is_recovered(fields: dict[str, Any]) -> None:
    port = from_callable(_as(**fields), triples=legal_triples())
    assert diagnose(port, dtypes=["float16"]) == Semantics(**fields)


def test_a_step_that_is_fused_where_the_decay_is_skipped_is_recovered() -> None:
    """Seen at λ = 0 alone, where u is narrower than θ and η is no number of its dtype."""
    fields: dict[str, Any] = {
        "sign_interpolation": "lerp-from-momentum",
        "decay": "factor",
        "decay_fused": True,
        "step_fused": True,
        "decay_skipped_at_zero": True,
        "precision": "storage-whole-lerp",
    }
    one = from_callable(_as(**fields), name="one")
    found = diagnose(replace(one, triples=(("float64", "bfloat16", "bfloat16"),)))
    assert found == Semantics(**fields)


def test_the_check_of_recovery_can_fail() -> None:
    """Fresh cases tell a wrong diagnosis, one choice beside the right one."""
    right = Semantics(momentum_fused="gradient")
    for wrong in (CANONICAL, Semantics(momentum_fused="momentum"), Semantics(nan_sign="zero")):
        assert differing_bits(right, wrong, legal_triples(), "float32", seed=1) > 0
    assert differing_bits(right, right, legal_triples(), "float32", seed=1) == 0


def test_the_reference_is_canonical() -> None:
    found = diagnosis(lion_ref.step, dtypes=["float16", "float32"])
    assert (found.semantics, found.sentence) == (CANONICAL, "equals the reference")


def test_one_semantics_for_several_dtypes_and_its_sentence() -> None:
    expected = Semantics(
        sign_complement="compute", momentum_complement="compute", momentum_fused="gradient"
    )
    port = partial(lion_ref.step, semantics=expected)
    found = diagnosis(port, dtypes=["bfloat16", "float32"])
    assert found.semantics == expected
    assert found.sentence == (
        "equals the reference in which m' = fma(1-β2, g, β2·m), "
        "and 1-β formed in the precision of the steps"
    )


def test_what_no_input_shows_stays_canonical_and_is_named() -> None:
    found = diagnosis(_as(decay="product", step_fused=True), dtypes=["float32"])
    assert found.semantics == Semantics(decay="product")  # η·(±1) is exact: nothing to fuse
    assert "step_fused" in found.undetermined


def _step_halved(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    return lion_ref.step(param, momentum, grad, **scalars | {"lr": scalars["lr"] / 2})


def _decay_doubled(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    twice = scalars | {"weight_decay": 2 * scalars["weight_decay"]}
    return lion_ref.step(param, momentum, grad, **twice)


def _beta2_wrong(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    wrong = lion_ref.step(param, momentum, grad, **scalars | {"beta2": scalars["beta2"] / 2})
    return lion_ref.step(param, momentum, grad, **scalars)[0], wrong[1]


def _sign_of_zero_is_one(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    new_param, new_momentum = lion_ref.step(param, momentum, grad, **scalars)
    still = (momentum == 0) & (grad == 0)
    moved, _ = lion_ref.step(param, np.ones_like(momentum), np.ones_like(grad), **scalars)
    return np.where(still, moved, new_param), new_momentum


@pytest.mark.parametrize(
    ("port", "operation"),
    [
        (_step_halved, "e = η ⊗ s"),
        (_decay_doubled, "d = λ ⊗ θ"),
        (_beta2_wrong, "x = β2 ⊗ m"),
        (_sign_of_zero_is_one, "u = sign(c) where c is 0"),
    ],
)
def test_a_port_that_is_no_semantics_gives_none_and_the_operation(
    port: Any, operation: str
) -> None:
    found = diagnosis(port, dtypes=["float32"])
    assert found.semantics is None
    assert found.parted_at == operation
    assert found.sentence == f"{UNKNOWN}; they part at {operation}"
    scalars, given, param, momentum = found.example
    assert scalars.startswith("float32, lr=")
    assert given.startswith("θ = ")
    assert param.startswith("θ' = ")
    assert momentum.startswith("m' = ")
    assert diagnose(port, dtypes=["float32"]) is None


def test_a_port_that_raises_is_not_explained() -> None:
    def raises(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no kernel")

    found = diagnosis(raises, dtypes=["float32"])
    assert found.semantics is None
    assert found.parted_at == "the port raised RuntimeError: no kernel"


def test_verify_says_what_an_undeclared_port_is() -> None:
    semantics = Semantics(decay="factor", nan_sign="zero")
    step = partial(lion_ref.step, semantics=semantics)
    report = verify(step, dtypes=["float32"], max_examples=1)
    assert (report.verdict, report.semantics) == (Verdict.BIT_EXACT_AS, semantics)
    for text in (report.to_markdown(), report.to_html(), report.to_json()):
        assert "quals the reference in which" in text
        assert "1-ηλ formed in binary64" in text


def test_another_algorithm_is_named_and_rejected() -> None:
    report = verify(_as(decay="unscaled"), dtypes=["float32"], max_examples=1)
    assert (report.verdict, report.ok) == (Verdict.REJECTED, False)
    assert report.semantics == Semantics(decay="unscaled")
    assert report.sentence.endswith("; another algorithm")


def test_the_command_line_says_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "lion_ref:step", "--dtype", "float16"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "equals the reference"


@pytest.mark.clause("C16")
def test_what_explains_a_port_at_ordinary_hyperparameters_alone_is_said() -> None:
    """As a library that leaves the decay out where ηλ is 1, by mistaking 1-ηλ for λ."""

    def step(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        if scalars["lr"] * scalars["weight_decay"] == 1:
            scalars["weight_decay"] = 0.0
        return lion_ref.step(
            param, momentum, grad, **scalars, semantics=Semantics(momentum_fused="gradient")
        )

    found = diagnosis(step, dtypes=["float32"])
    assert found.semantics is None
    assert found.ordinarily == Semantics(momentum_fused="gradient")
    assert found.sentence.endswith(
        "; at ordinary hyperparameters it equals the reference in which m' = fma(1-β2, g, β2·m)"
    )
    report = verify(step, dtypes=["float32"], max_examples=2)
    assert report.verdict is Verdict.REJECTED
    assert report.sentence == (
        "the decay is left out: λ is not used where η·λ = 1 (SPEC C10); "
        "elsewhere it equals the reference in which m' = fma(1-β2, g, β2·m)"
    )
