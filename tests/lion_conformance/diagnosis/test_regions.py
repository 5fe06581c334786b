"""find_region: where a port is wrong, and nothing where there is no rule that says it.

`python -c "from tests.lion_conformance.diagnosis import survey; survey.show()"` prints what is
found for the whole catalogue.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lion_conformance import from_callable
from lion_conformance.diagnosis.probes import SIZE
from lion_conformance.ports.protocol import Port, Triple
from lion_ref import legal_triples
from tests.lion_conformance.diagnosis.survey import first_wrong, held_out, region_of
from tests.lion_conformance.diagnosis.wrong_in_places import PORTS
from tests.lion_conformance.mutants.catalogue import Mutant, load

pytestmark = pytest.mark.clause("C29")

FLOAT32: tuple[Triple, ...] = (("float32",) * 3,)
MUTANTS = {mutant.name: mutant for mutant in load()}

SAID = {
    "decay skipped at zero": "where θ = ±∞ and λ = 0",
    "no decay of vectors": "in tensors with one axis",
    "decay product at most one": "where η·λ > 1",
    "wrong above a thousand": "where 1,000 < |c| < 2,000",
    "one sided": "where -3 < c < -2.9",
    "sign of zero is one": "where m and g are both zero",
    "falsy beta1": "where β1 = 0",
    "tiny learning rate raised": "where 1e-8 < η < 1e-5",
    "learning rate of exactly a half": "where η = 0.5",
    "betas sorted": "where β1 > β2",
    "whole step skipped at a nan": "where any element of g is not finite",
    "theta in one binade": "where 2⁴⁰ ≤ |θ| < 2⁴¹",
    "tail left out": "in the last n mod 4 elements",
    "sixteen bit counter": "in elements from 65,536 on",
    "one residue of the size": "in the last element of arrays whose size mod 128 is 50",
    "second tile left out": "in rows and columns from 128 on",
    "far and without decay cut": "in elements from 65,536 on where λ = 0",
    "strided momentum": "where the momentum is not contiguous and θ is",
    "one triple left out": "where m is bfloat16 and g is float16",
}
"""Of mutants, what is said of where they are wrong."""

EVERYWHERE = ("betas swapped", "no decay", "decay doubled", "learning rate in bfloat16", "tanh")
"""Of these, nothing."""


def _of(mutant: Mutant) -> tuple[Port, list[Triple]]:
    port = mutant.port()
    return port, [x for x in port.triples if x[0] == mutant.dtype]


@pytest.mark.parametrize("name", SAID)
def test_a_wrong_port_of_the_catalogue(name: str) -> None:
    port, triples = _of(MUTANTS[name])
    region = region_of(port, triples)
    assert region is not None
    assert region.sentence == SAID[name]
    assert held_out(port, triples, region) == 0


@pytest.mark.parametrize("wrong", PORTS)
@pytest.mark.parametrize("mixed", [False, True])
def test_a_wrong_port_that_no_catalogue_has(wrong: str, mixed: bool) -> None:
    where, step = PORTS[wrong]
    taken = tuple(x for x in legal_triples() if x[0] == "float32") if mixed else FLOAT32
    region = region_of(from_callable(step, triples=taken), taken)
    assert (None if region is None else region.sentence) == where


@pytest.mark.parametrize("name", EVERYWHERE)
def test_of_a_port_that_is_wrong_everywhere_nothing_is_said(name: str) -> None:
    assert region_of(*_of(MUTANTS[name])) is None


def test_a_port_that_compiles_is_asked_in_one_shape() -> None:
    sizes = set()

    def step(param, momentum, grad, **scalars):  # type: ignore[no-untyped-def]
        sizes.add(param.shape)
        return PORTS["a large m is clipped"][1](param, momentum, grad, **scalars)

    port = replace(from_callable(step, triples=FLOAT32), compiles=True)
    failing = first_wrong(port, FLOAT32)
    assert failing is not None
    sizes.clear()
    region = region_of(port, FLOAT32, failing)
    assert region is not None
    assert region.sentence == "where |m| > 10"
    assert sizes == {(SIZE,), failing.case.param.shape}


@pytest.mark.parametrize(
    ("name", "about", "rule"),
    [
        ("sixteen bit counter", "element", "flat index ≥ 65,536"),
        ("nan gradient skipped", "value", "g is NaN"),
        ("more than two axes", "shape", "axes ≥ 3"),
        ("strided momentum", "layout", "the momentum is not contiguous and θ is"),
        ("learning rate at most one", "scalars", "η > 1"),
        ("one triple left out", "dtype", "m is bfloat16 and g is float16"),
    ],
)
def test_what_a_rule_is_about(name: str, about: str, rule: str) -> None:
    region = region_of(*_of(MUTANTS[name]))
    assert region is not None
    assert (region.about, region.rule) == (about, rule)
