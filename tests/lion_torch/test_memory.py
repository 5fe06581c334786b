"""What a step allocates does not grow with the parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.torch_step import peak_allocation
from lion_torch import Lion
from lion_torch.kernel.blocks import BLOCK


def peak(dtype: torch.dtype = torch.float32, **options: Any) -> int:
    """Bytes beyond parameters, gradients and momenta, for large and for many small tensors."""
    shapes = [(100, 20_000), *[(3, 1_000)] * 100]
    params = [torch.nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in shapes]
    params[0].data[3, 7] = torch.nan
    for param in params:
        param.grad = param.detach().clone()
    optimizer = Lion(params, **options)
    optimizer.step()
    return peak_allocation(optimizer.step)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("options", "blocks"), [({}, 1), ({"fused": True}, 0)])
def test_a_step_allocates_one_block_at_most(
    options: dict[str, Any], blocks: int, dtype: torch.dtype
) -> None:
    assert peak(dtype, **options) <= blocks * BLOCK * 4 + 1024


def test_more_would_be_seen() -> None:
    assert peak(foreach=True) > 8_000_000
