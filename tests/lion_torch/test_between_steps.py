"""What becomes of tensors between two steps is seen, though the optimizer knows them already."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

import lion_ref
from lion_torch import Lion
from tests.lion_torch.support import Outcome, to_numpy

PATHS: list[dict[str, Any]] = [{}, {"fused": False}, {"foreach": True}]
OPTIONS: dict[str, Any] = {"lr": 0.25, "weight_decay": 0.5}

paths = pytest.mark.parametrize("options", PATHS, ids=str)


class Run:
    """Two parameters that have been stepped together some times."""

    def __init__(self, **options: Any) -> None:
        self.params = [torch.nn.Parameter(torch.tensor([3.0 + i, -5.0])) for i in range(2)]
        self.optimizer = Lion(self.params, **OPTIONS, **options)
        for param in self.params:
            param.grad = torch.tensor([1.0, 2.0])
        for _ in range(3):
            self.optimizer.step()

    @property
    def last(self) -> torch.nn.Parameter:
        """The parameter that something happens to."""
        return self.params[-1]

    @property
    def momentum(self) -> torch.Tensor:
        """The last parameter's."""
        momentum: torch.Tensor = self.optimizer.state[self.last]["exp_avg"]
        return momentum

    @momentum.setter
    def momentum(self, momentum: torch.Tensor) -> None:
        self.optimizer.state[self.last]["exp_avg"] = momentum

    @property
    def first(self) -> list[Any]:
        """What a refused step must leave."""
        param = self.params[0]
        return [param.tolist(), self.optimizer.state[param]["exp_avg"].tolist()]

    def differences(self) -> list[str]:
        """Where the next step and the reference's differ."""
        expected = [
            lion_ref.step(
                *map(to_numpy, (p, self.optimizer.state[p]["exp_avg"], _gradient(p))), **OPTIONS
            )
            for p in self.params
        ]
        self.optimizer.step()
        outcome = Outcome()
        for param, (theta, m) in zip(self.params, expected, strict=True):
            outcome.compare("θ'", param, theta)
            outcome.compare("m'", self.optimizer.state[param]["exp_avg"], m)
        return outcome.differences


def _gradient(param: torch.nn.Parameter) -> torch.Tensor:
    assert param.grad is not None
    return param.grad.resolve_neg()


# --- to be refused from then on

REFUSED: dict[str, tuple[Callable[[Run], None], type[Exception], str]] = {}


def refused(error: type[Exception], message: str) -> Any:
    def add(change: Callable[[Run], None]) -> Callable[[Run], None]:
        REFUSED[change.__name__.replace("_", " ")] = change, error, message
        return change

    return add


@refused(RuntimeError, "param is negated lazily")
def param_negated_where_it_lies(run: Run) -> None:
    run.last.data = torch._neg_view(run.last.data)


@refused(RuntimeError, "exp_avg is negated lazily")
def momentum_negated_where_it_lies(run: Run) -> None:
    run.momentum = torch._neg_view(run.momentum)


@refused(RuntimeError, "exp_avg is negated lazily")
def data_of_the_momentum_negated(run: Run) -> None:
    run.momentum.data = torch._neg_view(run.momentum)


@refused(RuntimeError, r"exp_avg was made under torch.inference_mode\(\)")
def momentum_of_inference(run: Run) -> None:
    with torch.inference_mode():
        run.momentum = run.momentum.clone()


@refused(ValueError, r"grad has shape \(2,\), but param has shape \(2, 1\)")
def param_of_another_shape_where_it_lies(run: Run) -> None:
    run.last.data = run.last.data.view(2, 1)


@refused(ValueError, r"exp_avg has shape \(1, 2\), but param has shape \(2,\)")
def momentum_of_another_shape_where_it_lies(run: Run) -> None:
    run.momentum.data = run.momentum.data.view(1, 2)


@refused(ValueError, r"grad has shape \(1,\), but param has shape \(2,\)")
def gradient_of_another_shape(run: Run) -> None:
    run.last.grad = None
    run.last.data = torch.ones(1)
    run.last.grad = torch.ones(1)
    run.last.data = torch.ones(2)


@refused(TypeError, "momentum has dtype float64, wider than float32")
def momentum_of_another_dtype(run: Run) -> None:
    run.momentum.data = run.momentum.double()


@refused(TypeError, "momentum has dtype int32")
def momentum_as_integers_where_it_lies(run: Run) -> None:
    run.momentum = run.momentum.view(torch.int32)


@refused(ValueError, "exp_avg is on meta, but param is on cpu")
def momentum_on_another_device(run: Run) -> None:
    run.momentum = run.momentum.to("meta")


@refused(RuntimeError, "param of shape .* has elements that share memory")
def param_expanded_where_it_lies(run: Run) -> None:
    run.last.data = run.last.data[:1].expand(2)


@refused(RuntimeError, "does not support sparse gradients")
def gradient_made_sparse(run: Run) -> None:
    run.last.grad = _gradient(run.last).to_sparse()


