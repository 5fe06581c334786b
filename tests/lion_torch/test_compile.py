"""torch.compile around step() and around a train step: the same bits, nothing compiled twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lion_torch import Lion
from tests.lion_torch.support import to_numpy

PATHS: list[dict[str, Any]] = [{}, {"fused": True}, {"foreach": True}]


@pytest.fixture(autouse=True)
def fresh() -> Any:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


class Counting:
    """A backend that counts the graphs it is given and runs them as they are."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: Any, _: Any) -> Any:
        self.graphs += 1
        return graph.forward


def bits(model: torch.nn.Module) -> list[bytes]:
    return [to_numpy(p).tobytes() for p in model.parameters()]


def train(path: dict[str, Any], backend: Any, *, what: str, tensor: bool = False) -> list[Any]:
    """Some steps with a rate that changes; the bits after each."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    lr = torch.tensor(0.1) if tensor else 0.1
    optimizer = Lion(model.parameters(), lr=lr, weight_decay=0.1, **path)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def whole(x: torch.Tensor) -> None:
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def step() -> None:
        optimizer.step()

    def compiled(function: Any) -> Any:
        return function if backend is None else torch.compile(function, backend=backend)

    whole_step = compiled(whole) if what == "train step" else whole
    if what == "step":
        alone = compiled(step)

        def whole_step(x: torch.Tensor) -> None:
            torch.autograd.backward(model(x).square().mean())
            alone()
            optimizer.zero_grad()

    history = []
    for seed in range(5):
        torch.manual_seed(seed)
        whole_step(torch.randn(16, 4))
        scheduler.step()
        history.append(bits(model))
    return history


@pytest.mark.parametrize("what", ["step", "train step"])
@pytest.mark.parametrize("path", PATHS)
def test_compiled_training_has_the_same_bits(path: dict[str, Any], what: str) -> None:
    assert train(path, Counting(), what=what) == train(path, None, what=what)


@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
def test_a_new_rate_compiles_nothing_anew(tensor: bool) -> None:
    backend = Counting()
    train({}, backend, what="train step", tensor=tensor)
    first = backend.graphs
    assert first > 0
    torch.compiler.reset()
    once = Counting()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    torch.compile(lambda x: model(x).square().mean(), backend=once)(torch.randn(16, 4))
    assert first == once.graphs == 1


def test_torch_own_optimizers_do_compile_anew() -> None:
    """The count above can fail: it does for an optimizer that is traced."""
    backend = Counting()
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([param], lr=0.1, foreach=False)

    @torch.compile(backend=backend)
    def step() -> None:
        optimizer.step()

    for rate in (0.1, 0.2, 0.3):
        param.grad = torch.ones(3)
        optimizer.param_groups[0]["lr"] = rate
        step()
    assert backend.graphs > 1


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_training_under_inductor_moves_parameters_by_the_same_step(path: dict[str, Any]) -> None:
    """The gradients are Inductor's; given those, the step is the reference's."""
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    optimizer = Lion(model.parameters(), lr=0.1, **path)

    @torch.compile
    def whole(x: torch.Tensor) -> None:
        torch.autograd.backward(model(x).square().mean())
        optimizer.step()

    before = model.weight.detach().clone()
    whole(torch.randn(8, 4))
    assert model.weight.grad is not None
    expected = before - torch.tensor(0.1) * model.weight.grad.sign()
    assert torch.equal(model.weight.detach(), expected)
