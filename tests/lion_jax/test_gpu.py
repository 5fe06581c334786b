"""The same step on a GPU: canonical there, since a GPU keeps subnormals."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import lion_jax
from lion_ref import CANONICAL, Semantics, legal_triples, step
from tests.adversarial import elements, hyperparameters
from tests.lion_jax.doors import by_apply_updates, by_step, difference, jitted, run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(jax.default_backend() == "cpu", reason="needs a GPU, and a jaxlib for it"),
]


def test_subnormals_are_kept_as_declared() -> None:
    assert lion_jax.declared_semantics() == CANONICAL
    assert lion_jax.probe_subnormals() == "keep"


@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
@pytest.mark.parametrize("door", [by_apply_updates, by_step])
@pytest.mark.clause("C5", "C6", "C9")
def test_every_triple_is_canonical(triple: tuple[str, str, str], door: object) -> None:
    with jax.enable_x64(True):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            scalars: dict[str, Any] = hyperparameters(rng)
            arrays = elements(rng, triple, 50_021, beta1=scalars["beta1"], beta2=scalars["beta2"])
            tx = lion_jax.lion(
                scalars["lr"],
                scalars["beta1"],
                scalars["beta2"],
                weight_decay=scalars["weight_decay"],
            )
            ours = run(jitted(door)(tx), arrays)  # type: ignore[arg-type]
            with np.errstate(all="ignore"):
                expected = step(*arrays, **scalars)
            assert not difference(ours, expected, arrays)


@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
@pytest.mark.clause("C6", "C31")
def test_every_triple_with_updates_in_thetas_dtype(triple: tuple[str, str, str]) -> None:
    rng = np.random.default_rng(3)
    scalars: dict[str, Any] = hyperparameters(rng)
    arrays = elements(rng, triple, 50_021, beta1=scalars["beta1"], beta2=scalars["beta2"])
    with jax.enable_x64(True):
        tx = lion_jax.lion(
            scalars["lr"],
            scalars["beta1"],
            scalars["beta2"],
            weight_decay=scalars["weight_decay"],
            update_dtype="params",
        )
        ours = run(jitted(by_apply_updates)(tx), arrays)
    with np.errstate(all="ignore"):
        expected = step(*arrays, **scalars, semantics=Semantics(step_stored=True))
    assert not difference(ours, expected, arrays)
