# ruff: noqa: E501  (messages are compared whole)
"""Other semantics than the canonical: SPEC Part II."""

from __future__ import annotations

import itertools
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics, legal_triples, step
from lion_ref.arithmetic import round_to, same_bits
from lion_ref.dialects import dialect
from lion_ref.dtypes import compute_dtype
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.semantics import choices
from tests.adversarial import elements, hyperparameters

Triple = tuple[str, str, str]


# --- the canonical point, composed (C16) -------------------------------------------------------


@pytest.mark.clause("C16")
@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
def test_the_composed_canonical_update_is_step(triple: Triple) -> None:
    """`step` has its own code for CANONICAL; dialects composes it from the choices."""
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    compute = compute_dtype(dtypes[0])
    sensitive = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scalars = hyperparameters(rng)
        arrays = elements(rng, triple, 300, beta1=scalars["beta1"], beta2=scalars["beta2"])
        values = Hyperparameters.checked(**scalars)
        keywords: dict[str, Any] = scalars
        expected = step(*arrays, **keywords)
        for semantics in (CANONICAL, Semantics(nan_sign="zero")):
            update = dialect(semantics, values, compute, dtypes[0], dtypes[1])
            with np.errstate(all="ignore"):
                composed = update(*arrays)
            stored = [round_to(x, dtype) for x, dtype in zip(composed, dtypes, strict=False)]
            same = [bool(same_bits(a, b).all()) for a, b in zip(stored, expected, strict=True)]
            if semantics == CANONICAL:
                assert all(same)
            else:
                sensitive += not all(same)
    assert sensitive, "the elements tell no other semantics from the canonical one"


# --- which combinations are legal (C16) --------------------------------------------------------

ILLEGAL: list[tuple[dict[str, Any], str]] = [
    (
        {"decay": "none"},
        "decay='none' is not legal; legal: 'sum', 'factor', 'product', 'unscaled', 'coupled'",
    ),
    ({"step_fused": "yes"}, "step_fused='yes' is not legal; legal: False, True"),
    (
        {"subnormals": None},
        "subnormals=None is not legal; legal: 'keep', 'flush', 'flush-before-rounding'",
    ),
    (
        {"sign_fused": "difference"},
        "sign_fused='difference' is not legal with sign_interpolation='weighted'; legal: 'none', 'momentum', 'gradient'",
    ),
    (
        {"momentum_interpolation": "lerp-from-gradient", "momentum_fused": "momentum"},
        "momentum_fused='momentum' is not legal with momentum_interpolation='lerp-from-gradient'; legal: 'none', 'difference'",
    ),
    (
        {"decay_scalar": "compute"},
        "decay_scalar='compute' is not legal with decay='sum'; legal: 'wide'",
    ),
    (
        {"decay": "factor", "decay_scalar": "left-to-right"},
        "decay_scalar='left-to-right' is not legal with decay='factor'; legal: 'wide', 'compute'",
    ),
    (
        {"decay": "coupled", "decay_order": "step-first"},
        "decay_order='step-first' is not legal with decay='coupled'; legal: 'decay-first'",
    ),
    (
        {"decay": "factor", "decay_order": "step-first", "decay_fused": True},
        "decay_fused=True is not legal with decay='factor', 'step-first'; legal: False",
    ),
    (
        {"sign_interpolation": "lerp-from-gradient", "sign_complement": "compute"},
        "sign_complement='compute' is not legal with sign_interpolation='lerp-from-gradient'; legal: 'wide'",
    ),
    (
        {"momentum_interpolation": "lerp-from-gradient", "momentum_complement": "compute"},
        "momentum_complement='compute' is not legal with momentum_interpolation='lerp-from-gradient'; legal: 'wide'",
    ),
    (
        {"scalars": "storage"},
        "scalars='storage' is not legal with precision='compute' and momentum_precision='compute'; legal: 'compute', 'float32'",
    ),
    (
        {"precision": "storage-whole-lerp"},
        "precision='storage-whole-lerp' is not legal with sign_interpolation='weighted'; legal: 'compute', 'storage'",
    ),
    (
        {"momentum_interpolation": "lerp-from-nearer", "momentum_precision": "storage-whole-lerp"},
        "momentum_precision='storage-whole-lerp' is not legal; legal: 'compute', 'storage'",
    ),
    (
        {"step_stored": True, "decay": "factor"},
        "decay='factor' is not legal with step_stored=True; legal: 'sum'",
    ),
    (
        {"step_stored": True, "step_fused": True},
        "step_fused=True is not legal with step_stored=True; legal: False",
    ),
    (
        {"step_stored": True, "precision": "storage"},
        "precision='storage' is not legal with step_stored=True; legal: 'compute'",
    ),
]


@pytest.mark.clause("C16")
@pytest.mark.parametrize(("fields_", "message"), ILLEGAL, ids=lambda x: str(x)[:40])
def test_a_combination_without_a_meaning_is_refused(fields_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="is not legal") as error:
        Semantics(**fields_)
    assert str(error.value) == message


