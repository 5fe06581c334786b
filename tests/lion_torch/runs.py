"""Short runs of an optimizer, and what is left of their state when it has been saved."""

from __future__ import annotations

import io
from typing import Any

import torch

from tests.lion_torch.support import to_numpy


def start(dtype: torch.dtype) -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape).to(dtype)) for shape in [(5,), (3, 4), ()]]


def train(params: list[torch.nn.Parameter], optimizer: Any, steps: range) -> None:
    for step in steps:
        torch.manual_seed(100 + step)
        for param in params:
            param.grad = torch.randn(param.shape).to(param.dtype)
        optimizer.step()


def bits(params: list[torch.nn.Parameter], optimizer: Any) -> list[Any]:
    return [
        (
            to_numpy(p).tobytes(),
            optimizer.state[p]["exp_avg"].dtype,
            to_numpy(optimizer.state[p]["exp_avg"]).tobytes(),
        )
        for p in params
    ]


def saved(state_dict: Any) -> Any:
    """The state dict after torch.save and the safe torch.load."""
    buffer = io.BytesIO()
    torch.save(state_dict, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def copies(params: list[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(p.detach().clone()) for p in params]
