"""Steps that once went wrong silently or half-way, found by trying to break the adapter."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._functional_collectives import AsyncCollectiveTensor

import lion_cpu
import lion_torch
from lion_ref import step
from lion_ref.arithmetic import same_bits
from tests.repo.preloaded import Program, run

PATHS: list[dict[str, Any]] = [{}, {"fused": False}, {"foreach": True}, {"fused": True}]


def parameter(*values: float) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(values))


@pytest.mark.clause("C12")
@pytest.mark.parametrize("options", PATHS, ids=str)
@pytest.mark.parametrize("size", [3, 20_000])
@pytest.mark.parametrize("shared", ["param", "momentum"])
def test_a_gradient_may_share_memory_with_what_is_written(
    options: dict[str, Any], size: int, shared: str
) -> None:
    param = torch.nn.Parameter(torch.linspace(-2, 2, size) + 0.01)
    optimizer = lion_torch.Lion([param], lr=0.5, weight_decay=0.1, **options)
    momentum = torch.linspace(1, -3, size)
    optimizer.state[param]["exp_avg"] = momentum
    param.grad = param.detach() if shared == "param" else momentum
    inputs = [x.detach().numpy().copy() for x in (param, momentum, param.grad)]
    optimizer.step()
    expected = step(*inputs, lr=0.5, weight_decay=0.1)
    for got, wanted in zip((param, momentum), expected, strict=True):
        assert same_bits(got.detach().numpy(), wanted).all()


@pytest.mark.clause("C12")
@pytest.mark.parametrize("options", PATHS, ids=str)
def test_a_lazily_negated_gradient_is_negated(options: dict[str, Any]) -> None:
    param = parameter(1.0, 1.0, 1.0)
    param.grad = torch._neg_view(torch.tensor([1.0, 2.0, -3.0]))
    lion_torch.Lion([param], lr=0.5, **options).step()
    assert param.tolist() == [1.5, 1.5, 0.5]


@pytest.mark.clause("C14")
@pytest.mark.parametrize("options", PATHS, ids=str)
def test_an_inference_momentum_is_refused_before_anything_moves(options: dict[str, Any]) -> None:
    other, param = parameter(5.0), parameter(1.0, 2.0)
    optimizer = lion_torch.Lion([{"params": [other]}, {"params": [param]}], lr=0.5, **options)
    with torch.inference_mode():
        param.grad = torch.tensor([1.0, -1.0])
        optimizer.step()
    other.grad, param.grad = torch.ones(1), torch.tensor([1.0, -1.0])
    before = (other.tolist(), param.tolist())
    with pytest.raises(RuntimeError, match=r"exp_avg was made under torch.inference_mode\(\)"):
        optimizer.step()
    assert (other.tolist(), param.tolist()) == before


@pytest.mark.clause("C14")
def test_a_leaf_under_differentiable_is_refused_before_anything_moves() -> None:
    first, leaf = parameter(1.0), parameter(2.0)
    optimizer = lion_torch.Lion([first, leaf], lr=0.5, differentiable=True)
    first.grad, leaf.grad = torch.ones(1), torch.ones(1)
    first.requires_grad_(False)
    with pytest.raises(RuntimeError, match="a param that is a leaf and requires grad"):
        optimizer.step()
    assert (first.tolist(), leaf.tolist()) == ([1.0], [2.0])


def test_another_default_device_does_not_matter() -> None:
    param = parameter(1.0, 2.0)
    param.grad = torch.ones(2)
    optimizer = lion_torch.Lion([param], lr=0.5)
    with torch.device("meta"):
        optimizer.step()
    optimizer.step()
    assert param.tolist() == [0.0, 1.0]


def test_a_grad_scaler_under_another_default_dtype() -> None:
    param = torch.nn.Parameter(torch.ones(3, dtype=torch.float32))
    optimizer = lion_torch.Lion([param], lr=0.5, fused=True)
    torch.set_default_dtype(torch.float64)
    try:
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        scaler.scale((param * 2).sum()).backward()
        scaler.step(optimizer)
    finally:
        torch.set_default_dtype(torch.float32)
    assert param.tolist() == [0.5] * 3


@pytest.mark.clause("C14")
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"lr": -3}, "lr=-3 is not legal"),
        (
            {"momentum_dtype": "float8"},
            "momentum_dtype='float8' is not legal; legal: None, float16",
        ),
        ({"subnormals": "ftz"}, "subnormals='ftz' is not legal; legal: 'native', 'flush', 'keep'"),
        ({"amsgrad": False}, "another optimizer's; legal: a state dict of a Lion"),
    ],
)
def test_a_refused_state_dict_changes_nothing(option: dict[str, Any], message: str) -> None:
    param = parameter(1.0, 2.0)
    optimizer = lion_torch.Lion([param], lr=0.5)
    param.grad = torch.ones(2)
    optimizer.step()
    state_dict = copy.deepcopy(optimizer.state_dict())
    state_dict["param_groups"][0].update(option)
    with pytest.raises((TypeError, ValueError), match=message):
        optimizer.load_state_dict(state_dict)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert np.array_equal(
        optimizer.state[param]["exp_avg"].numpy(), np.array([0.01, 0.01], np.float32)
    )


@pytest.mark.clause("C15")
def test_a_thread_that_flushes_subnormals_is_refused() -> None:
    param = parameter(1e-40, 1.0)
    optimizer = lion_torch.Lion([param], lr=0.5)
    param.grad = torch.ones(2)
    torch.set_flush_denormal(True)
    try:
        with pytest.raises(FloatingPointError, match="this thread flushes subnormals") as refused:
            optimizer.step()
    finally:
        torch.set_flush_denormal(False)
    assert param.tolist() == [torch.tensor(1e-40).item(), 1.0]
    assert str(refused.value).endswith(
        "in a thread that began before, or step with subnormals='flush'"
    )


def test_a_group_alone_may_be_hidden_from_autograd() -> None:
    plain = parameter(1.0)
    scale = torch.tensor(2.0, requires_grad=True)
    watched = torch.ones(1) * scale
    groups: list[dict[str, Any]] = [
        {"params": [plain], "differentiable": False},
        {"params": [watched]},
    ]
    optimizer = lion_torch.Lion(groups, lr=0.5, weight_decay=0.5, differentiable=True)
    plain.grad, watched.grad = torch.ones(1), torch.ones(1)
    optimizer.step()
    watched.sum().backward()
    assert scale.grad is not None
    assert (plain.item(), watched.item(), scale.grad.item()) == (0.25, 1.0, 0.75)


def with_gradients(*params: torch.nn.Parameter) -> tuple[torch.nn.Parameter, ...]:
    for param in params:
        param.grad = torch.ones_like(param)
    return params


@pytest.mark.clause("C13", "C14")
@pytest.mark.parametrize("options", PATHS, ids=str)
@pytest.mark.parametrize("elements", [1, 7])
def test_a_gradient_of_another_shape_is_refused_before_anything_moves(
    options: dict[str, Any], elements: int
) -> None:
    first, second = with_gradients(parameter(1.0, 1.0), parameter(1.0, 1.0))
    optimizer = lion_torch.Lion([first, second], lr=0.5, **options)
    second.data = torch.ones(elements)
    with pytest.raises(ValueError, match=r"grad has shape \(2,\), but param has shape"):
        optimizer.step()
    assert first.tolist() == [1.0, 1.0]


@pytest.mark.clause("C14")
@pytest.mark.parametrize("options", PATHS, ids=str)
def test_a_momentum_elsewhere_is_refused_before_anything_moves(options: dict[str, Any]) -> None:
    first, second = with_gradients(parameter(1.0), parameter(1.0))
    optimizer = lion_torch.Lion([first, second], lr=0.5, **options)
    optimizer.state[second]["exp_avg"] = torch.zeros(1, device="meta")
    with pytest.raises(ValueError, match="exp_avg is on meta, but param is on cpu"):
        optimizer.step()
    assert first.tolist() == [1.0]


@pytest.mark.clause("C14")
@pytest.mark.parametrize("options", PATHS, ids=str)
def test_a_lazily_negated_parameter_is_refused(options: dict[str, Any]) -> None:
    (first,) = with_gradients(parameter(1.0))
    negated = torch.nn.Parameter(torch._neg_view(torch.tensor([1.0])))
    negated.grad = torch.ones(1)
    with pytest.raises(RuntimeError, match="param is negated lazily"):
        lion_torch.Lion([first, negated], lr=0.5, **options).step()
    assert first.tolist() == [1.0]


class OwnParameter(torch.nn.Parameter):
    """A user's subclass."""