@pytest.mark.clause("C16")
def test_the_table_of_the_specification_lists_every_choice() -> None:
    assert {field.name: field.default for field in fields(Semantics)} == {
        name: options[0] for name, options in choices().items()
    }
    table = (Path(__file__).parents[2] / "SPEC.md").read_text(encoding="utf-8")
    rows = dict.fromkeys(choices(), "")
    for line in table.splitlines():
        cells = line.split("|")
        for name in rows.keys() & set(re.findall(r"`([a-z_]+)`", cells[1] if cells[1:] else "")):
            rows[name] = line
    for name, options in choices().items():
        assert all(f"`{option}`" in rows[name] for option in options), name


DESCRIBED: list[tuple[dict[str, Any], str]] = [
    ({}, "canonical"),
    ({"sign_fused": "momentum"}, "c = fma(β1, m, (1-β1)·g)"),
    ({"momentum_interpolation": "lerp-from-momentum"}, "m' = m + (1-β2)·(g-m)"),
    (
        {"sign_interpolation": "lerp-from-gradient", "sign_fused": "difference"},
        "c = fma(β1, m-g, g)",
    ),
    (
        {"momentum_interpolation": "lerp-from-nearer", "momentum_fused": "difference"},
        "m' = fma(1-β2, g-m, m) (from g where 1-β2 >= 1/2)",
    ),
    ({"decay": "factor"}, "θ' = θ·(1-ηλ) - η·u, 1-ηλ formed in binary64"),
    (
        {"decay": "product", "decay_scalar": "left-to-right", "decay_order": "step-first"},
        "θ' = (θ - η·u) - η·(λ·θ)",
    ),
    (
        {"decay_fused": True, "step_fused": True},
        "θ' = θ - η·(u + λ·θ), fused: the product with θ and η·(…)",
    ),
    ({"step_stored": True}, "η·(u + λ·θ) rounded to θ's storage dtype"),
    ({"zero_sign": "kept", "nan_sign": "zero"}, "sign(-0) = -0; sign(NaN) = 0"),
    (
        {"sign_complement": "compute", "momentum_complement": "compute"},
        "1-β formed in the precision of the steps",
    ),
    ({"sign_complement": "compute"}, "1-β1 formed in the precision of the steps"),
    ({"momentum_complement": "compute"}, "1-β2 formed in the precision of the steps"),
    (
        {"sign_interpolation": "lerp-from-nearer", "sign_complement": "compute"},
        "c = m + (1-β1)·(g-m) (from g where β1 < 1/2); 1-β1 formed in the precision of the steps",
    ),
    (
        {"precision": "storage", "momentum_precision": "storage", "scalars": "storage"},
        "every operation rounded to the storage dtype; scalars rounded to the storage dtype",
    ),
    ({"precision": "storage"}, "every operation of c and θ' rounded to the storage dtype"),
    ({"momentum_precision": "storage"}, "every operation of m' rounded to the storage dtype"),
    ({"scalars": "float32"}, "scalars rounded to float32"),
    (
        {"sign_interpolation": "lerp-from-gradient", "precision": "storage-whole-lerp"},
        "c = g + β1·(m-g); every operation of c and θ' rounded to the storage dtype, the lerp of c as one operation",
    ),
]


@pytest.mark.clause("C16")
@pytest.mark.parametrize(("fields_", "sentence"), DESCRIBED, ids=lambda x: str(x)[:40])
def test_a_semantics_is_described(fields_: dict[str, Any], sentence: str) -> None:
    semantics = Semantics(**fields_)
    assert semantics.describe() == sentence
    assert semantics.differences() == fields_


@pytest.mark.clause("C16")
def test_no_two_semantics_are_described_alike() -> None:
    """Over all pairs of choices: a description that lost one would repeat itself."""
    described: dict[str, Semantics] = {}
    singles = [(name, x) for name, options in choices().items() for x in options]
    for chosen in itertools.combinations(singles, 3):
        try:
            semantics = Semantics(**dict(chosen))
        except ValueError:
            continue
        other = described.setdefault(semantics.describe(), semantics)
        assert other == semantics


@pytest.mark.clause("C19")
@pytest.mark.parametrize(
    ("decay", "order"),
    [("unscaled", "decay-first"), ("coupled", "decay-first"), ("factor", "step-first")],
)
def test_other_algorithms_are_named(decay: Any, order: Any) -> None:
    assert Semantics(decay=decay, decay_order=order).is_other_algorithm
    assert not Semantics(decay="product", decay_order=order).is_other_algorithm
    assert not Semantics(precision="storage").is_other_algorithm
    assert Semantics(precision="storage", scalars="storage").is_other_algorithm
    assert Semantics(scalars="float32").is_other_algorithm
