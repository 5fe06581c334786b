"""No mutant is proved equal to the reference, in none of its triples of dtypes."""

from __future__ import annotations

from typing import Final

import pytest

from lion_conformance import Port, prove
from lion_ref import CANONICAL
from tests.lion_conformance.mutants.catalogue import Mutant, load

KEEPS_ITS_CALLS: Final = ("gradient known by identity", "momentum known by identity")
"""Right wherever it is called once with an array: a step is proved of them, and not a run."""

STEPS: Final = [x for x in load() if not isinstance(x.make(), Port)]
FEW: Final = [x for x in STEPS if x.theme in ("sign", "memory", "values")][::20]


def is_proved_canonical(mutant: Mutant, dtypes: list[str]) -> bool:
    """Whether it would pass as canonical: in each triple, as one that it is."""
    proof = prove(mutant.port(), dtypes=dtypes)
    return proof.verdict == "equals" and {x.semantics for x in proof.findings} == {CANONICAL}


@pytest.mark.parametrize("mutant", FEW, ids=str)
def test_a_mutant_is_not_proved_equal(mutant: Mutant) -> None:
    triple = "/".join([mutant.dtype] * 3)
    assert not is_proved_canonical(mutant, [triple])


@pytest.mark.slow
@pytest.mark.parametrize("mutant", STEPS, ids=str)
def test_no_mutant_is_proved_equal(mutant: Mutant) -> None:
    if mutant.name in KEEPS_ITS_CALLS or mutant.refuses:
        pytest.skip("it is right where it answers, once")
    assert not is_proved_canonical(mutant, [mutant.dtype])