@pytest.mark.clause("C12")
@pytest.mark.parametrize("options", PATHS, ids=str)
def test_a_subclass_of_parameter_steps_as_one(options: dict[str, Any]) -> None:
    negated, shared = OwnParameter(torch.ones(2)), OwnParameter(torch.tensor([1.0, 2.0]))
    negated.grad, shared.grad = torch._neg_view(torch.ones(2)), shared.data
    optimizer = lion_torch.Lion([negated, shared], lr=0.5, **options)
    optimizer.step()
    assert negated.tolist() == [1.5, 1.5]
    expected = torch.tensor([1.0, 2.0]) * torch.tensor(1 - 0.99)
    assert torch.equal(optimizer.state[shared]["exp_avg"], expected)


@pytest.mark.parametrize("options", PATHS, ids=str)
def test_gradients_that_are_no_plain_tensors_are_stepped_with(options: dict[str, Any]) -> None:
    plain, other = parameter(1.0), parameter(1.0)
    plain.grad = torch.ones(1)
    other.grad = AsyncCollectiveTensor(torch.ones(1))
    lion_torch.Lion([plain, other], lr=0.5, **options).step()
    assert (plain.tolist(), other.tolist()) == ([0.5], [0.5])


@pytest.mark.parametrize("options", PATHS, ids=str)
def test_a_step_under_fake_tensors_leaves_later_steps_alone(options: dict[str, Any]) -> None:
    with FakeTensorMode():
        fake = parameter(1.0)
        fake.grad = torch.ones(1)
        optimizer = lion_torch.Lion([fake], **options)
        for _ in range(2):
            optimizer.step()
        assert optimizer.state[fake]["exp_avg"].shape == (1,)
    (param,) = with_gradients(parameter(1.0))
    lion_torch.Lion([param], lr=0.5).step()
    assert param.tolist() == [0.5]


