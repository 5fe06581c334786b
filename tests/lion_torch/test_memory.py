"""What a step allocates does not grow with the parameters, and what it kept it lets go."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

import lion_cpu
from benchmarks.torch_step import peak_allocation
from lion_torch import Lion
from tests.lion_torch.support import laid_out

PIECE = 262_144
"""Elements that are copied, or computed with, at a time."""

# Two million elements, many small tensors, and images that can lie in several orders.
LARGE_AND_SMALL: tuple[tuple[int, ...], ...] = ((100, 20_000), *[(3, 1_000)] * 100)
IMAGES = ((16, 8, 125, 125), (8, 3, 3, 3))

needs_kernel = pytest.mark.skipif(bool(lion_cpu.missing()), reason=f"not run: {lion_cpu.missing()}")


def peak(
    dtype: torch.dtype = torch.float32,
    shapes: Any = LARGE_AND_SMALL,
    layouts: tuple[str, str, str] = ("plain",) * 3,
    **options: Any,
) -> int:
    """Bytes that a step takes beside parameters, gradients and momenta."""
    params = []
    for shape in shapes:
        values = torch.ones(shape, dtype=dtype)
        values.view(-1)[7] = torch.nan
        params.append(torch.nn.Parameter(laid_out(values, layouts[0])))
    optimizer = Lion(params, **options)
    for param in params:
        optimizer.state[param]["exp_avg"] = laid_out(param.detach().clone(), layouts[1])
        param.grad = laid_out(param.detach().clone(), layouts[2])
    optimizer.step()
    return peak_allocation(optimizer.step)


@needs_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, {"fused": True}], ids=str)
def test_a_step_allocates_nothing(options: dict[str, Any], dtype: torch.dtype) -> None:
    assert peak(dtype, **options) <= 1024


@needs_kernel
@pytest.mark.parametrize("layout", ["channels", "transposed"])
def test_nor_where_all_lie_in_another_order(layout: str) -> None:
    assert peak(shapes=IMAGES, layouts=(layout, layout, layout)) <= 1024


@pytest.mark.parametrize(
    "layouts",
    [("strided",) * 3, ("plain", "plain", "transposed"), ("channels", "channels", "plain")],
    ids="-".join,
)
def test_a_step_that_must_copy_copies_a_piece_at_a_time(layouts: tuple[str, str, str]) -> None:
    assert 0 < peak(shapes=IMAGES, layouts=layouts) <= 8 * 4 * PIECE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", [{"fused": False}, {"foreach": False}], ids=str)
def test_one_by_one_takes_some_pieces(options: dict[str, Any], dtype: torch.dtype) -> None:
    assert 0 < peak(dtype, **options) <= 8 * 4 * PIECE


def test_more_would_be_seen() -> None:
    assert peak(foreach=True) > 8 * 4 * PIECE


@pytest.mark.parametrize("options", [{}, {"fused": False}, {"foreach": True}], ids=str)
def test_the_gradients_of_a_step_are_let_go(options: dict[str, Any]) -> None:
    """Else they would stay beside those of the next step."""
    params = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    optimizer = Lion(params, **options)
    for _ in range(3):
        gradients = []
        for param in params:
            param.grad = torch.ones(3)
            gradients.append(weakref.ref(param.grad))
        optimizer.step()
        optimizer.zero_grad()
        gc.collect()
        assert [gradient() for gradient in gradients] == [None, None]
