"""What is refused, with which words, and that a refused step has changed nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lion_torch import Lion

NAN = float("nan")


def ones(*shape: int, dtype: torch.dtype = torch.float32) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.ones(shape, dtype=dtype))


@pytest.mark.clause("C13")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": -0.1}, ValueError, "lr=-0.1 is not legal; legal: a finite number >= 0"),
        ({"lr": NAN}, ValueError, "lr=nan is not legal; legal: a finite number >= 0"),
        ({"lr": "0.1"}, TypeError, "lr='0.1' is not legal: it is of type str"),
        ({"lr": True}, TypeError, "lr=True is not legal: it is of type bool"),
        ({"lr": 1e39}, ValueError, "lr=1e+39 is not legal; legal: a finite number >= 0, finite"),
        ({"lr": torch.tensor(-1.0)}, ValueError, "lr=-1.0 is not legal"),
        ({"lr": torch.ones(2)}, ValueError, "Tensor lr must be 1-element"),
        ({"lr": torch.tensor(1)}, TypeError, "Tensor lr has dtype int64; legal: floating dtypes"),
        ({"betas": (0.9, 1.0)}, ValueError, "beta2=1.0 is not legal; legal: a number in [0, 1)"),
        ({"betas": (-0.1, 0.9)}, ValueError, "beta1=-0.1 is not legal"),
        ({"betas": 0.9}, ValueError, "betas=0.9 is not legal; legal: two numbers in [0, 1)"),
        ({"betas": (0.9,)}, ValueError, "betas=(0.9,) is not legal; legal: two numbers"),
        ({"weight_decay": -1}, ValueError, "weight_decay=-1 is not legal"),
        ({"weight_decay": None}, TypeError, "weight_decay=None is not legal"),
        ({"maximize": 1}, TypeError, "maximize=1 is not legal; legal: True, False"),
        ({"foreach": "yes"}, TypeError, "foreach='yes' is not legal; legal: None, True, False"),
        (
            {"momentum_dtype": "half"},
            TypeError,
            "momentum_dtype='half' is not legal; legal: None, float16, bfloat16, float32, float64",
        ),
        ({"momentum_dtype": 32}, TypeError, "momentum_dtype=32 is not legal; legal: None, float16"),
        ({"momentum_dtype": float}, TypeError, "momentum_dtype=<class 'float'> is not legal"),
        (
            {"momentum_dtype": torch.float64},
            TypeError,
            "momentum has dtype float64, wider than float32, the compute dtype for a float32 param",
        ),
        (
            {"momentum_dtype": torch.int32},
            TypeError,
            "momentum_dtype=torch.int32 is not legal; legal: None, float16, bfloat16, float32",
        ),
        (
            {"lr": torch.tensor(0.1), "foreach": True},
            ValueError,
            "lr as a Tensor is not supported for capturable=False and foreach=True",
        ),
        (
            {"subnormals": "daz"},
            ValueError,
            "subnormals='daz' is not legal; legal: 'native', 'flush', 'keep'",
        ),
        ({"subnormals": None}, ValueError, "subnormals=None is not legal; legal: 'native', 'flus"),
        ({"subnormals": True}, ValueError, "subnormals=True is not legal; legal: 'native', 'flus"),
        ({"subnormals": np.ones(2)}, ValueError, "subnormals=array([1., 1.]) is not legal; legal"),
        (
            {"foreach": True, "differentiable": True},
            RuntimeError,
            "`foreach` does not support `differentiable`",
        ),
    ],
)
def test_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        Lion([ones(2)], **options)
    assert message in str(caught.value)


@pytest.mark.clause("C2")
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64, torch.float8_e5m2])
def test_dtypes_of_parameters(dtype: torch.dtype) -> None:
    param = torch.zeros(2).to(dtype)
    with pytest.raises(TypeError, match=r"param has dtype .*; legal: float16, bfloat16, float32"):
        Lion([param])


def test_a_refused_group_is_not_added() -> None:
    optimizer = Lion([ones(2)])
    with pytest.raises(ValueError, match="lr=-1"):
        optimizer.add_param_group({"params": [ones(3)], "lr": -1})
    assert len(optimizer.param_groups) == 1


def spoilt_value(optimizer: Lion, param: torch.nn.Parameter) -> None:
    optimizer.param_groups[1]["lr"] = NAN


def spoilt_weight_decay_tensor(optimizer: Lion, param: torch.nn.Parameter) -> None:
    optimizer.param_groups[1]["weight_decay"] = torch.tensor(-1.0)


def sparse(optimizer: Lion, param: torch.nn.Parameter) -> None:
    param.grad = torch.ones(2, 3).to_sparse()


def wide_gradient(optimizer: Lion, param: torch.nn.Parameter) -> None:
    param.grad = None
    param.grad_dtype = torch.float64
    param.grad = torch.ones(2, 3, dtype=torch.float64)


def expanded(optimizer: Lion, param: torch.nn.Parameter) -> None:
    param.data = torch.ones(3).expand(2, 3)


def overlapping(optimizer: Lion, param: torch.nn.Parameter) -> None:
    param.data = torch.ones(6).as_strided((2, 3), (2, 1))


def reshaped_momentum(optimizer: Lion, param: torch.nn.Parameter) -> None:
    optimizer.state[param]["exp_avg"] = torch.zeros(6)


def listed_momentum(optimizer: Lion, param: torch.nn.Parameter) -> None:
    optimizer.state[param]["exp_avg"] = [0.0] * 6


def sparse_momentum(optimizer: Lion, param: torch.nn.Parameter) -> None:
    optimizer.state[param]["exp_avg"] = torch.zeros(2, 3).to_sparse()


def capturable_on_cpu(optimizer: Lion, param: torch.nn.Parameter) -> None:
    optimizer.param_groups[1]["capturable"] = True


@pytest.mark.clause("C13", "C14")
@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (spoilt_value, ValueError, "lr=nan is not legal; legal: a finite number >= 0"),
        (spoilt_weight_decay_tensor, ValueError, "weight_decay=-1.0 is not legal"),
        (sparse, RuntimeError, "Lion does not support sparse gradients (got torch.sparse_coo)"),
        (wide_gradient, TypeError, "grad has dtype float64, wider than float32"),
        (
            expanded,
            RuntimeError,
            "param of shape (2, 3) and strides (0, 1) has elements that share",
        ),
        (overlapping, RuntimeError, "strides (2, 1) has elements that share memory"),
        (reshaped_momentum, ValueError, "exp_avg has shape (6,), but param has shape (2, 3)"),
        (listed_momentum, TypeError, "exp_avg is of type list; legal: a Tensor"),
        (sparse_momentum, TypeError, "exp_avg has layout torch.sparse_coo; legal: torch.strided"),
        (capturable_on_cpu, RuntimeError, "capturable=True with a param on cpu; legal: params on"),
    ],
)
def test_a_refused_step_changes_nothing(spoil: Any, error: type[Exception], message: str) -> None:
    good, bad = ones(4), ones(2, 3)
    optimizer = Lion([{"params": [good]}, {"params": [bad]}], lr=0.1)
    good.grad, bad.grad = torch.ones(4), torch.ones(2, 3)
    spoil(optimizer, bad)
    with pytest.raises(error) as caught:
        optimizer.step()
    assert message in str(caught.value)
    assert torch.equal(good.detach(), torch.ones(4))
    assert torch.equal(bad.detach(), torch.ones(2, 3))
    assert good not in optimizer.state
    del optimizer.param_groups[1]
    optimizer.step()
    assert not torch.equal(good.detach(), torch.ones(4))


def test_strides_that_interleave_without_meeting_are_let_through() -> None:
    param = torch.nn.Parameter(torch.ones(4, 6)[::2, 1:].t())
    param.grad = torch.ones(5, 2)
    Lion([param], lr=0.5).step()
    assert (param == 0.5).all()
