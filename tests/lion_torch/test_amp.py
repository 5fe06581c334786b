"""GradScaler and autocast: a skipped step changes nothing, a fused one is an unfused one."""

from __future__ import annotations

import copy
import pickle
from typing import Any
from unittest import mock

import pytest
import torch

from lion_torch import Lion
from tests.lion_torch.support import to_numpy

PATHS: dict[str, dict[str, Any]] = {
    "default": {},
    "one by one": {"fused": False},
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
    assert all(run == runs[0] for run in runs)


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


# --- who unscales: an attribute that may be assigned, as torch's own fused optimizers have it ----

GIVES_WAY = "_step_supports_amp_scaling"


def clipped(optimizer: Any, scale: Any, params: list[torch.nn.Parameter]) -> bool:
    """A step as Lightning's MixedPrecision plugin makes it; whether gradients were clipped."""
    handles_unscaling = getattr(optimizer, GIVES_WAY, False)
    if not handles_unscaling:
        scale.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(params, 0.1)
    scale.step(optimizer)
    scale.update()
    return not handles_unscaling


def run_of_clipped_steps(
    path: str, assigned: Any, *, infinite_at: int = 2
) -> tuple[list[bool], Any]:
    """Which of some steps were clipped, and the bits in the end."""
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(n)) for n in (5, 3)]
    optimizer = Lion(params, lr=0.1, weight_decay=0.1, **PATHS[path])
    if assigned is not None:
        optimizer._step_supports_amp_scaling = assigned
    scale, clips = scaler(3000.0), []
    scale.scale(torch.zeros(()))
    for step in range(5):
        for param in params:
            param.grad = torch.randn_like(param) * scale.get_scale()
            if step == infinite_at:
                param.grad[0] = torch.inf
        clips.append(clipped(optimizer, scale, params))
    momenta = [optimizer.state[param]["exp_avg"] for param in params]
    return clips, [to_numpy(x).tobytes() for x in (*params, *momenta)] + [scale.get_scale()]


def test_gradients_of_a_fused_optimizer_are_clipped_where_it_gives_way() -> None:
    expected = run_of_clipped_steps("default", None)
    assert expected[0] == [True] * 5
    for path in PATHS:
        assert run_of_clipped_steps(path, False) == expected
    # The check can fail: without the assignment Lightning's pattern does not clip.
    assert run_of_clipped_steps("fused", None)[0] == [False] * 5
    assert run_of_clipped_steps("fused", None)[1] != expected[1]


@pytest.mark.parametrize("path", PATHS)
def test_whoever_unscales_the_bits_are_the_same(path: str) -> None:
    """True where nothing is fused, too: the step undoes the scaling, and skips what is infinite."""
    runs = []
    for assigned in (None, False, True):
        torch.manual_seed(0)
        param = torch.nn.Parameter(torch.randn(5))
        optimizer = Lion([param], lr=0.1, weight_decay=0.1, **PATHS[path])
        if assigned is not None:
            optimizer._step_supports_amp_scaling = assigned
        scale = scaler(3000.0)
        scale.scale(torch.zeros(()))
        for factor in (1.0, torch.inf, 2.0):
            param.grad = torch.randn(5) * scale.get_scale() * factor
            scale.step(optimizer)
            scale.update()
        momentum = optimizer.state[param]["exp_avg"]
        gradient: Any = param.grad
        runs.append([to_numpy(x).tobytes() for x in (param, momentum, gradient)])
    assert runs[0] == runs[1] == runs[2]


def test_what_is_not_assigned_follows_the_groups() -> None:
    first, second = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    unfused = Lion([{"params": [first]}, {"params": [second]}]).state_dict()
    optimizer = Lion([first])
    found = [getattr(optimizer, GIVES_WAY)]
    optimizer.add_param_group({"params": [second], "fused": True})
    found.append(getattr(optimizer, GIVES_WAY))
    for fused in (False, True):
        optimizer.param_groups[1]["fused"] = fused
        found.append(getattr(optimizer, GIVES_WAY))
    optimizer.load_state_dict(unfused)
    assert [*found, getattr(optimizer, GIVES_WAY)] == [False, True, False, True, False]
    assert getattr(Lion, GIVES_WAY) is False  # it has no groups


@pytest.mark.parametrize("assigned", [False, True])
def test_what_is_assigned_stays(assigned: bool) -> None:
    """Whatever becomes of the groups, and in copies too, until it is deleted."""
    first, second = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    optimizer = Lion([first], fused=not assigned)
    optimizer._step_supports_amp_scaling = assigned
    optimizer.add_param_group({"params": [second], "fused": not assigned})
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.param_groups[0]["fused"] = not assigned
    for one in (optimizer, copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert one._step_supports_amp_scaling is assigned
        del one._step_supports_amp_scaling
        assert one._step_supports_amp_scaling is not assigned
    assert Lion([first], fused=True)._step_supports_amp_scaling is True  # each has its own
    with mock.patch.object(optimizer, GIVES_WAY, assigned):
        assert optimizer._step_supports_amp_scaling is assigned
    assert optimizer._step_supports_amp_scaling is not assigned


def test_torch_s_own_fused_optimizers_let_it_be_assigned() -> None:
    """What this follows: a plain attribute, there in fused ones alone."""
    param = torch.nn.Parameter(torch.ones(1))
    for optimizer in (torch.optim.AdamW([param], fused=True), Lion([param], fused=True)):
        assert getattr(optimizer, GIVES_WAY) is True
        setattr(optimizer, GIVES_WAY, False)
        assert getattr(optimizer, GIVES_WAY) is False


def test_a_property_would_not_let_it_be_assigned() -> None:
    """The checks above can fail: on what was here before."""

    class Fixed(Lion):
        _step_supports_amp_scaling = property(lambda self: True)

    with pytest.raises(AttributeError, match="no setter"):
        Fixed([torch.nn.Parameter(torch.ones(1))])._step_supports_amp_scaling = False
