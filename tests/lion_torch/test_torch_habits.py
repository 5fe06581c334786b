"""What a user of torch.optim expects, through the public door."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from lion_torch import Lion
from tests.lion_torch.support import to_numpy

PATHS: list[dict[str, Any]] = [{}, {"foreach": True}, {"fused": True}, {"foreach": False}]


def parameters() -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in [(6,), (4, 3), ()]]


def give_gradients(params: Any, seed: int = 1) -> None:
    torch.manual_seed(seed)
    for param in params:
        param.grad = torch.randn(param.shape)


def bits(params: Any) -> list[bytes]:
    return [to_numpy(p).tobytes() for p in params]


@pytest.mark.parametrize("path", PATHS)
def test_groups_have_their_own_options(path: dict[str, Any]) -> None:
    """As several optimizers with those options."""
    options: list[dict[str, Any]] = [
        {"lr": 0.1, "betas": (0.5, 0.6), "weight_decay": 0.3},
        {"lr": 0.01, "maximize": True},
        {"weight_decay": 0.2, "momentum_dtype": torch.bfloat16},
    ]
    together, apart = parameters(), parameters()
    one = Lion([{"params": [together[0]], **options[0]}], **path)
    for param, more in zip(together[1:], options[1:], strict=True):
        one.add_param_group({"params": param, **more})
    several: list[Any] = [Lion([p], **more, **path) for p, more in zip(apart, options, strict=True)]
    for seed in range(3):
        give_gradients(together, seed)
        give_gradients(apart, seed)
        one.step()
        for optimizer in several:
            optimizer.step()
    assert bits(together) == bits(apart)
    assert one.state[together[2]]["exp_avg"].dtype == torch.bfloat16


def test_named_parameters() -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = Lion(model.named_parameters())
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


SCHEDULERS: dict[str, Any] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [1, 3]),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: 0.9**t),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda t: 0.9),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 2),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=3),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 4, 2.0),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 4),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.001, 0.1, 2, cycle_momentum=False),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, 8, cycle_momentum=False),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.1, 2), lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.1, 2), lr_scheduler.ExponentialLR(o, 0.9)], o
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
def test_schedulers(name: str, tensor: bool) -> None:
    """The step takes the rate that the scheduler has set, whatever kind of number it is."""
    params, expected = parameters(), parameters()
    optimizer = Lion(params, lr=torch.tensor(0.05) if tensor else 0.05, weight_decay=0.1)
    scheduler = SCHEDULERS[name](optimizer)
    rates = set()
    momenta: dict[Any, Any] = {}
    for seed in range(6):
        rate = float(optimizer.param_groups[0]["lr"])
        rates.add(rate)
        give_gradients(params, seed)
        give_gradients(expected, seed)
        optimizer.step()
        plain = Lion(expected, lr=rate, weight_decay=0.1)
        plain.state.update(momenta)
        plain.step()
        momenta = dict(plain.state)
        assert bits(params) == bits(expected)
        scheduler.step(*([1.0] if name == "ReduceLROnPlateau" else []))
    assert len(rates) > 1


def test_every_scheduler_of_torch_is_among_them() -> None:
    abstract = {"LRScheduler", "SWALR"}
    assert set(lr_scheduler.__all__) - abstract == set(SCHEDULERS)


@pytest.mark.clause("C1")
@pytest.mark.parametrize("path", PATHS)
def test_weight_decay_is_scheduled_as_the_rate_is(path: dict[str, Any]) -> None:
    params, expected = parameters(), parameters()
    optimizer = Lion(params, lr=0.1, weight_decay=0.1, **path)
    momenta: dict[Any, Any] = {}
    for seed, decay in enumerate([0.1, 0.0, 0.5]):
        for group in optimizer.param_groups:
            group["weight_decay"] = decay
        give_gradients(params, seed)
        give_gradients(expected, seed)
        optimizer.step()
        plain = Lion(expected, lr=0.1, weight_decay=decay)
        plain.state.update(momenta)
        plain.step()
        momenta = dict(plain.state)
    assert bits(params) == bits(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("path", [{}, {"fused": True}, {"foreach": False}])
def test_a_tensor_for_the_rate_and_the_decay(dtype: torch.dtype, path: dict[str, Any]) -> None:
    """As the number it holds; changed in place, it changes the next step."""
    params, expected = parameters(), parameters()
    lr, decay = torch.tensor([0.1], dtype=dtype), torch.tensor(0.3, dtype=dtype)
    optimizer = Lion(params, lr=lr, weight_decay=decay, **path)
    plain = Lion(expected)
    for seed in range(3):
        plain.param_groups[0].update(lr=lr.item(), weight_decay=decay.item())
        give_gradients(params, seed)
        give_gradients(expected, seed)
        optimizer.step()
        plain.step()
        lr.mul_(0.5)
    assert bits(params) == bits(expected)


def test_a_closure_is_called_with_gradients_on_and_its_loss_returned() -> None:
    (param, *_) = parameters()
    optimizer = Lion([param], lr=0.1)
    before = param.detach().clone()

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure)
    assert torch.equal(torch.as_tensor(loss), (before**2).sum())
    assert torch.equal(param.detach(), before - torch.tensor(0.1) * before.sign())


@pytest.mark.parametrize("path", PATHS)
def test_no_gradient_no_step(path: dict[str, Any]) -> None:
    """Frozen, a parameter and its momentum stay; thawed, they go on from there."""
    params = parameters()
    optimizer = Lion(params, lr=0.1, **path)
    give_gradients(params)
    optimizer.step()
    frozen, momentum = params[1].detach().clone(), optimizer.state[params[1]]["exp_avg"].clone()
    params[1].requires_grad_(False)
    optimizer.zero_grad()
    give_gradients([params[0], params[2]])
    optimizer.step()
    assert torch.equal(params[1].detach(), frozen)
    assert torch.equal(optimizer.state[params[1]]["exp_avg"], momentum)
    params[1].requires_grad_(True)
    give_gradients(params)
    optimizer.step()
    assert not torch.equal(params[1].detach(), frozen)


@pytest.mark.parametrize("path", PATHS)
def test_no_gradient_at_all(path: dict[str, Any]) -> None:
    params = parameters()
    optimizer = Lion(params, **path)
    optimizer.step()
    assert not optimizer.state


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("path", PATHS)
def test_zero_grad(path: dict[str, Any], set_to_none: bool) -> None:
    params = parameters()
    optimizer = Lion(params, lr=0.1, **path)
    give_gradients(params)
    optimizer.step()
    after = bits(params)
    optimizer.zero_grad(set_to_none=set_to_none)
    optimizer.step()
    # A zero gradient is a gradient: the momentum still moves the parameter.
    assert (bits(params) == after) == set_to_none


def test_hooks_are_called_around_the_step() -> None:
    params = parameters()
    optimizer = Lion(params, lr=0.1)
    called: list[str] = []
    before = bits(params)
    optimizer.register_step_pre_hook(lambda *_: called.append(f"pre {bits(params) == before}"))
    optimizer.register_step_post_hook(lambda *_: called.append(f"post {bits(params) == before}"))
    give_gradients(params)
    optimizer.step()
    assert called == ["pre True", "post False"]


def test_the_profiler_names_the_step() -> None:
    params = parameters()
    optimizer = Lion(params)
    give_gradients(params)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        optimizer.step()
        optimizer.zero_grad()
    names = {event.key for event in profile.key_averages()}
    assert {"Optimizer.step#Lion.step", "Optimizer.zero_grad#Lion.zero_grad"} <= names


def test_repr_lists_the_options() -> None:
    assert "weight_decay: 0.25" in repr(Lion(parameters(), weight_decay=0.25))


def test_gradients_may_be_expanded() -> None:
    """sum() gives such gradients; they are only read."""
    (param, *_) = parameters()
    before = param.detach().clone()
    torch.autograd.backward(param.sum())
    Lion([param], lr=0.5, fused=True).step()
    assert torch.equal(param.detach(), before - 0.5)


def test_differentiable_lets_gradients_through_the_step() -> None:
    """dθ'/dη = -(u + λθ) and dθ'/dθ = 1 - ηλ."""
    start = torch.tensor([2.0, -4.0], requires_grad=True)
    lr = torch.tensor(0.5, requires_grad=True)
    param = start.clone()
    optimizer = Lion([param], lr=lr, weight_decay=0.25, differentiable=True)
    param.grad = torch.tensor([1.0, 1.0])
    optimizer.step()
    assert param.tolist() == [1.25, -4.0]
    torch.autograd.backward(param.sum())
    assert start.grad is not None
    assert lr.grad is not None
    assert start.grad.tolist() == [0.875, 0.875]
    assert lr.grad.item() == -1.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_differentiable_knows_the_derivative_in_the_decay(dtype: torch.dtype) -> None:
    """dθ'/dλ = -ηθ, of θ as it was before the step."""
    param = torch.tensor([2.0, -3.0], dtype=dtype)
    decay = torch.tensor(0.25, requires_grad=True)
    optimizer = Lion([param], lr=0.5, weight_decay=decay, differentiable=True)
    param.grad = torch.ones(2, dtype=dtype)
    optimizer.step()
    assert param.tolist() == [1.25, -3.125]
    torch.autograd.backward(param.sum())
    assert decay.grad is not None
    assert decay.grad.item() == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fused": True, "foreach": True}, "`fused` and `foreach` cannot be `True` together."),
        ({"fused": True, "differentiable": True}, "`fused` does not support `differentiable`"),
    ],
)
def test_conflicts_have_the_words_of_torch(options: dict[str, Any], message: str) -> None:
    for optimizer in (Lion, torch.optim.AdamW):
        with pytest.raises(RuntimeError) as caught:
            optimizer(parameters(), **options)
        assert str(caught.value) == message


@pytest.mark.parametrize("path", PATHS)
def test_step_in_backward_frees_gradients_as_they_come(path: dict[str, Any]) -> None:
    torch.manual_seed(0)
    models = [torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 1)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    whole = Lion(models[0].parameters(), lr=0.1, **path)
    each = {p: Lion([p], lr=0.1, **path) for p in models[1].parameters()}

    def step(param: torch.Tensor) -> None:
        each[param].step()  # type: ignore[index]
        param.grad = None

    for param in each:
        param.register_post_accumulate_grad_hook(step)
    for _ in range(3):
        x = torch.randn(5, 4)
        for model in models:
            torch.autograd.backward(model(x).square().mean())
        whole.step()
        whole.zero_grad()
        assert all(p.grad is None for p in each)
        assert bits(models[0].parameters()) == bits(models[1].parameters())
