"""GradScaler and autocast: a skipped step changes nothing, a fused one is an unfused one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lion_torch import Lion
from tests.lion_torch.support import to_numpy

PATHS: dict[str, dict[str, Any]] = {
    "default": {},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
DTYPES = [torch.float32, torch.bfloat16]


def scaler(scale: float = 2.0**10) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2)


def train(path: str, dtype: torch.dtype, *, infinite_at: int = -1, unscale: bool = False) -> Any:
    """Some scaled steps; the bits of parameters, gradients and momenta after each."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 1)).to(dtype)
    optimizer = Lion(model.parameters(), lr=0.01, weight_decay=0.1, **PATHS[path])
    scale = scaler(3000.0)
    history = []
    for step in range(5):
        torch.manual_seed(step)
        optimizer.zero_grad()
        loss = model(torch.randn(16, 4, dtype=dtype)).square().mean()
        torch.autograd.backward(scale.scale(loss))
        if step == infinite_at:
            gradient = next(model.parameters()).grad
            assert gradient is not None
            gradient[0] = torch.inf
        if unscale:
            scale.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        scale.step(optimizer)
        scale.update()
        momenta = [entry["exp_avg"] for entry in optimizer.state.values() if entry]
        history.append([to_numpy(x).tobytes() for x in (*model.parameters(), *momenta)])
    return history


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("unscale", [False, True], ids=["scaled", "unscaled and clipped"])
@pytest.mark.parametrize("infinite_at", [-1, 0, 2])
def test_a_fused_run_has_the_bits_of_the_others(
    dtype: torch.dtype, infinite_at: int, unscale: bool
) -> None:
    runs = [train(path, dtype, infinite_at=infinite_at, unscale=unscale) for path in PATHS]
    assert runs[0] == runs[1] == runs[2]


def test_the_bits_depend_on_the_scale_being_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: an optimizer that takes scaled gradients has other momenta."""
    right = train("fused", torch.float32)
    monkeypatch.setattr("lion_torch.amp.unscale", lambda *_: None)
    assert train("fused", torch.float32) != right


@pytest.mark.clause("C14")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
def test_a_step_with_infinite_gradients_is_skipped(path: str, bad: float) -> None:
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = Lion([param], lr=0.5, **PATHS[path])
    scale = scaler()
    scale.scale(torch.zeros(()))
    param.grad = torch.tensor([1.0, bad, 1.0])
    scale.step(optimizer)
    scale.update()
    assert torch.equal(param.detach(), torch.ones(3))
    assert not optimizer.state.get(param)
    assert scale.get_scale() == 2.0**9
    param.grad = torch.tensor([1.0, 1.0, 1.0]) * scale.get_scale()
    scale.step(optimizer)
    assert torch.equal(param.detach(), torch.full((3,), 0.5))


def test_a_fused_step_leaves_the_gradients_unscaled_as_the_others_do() -> None:
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = Lion([param], fused=True)
    scale = scaler()
    scale.scale(torch.zeros(()))
    param.grad = torch.full((3,), 2.0**11)
    scale.step(optimizer)
    assert torch.equal(param.grad, torch.full((3,), 2.0))
    assert not hasattr(optimizer, "grad_scale")
    assert not hasattr(optimizer, "found_inf")


def test_only_fused_groups_take_the_scaling_over() -> None:
    params = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    groups: list[dict[str, Any]] = [{"params": [p]} for p in params]
    groups[0]["fused"] = True
    optimizer = Lion(groups, lr=0.5)
    scale = scaler()
    scale.scale(torch.zeros(()))
    for param in params:
        param.grad = torch.full((3,), 2.0**11)
    scale.step(optimizer)
    momenta = [optimizer.state[p]["exp_avg"] for p in params]
    assert torch.equal(momenta[0], momenta[1])


def test_autocast_leaves_the_step_alone() -> None:
    """Its casts are for a model's products; inside it the update keeps its precision."""
    torch.manual_seed(0)
    start, gradient = torch.randn(100), torch.randn(100)
    results = []
    for enabled in (False, True):
        for path in PATHS.values():
            param = torch.nn.Parameter(start.clone())
            param.grad = gradient.clone()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
                Lion([param], lr=0.1, weight_decay=0.3, **path).step()
            results.append(param.detach())
    assert all(torch.equal(results[0], x) for x in results)


def test_training_under_autocast() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    optimizer = Lion(model.parameters(), lr=0.1, fused=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(torch.randn(8, 4)).square().mean()
    loss.backward()
    optimizer.step()
    assert optimizer.state[model.weight]["exp_avg"].dtype == torch.float32