@pytest.mark.clause("C14")
@pytest.mark.parametrize("options", PATHS, ids=str)
def test_a_fake_gradient_of_a_real_parameter_is_refused(options: dict[str, Any]) -> None:
    first, second = with_gradients(parameter(1.0), parameter(1.0))
    with FakeTensorMode():
        second.grad = torch.ones(1)
    with pytest.raises(ValueError, match="of grad and param one is a FakeTensor, which has no"):
        lion_torch.Lion([first, second], **options).step()
    assert first.tolist() == [1.0]


@pytest.mark.clause("C14")
@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
def test_a_parameter_given_twice_is_refused() -> None:
    param = parameter(1.0)
    with pytest.raises(ValueError, match=r"params holds a parameter more than once.*legal: each"):
        lion_torch.Lion([param, param])
    optimizer = lion_torch.Lion([parameter(2.0)])
    with pytest.raises(ValueError, match="params holds a parameter more than once"):
        optimizer.add_param_group({"params": [param, param]})
    assert len(optimizer.param_groups) == 1


FLUSHING_THREADS = """
import json, sys
import numpy as np, torch
import lion_ref
from lion_torch import Lion
arrays = [np.full(300_001, x, np.float32) for x in (1, 1e-40, 0)]
wanted = lion_ref.step(*arrays, lr=0.5)
theta, m, g = map(torch.from_numpy, arrays)  # by no thread of torch's
p = torch.nn.Parameter(theta); p.grad = g
o = Lion([p], lr=0.5, **json.loads(sys.argv[1])); o.state[p]["exp_avg"] = m
torch.set_num_threads(2)
torch.set_flush_denormal(True); (torch.ones(1_000_000) * 2).sum()
torch.set_flush_denormal(False)
try: o.step()
except FloatingPointError as error: sys.stdout.write(str(error))
got = p.detach().numpy(), m.numpy()
sys.stdout.write(str(all(x.tobytes() == y.tobytes() for x, y in zip(got, wanted))))
sys.stdout.write(str(bool((got[0] == 1).all() and (got[1] == np.float32(1e-40)).all())))
"""


