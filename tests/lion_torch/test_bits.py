"""optimizer.step() has the reference's bits, whatever the dtypes, shapes, scalars and path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lion_ref
from lion_torch import Lion
from tests.lion_torch.support import (
    DTYPES,
    FIXED_CASES,
    Case,
    cases,
    compare_with_reference,
    laid_out,
    large,
)
from tests.lion_torch.wrong import RIGHT, WRONG

PATHS: dict[str, dict[str, Any]] = {
    "default": {},
    "one by one": {"fused": False},
    "foreach": {"foreach": True},
    "differentiable": {"differentiable": True},
    "fused": {"fused": True},
}


def through(path: str, **more: Any) -> Callable[..., Lion]:
    """What makes a Lion that takes one path."""

    def make(params: list[torch.nn.Parameter], **options: Any) -> Lion:
        if path == "differentiable":
            # Autograd's view: the parameters are results, not leaves.
            for param in params:
                param.requires_grad_(False)
        return Lion(params, **options, **PATHS[path], **more)

    return make


@pytest.mark.clause("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11")
@pytest.mark.parametrize("path", PATHS)
@settings(deadline=None, derandomize=True, max_examples=60)
@given(case=cases())
def test_every_path_has_the_reference_bits(path: str, case: Case) -> None:
    assert compare_with_reference(through(path), case) == []


@pytest.mark.clause("C2", "C3", "C9")
@pytest.mark.parametrize("dtypes", lion_ref.legal_triples(), ids="-".join)
@settings(deadline=None, derandomize=True, max_examples=8)
@given(data=st.data())
def test_every_triple_of_dtypes(dtypes: tuple[str, str, str], data: st.DataObject) -> None:
    assert compare_with_reference(through("default"), data.draw(cases(dtypes))) == []


@pytest.mark.slow
@pytest.mark.clause("C5")
@pytest.mark.parametrize("path", PATHS)
@settings(deadline=None, max_examples=5_000)
@given(case=cases())
def test_every_path_has_the_reference_bits_widely(path: str, case: Case) -> None:
    assert compare_with_reference(through(path), case) == []


@pytest.mark.clause("C12")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "dtypes",
    [
        ("float32", "float32", "float32"),
        ("bfloat16", "float32", "bfloat16"),
        ("float64", "bfloat16", "float64"),
    ],
    ids="-".join,
)
def test_blocks_tails_and_many_small_tensors(path: str, dtypes: tuple[str, str, str]) -> None:
    assert compare_with_reference(through(path), large(Case(dtypes, ()))) == []


@pytest.mark.clause("C5", "C6", "C7", "C8", "C9", "C10")
@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_optimizer_is_found(mistake: str) -> None:
    """Without this, a comparison that compares nothing would pass everything above."""
    assert any(compare_with_reference(WRONG[mistake], case) for case in FIXED_CASES)


def test_the_stand_in_without_a_mistake_passes() -> None:
    assert [x for case in FIXED_CASES for x in compare_with_reference(RIGHT, case)] == []


@pytest.mark.clause("C5")
@pytest.mark.parametrize("path", PATHS)
def test_maximize_is_the_step_with_the_negated_gradient(path: str) -> None:
    for case in FIXED_CASES:
        assert compare_with_reference(through(path, maximize=True), case, maximize=True) == []


@pytest.mark.clause("C6")
def test_a_momentum_that_has_decayed_into_subnormals_steps_on_for_ever() -> None:
    param = torch.nn.Parameter(torch.ones(1))
    optimizer = Lion([param], lr=0.5)
    optimizer.state[param]["exp_avg"] = torch.tensor([1e-45])
    param.grad = torch.zeros(1)
    optimizer.step()
    assert param.item() == 0.5
    assert optimizer.state[param]["exp_avg"].item() == 2.0**-149


@pytest.mark.clause("C12")
@pytest.mark.parametrize("path", ["default", "one by one", "foreach", "fused"])
@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    layouts=st.tuples(*[st.sampled_from(["plain", "transposed", "channels", "strided"])] * 3),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    seed=st.integers(0, 1000),
)
def test_no_layout_changes_a_bit(
    path: str, layouts: tuple[str, str, str], dtype: str, seed: int
) -> None:
    case = Case((dtype, dtype, dtype), ((4, 6, 3, 5),), seed=seed, steps=1)

    def make(params: list[torch.nn.Parameter], **options: Any) -> Lion:
        params[0].data = laid_out(params[0].data, layouts[0])
        return _LaidOut(params, layouts, **options, **PATHS[path])

    assert compare_with_reference(make, case) == []


class _LaidOut(Lion):
    """Gives momentum and gradient the memory layouts under test just before the step."""

    def __init__(self, params: Any, layouts: tuple[str, str, str], **options: Any) -> None:
        super().__init__(params, **options)
        self.layouts = layouts

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for param, state in self.state.items():
            state["exp_avg"] = laid_out(state["exp_avg"], self.layouts[1])
            assert param.grad is not None
            param.grad = laid_out(param.grad, self.layouts[2])
        super().step()


def test_layouts_are_what_they_say() -> None:
    tensor = torch.randn(4, 6, 3, 5)
    names = ("plain", "transposed", "channels", "strided")
    laid = [laid_out(tensor, name) for name in names]
    assert len({x.stride() for x in laid}) == 4
    assert all(torch.equal(x, tensor) for x in laid)


@pytest.mark.clause("C12")
@pytest.mark.parametrize("threads", [1, 2])
def test_no_number_of_threads_changes_a_bit(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        case = large(Case(("float32", "float32", "float32"), ()))
        assert compare_with_reference(through("default"), case) == []
    finally:
        torch.set_num_threads(before)


@pytest.mark.clause("C2", "C9")
@pytest.mark.parametrize("name", DTYPES)
def test_new_momenta_are_zeros_of_the_chosen_dtype(name: str) -> None:
    param = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = Lion([param], momentum_dtype=DTYPES[name])
    param.grad = torch.zeros_like(param)
    optimizer.step()
    momentum = optimizer.state[param]["exp_avg"]
    assert momentum.dtype == DTYPES[name]
    assert (momentum == 0).all()