@pytest.mark.clause("C13", "C14")
@paths
@pytest.mark.parametrize("change", REFUSED)
def test_what_is_to_be_refused_is_refused_before_anything_moves(
    options: dict[str, Any], change: str
) -> None:
    run = Run(**options)
    make, error, message = REFUSED[change]
    make(run)
    before = run.first
    for _ in range(2):
        with pytest.raises(error, match=message):
            run.optimizer.step()
        assert run.first == before


# --- to be stepped with as it then is

TAKEN: dict[str, Callable[[Run], None]] = {}


def taken(change: Callable[[Run], None]) -> Callable[[Run], None]:
    TAKEN[change.__name__.replace("_", " ")] = change
    return change


@taken
def nothing(run: Run) -> None:
    """As a check of what is around it."""


@taken
def gradient_negated_where_it_lies(run: Run) -> None:
    run.last.grad = torch._neg_view(_gradient(run.last))


@taken
def gradient_in_the_param_s_place(run: Run) -> None:
    run.last.grad = run.last.data


@taken
def gradient_in_the_momentum_s_place(run: Run) -> None:
    run.last.grad = run.momentum


@taken
def gradient_partly_in_the_param_s_place(run: Run) -> None:
    memory = torch.tensor([1.0, -2.0, 3.0])
    run.last.data, run.last.grad = memory[:2], memory[1:]


@taken
def param_elsewhere(run: Run) -> None:
    run.last.data = torch.tensor([7.0, 8.0])


@taken
def param_strided_from_where_it_lies(run: Run) -> None:
    memory = torch.tensor([1.0, -2.0, 3.0, -4.0])
    run.last.data = memory[:2]
    run.optimizer.step()
    run.last.data = memory[::2]


@taken
def all_transposed_where_they_lie(run: Run) -> None:
    run.last.grad = None
    run.last.data = torch.arange(6.0).view(2, 3)
    run.momentum, run.last.grad = torch.ones(2, 3), torch.ones(2, 3)
    run.optimizer.step()
    run.last.grad = None
    run.last.data = run.last.data.t()
    run.momentum, run.last.grad = run.momentum.t(), torch.arange(6.0).view(3, 2)


@taken
def momentum_of_half_the_width(run: Run) -> None:
    run.momentum = run.momentum.bfloat16()


@taken
def momentum_as_other_numbers_where_it_lies(run: Run) -> None:
    run.momentum = run.momentum.view(torch.bfloat16)[:2]


@taken
def gradients_one_for_the_other(run: Run) -> None:
    first, last = run.params
    first.grad, last.grad = last.grad, first.grad


@taken
def one_param_without_a_gradient_for_a_step(run: Run) -> None:
    gradient, run.last.grad = run.last.grad, None
    run.optimizer.step()
    run.last.grad = gradient


@taken
def a_group_more(run: Run) -> None:
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    run.optimizer.add_param_group({"params": [param]})
    run.params.append(param)
    run.momentum = torch.ones(3)


@taken
def a_group_less(run: Run) -> None:
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    run.optimizer.add_param_group({"params": [param]})
    run.optimizer.step()
    run.optimizer.param_groups.reverse()
    run.optimizer.step()
    run.optimizer.param_groups.pop(0)


@taken
def other_options(run: Run) -> None:
    """Another way, and back."""
    (group,) = run.optimizer.param_groups
    for name in ("foreach", "fused"):
        before, group[name] = group[name], not group[name]
        other = "fused" if name == "foreach" else "foreach"
        kept, group[other] = group[other], None
        run.optimizer.step()
        group[name], group[other] = before, kept


@taken
def the_run_of_a_state_dict(run: Run) -> None:
    run.optimizer.load_state_dict(copy.deepcopy(run.optimizer.state_dict()))


@taken
def a_deep_copy(run: Run) -> None:
    run.params, run.optimizer = copy.deepcopy((run.params, run.optimizer))
    for param in run.params:
        param.grad = torch.tensor([-1.0, 2.0])


@taken
def a_pickle(run: Run) -> None:
    run.params, run.optimizer = pickle.loads(pickle.dumps((run.params, run.optimizer)))
    for param in run.params:
        param.grad = torch.tensor([-1.0, 2.0])


@pytest.mark.clause("C12")
@paths
@pytest.mark.parametrize("change", TAKEN)
def test_what_is_there_then_is_stepped_with(options: dict[str, Any], change: str) -> None:
    run = Run(**options)
    TAKEN[change](run)
    for _ in range(2):
        assert run.differences() == []


@paths
def test_a_copy_and_the_run_it_was_made_of_go_separate_ways(options: dict[str, Any]) -> None:
    run, other = Run(**options), Run(**options)
    before = run.first
    params, optimizer = copy.deepcopy((run.params, run.optimizer))
    for param in params:
        param.grad = torch.tensor([-1.0, 2.0])
    optimizer.step()
    assert run.first == before
    run.optimizer.step()
    other.optimizer.step()
    assert run.first == other.first
