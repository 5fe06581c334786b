"""A product added in one pass: with two roundings, or not used (SPEC C5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lion_torch import Lion
from lion_torch.kernel import products
from tests.lion_torch.support import FIXED_CASES, compare_with_reference, to_numpy, to_torch, values


def contracted(target: torch.Tensor, factor: torch.Tensor, scalar: Any) -> None:
    """What torch's own optimizers use: one rounding."""
    target.add_(factor, alpha=scalar)


def reordered(target: torch.Tensor, factor: torch.Tensor, scalar: Any) -> None:
    """addcmul as it would be if it multiplied from right to left."""
    contracted(target, factor * 1, scalar)


@pytest.fixture
def forget() -> Any:
    fastest = products.fastest
    fastest.cache_clear()
    yield
    fastest.cache_clear()


@pytest.mark.clause("C5")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("wrong", [contracted, reordered])
def test_the_canary_rejects_what_rounds_once(
    wrong: Any, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, forget: None
) -> None:
    if "AVX" not in torch.backends.cpu.get_cpu_capability():
        pytest.skip("torch may not contract where it uses no FMA instructions")
    monkeypatch.setattr(products, "in_one_pass", wrong)
    assert products.fastest(dtype) is products.in_two_passes


@pytest.mark.clause("C5")
def test_two_passes_have_the_reference_bits(monkeypatch: pytest.MonkeyPatch, forget: None) -> None:
    """On a machine where one pass is not exact."""
    monkeypatch.setattr(products, "fastest", lambda _: products.in_two_passes)
    for case in FIXED_CASES:
        assert compare_with_reference(Lion, case) == []


@pytest.mark.clause("C5")
def test_contraction_in_a_block_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "fastest", lambda _: contracted)
    assert any(compare_with_reference(Lion, case) for case in FIXED_CASES)


@pytest.mark.clause("C5", "C6", "C11")
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_what_was_chosen_rounds_twice_whatever_the_values(name: str) -> None:
    random = np.random.default_rng(0)
    dtype = to_torch(np.zeros(1, name)).dtype
    for scalar in (0.0, -0.0, 1.0, -1.0, 0.1, 1e-40, 3e38, 1 - 2.0**-24):
        target, factor = (to_torch(values(random, (5003,), name, "mixed")) for _ in range(2))
        rounded = torch.tensor(scalar, dtype=dtype)
        expected = to_numpy(target + rounded * factor)
        products.fastest(dtype)(target, factor, rounded.item())
        same = (to_numpy(target) == expected) | np.isnan(expected)
        signs = np.signbit(to_numpy(target)) == np.signbit(expected)
        assert (same & (signs | np.isnan(expected))).all()
