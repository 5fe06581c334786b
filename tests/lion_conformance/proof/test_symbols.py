"""lion_ref run on symbols has lion_ref's bits: the anchor of every proof."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lion_conformance.operations.expression import leaf
from lion_conformance.proof.evaluation import values
from lion_conformance.proof.symbols import TYPES, reference
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics, legal_triples, step
from lion_ref.arithmetic import bits, same_bits
from lion_ref.semantics import choices
from tests.adversarial import around_underflow, elements, hyperparameters

Triple = tuple[str, str, str]
SIZE = 120


def single_choices() -> Iterator[Semantics]:
    """Every choice other than the canonical one, each with what it needs beside it."""
    needed = ({}, *({"decay": x} for x in ("factor", "product")))
    needed += ({"precision": "storage"}, {"momentum_precision": "storage"})
    lerps = ("lerp-from-momentum", "lerp-from-gradient", "lerp-from-nearer")
    needed += tuple({f"{part}_interpolation": x} for part in ("sign", "momentum") for x in lerps)
    needed += ({"sign_interpolation": "lerp-from-momentum", "precision": "storage-whole-lerp"},)
    for base, (name, options) in itertools.product(needed, choices().items()):
        for option in options:
            try:
                yield replace(CANONICAL, **{**base, name: option})
            except ValueError:
                continue


SEMANTICS = tuple(x for x in dict.fromkeys(single_choices()) if x.subnormals == "keep")
FLUSHING = tuple(replace(x, subnormals="flush") for x in SEMANTICS)


def differing(
    semantics: Semantics, triple: Triple, seed: int, other: Semantics | None = None
) -> int:
    """Elements in which the expressions, evaluated, have other bits than lion_ref.step.

    other: the semantics of that, if it is another.
    """
    rng = np.random.default_rng(seed)
    scalars = hyperparameters(rng)
    if seed % 2:
        betas: Any = {x: scalars[x] for x in ("beta1", "beta2")}
        arrays = elements(rng, triple, SIZE, **betas)
    else:
        arrays = around_underflow(rng, triple, SIZE, *scalars.values())
    found = reference(semantics, triple)
    given: dict[Any, Any] = {
        leaf(of, TYPES[name], 0): bits(array)
        for of, name, array in zip(("param", "momentum", "grad"), triple, arrays, strict=True)
    }
    given |= {leaf(of, "f64"): bits(np.array(x)) for of, x in scalars.items()}
    expected = step(*arrays, **scalars, semantics=other or semantics)
    results = values((found.new_param, found.new_momentum), given)
    return sum(
        int((~same_bits(result.view(STORAGE_DTYPES[name]), one)).sum())
        for result, name, one in zip(results, triple, expected, strict=False)
    )


TRIPLES = legal_triples()
OF_FLOAT32 = tuple(x for x in TRIPLES if x[0] != "float64")
"""Those whose operations flush: on float64 none does."""
SOME = 3


@pytest.mark.parametrize(
    ("semantics", "triples"), [(SEMANTICS, TRIPLES), (FLUSHING, OF_FLOAT32)], ids=["keep", "flush"]
)
def test_the_symbolic_reference_has_the_bits_of_every_choice(
    semantics: tuple[Semantics, ...], triples: tuple[Triple, ...]
) -> None:
    """Of every pair of choices, too; in a few triples, others for each, and all of them in turn."""
    turns = itertools.cycle(triples)
    tried = [(x, next(turns)) for x in semantics for _ in range(SOME)]
    wrong = [(x, triple) for i, (x, triple) in enumerate(tried) if differing(x, triple, i)]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("semantics", SEMANTICS + FLUSHING, ids=lambda x: x.describe())
def test_the_symbolic_reference_has_them_in_all_triples(semantics: Semantics) -> None:
    triples = TRIPLES if semantics.subnormals == "keep" else OF_FLOAT32
    for seed, triple in enumerate(triples):
        assert not differing(semantics, triple, seed), triple


def test_what_no_expression_has_is_refused() -> None:
    """Tininess before rounding; operations on float64 that flush."""
    before, after = Semantics(subnormals="flush-before-rounding"), Semantics(subnormals="flush")
    with pytest.raises(NotImplementedError, match="no operation flushes before it rounds"):
        reference(before, OF_FLOAT32[0])
    with pytest.raises(NotImplementedError, match="no operation on float64 flushes subnormals"):
        reference(after, ("float64",) * 3)


def test_another_reference_has_other_bits() -> None:
    """The elements tell them apart."""
    told = sum(
        bool(differing(CANONICAL, ("float32",) * 3, seed, Semantics(sign_fused="momentum")))
        for seed in range(12)
    )
    assert told