@pytest.mark.clause("C6", "C15")
def test_threads_that_flush_though_the_caller_does_not(tmp_path: Path) -> None:
    """The kernel's bits are right; torch's operations would flush, and are refused.

    torch's threads keep the environment in which they began.
    """
    program = tmp_path / "program.py"
    program.write_text(FLUSHING_THREADS, encoding="utf-8")
    each = [Program([str(program), json.dumps(options)]) for options in PATHS]
    for options, ran in zip(PATHS, run(each, ["torch._dynamo"]), strict=True):
        assert ran.returncode == 0, ran.stderr
        if options.get("fused", not options) and not lion_cpu.missing():
            assert ran.stdout == "TrueFalse"
        else:
            assert ran.stdout.startswith("torch's other threads flush subnormals, as they began")
            assert ran.stdout.endswith("FalseTrue")


@pytest.mark.clause("C14")
def test_a_state_dict_that_no_step_would_take_is_refused() -> None:
    optimizer = lion_torch.Lion([parameter(1.0)])
    state = optimizer.state_dict()
    state["param_groups"][0]["momentum_dtype"] = torch.float64
    with pytest.raises(TypeError, match="momentum has dtype float64"):
        optimizer.load_state_dict(state)


@pytest.mark.clause("C12")
@pytest.mark.parametrize("options", PATHS, ids=str)
def test_a_gradient_may_partly_overlap_what_is_written(options: dict[str, Any]) -> None:
    memory = np.linspace(-2, 2, 4001, dtype=np.float32)
    param = torch.nn.Parameter(torch.from_numpy(memory[1:]))
    param.grad = torch.from_numpy(memory[:-1])  # in a storage of its own, as far as torch knows
    optimizer = lion_torch.Lion([param], lr=0.5, weight_decay=0.1, **options)
    momentum = torch.linspace(1, -3, 4000)
    optimizer.state[param]["exp_avg"] = momentum
    inputs = [x.detach().numpy().copy() for x in (param, momentum, param.grad)]
    optimizer.step()
    expected = step(*inputs, lr=0.5, weight_decay=0.1)
    for got, wanted in zip((param, momentum), expected, strict=True):
        assert same_bits(got.detach().numpy(), wanted).all()


@pytest.mark.parametrize("options", PATHS, ids=str)
def test_a_momentum_may_begin_as_a_fake(options: dict[str, Any]) -> None:
    (param,) = with_gradients(parameter(1.0))
    with FakeTensorMode(allow_non_fake_inputs=True):
        lion_torch.Lion([param], lr=0.5, **options).step()


@pytest.mark.clause("C14")
@pytest.mark.parametrize("entry", [None, torch.zeros(1)], ids=["none", "a tensor"])
def test_a_state_that_is_no_dict_is_refused(entry: Any) -> None:
    optimizer = lion_torch.Lion([parameter(1.0)])
    state_dict = optimizer.state_dict()
    state_dict["state"] = {0: entry}
    with pytest.raises(TypeError, match=r"state of parameter 0 is of type \w+; legal: a dict"):
        optimizer.load_state_dict(state_dict)
